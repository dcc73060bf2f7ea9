#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the operator's tool, vfio-mig, as a static program for arm64, and prints where it is:
#
#	vfio_mig=<program>
#
# Usage: tool.sh [all]
#
# With "all" it is also built for this machine, with its man pages, shell completions and JSON
# schemas, and everything is in build/tools.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

top=$(cd "$tests_dir/.." && pwd)
out=$top/build/tools
guest=$("$tests_dir/scripts/setup.sh")
target=$(fact target "$guest")
mkdir -p "$out"
cd "$top/tools/vfio-mig"

(
	arm64_linker "$(fact sysroot "$guest")"
	cargo build -q --locked --release --target "$target"
) || die "vfio-mig does not build"

if [ "${1:-}" = all ]; then
	# A static glibc serves where there is no musl.
	here=x86_64-unknown-linux-gnu
	RUSTFLAGS=-Ctarget-feature=+crt-static cargo build -q --locked --release --target "$here" ||
		die "vfio-mig does not build for this machine"
	for part in "arm64 $target" "amd64 $here"; do
		install -D "$out/target/${part#* }/release/vfio-mig" "$out/${part% *}/vfio-mig"
	done
	cargo run -q --locked --example generate "$out"
	say "build/tools: vfio-mig for arm64 and amd64, man pages, completions, schemas"
fi

printf 'vfio_mig=%s\n' "$out/target/$target/release/vfio-mig"
