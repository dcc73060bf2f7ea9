# SPDX-License-Identifier: GPL-2.0
#
# Builds the kernel modules outside the kernel tree. The top Makefile includes
# this file; `make -f modules.mk modules KDIR=..` works as well.
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
# LLVM=<suffix>  the compiler, as for the kernel; found by what built KDIR
#
# Our options, with the meaning that Kconfig gives them; `=n` turns one off.

MO ?= $(CURDIR)/build/modules
RUSTC ?= rustc
BINDGEN ?= bindgen

CONFIG_VFIO_DEBUGFS_RUST ?= y
CONFIG_HISI_ACC_VFIO_PCI_RS ?= m
CONFIG_HISI_ACC_VFIO_PCI_RS_DEBUG_CMDS ?= y
# Built on request: the example of a variant driver, and the load generator of the
# tests, CRYPTO_JUDGE=m.
CONFIG_SAMPLE_VFIO_EDU_RUST ?= n
CRYPTO_JUDGE ?= n

modules-top := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
modules-out := $(abspath $(MO))
modules-conf = $(KDIR)/include/config/auto.conf

# $(call modules-option,NAME): the value of CONFIG_NAME in the kernel
modules-option = $(shell sed -n 's/^CONFIG_$1=//p' $(modules-conf))

modules-release = $(shell cat $(KDIR)/include/config/kernel.release 2>/dev/null)
# A build folder apart from the source has a Makefile that includes the source's.
modules-ksrc = $(or $(KSRC),$(shell sed -n 's,^include \(/.*\)/Makefile$$,\1,p' $(KDIR)/Makefile),$(KDIR))
modules-rustc = $(shell $(RUSTC) --version 2>/dev/null)
modules-kernel-rustc = $(call modules-option,RUSTC_VERSION_TEXT)

modules-clang = $(shell sed -n 's/^CONFIG_CC_VERSION_TEXT=.*clang version \([0-9]*\).*/\1/p' $(modules-conf))
modules-llvm = $(or $(LLVM),$(if $(modules-clang),$(if $(shell command -v clang-$(modules-clang)),-$(modules-clang),1)))
modules-arch = $(or $(ARCH),$(if $(call modules-option,ARM64),arm64))

# The recipes of qemu-tests/ put their own bindgen into their cache.
modules-path := $(or $(CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hisi-acc-vfio)/tools/bin:$(PATH)

# What is wrong, in one line; empty if nothing is.
modules-fault = $(strip \
	$(if $(KDIR),,KDIR is not set: give the build folder of a Linux 7.x kernel, make modules KDIR=<folder>) \
	$(if $(KDIR),$(if $(wildcard $(modules-conf) $(KDIR)/Makefile),$(modules-fault-kernel),$(KDIR) is not a prepared kernel build folder: it has no include/config/auto.conf)))
modules-fault-kernel = $(or \
	$(if $(and $(wildcard $(modules-conf)),$(modules-release)),,$(KDIR) is not a prepared kernel build folder: it has no include/config/auto.conf or kernel.release), \
	$(if $(filter 7.%,$(modules-release)),,$(KDIR) is Linux $(modules-release): these modules are for Linux 7.x), \
	$(if $(call modules-option,RUST),,the kernel of $(KDIR) was configured without CONFIG_RUST), \
	$(if $(wildcard $(KDIR)/Module.symvers),,$(KDIR) is configured but not built: it has no Module.symvers), \
	$(if $(wildcard $(KDIR)/rust/libkernel.rmeta),,$(KDIR) lacks rust/libkernel.rmeta$(comma) which Rust modules are built against), \
	$(if $(modules-rustc),,there is no $(RUSTC): the kernel of $(KDIR) was built with $(modules-kernel-rustc)), \
	$(if $(filter-out $(subst $(space),_,$(modules-kernel-rustc)),$(subst $(space),_,$(modules-rustc))),the kernel of $(KDIR) was built with $(modules-kernel-rustc)$(comma) but $(RUSTC) is $(modules-rustc): give the same one with RUSTC=<path>), \
	$(if $(shell PATH='$(modules-path)' command -v $(BINDGEN)),,there is no $(BINDGEN): install bindgen-cli or give it with BINDGEN=<path>), \
	$(if $(filter y,$(CONFIG_VFIO_DEBUGFS_RUST)),$(modules-fault-core)))
modules-fault-core = $(or \
	$(if $(filter m,$(call modules-option,VFIO)),,vfio.ko needs a kernel with CONFIG_VFIO=m; CONFIG_VFIO_DEBUGFS_RUST=n builds the other modules), \
	$(if $(wildcard $(modules-ksrc)/drivers/vfio/vfio_main.c),,vfio.ko needs the kernel source$(comma) and $(modules-ksrc) has no drivers/vfio/vfio_main.c: give KSRC=<folder>$(comma) or CONFIG_VFIO_DEBUGFS_RUST=n for the other modules))

comma := ,
space := $(subst ,, )

# $(call modules-make,FOLDER FOR RESULTS,GOAL): Kbuild for these modules
# An option that is off must be empty, as Kconfig has it.
modules-make = $(if $(modules-fault),$(error $(modules-fault))) \
	+@PATH='$(modules-path)' $(MAKE) --no-print-directory -C $(KDIR) \
	M=$(modules-top) MO=$1 \
	$(if $(modules-arch),ARCH=$(modules-arch)) \
	$(if $(modules-llvm),LLVM=$(modules-llvm)) \
	RUSTC=$(RUSTC) BINDGEN=$(BINDGEN) \
	$(if $(KSRC),KSRC=$(abspath $(KSRC))) \
	$(foreach o,$(modules-options),CONFIG_$(o)=$(filter-out n,$(CONFIG_$(o)))) \
	CONFIG_CRYPTO_JUDGE=$(filter-out n,$(CRYPTO_JUDGE)) \
	$2
modules-options := VFIO_DEBUGFS_RUST HISI_ACC_VFIO_PCI_RS HISI_ACC_VFIO_PCI_RS_DEBUG_CMDS \
	SAMPLE_VFIO_EDU_RUST

.PHONY: modules modules_install modules_clippy modules_doc modules_clean

modules:
	$(call modules-make,$(modules-out),modules)

# Into updates/ of the kernel's modules, which modprobe looks at before the stock ones.
# Kbuild leaves depmod out where there is no System.map, as in packaged headers.
modules_install:
	$(call modules-make,$(modules-out),modules_install)
	$(if $(wildcard $(KDIR)/System.map),,depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) $(modules-release))

# Objects of clippy's compiler are others, so they get a folder of their own.
modules_clippy:
	$(call modules-make,$(modules-out)-clippy,modules) CLIPPY=1 KRUSTFLAGS='-D warnings'

modules_doc: modules-options :=
modules_doc:
	$(call modules-make,$(modules-out)-doc,modules) VFIO_RUSTDOC=y
	@echo '  $(modules-out)-doc/drivers/vfio/rust/rustdoc/vfio/index.html'

# Only folders that Kbuild itself has marked as an external module's output.
modules_clean:
	@for d in $(modules-out) $(modules-out)-clippy $(modules-out)-doc; do \
		if grep -qs '^export KBUILD_EXTMOD = $(modules-top)$$' "$$d/Makefile"; then \
			echo "  CLEAN   $$d"; rm -rf "$$d"; fi; done
