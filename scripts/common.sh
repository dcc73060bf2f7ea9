# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions of the scripts that build modules. They source this file; it is not a program.

set -euo pipefail
shopt -s inherit_errexit

say() { printf '%s\n' "$*" >&2; }

die() {
	say "error: $*"
	exit 1
}

# same_version KSRC KDIR RELEASE: fails unless KSRC is the source of the kernel of KDIR, which has this
# release
same_version() {
	local version
	version=$(make -s -C "$1" kernelversion)
	[[ $3 == "$version"[!0-9]* || $3 == "$version" ]] ||
		die "$1 is Linux $version, but the kernel of $2 is $3"
}
