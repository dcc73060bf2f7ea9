#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds a kernel under test with GCC, 64 KiB pages, module versions and enforced signatures, once
# for each state of its inputs: from the same source as the normal one, in the Debian 13 of
# debian13.sh. Prints the directories used:
#
#	src=<source tree> obj=<object tree> image=<kernel image>
#
# The modules in the object tree are signed, and without debugging information.

# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

here=$tests_dir/kernel
fragments=("$here/host.config" "$here/gcc64k.config")

where=$("$here/source.sh")
src=$(fact src "$where")
source=$(fact source "$where")

# build OBJ: the recipe; its text as printed by bash is part of the key
build() {
	local obj=$1 log=$logs/kernel-gcc64k.log make_kernel installed module
	make_kernel=("$tests_dir/scripts/debian13.sh" "$obj" "$src" --
		make -C "$src" "O=$obj" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- CC=aarch64-linux-gnu-gcc-14)
	need_space 6000
	mkdir -p "$obj"
	cat "${fragments[@]}" >"$obj/fragments.config"
	"${make_kernel[@]}" rustavailable >"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		die "the kernel does not accept the Rust of Debian 13; log: $log"
	}
	"${make_kernel[@]}" KCONFIG_ALLCONFIG="$obj/fragments.config" allnoconfig >>"$log" 2>&1 ||
		die "configuring the kernel failed; log: $log"
	honoured "$obj/fragments.config" "$obj/.config"
	logged "building the kernel with GCC and 64 KiB pages, 10 to 30 minutes on 2 cores" 3400 "$log" \
		"${make_kernel[@]}" -j"$jobs" Image modules
	# As a distribution installs them. With debugging information they do not fit an initramfs.
	logged 'signing its modules' 300 "$logs/kernel-gcc64k-modules.log" \
		"${make_kernel[@]}" modules_install INSTALL_MOD_PATH="$obj/installed" INSTALL_MOD_STRIP=1
	installed=$(echo "$obj"/installed/lib/modules/*/kernel)
	while read -r module; do
		mv "$installed/${module%.o}.ko" "$obj/${module%.o}.ko"
	done <"$obj/modules.order"
	rm -r "$obj/installed"
	touch "$obj/.built"
}

obj=$cache/kernel-gcc64k-$(key "$src" "$source" "${fragments[@]}" "$(declare -f build)" "$tests_dir/scripts/debian13.sh")
[ -f "$obj/.built" ] || (
	lock kernel-gcc64k
	[ -f "$obj/.built" ] || build "$obj"
)
# The initramfs is made on this machine, whose libraries may be older than those of Debian 13.
[ "$obj/usr/gen_init_cpio" -nt "$obj/.built" ] || gcc -O2 -o "$obj/usr/gen_init_cpio" "$src/usr/gen_init_cpio.c"
printf 'src=%s obj=%s image=%s\n' "$src" "$obj" "$obj/arch/arm64/boot/Image"
