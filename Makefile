# SPDX-License-Identifier: GPL-2.0
#
# KERNEL=normal|debug|kcsan chooses the kernel under test, KDIR= the kernel that
# `make modules` builds against. See `make help`.

KERNEL ?= normal
export KERNEL

test-scripts := qemu-tests/scripts

SHELL := /bin/bash

.PHONY: help
help:
	@echo 'Nothing is needed beforehand but Debian, make, and root for its packages:'
	@echo '  demo       step a VF through migration on an emulated Kunpeng host'
	@echo '  test       everything: model, oracle, driver (KERNEL=debug: with KASAN, lockdep, ...;'
	@echo '             KERNEL=kcsan: with the detector of data races)'
	@echo '  migrate    a guest at work moves from one QEMU to another and back, ROUNDS=5 times'
	@echo '             (ENGINES=zip,sec,hpre or some of them, CONTAINER=type1|iommufd,'
	@echo '             DRIVER=rust|c|rust,c|c,rust, REVISION=V3|V4|V5,'
	@echo '             QEMU=trixie|trixie-backports, CANCEL=no|running|stopped, HOSTS=1|2: the second'
	@echo '             place is on the same emulated host or on another one); draws'
	@echo '             build/<KERNEL>/migrate.svg'
	@echo '  soak       guests at work migrate with what is drawn from all of that, for HOURS=1'
	@echo '             or until there were COUNT= migrations (SEED=1 FIRST=0)'
	@echo '  conformance  random sequences, C driver against ours (N=2000 SEED=1 FIRST=0)'
	@echo '  silicon    migrations on hardware that differs from what the model assumes, C driver'
	@echo '             against ours (GUESTS=yes|no: also guests under QEMU, which takes hours)'
	@echo '  bench      what each step of a migration costs, C driver and ours'
	@echo '  matrix     compile the driver carried in a kernel tree, in all its configurations'
	@echo '  shell      boot the emulated host with everything loaded; exit powers off'
	@echo '  lint       rustfmt, clippy, rustdoc, checkpatch, shellcheck'
	@echo '  doc        rustdoc of the model, of the test programs and of the crate vfio'
	@echo '  prepare    only build what demo, test, migrate and shell run'
	@echo 'For a kernel of yours:'
	@echo '  modules    our modules against KDIR=<prepared kernel build folder>, into build/modules'
	@echo '  modules_install  install them into updates/ of its modules (INSTALL_MOD_PATH=<root>)'
	@echo 'Their options; =y, =m or =n on the command line sets another value than this one:'
	@scripts/options.sh help
	@echo 'And:'
	@echo '  clean      remove what was built here (the cache of kernels and QEMU stays)'
	@echo
	@echo 'KERNEL_SRC=, QEMU_SRC= <folder or tarball>: instead of what is fetched from Debian'
	@echo 'CACHE=<folder>: where kernels and QEMU are kept (default ~/.cache/hisi-acc-vfio)'

include scripts/modules.mk

.PHONY: prepare
prepare:
	@$(test-scripts)/prepare.sh $(KERNEL)

.PHONY: demo
demo: prepare
	@cd qemu-tests && cargo run -q --locked -p runner -- demo

.PHONY: shell
shell: prepare
	@cd qemu-tests && cargo run -q --locked -p runner -- shell

nextest := . $(test-scripts)/common.sh && cd qemu-tests && RUST_BACKTRACE=0 cargo nextest run --locked

.PHONY: test
test: prepare build/matrix
	@echo 'logs of the machines: build/$(KERNEL)/logs'
	@$(nextest) --workspace

.PHONY: matrix
matrix: build/matrix
	@$(nextest) -p runner -E 'binary(matrix)'

.PHONY: build/matrix
build/matrix:
	@mkdir -p build
	@$(test-scripts)/setup.sh >/dev/null
	@qemu-tests/kernel/matrix.sh >$@.new
	@mv $@.new $@

# $(call given,NAME...): name=value of those that are set
given = $(foreach name,$1,$(if $($(name)),$(shell echo $(name) | tr A-Z a-z)=$($(name))))

.PHONY: migrate
migrate: prepare
	@cd qemu-tests && cargo run -q --locked -p runner -- migrate \
		$(call given,ROUNDS ENGINES CONTAINER DRIVER REVISION QEMU CANCEL HOSTS)

N ?= 2000
SEED ?= 1
FIRST ?= 0

.PHONY: conformance
conformance: prepare
	@cd qemu-tests && cargo run -q --locked -p runner -- conformance --seed $(SEED) --first $(FIRST) --count $(N)

HOURS ?= $(if $(COUNT),,1)

.PHONY: soak
soak: prepare
	@cd qemu-tests && cargo run -q --locked -p runner -- soak --seed $(SEED) --first $(FIRST) \
		$(if $(HOURS),--hours $(HOURS)) $(if $(COUNT),--count $(COUNT))

GUESTS ?= yes

.PHONY: silicon
silicon: prepare
	@cd qemu-tests && cargo run -q --locked -p runner -- silicon $(if $(filter yes,$(GUESTS)),--guests)

.PHONY: bench
bench: prepare
	@cd qemu-tests && cargo run -q --locked -p runner -- bench

.PHONY: lint
lint: prepare
	@$(test-scripts)/lint.sh

.PHONY: doc
doc: prepare
	cd qemu-tests && cargo doc --locked --no-deps --workspace
	@$(MAKE) --no-print-directory modules_doc KDIR=$$(sed -n 's/^kernel=//p' build/$(KERNEL)/artifacts)

.PHONY: clean
clean: modules_clean
	rm -rf build qemu-tests/target
