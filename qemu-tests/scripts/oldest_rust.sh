#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Fetches Debian 13's Rust compiler, the oldest one accepted by Linux 7.3, with the source
# of its library. The machine's own Rust is not changed. Prints
#
#	rustc=<program>

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# apt verifies the packages with the archive's signature.
suite=trixie
package=rustc
version=1.85

# build INTO: the recipe; its text is part of the key
build() {
	local root=$1/root usr=$1/rust/usr libraries=lib/x86_64-linux-gnu file path
	need_space 1800
	apt_of "$suite-amd64" amd64 "deb $suite"
	mkdir -p "$1/archives/partial" "$root" "$usr/bin" "$usr/src" "$usr/$libraries"
	logged "fetching Rust $version of $suite (210 MB)" 180 "$logs/oldest-rust.log" \
		apt-get install -qy --download-only --no-install-recommends \
		-o "Dir::Cache::archives=$1/archives" "$package" rust-src
	for file in "$1"/archives/*.deb; do
		dpkg-deb -x "$file" "$root"
	done
	# The compiler locates everything else relative to its libraries.
	mv "$root/usr/bin/rustc" "$usr/bin/"
	closure "$root" "$usr/bin/rustc" | while read -r path; do
		cp -L "$path" "$usr/$libraries/"
	done
	mv "$root/usr/lib/rustlib" "$usr/lib/"
	(cd "$root/usr/src" && find rustc-* -mindepth 1 -maxdepth 1 ! -name library -exec rm -r {} +)
	mv "$root"/usr/src/rustc-* "$usr/src/"
	rm -r "$root" "$1/archives"
	# The compiler's C library may be newer than the machine's. It is not set in the
	# environment, so that the linker run by rustc uses only the machine's libraries.
	cat >"$1/rust/rustc" <<-SCRIPT
		#!/bin/sh
		usr=\${0%/*}/usr
		exec "\$usr/$libraries/ld-linux-x86-64.so.2" --library-path "\$usr/$libraries" "\$usr/bin/rustc" "\$@"
	SCRIPT
	chmod +x "$1/rust/rustc"
	file=$("$1/rust/rustc" --version)
	[ "${file#"rustc $version."}" != "$file" ] || die "$suite has $file, not $version"
}

rust=$cache/rust-$version-$(key "$suite" "$package" "$(declare -f build closure libraries)")
lock oldest-rust
build_once "$rust" rust
printf 'rustc=%s\n' "$rust/rustc"
