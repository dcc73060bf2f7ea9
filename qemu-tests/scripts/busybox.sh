#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Fetches a static arm64 busybox for the demo and the shell. Prints
#
#	busybox=<binary>

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# From trixie; apt verifies it with the archive's signature.
package=busybox-static
binary=$cache/busybox-arm64

lock busybox
if [ ! -x "$binary" ]; then
	apt_of trixie-arm64 arm64 "deb trixie"
	scratch=$(mktemp -d "$cache/busybox.XXXXXX")
	trap 'rm -rf "$scratch"' EXIT
	(cd "$scratch" && logged "fetching $package for arm64" 2 "$logs/busybox.log" \
		apt-get download -q "$package")
	dpkg-deb -x "$scratch"/*.deb "$scratch/root"
	cp "$scratch/root/usr/bin/busybox" "$binary.new"
	mv "$binary.new" "$binary"
fi
printf 'busybox=%s\n' "$binary"
