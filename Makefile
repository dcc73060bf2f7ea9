# SPDX-License-Identifier: GPL-2.0
#
# KERNEL=normal|debug|kcsan|fixed|debian|gcc64k selects the kernel under test, KDIR= the kernel that
# `make modules` builds against. See `make help`.

KERNEL ?= normal
export KERNEL

test-scripts := qemu-tests/scripts

SHELL := /bin/bash

# Valid values of the options. ENGINES is a comma-separated list of some of its values. The runner
# checks which options can be combined.
values-KERNEL := normal debug kcsan fixed debian gcc64k
values-ENGINES := zip sec hpre
values-CONTAINER := type1 iommufd each
values-DRIVER := rust c rust,c c,rust
values-REVISION := V3 V4 V5
values-QEMU := trixie trixie-backports fixed
values-CANCEL := no running stopped
values-HOSTS := 1 2
values-SWITCHOVER := at-once all-sent default
values-DMA_LOGGING := auto on off
values-HTTU := off walks keeps
values-STOP_FIRST := auto no
values-MULTIFD := no yes
values-GUESTS := yes no
values-LIBVIRT := trixie sid
with-values := KERNEL ENGINES CONTAINER DRIVER REVISION QEMU CANCEL HOSTS SWITCHOVER DMA_LOGGING HTTU STOP_FIRST MULTIFD \
	GUESTS LIBVIRT
with-numbers := ROUNDS COUNT N SEED FIRST HOURS
with-paths := KERNEL_SRC QEMU_SRC CACHE LOGS JOBS

# Reject invalid options here, before anything is built.
comma := ,
empty :=
space := $(empty) $(empty)
given-here = $(filter command,$(firstword $(origin $1)))
$(foreach name,$(with-values),$(if $(filter KERNEL,$(name))$(call given-here,$(name)),\
	$(foreach value,$(if $(filter ENGINES,$(name)),$(subst $(comma),$(space),$($(name))),$($(name))),\
		$(if $(filter $(value),$(values-$(name))),,\
			$(error $(name)=$($(name)): there is no $(value); there are: $(values-$(name)))))))
$(foreach name,$(with-numbers),$(if $(call given-here,$(name)),\
	$(if $(shell [[ '$($(name))' =~ ^[0-9]+$(if $(filter HOURS,$(name)),(\.[0-9]+)?)$$ ]] && echo yes),,\
		$(error $(name)=$($(name)) is not a number))))

commands := help demo test migrate libvirt workloads soak conformance silicon bench matrix shell tools deb deb-test dist record lint \
	doc prepare
ifneq ($(filter $(commands),$(MAKECMDGOALS)),)
$(foreach option,$(foreach given,$(MAKEOVERRIDES),$(firstword $(subst =, ,$(given)))),\
	$(if $(filter $(with-values) $(with-numbers) $(with-paths),$(option)),,\
		$(if $(filter-out tools deb dist record doc prepare lint,$(filter $(commands),$(MAKECMDGOALS))),\
			$(error there is no option $(option); `make help` lists them))))
endif

either = $(subst $(space),|,$(values-$1))

