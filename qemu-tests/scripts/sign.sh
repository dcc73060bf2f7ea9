#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Signs the modules in a folder with the key that was made with a kernel, in place, as the kernel's
# modules_install does with INSTALL_MOD_STRIP=1: debugging information is dropped first.
#
# Usage: sign.sh <kernel's build dir> <folder>

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# = 2 ] || die "usage: sign.sh <kernel's build dir> <folder>"

# The kernel's sign-file is linked with a library of that Debian.
# shellcheck disable=SC2016 # expanded by the inner shell
"$tests_dir/scripts/debian13.sh" "$1" "$2" -- bash -ec '
	hash=$(sed -n "s/^CONFIG_MODULE_SIG_HASH=//p" "$1/.config" | tr -d \")
	find "$2" -name "*.ko" | while read -r module; do
		aarch64-linux-gnu-strip --strip-debug "$module"
		"$1/scripts/sign-file" "$hash" "$1/certs/signing_key.pem" "$1/certs/signing_key.x509" "$module"
	done' sign "$(realpath "$1")" "$(realpath "$2")"
