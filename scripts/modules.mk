# SPDX-License-Identifier: GPL-2.0
#
# Builds the kernel modules outside the kernel tree. The top Makefile includes
# this file; `make -f scripts/modules.mk modules KDIR=..` works as well.
#
#	modules         build them
#	modules_install install them; INSTALL_MOD_PATH puts another root in front
#	modules_clippy  let clippy check the Rust in them; a warning is an error
#	modules_doc     rustdoc of the crate vfio; a warning is an error
#	modules_clean   remove what these have made
#
# KDIR=<folder>  the prepared build folder of a Linux 7.x kernel with CONFIG_RUST
# KSRC=<folder>  that kernel's source, where KDIR comes without drivers/vfio/*.c
# MO=<folder>    where the results go
# BITFLAGS=<folder>  the source of the crate bitflags 2, instead of a package's or cargo's
# LLVM=<suffix>  the compiler, as for the kernel; found by what built KDIR
#
# CONFIG_<NAME>=y|m|n sets one of our options. Kconfig defines them, with their defaults.

MO ?= $(CURDIR)/build/modules
RUSTC ?= rustc
BINDGEN ?= bindgen

modules-scripts := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
modules-top := $(patsubst %/,%,$(dir $(modules-scripts)))
modules-out := $(abspath $(MO))

# $(call modules-option,NAME): the value of CONFIG_NAME in the kernel
modules-option = $(shell sed -n 's/^CONFIG_$1=//p' $(KDIR)/include/config/auto.conf 2>/dev/null)

modules-clang = $(shell sed -n 's/^CONFIG_CC_VERSION_TEXT=.*clang version \([0-9]*\).*/\1/p' \
	$(KDIR)/include/config/auto.conf 2>/dev/null)
modules-llvm = $(or $(LLVM),$(if $(modules-clang),$(if $(shell command -v clang-$(modules-clang)),-$(modules-clang),1)))
modules-arch = $(or $(ARCH),$(if $(call modules-option,ARM64),arm64))

# The recipes of qemu-tests/ put their own bindgen into their cache.
modules-path := $(or $(CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hisi-acc-vfio)/tools/bin:$(PATH)

# Our options for which make has got a value, as NAME=value
modules-given = $(foreach name,$(shell $(modules-scripts)/options.sh names),\
	$(if $(filter undefined,$(origin CONFIG_$(name))),,$(name)=$(CONFIG_$(name))))

# $(call modules-make,FOLDER FOR RESULTS,GOAL): Kbuild for these modules, with an empty value
# for an option that is off
modules-make = +@export PATH='$(modules-path)'; \
	arguments=$$(KDIR='$(KDIR)' KSRC='$(KSRC)' RUSTC='$(RUSTC)' BINDGEN='$(BINDGEN)' BITFLAGS='$(BITFLAGS)' \
		$(modules-scripts)/check-kdir.sh $(modules-given)) && \
	$(MAKE) --no-print-directory -C $(KDIR) \
	M=$(modules-top) MO=$1 \
	$(if $(modules-arch),ARCH=$(modules-arch)) \
	$(if $(modules-llvm),LLVM=$(modules-llvm)) \
	RUSTC=$(RUSTC) BINDGEN=$(BINDGEN) \
	$(if $(KSRC),KSRC=$(abspath $(KSRC))) \
	$$arguments CONFIG_CRYPTO_JUDGE=$(filter-out n,$(CRYPTO_JUDGE)) \
	$2

.PHONY: modules modules_install modules_clippy modules_doc modules_clean

modules:
	$(call modules-make,$(modules-out),modules)

# Into updates/ of the kernel's modules, which modprobe looks at before the stock ones.
# Kbuild leaves depmod out where there is no System.map, as in packaged headers.
modules_install:
	$(call modules-make,$(modules-out),modules_install)
	$(if $(wildcard $(KDIR)/System.map),,depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) \
		$(file <$(KDIR)/include/config/kernel.release))

# Objects of clippy's compiler are others, so they get a folder of their own.
modules_clippy:
	$(call modules-make,$(modules-out)-clippy,modules) CLIPPY=1 KRUSTFLAGS='-D warnings'

# The crate is built for its documentation only.
modules_doc: modules-given = $(addsuffix =n,$(shell $(modules-scripts)/options.sh names))
modules_doc:
	$(call modules-make,$(modules-out)-doc,modules) VFIO_RUSTDOC=y
	@echo '  $(modules-out)-doc/drivers/vfio/rust/rustdoc/vfio/index.html'

# Only folders that Kbuild itself has marked as an external module's output.
modules_clean:
	@for d in $(modules-out) $(modules-out)-clippy $(modules-out)-doc; do \
		if grep -qs '^export KBUILD_EXTMOD = $(modules-top)$$' "$$d/Makefile"; then \
			echo "  CLEAN   $$d"; rm -rf "$$d"; fi; done
