#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Fetches, verifies and unpacks the kernel's source, once. Prints its location and a key
# that identifies it:
#
#	src=<source tree> source=<key>
#
# KERNEL_SRC=<dir or tarball> replaces the pinned Debian package.

# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

package=linux-source-7.3
version='7.3.4-1~bpo13+1'
sha256=703e369ddd4cce971452f5a593ee55df3a5c10c83caf0fa0df039633ed181ee3

fetch() {
	local file=$cache/downloads/${package}_${version}.deb newest
	mkdir -p "$cache/downloads"
	if [ ! -f "$file" ]; then
		(
			apt_of backports amd64 "deb trixie-backports"
			if ! apt-cache madison "$package" | grep -F "$version" >/dev/null; then
				newest=$(apt-cache madison "$package" | awk 'NR == 1 { print $3 }')
				die "$package $version is gone from the mirror; newest there: ${newest:-none}." \
					"Set KERNEL_SRC=<dir or tarball of Linux 7.3>, or change the pin in ${BASH_SOURCE[0]}"
			fi
			need_space 400
			cd "$cache/downloads"
			logged "fetching $package $version (167 MB)" 3 "$logs/kernel-fetch.log" \
				apt-get download -q "$package=$version"
			mv "${package}_"*.deb "$file.new"
			verify "$file.new" "$sha256"
			mv "$file.new" "$file"
		)
	fi
	printf '%s' "$file"
}

# unpack INTO: unpacks the kernel tree to INTO
unpack() {
	local file
	need_space 3500
	rm -rf "$1.new"
	mkdir -p "$1.new"
	if [ -n "${KERNEL_SRC:-}" ]; then
		logged "unpacking $KERNEL_SRC" 1 "$logs/kernel-unpack.log" \
			tar -C "$1.new" --strip-components=1 -xf "$KERNEL_SRC"
	else
		file=$(fetch)
		# shellcheck disable=SC2016
		logged "unpacking Linux ${version%%-*}" 1 "$logs/kernel-unpack.log" bash -o pipefail -c '
			dpkg-deb --fsys-tarfile "$1" | tar -xO "./usr/src/$2.tar.xz" |
				xz -dc -T0 | tar -C "$3" --strip-components=1 -x' unpack "$file" "$package" "$1.new"
	fi
	rm -rf "$1"
	mv "$1.new" "$1"
}

if [ -n "${KERNEL_SRC:-}" ]; then
	[ -e "$KERNEL_SRC" ] || die "KERNEL_SRC=$KERNEL_SRC does not exist"
	source=$(source_key "$KERNEL_SRC")
else
	source=$sha256
fi
if [ -d "${KERNEL_SRC:-/nonexistent}" ]; then
	src=$(cd "$KERNEL_SRC" && pwd)
else
	src=$cache/linux-$(key "$source")
	[ -d "$src" ] || (
		lock source
		[ -d "$src" ] || unpack "$src"
	)
fi
[ -f "$src/rust/kernel/fwctl.rs" ] || die "$src is not a Linux 7.3 source tree"
printf 'src=%s source=%s\n' "$src" "$source"
