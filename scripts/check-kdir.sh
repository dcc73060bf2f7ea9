#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks that our modules can be built against the kernel in KDIR, and prints additional arguments
# for Kbuild: our options, with the values that Kconfig would assign in that kernel, and
# BITFLAGS=<source directory of the crate bitflags>.
#
# On the first problem, prints one line that says what to do, and exits with status 1.
#
# Usage: KDIR=<dir> [KSRC=] [RUSTC=] [BINDGEN=] [BITFLAGS=] check-kdir.sh [NAME=y|m|n]...
#
# NAME is an option without the prefix CONFIG_; options that are not given have their default.

set -euo pipefail
shopt -s inherit_errexit

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=options.sh
. "$scripts/options.sh"

say() { printf '%s\n' "$*" >&2; }
die() {
	say "error: $*"
	exit 1
}

[ -n "${KDIR:-}" ] ||
	die 'KDIR is not set: run make modules KDIR=<build directory of a Linux 7.x kernel>'
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
[[ $release == 7.* ]] || die "$KDIR is Linux $release: these modules are for Linux 7.x"
is_on RUST || die "the kernel of $KDIR was configured without CONFIG_RUST"
[ -f "$KDIR/Module.symvers" ] || die "$KDIR is configured but not built: it has no Module.symvers"
[ -f "$KDIR/rust/libkernel.rmeta" ] ||
	die "$KDIR lacks rust/libkernel.rmeta, which Rust modules need"
kernel_rustc=${value[RUSTC_VERSION_TEXT]:-}
kernel_rustc=${kernel_rustc//\"/}
rustc_version=$("${RUSTC:-rustc}" --version 2>/dev/null) ||
	die "there is no ${RUSTC:-rustc}: the kernel of $KDIR was built with $kernel_rustc"
[ "$rustc_version" = "$kernel_rustc" ] ||
	die "the kernel of $KDIR was built with $kernel_rustc, but ${RUSTC:-rustc} is $rustc_version: set RUSTC=<path> to the same version"
command -v "${BINDGEN:-bindgen}" >/dev/null ||
	die "there is no ${BINDGEN:-bindgen}: install bindgen-cli or set BINDGEN=<path>"

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
	# A build directory outside of the source has a Makefile that includes the source's
	# Makefile.
	source=${KSRC:-$(sed -n 's,^include \(/.*\)/Makefile$,\1,p' "$KDIR/Makefile")}
	source=${source:-$KDIR}
	[ -f "$source/drivers/vfio/vfio_main.c" ] ||
		die "vfio.ko needs the kernel source, and $source has no drivers/vfio/vfio_main.c: set KSRC=<dir>, or build only the other modules with CONFIG_VFIO_DEBUGFS_RUST=n"
fi

bitflags=$("$scripts/bitflags.sh")
printf 'BITFLAGS=%s\n' "$bitflags"
