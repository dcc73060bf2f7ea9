#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Takes from a kernel's build folder what modules are built against, and nothing
# else: what distributions package as the kernel's headers, by the kernel's own
# script, and Rust's part, which that script leaves out.
#
# Usage: kit.sh <build folder> <new folder>

# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

llvm=-19

[ $# = 2 ] || die "usage: kit.sh <build folder> <new folder>"
obj=$1
kit=$2

need_space 300
mkdir -p "$kit"
# shellcheck disable=SC2016 # make's own variable
make -s -C "$obj" ARCH=arm64 "LLVM=$llvm" run-command \
	KBUILD_RUN_COMMAND='$(srctree)/scripts/package/install-extmod-build '"$kit" >"$logs/kit.log" 2>&1 || {
	tail -n 5 "$logs/kit.log" >&2
	die "the kernel's script makes no kit; log: $logs/kit.log"
}
mkdir "$kit/rust"
cp "$obj"/rust/*.rmeta "$obj"/rust/*.so "$kit/rust"
cp "$obj/source/rust/bindgen_parameters" "$kit/rust"
