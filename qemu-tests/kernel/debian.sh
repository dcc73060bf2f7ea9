#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Debian's own arm64 kernel as the kernel under test, once for each state of its inputs: fetches it
# with its modules, makes a build directory for Rust modules from its headers and its source, and
# builds the C drivers of the kernel that Debian leaves out. Prints the directories used:
#
#	src=<source tree> obj=<build directory> image=<kernel image>
#
# The image and the modules that Debian ships are used as they are.

# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

here=$tests_dir/kernel
top=$(cd "$tests_dir/.." && pwd)
suite=trixie-backports

where=$("$here/source.sh")
src=$(fact src "$where")
source=$(fact source "$where")
version=$(make -s -C "$src" kernelversion)
release=$version+deb13-arm64

# The modules of Debian that the tests load, with what they depend on. A name that this kernel has
# built in is none of its modules.
stock=(
	cbc ccm cryptomgr ctr deflate des_generic dh_generic ecb ecdh_generic gcm authenc lz4 rsa_generic
	sha1 sha256 sha512 vfio vfio-pci vfio_iommu_type1 virtio_net xts
)

# The C drivers of the kernel's source that Debian's configuration leaves out besides those of the
# accelerators, by directory: VFIO's driver for their VFs, a device without hardware.
left_out=(drivers/vfio/mdev drivers/vfio/pci/hisilicon samples/vfio-mdev)
options=(HISI_ACC_VFIO_PCI VFIO_MDEV SAMPLE_VFIO_MDEV_MTTY)
# Options that are not modules
switches=(VFIO_DEBUGFS)

# build OBJ: the recipe; its text as printed by bash is part of the key. A kernel's build directory
# cannot be moved, so this makes it in place.
build() {
	local obj=$1 packages=$1/packages log=$logs/kernel-debian.log
	local file name directory modules settings=() defines='' compilers
	need_space 2500
	rm -rf "$obj"
	mkdir -p "$packages/root" "$obj/left-out"
	(
		apt_of "$suite-arm64" arm64 "deb $suite" "deb ${suite%-backports}"
		cd "$packages"
		logged "fetching Debian's Linux $release (105 MB)" 5 "$log" \
			apt-get download -q linux-{headers,binary,modules,base}-"$release"
	)
	for file in "$packages"/*.deb; do
		dpkg-deb -x "$file" "$packages/root"
	done
	directory=$packages/root/usr/lib/modules/$release
	cp "$directory/vmlinuz" "$obj/vmlinuz"

	depmod -b "$packages/root/usr" "$release" >>"$log" 2>&1 ||
		die "depmod does not accept the modules of $release; log: $log"
	modules=$(for name in "${stock[@]}"; do
		modprobe -d "$packages/root/usr" -S "$release" --show-depends "$name"
	done | awk '$1 == "insmod" { print $2 }' | LC_ALL=C sort -u)
	# Under the paths that a kernel's build directory has them
	for file in $modules; do
		name=${file#"$directory/kernel/"}
		mkdir -p "$obj/${name%/*}"
		xz -dc "$file" >"$obj/${name%.xz}"
	done

	compilers=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- CC=aarch64-linux-gnu-gcc-14)
	"$tests_dir/scripts/debian13.sh" "$obj" "$src" "$top" -- env \
		KDIR="$packages/root/usr/src/linux-headers-$release" KSRC="$src" "$top/scripts/rust-metadata.sh" \
		"$obj" "${compilers[@]}" -j"$jobs" >&2
	logged "building the accelerators' drivers, which Debian leaves out" 60 "$logs/kernel-debian-accelerators.log" \
		"$tests_dir/scripts/debian13.sh" "$obj" "$src" "$top" -- env \
		KDIR="$obj" KSRC="$src" "$top/scripts/accelerators.sh" "$obj/accelerators" "${compilers[@]}" -j"$jobs"

	for name in "${options[@]}"; do
		settings+=("CONFIG_$name=m")
		defines+=" -DCONFIG_${name}_MODULE=1"
	done
	for name in "${switches[@]}"; do
		settings+=("CONFIG_$name=y")
		defines+=" -DCONFIG_$name=1"
	done
	for directory in "${left_out[@]}"; do
		mkdir -p "$obj/left-out/${directory%/*}"
		cp -r "$src/$directory" "$obj/left-out/$directory"
	done
	printf 'obj-m += %s/\n' "${left_out[@]}" >"$obj/left-out/Kbuild"
	logged "building the other C drivers that Debian leaves out" 20 "$logs/kernel-debian-drivers.log" \
		"$tests_dir/scripts/debian13.sh" "$obj" "$src" -- \
		make -C "$obj" M="$obj/left-out" "${compilers[@]}" "${settings[@]}" KCFLAGS="${defines# }" \
		KBUILD_EXTRA_SYMBOLS="$obj/accelerators/Module.symvers" -j"$jobs" modules
	mkdir -p "$obj/usr"
	gcc -O2 -o "$obj/usr/gen_init_cpio" "$src/usr/gen_init_cpio.c"
	rm -r "$packages"
	touch "$obj/.built"
}

obj=$cache/kernel-debian-$(key "$src" "$source" "$release" "${stock[*]}" "${left_out[*]}" "${options[*]} ${switches[*]}" \
	"$(declare -f build)" "$top"/scripts/{common,rust-metadata,accelerators}.sh "$tests_dir/scripts/debian13.sh")
[ -f "$obj/.built" ] || (
	lock kernel-debian
	[ -f "$obj/.built" ] || build "$obj"
)
printf 'src=%s obj=%s image=%s\n' "$src" "$obj" "$obj/vmlinuz"
