#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Prints the source directory of the crate bitflags 2: BITFLAGS if it is set, else that of Debian's
# package librust-bitflags-dev, else that of the release tarball, else that of the version in
# crates/Cargo.lock, which cargo fetches and whose checksum cargo verifies.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
shopt -s nullglob

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
manifest=$top/scripts/crates/Cargo.toml
# Tests set another directory.
packages=${CARGO_PACKAGES:-/usr/share/cargo/registry}

# is_bitflags DIR: returns whether DIR contains the source of a supported version
is_bitflags() {
	[ -f "$1/src/lib.rs" ] && grep -qsE '^version = "2\.' "$1/Cargo.toml" &&
		grep -qs '^name = "bitflags"' "$1/Cargo.toml"
}

if [ -n "${BITFLAGS:-}" ]; then
	is_bitflags "$BITFLAGS" ||
		die "BITFLAGS=$BITFLAGS does not contain the source of the crate bitflags 2"
	realpath "$BITFLAGS"
	exit
fi

for folder in "$packages"/bitflags-2.*/ "$top"/vendor/bitflags-2.*/; do
	if is_bitflags "${folder%/}"; then
		printf '%s\n' "${folder%/}"
		exit
	fi
done

remedy='install librust-bitflags-dev (2.0 or later), or set BITFLAGS=<dir with its source>'
command -v cargo >/dev/null || die "the crate bitflags 2 is not installed, and cargo, which could fetch it, is not found: $remedy"
# If cargo has fetched the crate before, the network is not needed.
fetch() {
	cargo metadata --quiet --locked --format-version 1 --manifest-path "$manifest" "$@"
}
metadata=$(fetch --offline 2>/dev/null) || metadata=$(fetch) ||
	die "cargo cannot fetch the crate bitflags 2: $remedy"
folder=$(grep -oE '"manifest_path":"[^"]*/bitflags-2[^"]*/Cargo.toml"' <<<"$metadata")
folder=${folder#*:\"}
printf '%s\n' "${folder%/Cargo.toml\"}"
