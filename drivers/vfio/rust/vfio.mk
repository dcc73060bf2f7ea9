# SPDX-License-Identifier: GPL-2.0
#
# Rules that build the bindings, the crate `vfio` and its C helpers into the
# directory of the Makefile that includes this file. Every user builds its own
# copy: directories are visited in parallel, so they must not share targets.
#
# A variant driver "foo" does:
#
#	include $(src)/../../rust/vfio.mk
#	obj-$(CONFIG_FOO) += foo-vfio-pci.o
#	foo-vfio-pci-y := foo_vfio_pci.o $(vfio-rust-objs)
#	$(obj)/foo_vfio_pci.o: $(obj)/vfio_crate.o
#	RUSTFLAGS_foo_vfio_pci.o := $(vfio-rust-flags)
#
# A user that needs only the raw bindings depends on $(vfio-rust-bindings), includes
# rust/bindings.rs as a module, and gives the object the features in
# $(vfio-rust-features). Before the include it may set
#
#	vfio-rust-header         the input of bindgen, if it is not rust/bindings_helper.h alone
#	vfio-rust-bindgen-flags  further arguments for bindgen
#	vfio-rust-ccflags        further arguments for the compiler that bindgen uses
#
# The location of the crate bitflags. Outside of the kernel tree it is found by
# scripts/check-kdir.sh; in the kernel tree it is next to the other external crates.
BITFLAGS ?= $(srctree)/rust/bitflags

vfio-rust-dir := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
vfio-rust-header ?= $(vfio-rust-dir)/bindings_helper.h
vfio-rust-bindings := $(obj)/vfio_bindings_generated.rs
vfio-rust-objs := bitflags.o vfio_crate.o vfio_helpers.o
vfio-rust-bitflags := $(obj)/bitflags.o
vfio-rust-bitflags-flags := -L $(obj) --extern bitflags
vfio-rust-flags := $(vfio-rust-bitflags-flags) --extern vfio
# Kbuild's list lacks the first one, which the bindings use; KUnit's macro needs the
# second one.
vfio-rust-features := cfi_encoding,used_with_arg

# bindings.rs includes the output of bindgen under this absolute name.
export VFIO_RUST_BINDINGS := $(abspath $(vfio-rust-bindings))

# The kernel's own parameters, and only items that the kernel crate lacks. Other types are
# taken from kernel::bindings, so that they are the same types.
#
# enum vfio_device_mig_state is an argument of indirect calls. Its name goes
# into the call's CFI type, as for the enums in rust/bindgen_parameters.
vfio-bindgen-flags = $(shell grep -Ev '^$(pound)|^$$' $(srctree)/rust/bindgen_parameters) \
	--rust-target 1.85 --use-core --with-derive-default --ctypes-prefix ffi \
	--no-layout-tests --no-debug '.*' --enable-function-attribute-detection \
	--no-recursive-allowlist \
	--allowlist-file '.*/linux/vfio.*\.h' \
	--allowlist-file '.*/linux/anon_inodes\.h' \
	--allowlist-file '.*/helpers\.h' \
	--allowlist-function 'stream_open' \
	--allowlist-function 'seq_hex_dump' \
	--allowlist-function 'pci_iov_vf_id' \
	--allowlist-function 'pci_ioremap_bar' \
	--allowlist-var 'DUMP_PREFIX_.*' \
	--newtype-enum vfio_device_mig_state \
	--with-attribute-custom-enum=vfio_device_mig_state='$(pound)[cfi_encoding="21vfio_device_mig_state"]' \
	--raw-line 'use kernel::bindings::*;' \
	$(vfio-rust-bindgen-flags)

ifndef CONFIG_CC_IS_CLANG
# libclang does not know all of GCC's flags, nor the target that they imply.
vfio-bindgen-skip := $(shell sed -n '/^bindgen_skip_c_flags := /,/[^\\]$$/p' \
	$(srctree)/rust/Makefile | sed 's/.*:=//; s/\\$$//')
vfio-bindgen-target := --target=$(shell sed -n 's/^CLANG_TARGET_FLAGS_$(SRCARCH)[[:space:]]*:= *//p' \
	$(srctree)/scripts/Makefile.clang)
endif

quiet_cmd_vfio_bindgen = BINDGEN $@
      cmd_vfio_bindgen = $(BINDGEN) $< $(vfio-bindgen-flags) -o $@ -- \
	$(filter-out $(vfio-bindgen-skip) $(CC_FLAGS_LTO),$(c_flags)) \
	$(vfio-bindgen-target) -w -fno-builtin -D__BINDGEN__ -DMODULE \
	$(vfio-rust-ccflags)

$(vfio-rust-bindings): $(vfio-rust-header) $(srctree)/rust/bindgen_parameters FORCE
	$(call if_changed_dep,vfio_bindgen)

targets += vfio_bindings_generated.rs

# As for such crates in rust/Makefile: their authors check them.
$(obj)/bitflags.o: private skip_clippy = 1
$(obj)/bitflags.o: private skip_gendwarfksyms = 1
RUSTFLAGS_bitflags.o := --cap-lints=allow --crate-name bitflags \
	--emit=metadata=$(obj)/libbitflags.rmeta -C metadata=$(obj) \
	--remap-path-prefix=$(BITFLAGS)=bitflags

$(obj)/bitflags.o: $(BITFLAGS)/src/lib.rs FORCE
	+$(call if_changed_rule,rustc_o_rs)

$(BITFLAGS)/src/lib.rs:
	@echo 'error: the crate bitflags 2 is not in $(BITFLAGS), see Documentation/in-tree.rst' >&2
	@false

$(obj)/vfio_crate.o: private rust_allowed_features := $(vfio-rust-features)
# Several built-in users are linked together: the metadata becomes part of the symbol names of
# each copy, and the helpers are weak.
RUSTFLAGS_vfio_crate.o := --crate-name vfio --emit=metadata=$(obj)/libvfio.rmeta \
	-C metadata=$(obj) $(vfio-rust-bitflags-flags)

$(obj)/vfio_crate.o: $(vfio-rust-dir)/vfio.rs $(vfio-rust-bindings) $(vfio-rust-bitflags) FORCE
	+$(call if_changed_rule,rustc_o_rs)

$(obj)/vfio_helpers.o: $(vfio-rust-dir)/helpers.c FORCE
	$(call if_changed_rule,cc_o_c)

clean-files += vfio_bindings_generated.rs libvfio.rmeta libbitflags.rmeta
