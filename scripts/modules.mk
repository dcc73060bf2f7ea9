# SPDX-License-Identifier: GPL-2.0
#
# Builds the kernel modules outside the kernel tree. The top Makefile includes
# this file; `make -f scripts/modules.mk modules KDIR=..` works as well.
#
#	metadata        make a directory for KDIR from packaged kernel headers that lack rust/*.rmeta
#	accelerators    build the accelerators' drivers for a kernel that was configured without them
#	accelerators_install  install them; INSTALL_MOD_PATH is a prefix of the path
#	modules         build the modules
#	modules_install install the modules; INSTALL_MOD_PATH is a prefix of the path
#	modules_clippy  check their Rust code with clippy; a warning is an error
#	modules_doc     build rustdoc of the crate vfio; a warning is an error
#	modules_clean   remove the results of these targets
#
# KDIR=<dir>     the prepared build directory of a Linux 7.3 kernel with CONFIG_RUST
# KSRC=<dir>     that kernel's source, if KDIR does not contain drivers/vfio/*.c
# MO=<dir>       the output directory
# METADATA=<dir> the output directory of `metadata`
# ACCELERATORS=<dir>  that of `accelerators`
# BITFLAGS=<dir> the source of the crate bitflags 2, instead of a package's or cargo's
# KBUILD_EXTRA_SYMBOLS=<file>
#                the Module.symvers of the accelerators' drivers, if they were built beside the kernel
# LLVM=<suffix>, CC=, CROSS_COMPILE=
#                the compiler, as for the kernel; by default that which built KDIR, of the same
#                major version
#
# CONFIG_<NAME>=y|m|n sets one of our options. Kconfig defines them and their defaults.

MO ?= $(CURDIR)/build/modules
METADATA ?= $(CURDIR)/build/metadata
ACCELERATORS ?= $(CURDIR)/build/accelerators
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
# GCC, where KDIR was built with it: a cross compiler if this machine has another architecture.
modules-gcc = $(shell sed -n 's/^CONFIG_CC_VERSION_TEXT=.*gcc.* \([0-9]*\)\.[0-9.]*"\{0,1\}$$/\1/p' \
	$(KDIR)/include/config/auto.conf 2>/dev/null)
modules-cross = $(or $(CROSS_COMPILE),$(if $(and $(filter arm64,$(modules-arch)),$(filter-out aarch64,$(shell uname -m))),aarch64-linux-gnu-))
modules-cc = $(or $(if $(filter command,$(firstword $(origin CC))),$(CC)),$(modules-cross)gcc$(if $(shell \
	command -v $(modules-cross)gcc-$(modules-gcc)),-$(modules-gcc)))
modules-compiler = $(if $(modules-llvm),LLVM=$(modules-llvm),$(if $(modules-gcc),CROSS_COMPILE=$(modules-cross) CC=$(modules-cc)))
modules-arch = $(or $(ARCH),$(if $(call modules-option,ARM64),arm64))

# The recipes of qemu-tests/ install their own bindgen into their cache.
modules-path := $(or $(CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hisi-acc-vfio)/tools/bin:$(PATH)

# The arguments of the kernel's make for the architecture and the compiler
modules-for = $(if $(modules-arch),ARCH=$(modules-arch)) $(modules-compiler)

modules-options = $(shell $(modules-scripts)/options.sh names)

# The options that have a value in make, as NAME=value. What the command line has as CONFIG_NAME= is
# passed on in any case, so that an option that does not exist is refused.
modules-given = $(foreach name,$(modules-options),\
	$(if $(filter command,$(firstword $(origin $(name)))),\
		$(error $(name)=$($(name)): give it as CONFIG_$(name)=$($(name))))\
	$(if $(filter-out undefined command,$(firstword $(origin CONFIG_$(name)))),$(name)=$(CONFIG_$(name)))) \
	$(patsubst CONFIG_%,%,$(filter CONFIG_%,$(MAKEOVERRIDES)))

# $(call modules-make,OUTPUT DIRECTORY,GOAL): runs Kbuild for these modules, with an empty value for
# an option that is off
modules-make = +@export PATH='$(modules-path)'; \
	arguments=$$(KDIR='$(KDIR)' KSRC='$(KSRC)' RUSTC='$(RUSTC)' BINDGEN='$(BINDGEN)' BITFLAGS='$(BITFLAGS)' \
		KBUILD_EXTRA_SYMBOLS='$(KBUILD_EXTRA_SYMBOLS)' $(modules-scripts)/check-kdir.sh $(modules-given)) && \
	$(MAKE) --no-print-directory -C $(KDIR) \
	M=$(modules-top) MO=$1 \
	$(modules-for) \
	RUSTC=$(RUSTC) BINDGEN=$(BINDGEN) \
	$(if $(KSRC),KSRC=$(abspath $(KSRC))) \
	$(if $(KBUILD_EXTRA_SYMBOLS),KBUILD_EXTRA_SYMBOLS='$(abspath $(KBUILD_EXTRA_SYMBOLS))') \
	$$arguments CONFIG_CRYPTO_CHECK=$(filter-out n,$(CRYPTO_CHECK)) \
	$2

# Kbuild does not run depmod if there is no System.map, as in packaged headers.
modules-depmod = $(if $(wildcard $(KDIR)/System.map),,depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) \
	$(file <$(KDIR)/include/config/kernel.release))

.PHONY: metadata accelerators accelerators_install
.PHONY: modules modules_install modules_clippy modules_doc modules_clean

metadata:
	+@PATH='$(modules-path)' KDIR='$(KDIR)' KSRC='$(KSRC)' RUSTC='$(RUSTC)' BINDGEN='$(BINDGEN)' \
		$(modules-scripts)/rust-metadata.sh '$(METADATA)' $(modules-compiler)
	@echo '  make modules KDIR=$(METADATA)$(if $(KSRC), KSRC=$(KSRC)) builds modules for it'

accelerators:
	+@KDIR='$(KDIR)' KSRC='$(KSRC)' $(modules-scripts)/accelerators.sh '$(ACCELERATORS)' $(modules-for)
	@echo '  make modules KDIR=$(KDIR) KBUILD_EXTRA_SYMBOLS=$(ACCELERATORS)/Module.symvers builds modules for them'

accelerators_install:
	+@$(MAKE) --no-print-directory -C $(KDIR) M=$(abspath $(ACCELERATORS)) $(modules-for) modules_install
	$(modules-depmod)

modules:
	$(call modules-make,$(modules-out),modules)

# Installs into updates/ of the kernel's modules, which modprobe searches before the stock modules.
modules_install:
	$(call modules-make,$(modules-out),modules_install)
	$(modules-depmod)

# Objects compiled by clippy differ, so they need their own directory.
modules_clippy:
	$(call modules-make,$(modules-out)-clippy,modules) CLIPPY=1 KRUSTFLAGS='-D warnings'

# Builds the crate only for its documentation.
modules_doc: modules-given = $(addsuffix =n,$(modules-options))
modules_doc:
	$(call modules-make,$(modules-out)-doc,modules) VFIO_RUSTDOC=y
	@echo '  $(modules-out)-doc/drivers/vfio/rust/rustdoc/vfio/index.html'

# Removes only directories that Kbuild itself has marked as output of an external module.
modules_clean:
	@for d in $(modules-out) $(modules-out)-clippy $(modules-out)-doc; do \
		if grep -qs '^export KBUILD_EXTMOD = $(modules-top)$$' "$$d/Makefile"; then \
			echo "  CLEAN   $$d"; rm -rf "$$d"; fi; done
