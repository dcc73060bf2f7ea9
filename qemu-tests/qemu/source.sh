# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The source of QEMU that is built here: for the emulated host, and for the guests in it.
#
# The recipes source this file, which sources the common functions; it is not a program.

# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

version='1:10.2.2+ds-1'
sha256=be05230fe47a6937cd29f28f562932c8125f9c93c2a82c625198f7a4aa601dfb
# shellcheck disable=SC2034 # used by the recipes
python_packages=(meson==1.9.1 pycotap==1.3.1 setuptools==80.9.0 wheel==0.45.1)

fetch() {
	local file=$cache/downloads/qemu_10.2.2+ds.orig.tar.xz newest
	mkdir -p "$cache/downloads"
	if [ ! -f "$file" ]; then
		(
			apt_of source amd64 "deb-src sid"
			if ! apt-cache showsrc qemu 2>/dev/null | grep -xF "Version: $version" >/dev/null; then
				newest=$(apt-cache showsrc qemu | awk '/^Version:/ { print $2 }' | sort -V | tail -n 1)
				die "QEMU $version is gone from the mirror; newest there: ${newest:-none}." \
					"Set QEMU_SRC=<dir or tarball of QEMU 10.2>, or change the pin in ${BASH_SOURCE[0]}"
			fi
			need_space 200
			mkdir -p "$cache/downloads/qemu.new"
			cd "$cache/downloads/qemu.new"
			logged "fetching QEMU 10.2.2 (39 MB)" 3 "$logs/qemu-fetch.log" \
				apt-get source -q --download-only --tar-only "qemu=$version"
			verify "$(basename "$file")" "$sha256"
			mv "$(basename "$file")" "$file"
			rm -rf "$cache/downloads/qemu.new"
		)
	fi
	printf '%s' "$file"
}
