# SPDX-License-Identifier: GPL-2.0
#
# Adds the Rust object of this directory to vfio.o, in place of debugfs.o. In the kernel
# tree drivers/vfio/Makefile includes this file, outside of it the Makefile of this
# directory does.

core-debugfs-src := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
# The paths of the objects are relative to the directory of the including Makefile.
core-debugfs-dir := $(patsubst $(src)/%,%,$(core-debugfs-src)/)
core-debugfs-obj := $(core-debugfs-dir)debugfs.o

vfio-y += $(core-debugfs-obj) bitflags.o

ifeq ($(CONFIG_VFIO_DEBUGFS_HISTORY)$(CONFIG_TRACING),yy)
vfio-y += $(core-debugfs-dir)vfio_events.o
endif
# The trace event includes its own header by its name.
CFLAGS_$(core-debugfs-dir)vfio_events.o := -I$(core-debugfs-src)

# The core's own prototypes, in addition to the bindings that all users share. Other types
# of drivers/vfio/vfio.h are opaque.
vfio-rust-header := $(core-debugfs-src)/bindings_helper.h
vfio-rust-ccflags := -I$(abspath $(or $(KSRC),$(srctree))/drivers/vfio)
vfio-rust-bindgen-flags := --allowlist-type 'vfio_group' --opaque-type 'vfio_group' \
	--allowlist-function 'vfio_debugfs_.*_root' \
	--allowlist-function 'vfio_device_debugfs_.*' \
	--allowlist-function 'vfio_history_.*'
include $(core-debugfs-src)/../rust/vfio.mk

$(obj)/$(core-debugfs-obj): private rust_allowed_features := $(vfio-rust-features)
$(obj)/$(core-debugfs-obj): $(vfio-rust-bindings) $(vfio-rust-bitflags)
RUSTFLAGS_$(core-debugfs-obj) := $(vfio-rust-bitflags-flags)
