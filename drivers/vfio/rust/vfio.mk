# SPDX-License-Identifier: GPL-2.0
#
# Rules that build the bindings, the crate `vfio` and its C helpers into the
# folder of the Makefile that includes this file. Every user builds its own
# copy: folders are visited in parallel, so they must not share targets.
#
# A variant driver "foo" does:
#
#	include $(src)/../../rust/vfio.mk
#	obj-$(CONFIG_FOO) += foo-vfio-pci.o
#	foo-vfio-pci-y := foo_vfio_pci.o $(vfio-rust-objs)
#	$(obj)/foo_vfio_pci.o: $(obj)/vfio_crate.o
#	RUSTFLAGS_foo_vfio_pci.o := $(vfio-rust-flags)
#
# Who needs the raw bindings only, depends on $(vfio-rust-bindings) and
# includes that file; its path is in the environment as VFIO_RUST_BINDINGS.

# bindgen takes clang's flags, so the kernel must have been built with LLVM.

ifdef CONFIG_CC_IS_GCC
$(error the crate vfio needs a kernel that is built with LLVM)
endif

vfio-rust-dir := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
vfio-rust-bindings := $(obj)/vfio_bindings_generated.rs
vfio-rust-objs := vfio_crate.o vfio_helpers.o
vfio-rust-flags := -L $(obj) --extern vfio

export VFIO_RUST_BINDINGS := $(abspath $(vfio-rust-bindings))

# The kernel's own parameters, and only what the kernel crate lacks: types that
# it has are taken from kernel::bindings, so that they are the same types.
vfio-bindgen-flags = $(shell grep -Ev '^\#|^$$' $(srctree)/rust/bindgen_parameters) \
	--no-recursive-allowlist \
	--allowlist-file '.*/linux/vfio.*\.h' \
	--allowlist-file '.*/linux/hisi_acc_qm\.h' \
	--allowlist-file '.*/linux/anon_inodes\.h' \
	--allowlist-file '.*/helpers\.h' \
	--allowlist-function 'stream_open' \
	--allowlist-function 'seq_hex_dump' \
	--allowlist-function 'pci_iov_vf_id' \
	--allowlist-function 'pci_iov_get_pf_drvdata' \
	--allowlist-var 'DUMP_PREFIX_.*' \
	--raw-line 'use kernel::bindings::*;'

quiet_cmd_vfio_bindgen = BINDGEN $@
      cmd_vfio_bindgen = \
	$(BINDGEN) $< $(vfio-bindgen-flags) --rust-target 1.85 \
		--use-core --with-derive-default --ctypes-prefix ffi --no-layout-tests \
		--no-debug '.*' --enable-function-attribute-detection \
		-o $@ -- $(filter-out $(CC_FLAGS_LTO),$(c_flags)) \
		-fno-builtin -D__BINDGEN__ -DMODULE

$(vfio-rust-bindings): $(vfio-rust-dir)/bindings_helper.h \
    $(srctree)/rust/bindgen_parameters FORCE
	$(call if_changed_dep,vfio_bindgen)

targets += vfio_bindings_generated.rs

RUSTFLAGS_vfio_crate.o := --crate-name vfio --emit=metadata=$(obj)/libvfio.rmeta

$(obj)/vfio_crate.o: $(vfio-rust-dir)/vfio.rs $(vfio-rust-bindings) FORCE
	+$(call if_changed_rule,rustc_o_rs)

$(obj)/vfio_helpers.o: $(vfio-rust-dir)/helpers.c FORCE
	$(call if_changed_rule,cc_o_c)

clean-files += vfio_bindings_generated.rs libvfio.rmeta
