#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the operator's tool, vfio-mig, as a static program for arm64, and prints where it is:
#
#	vfio_mig=<program>
#
# Usage: tool.sh [packages|all]
#
# With "packages" also its man pages, shell completions and JSON schemas; it is in build/tools with
# them. With "all" it is also built for this machine.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

top=$(cd "$tests_dir/.." && pwd)
out=$top/build/tools
guest=$("$tests_dir/scripts/setup.sh" deb)
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
	install -D "$out/target/$here/release/vfio-mig" "$out/amd64/vfio-mig"
fi
if [ $# -ne 0 ]; then
	install -D "$out/target/$target/release/vfio-mig" "$out/arm64/vfio-mig"
	cargo run -q --locked --example generate "$out"
	say "build/tools: vfio-mig, man pages, completions, schemas"
fi

printf 'vfio_mig=%s\n' "$out/target/$target/release/vfio-mig"
