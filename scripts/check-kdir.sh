#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks that our modules can be built against the kernel in KDIR, and prints additional arguments
# for Kbuild: our options, with the values that Kconfig would assign in that kernel, and
# BITFLAGS=<source directory of the crate bitflags>.
#
# On the first problem, prints one line that says what to do, and exits with status 1.
#
# Usage: KDIR=<dir> [KSRC=] [RUSTC=] [BINDGEN=] [BITFLAGS=] [KBUILD_EXTRA_SYMBOLS=] check-kdir.sh [NAME=y|m|n]...
#
# NAME is an option without the prefix CONFIG_; options that are not given have their default.

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$scripts/common.sh"
# shellcheck source-path=SCRIPTDIR source=options.sh
. "$scripts/options.sh"

[ -n "${KDIR:-}" ] ||
	die 'KDIR is not set: run make modules KDIR=<build directory of a Linux 7.3 kernel>'
for file in include/config/auto.conf include/config/kernel.release Makefile; do
	[ -s "$KDIR/$file" ] || die "$KDIR is not a prepared kernel build directory: it has no $file"
done

declare -A value=()
while IFS='=' read -r name setting; do
	[[ $name == CONFIG_* ]] && value[${name#CONFIG_}]=$setting
done <"$KDIR/include/config/auto.conf"
is_on() { [[ ${value[$1]:-n} == [ym] ]]; }

# The kernel and the tools.
release=$(<"$KDIR/include/config/kernel.release")
case $release in
7.3 | 7.3[!0-9]*) ;;
# Its kernel crate lacks modules and types that this project uses.
[0-6].* | 7.[0-2] | 7.[0-2][!0-9]*) die "$KDIR is Linux $release: these modules are for Linux 7.3" ;;
*) say "  WARN    $KDIR is Linux $release: these modules were only tested on Linux 7.3" ;;
esac
is_on RUST || die "the kernel of $KDIR was configured without CONFIG_RUST"
[ -f "$KDIR/Module.symvers" ] || die "$KDIR is configured but not built: it has no Module.symvers"
[ -f "$KDIR/rust/libkernel.rmeta" ] ||
	die "$KDIR lacks rust/libkernel.rmeta, which Rust modules need: if it is the packaged headers of a kernel, run make metadata KDIR=$KDIR KSRC=<source of that kernel>"
# A build directory outside of the source has a Makefile that includes the source's Makefile.
tree=$(sed -n 's,^include \(/.*\)/Makefile$,\1,p' "$KDIR/Makefile")
tree=${tree:-$KDIR}
# What bindgen is called with; for a kernel of GCC also which of its flags libclang does not know.
parameters=(rust/bindgen_parameters)
is_on CC_IS_CLANG || parameters+=(rust/Makefile scripts/Makefile.clang)
for file in "${parameters[@]}"; do
	[ -f "$tree/$file" ] ||
		die "$tree lacks $file, which bindgen is called by: if it is the packaged headers of a kernel, run make metadata KDIR=$KDIR KSRC=<source of that kernel>"
done
if is_on RUST_INLINE_HELPERS && [ ! -f "$KDIR/rust/helpers/helpers_module.bc" ]; then
	die "$KDIR lacks rust/helpers/helpers_module.bc, which CONFIG_RUST_INLINE_HELPERS links to each Rust module: if it is the packaged headers of a kernel, run make metadata KDIR=$KDIR KSRC=<source of that kernel>"