.PHONY: help
help:
	@echo 'These need only Debian, make, and root to install its packages:'
	@echo '  demo       step a VF through a migration on an emulated Kunpeng host'
	@echo '  test       run all tests: model, oracle, driver (KERNEL=debug: with KASAN, lockdep, ...;'
	@echo '             KERNEL=kcsan: with the data race detector; KERNEL=fixed: with the fixes of'
	@echo '             qemu-tests/kernel/patches; KERNEL=debian: the kernel that Debian ships;'
	@echo '             KERNEL=gcc64k: built by GCC, with 64 KiB pages, module versions and enforced'
	@echo '             signatures; both without the tests that .config/nextest.toml lists)'
	@echo '  migrate    migrate a busy guest from one QEMU to another and back, ROUNDS=5 times, and'
	@echo '             compare the pages that its VFs wrote'
	@echo '             (ENGINES=zip,sec,hpre or a subset, CONTAINER=$(call either,CONTAINER),'
	@echo '             DRIVER=$(call either,DRIVER), REVISION=$(call either,REVISION),'
	@echo '             QEMU=$(call either,QEMU): of Debian, or with the fixes of'
	@echo '             qemu-tests/monitor-qemu, CANCEL=$(call either,CANCEL), HOSTS=$(call either,HOSTS): whether the'
	@echo '             second QEMU runs on the same emulated host or on another one,'
	@echo '             SWITCHOVER=$(call either,SWITCHOVER): whether the guest is stopped as soon'
	@echo '             as possible, when all of its memory was sent, or by the limits of QEMU,'
	@echo '             DMA_LOGGING=$(call either,DMA_LOGGING): the parameter of the module, HTTU=$(call either,HTTU):'
	@echo '             whether the SMMU marks dirty pages, and what it does for another write to'
	@echo '             one: walk the tables, or keep to its TLB, STOP_FIRST=$(call either,STOP_FIRST): whether'
	@echo '             the guest is stopped before it migrates where QEMU would lose what its'
	@echo '             VFs write, MULTIFD=$(call either,MULTIFD): whether the guest is sent through several'
	@echo '             connections at once); draws build/<KERNEL>/migrate.svg. CONTAINER=each compares how'
	@echo '             long the guest stands still without dirty tracking, with that of the driver,'
	@echo '             and with that of the SMMU'
	@echo '  libvirt    let libvirt have guests, on emulated hosts with a root of Debian (HOSTS=$(call either,HOSTS):'
	@echo '             only what takes so many hosts, ENGINES=: of the VF, one of those above,'
	@echo '             LIBVIRT=$(call either,LIBVIRT): the suite of Debian that libvirt and its QEMU are of,'
	@echo '             CONTAINER=type1|iommufd: the latter with LIBVIRT=sid)'
	@echo '  workloads  let dm-crypt, IPsec and zswap use VFs in guests with a kernel of Debian,'
	@echo '             while the guests migrate, are paused, saved and restored (ENGINES=zip,sec or one)'
	@echo '  soak       migrate busy guests with randomly chosen options, for HOURS=1'
	@echo '             or until COUNT= migrations are done (SEED=1 FIRST=0)'
	@echo '  conformance  run random sequences with both drivers and compare (N=2000 SEED=1 FIRST=0)'
	@echo '  silicon    migrate on hardware that differs from the defaults of the model, with both'
	@echo '             drivers (GUESTS=yes|no: also guests under QEMU, which takes hours)'
	@echo '  bench      measure the cost of each step of a migration, for both drivers'
	@echo '  matrix     compile the driver as part of a kernel tree, in all its configurations'
	@echo '  shell      boot the emulated host with everything loaded; exit powers off'
	@echo '  tools      build vfio-mig, the tool for operators, with man pages and completions'
	@echo '  deb        build the Debian packages hisi-acc-vfio-dkms and vfio-mig, into build/deb'
	@echo '  deb-test   install, upgrade, remove and purge them in a Debian for arm64, on the emulated host;'
	@echo '             build a release without network'
	@echo '  dist       make the release tarball, from which tools, deb and modules need no network'
	@echo '  record     record the files of emulated hosts for the tests of vfio-mig'
	@echo '  lint       run rustfmt, clippy, rustdoc, checkpatch, shellcheck'
	@echo '  doc        build rustdoc of the model, of the test programs and of the crate vfio'
	@echo '  prepare    build the prerequisites of demo, test, migrate and shell'
	@echo 'For your own kernel:'
	@echo '  metadata   compile what packaged kernel headers lack for Rust modules: KDIR=<headers>'
	@echo '             KSRC=<source of that kernel>, into build/metadata'
	@echo '  accelerators  build hisi_qm, hisi_zip, hisi_sec2 and hisi_hpre for a kernel that leaves them out:'
	@echo '             KDIR=<prepared kernel build dir> KSRC=<source of that kernel>, into build/accelerators'
	@echo '  accelerators_install  install them into updates/ of its modules (INSTALL_MOD_PATH=<root>)'
	@echo '  modules    build our modules against KDIR=<prepared kernel build dir>, into build/modules'
	@echo '  modules_install  install them into updates/ of its modules (INSTALL_MOD_PATH=<root>)'
	@echo 'Options of the modules, with their defaults; =y, =m or =n on the command line overrides them:'
	@scripts/options.sh help
	@echo 'Other targets:'
	@echo '  clean      remove build results (the cache of kernels and QEMU is kept)'
	@echo
	@echo 'KERNEL_SRC=, QEMU_SRC= <dir or tarball>: use this source instead of fetching it from Debian'
	@echo 'CACHE=<dir>: cache for kernels and QEMU (default ~/.cache/hisi-acc-vfio)'

