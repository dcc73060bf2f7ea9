#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Copies from a kernel's build directory only the files that modules are built against:
# the files that distributions package as the kernel's headers, using the kernel's own
# script, and the files for Rust, which that script omits.
#
# Usage: kit.sh <build dir> <new dir>

# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

llvm=-19

[ $# = 2 ] || die "usage: kit.sh <build dir> <new dir>"
obj=$1
kit=$2

need_space 300
mkdir -p "$kit"
# shellcheck disable=SC2016 # make's own variable
make -s -C "$obj" ARCH=arm64 "LLVM=$llvm" run-command \
	KBUILD_RUN_COMMAND='$(srctree)/scripts/package/install-extmod-build '"$kit" >"$logs/kit.log" 2>&1 || {
	tail -n 5 "$logs/kit.log" >&2
	die "the kernel's script cannot create the kit; log: $logs/kit.log"
}
mkdir "$kit/rust"
cp "$obj"/rust/*.rmeta "$obj"/rust/*.so "$kit/rust"
cp "$obj"/source/rust/{bindgen_parameters,Makefile} "$kit/rust"
if [ -f "$obj/rust/helpers/helpers_module.bc" ]; then
	mkdir "$kit/rust/helpers"
	cp "$obj/rust/helpers/helpers_module.bc" "$kit/rust/helpers"
fi
