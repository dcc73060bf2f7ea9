#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the kernel under test, once for each state of its inputs. Prints the two
# directories used:
#
#	src=<source tree> obj=<object tree> image=<kernel image>
#
# The kernel "fixed" is the normal one with the fixes in patches/.
#
# Usage: build.sh [normal|debug|kcsan|fixed]

# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

llvm=-19

here=$tests_dir/kernel
variant=${1:-normal}
fragments=("$here/host.config")
case $variant in
normal | fixed) ;;
debug | kcsan) fragments+=("$here/$variant.config") ;;
*) die "unknown kernel variant '$variant'; there are: normal, debug, kcsan, fixed" ;;
esac

where=$("$here/source.sh")
src=$(fact src "$where")
source=$(fact source "$where")

# patch_source FROM INTO: copies the source tree, and applies the patches. The copy has hard links;
# patch replaces the files that it changes.
patch_source() {
	local patch
	need_space 500
	rm -rf "$2.new"
	cp -al "$1" "$2.new" 2>/dev/null || {
		rm -rf "$2.new"
		cp -a "$1" "$2.new"
	}
	for patch in "$here"/patches/*.patch; do
		patch -s -d "$2.new" -p1 --fuzz=0 <"$patch" >&2 ||
			die "${patch##*/} does not apply to $1"
	done
	mv "$2.new" "$2"
}

if [ "$variant" = fixed ]; then
	source=$(key "$source" "$here"/patches/*.patch)
	patched=$cache/linux-fixed-$source
	[ -d "$patched" ] || (
		lock source
		[ -d "$patched" ] || patch_source "$src" "$patched"
	)
	src=$patched
fi

# build OBJ: the recipe; its text as printed by bash is part of the key, so that a changed
# comment does not rebuild the kernel
build() {
	local log=$logs/kernel-$variant.log make_kernel
	make_kernel=(make -C "$src" "O=$1" ARCH=arm64 "LLVM=$llvm")
	need_space 2500
	mkdir -p "$1"
	cat "${fragments[@]}" >"$1/fragments.config"
	"${make_kernel[@]}" rustavailable >"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		die "the kernel does not accept this Rust; log: $log"
	}
	"${make_kernel[@]}" KCONFIG_ALLCONFIG="$1/fragments.config" allnoconfig >>"$log" 2>&1 ||
		die "configuring the kernel failed; log: $log"
	honoured "$1/fragments.config" "$1/.config"
	logged "building the $variant kernel, 5 to 15 minutes on 2 cores" 1900 "$log" \
		"${make_kernel[@]}" -j"$jobs" Image modules
	touch "$1/.built"
}

obj=$cache/kernel-$variant-$(key "$src" "$source" "${fragments[@]}" "$(declare -f build)" \
	"$(rustc --version)" "$(bindgen --version)" "$("clang$llvm" --version | sed -n 1p)")
[ -f "$obj/.built" ] || (
	lock kernel
	[ -f "$obj/.built" ] || build "$obj"
)
printf 'src=%s obj=%s image=%s\n' "$src" "$obj" "$obj/arch/arm64/boot/Image"
