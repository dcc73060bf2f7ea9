#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes a kernel build directory that Rust modules can be built against, for a kernel whose
# packaged headers lack rust/*.rmeta. The files are compiled again from the kernel's source, with
# the configuration, the compiler and the version of the packaged kernel.
#
# The result is only correct if the compiled crates are those that the kernel contains. So the
# script fails unless
#
#	- rustc is the one that the kernel was built with, by its version text,
#	- the source has the version of the kernel,
#	- the configuration comes out as it went in,
#	- every Rust symbol that the kernel exports comes out, under the same name.
#
# Usage: KDIR=<packaged headers> KSRC=<kernel source> rust-metadata.sh <new directory> [make argument]...
#        KDIR=<packaged headers> KSRC=<kernel source> rust-metadata.sh --check
#
# The make arguments select compilers, e.g. CROSS_COMPILE=aarch64-linux-gnu-. With --check the script
# ends after it has checked all that can be checked without compiling, and writes nothing.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -ge 1 ] || die 'usage: KDIR=<packaged headers> KSRC=<kernel source> rust-metadata.sh <new directory>|--check [make argument]...'
out=$1
shift
[ -n "${KDIR:-}" ] || die 'KDIR is not set: give the directory of the packaged kernel headers'
[ -n "${KSRC:-}" ] || die 'KSRC is not set: give the source of the kernel (Debian: linux-source-<version>, unpacked)'
release_file=include/config/kernel.release
utsrelease=include/generated/utsrelease.h
for file in .config Module.symvers "$release_file" "$utsrelease"; do
	[ -s "$KDIR/$file" ] || die "$KDIR is not a directory of kernel headers: it has no $file"
done
[ -f "$KSRC/rust/Makefile" ] || die "$KSRC is not the source of a kernel with Rust: it has no rust/Makefile"
headers=$(realpath "$KDIR")
source=$(realpath "$KSRC")

# option NAME: prints the value of CONFIG_NAME in the kernel, without quotes
option() { sed -n "s/^CONFIG_$1=//p" "$headers/.config" | tr -d '"'; }

[ "$(option RUST)" = y ] || die "the kernel of $KDIR was configured without CONFIG_RUST"
built_with=$(option RUSTC_VERSION_TEXT)
found=$("${RUSTC:-rustc}" --version 2>/dev/null) ||
	die "there is no ${RUSTC:-rustc}: the kernel of $KDIR was built with $built_with"
[ "$found" = "$built_with" ] ||
	die "the kernel of $KDIR was built with $built_with, but ${RUSTC:-rustc} is $found: set RUSTC=<path> to the same version"

release=$(<"$headers/$release_file")
same_version "$source" "$KDIR" "$release"

# What the kernel's make needs, and its packages in Debian
needed=(bc:bc bison:bison flex:flex "${BINDGEN:-bindgen}":bindgen)
[[ "$(option PAHOLE_VERSION)" == ?(0) ]] || needed+=(pahole:dwarves)
[ -z "$(option OPENSSL_SUPPORTS_ML_DSA)" ] || needed+=(openssl:openssl)
for pair in "${needed[@]}"; do
	command -v "${pair%:*}" >/dev/null || die "there is no ${pair%:*} (Debian: ${pair##*:})"
done
core=${RUST_LIB_SRC:-$("${RUSTC:-rustc}" --print sysroot)/lib/rustlib/src/rust/library}
[ -f "$core/core/src/lib.rs" ] || die "$core has no source of the crate core (Debian: rust-src)"
[ "$out" != --check ] || exit 0

mkdir -p "$out"
out=$(realpath "$out")
[ "$out" != "$headers" ] || die "$out is KDIR: give another directory"
log=$out/metadata.log
arguments=("O=$out" RUSTC="${RUSTC:-rustc}" BINDGEN="${BINDGEN:-bindgen}" "$@")
if [ -n "$(option ARM64)" ]; then arguments+=(ARCH=arm64); fi
# The compiler of the vDSO for 32-bit programs, which GCC for arm64 is not
if [ -n "$(option COMPAT_VDSO)" ] && [[ "$*" != *CROSS_COMPILE_COMPAT=* ]]; then
	arguments+=(CROSS_COMPILE_COMPAT=arm-linux-gnueabihf-)
fi

# build GOAL...: runs the kernel's make
build() {
	make -C "$source" "${arguments[@]}" "$@" >>"$log" 2>&1 </dev/null || {
		tail -n 15 "$log" >&2
		die "make $* failed in $KSRC; whole log: $log"
	}
}

# settings FILE: prints the options of a configuration, without versions of tools and whether programs
# can be linked
settings() {
	grep -E '^CONFIG_|^# CONFIG_' "$1" |
		grep -vE '^(# )?CONFIG_((CC|GCC|AS|LD|PAHOLE|BINDGEN)_?[A-Z]*VERSION|CC_CAN_LINK)' | LC_ALL=C sort
}

: >"$log"
cp "$headers/.config" "$out/.config"
build olddefconfig
changes=$(diff <(settings "$headers/.config") <(settings "$out/.config") | sed -n 's/^[<>] //p') || true
[ -z "$changes" ] || {
	say "$changes"
	die "the configuration of $KDIR comes out differently here; a tool that it was made with is missing or of another version (Debian: dwarves for pahole, gcc-arm-linux-gnueabihf for CONFIG_COMPAT_VDSO)"
}
say "  compiling the Rust crates of Linux $release (log: $log)"
build prepare modules_prepare

# What a module's version and imported symbols are taken from
cp "$headers/Module.symvers" "$out/Module.symvers"
cp "$headers/$release_file" "$out/$release_file"
cp "$headers/$utsrelease" "$out/$utsrelease"

# The names of Rust symbols contain hashes of their crate and of the compiler.
wanted=$(awk '$2 ~ /^_R/ { print $2 }' "$headers/Module.symvers" | LC_ALL=C sort -u)
[ -n "$wanted" ] || die "$KDIR/Module.symvers has no Rust symbol"
made=$(sed -n 's/^EXPORT_SYMBOL_RUST_GPL(\(_R[^)]*\));.*/\1/p' "$out"/rust/exports_*_generated.h | LC_ALL=C sort -u)
missing=$(LC_ALL=C comm -23 <(printf '%s\n' "$wanted") <(printf '%s\n' "$made"))
[ -z "$missing" ] ||
	die "$(wc -l <<<"$missing") Rust symbols of the kernel are not in what was compiled from $KSRC, e.g. $(sed -n 1p <<<"$missing"): it is not the source of this kernel"
say "  all $(wc -l <<<"$wanted") Rust symbols of Linux $release are there"