fi
kernel_rustc=${value[RUSTC_VERSION_TEXT]:-}
kernel_rustc=${kernel_rustc//\"/}
rustc_version=$("${RUSTC:-rustc}" --version 2>/dev/null) ||
	die "there is no ${RUSTC:-rustc}: the kernel of $KDIR was built with $kernel_rustc"
[ "$rustc_version" = "$kernel_rustc" ] ||
	die "the kernel of $KDIR was built with $kernel_rustc, but ${RUSTC:-rustc} is $rustc_version: set RUSTC=<path> to the same version"
command -v "${BINDGEN:-bindgen}" >/dev/null ||
	die "there is no ${BINDGEN:-bindgen}: install bindgen-cli or set BINDGEN=<path>"

# A kernel without the accelerators' drivers: they can have been built beside it. The VFIO driver
# imports symbols of hisi_qm only.
for file in ${KBUILD_EXTRA_SYMBOLS:-}; do
	[ -f "$file" ] || die "KBUILD_EXTRA_SYMBOLS: there is no $file"
	if awk -F '\t' '$3 ~ /(^|\/)hisi_qm$/ { found = 1 } END { exit !found }' "$file"; then
		for name in QM ZIP SEC2 HPRE; do
			value[CRYPTO_DEV_HISI_$name]=${value[CRYPTO_DEV_HISI_$name]:-m}
		done
	fi
done

# Our options.
read_kconfig "$scripts/.." Kconfig
declare -A given=()
for argument; do
	name=${argument%%=*}
	setting=${argument#*=}
	[ -n "${option_type[$name]:-}" ] || die "there is no option CONFIG_$name"
	case ${option_type[$name]}:$setting in
	*:y | *:n | *: | tristate:m) ;;
	*) die "CONFIG_$name=$setting: the option is a ${option_type[$name]}" ;;
	esac
	given[$name]=$setting
done

# A kernel without VFIO_DEBUGFS: vfio.ko is built here with it. Nothing else in the kernel depends on
# the option, and struct vfio_device has the same members with and without it.
setting=${given[VFIO_DEBUGFS_RUST]-${option_default[VFIO_DEBUGFS_RUST]}}
if [ "$setting" = y ] && [ "${value[VFIO]:-}" = m ] && is_on DEBUG_FS && ! is_on VFIO_DEBUGFS; then
	say "  NOTE    the kernel of $KDIR has no CONFIG_VFIO_DEBUGFS: vfio.ko is built with it"
	value[VFIO_DEBUGFS]=y
	printf 'CONFIG_VFIO_DEBUGFS=y\n'
fi

for name in "${option_names[@]}"; do
	value[$name]=${given[$name]-${option_default[$name]}}
	if is_on "$name"; then
		missing=$(lacking "$name")
		if [ -n "$missing" ]; then
			# As in Kconfig, an optional part of a module that is on by default is left
			# out.
			if [ -n "${given[$name]-}" ] || [ "${option_type[$name]}" = tristate ]; then
				die "CONFIG_$name needs $missing, which the kernel of $KDIR lacks; CONFIG_$name=n builds the other modules"
			fi
			say "  SKIP    CONFIG_$name, which needs $missing"
			value[$name]=n
		fi
	fi
	printf 'CONFIG_%s=%s\n' "$name" "${value[$name]/n/}"
done

# vfio.ko replaces a module of the kernel.
if is_on VFIO_DEBUGFS_RUST; then
	[ "${value[VFIO]}" = m ] ||
		die 'vfio.ko needs a kernel with CONFIG_VFIO=m; CONFIG_VFIO_DEBUGFS_RUST=n builds the other modules'
	source=${KSRC:-$tree}
	[ -f "$source/drivers/vfio/vfio_main.c" ] ||
		die "vfio.ko needs the kernel source, and $source has no drivers/vfio/vfio_main.c: set KSRC=<dir>, or build only the other modules with CONFIG_VFIO_DEBUGFS_RUST=n"
	if is_on VFIO_DEBUGFS_HISTORY; then
		copy=$(mktemp)
		trap 'rm -f "$copy"' EXIT
		"$scripts/patch-vfio-main.sh" "$source/drivers/vfio/vfio_main.c" "$copy"
	fi
fi

bitflags=$("$scripts/bitflags.sh")
printf 'BITFLAGS=%s\n' "$bitflags"