include scripts/modules.mk

.PHONY: prepare
prepare:
	@$(test-scripts)/prepare.sh $(KERNEL)

runner := cd qemu-tests && cargo run -q --locked -p runner --

.PHONY: demo
demo: prepare
	@$(runner) demo

.PHONY: shell
shell: prepare
	@$(runner) shell

nextest := . $(test-scripts)/common.sh && cd qemu-tests && RUST_BACKTRACE=0 cargo nextest run --locked \
	$(if $(filter debian gcc64k,$(KERNEL)),--profile $(KERNEL))

tool-nextest := . $(test-scripts)/common.sh && cd tools/vfio-mig && RUST_BACKTRACE=0 cargo nextest run --locked --no-fail-fast

.PHONY: test
test: prepare build/matrix
	@echo 'logs of the machines: build/$(KERNEL)/logs'
	@failed=0; \
	($(tool-nextest)) || failed=1; \
	($(nextest) --workspace) || failed=1; \
	exit $$failed

.PHONY: matrix
matrix: build/matrix
	@$(nextest) -p runner -E 'binary(matrix)'

.PHONY: build/matrix
build/matrix:
	@mkdir -p build
	@$(test-scripts)/setup.sh >/dev/null
	@qemu-tests/kernel/matrix.sh >$@.new
	@mv $@.new $@

# $(call given,NAME...): prints name=value for those variables that are set
given = $(foreach name,$1,$(if $($(name)),$(shell echo $(name) | tr A-Z a-z)=$($(name))))

migrate-options = $(call given,ROUNDS ENGINES CONTAINER DRIVER REVISION QEMU CANCEL HOSTS SWITCHOVER DMA_LOGGING HTTU STOP_FIRST MULTIFD)

# Reject invalid combinations before a kernel or QEMU is built.
.PHONY: migrate
migrate:
	@$(test-scripts)/setup.sh >/dev/null
	@$(runner) migrate --check $(migrate-options)
	@$(test-scripts)/prepare.sh $(KERNEL) $(filter fixed,$(QEMU))
	@$(runner) migrate $(migrate-options)

.PHONY: libvirt
libvirt:
	$(if $(filter iommufd,$(CONTAINER)),$(if $(filter sid,$(LIBVIRT)),,\
		$(error CONTAINER=iommufd: libvirt 11.3 of trixie does not know it; add LIBVIRT=sid)))
	@$(test-scripts)/prepare.sh $(KERNEL) libvirt $(LIBVIRT)
	@$(runner) libvirt $(if $(HOSTS),--hosts $(HOSTS)) $(if $(ENGINES),--engine $(ENGINES)) \
		$(if $(CONTAINER),--container $(CONTAINER))

.PHONY: workloads
workloads:
	@$(test-scripts)/prepare.sh $(KERNEL) workloads
	@$(runner) workloads $(if $(ENGINES),--engines $(ENGINES))

N ?= 2000
SEED ?= 1
FIRST ?= 0

.PHONY: conformance
conformance: prepare
	@$(runner) conformance --seed $(SEED) --first $(FIRST) --count $(N)

HOURS ?= $(if $(COUNT),,1)

.PHONY: soak
soak: prepare
	@$(runner) soak --seed $(SEED) --first $(FIRST) \
		$(if $(HOURS),--hours $(HOURS)) $(if $(COUNT),--count $(COUNT))

GUESTS ?= yes

.PHONY: silicon
silicon: prepare
	@$(runner) silicon $(if $(filter yes,$(GUESTS)),--guests)

.PHONY: bench
bench: prepare
	@$(runner) bench

.PHONY: tools
tools:
	@$(test-scripts)/tool.sh all >/dev/null

.PHONY: deb dist
deb dist:
	@packaging/$@.sh >/dev/null

.PHONY: deb-test
deb-test: prepare
	@$(nextest) -p runner --ignore-default-filter -E 'binary(package) | test(=a_release_builds_without_network)'

.PHONY: record
record: prepare
	@$(runner) record
	@cd tools/vfio-mig && TRYCMD=overwrite cargo test -q --locked --test golden >/dev/null 2>&1; \
	git diff --stat -- tests/golden

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
