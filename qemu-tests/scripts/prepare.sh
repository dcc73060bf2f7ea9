#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the parts of a machine that have changed, and writes their locations to a file
# for the runner:
#
#	build/<variant>/artifacts
#
# Usage: prepare.sh [normal|debug|kcsan|fixed|debian|gcc64k] [fixed|libvirt|workloads] [trixie|sid]
#
# The first argument is the kernel. With "fixed" as the second one also a host whose guests run on a
# QEMU with fixes, which is built here; with "libvirt" also a host with a root of Debian, which has
# libvirt and both VFIO drivers installed, of the suite that is the third argument; with "workloads"
# also a host whose guests have Debian's kernel, and programs that use its crypto.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

variant=${1:-normal}
top=$(cd "$tests_dir/.." && pwd)
case "$variant ${2:-}" in
'debian libvirt' | 'gcc64k libvirt') die "there is no root with libvirt for KERNEL=$variant" ;;
esac
out=$top/build/$variant
mkdir -p "$out/logs"

guest=$("$tests_dir/scripts/setup.sh")
target=$(fact target "$guest")
sysroot=$(fact sysroot "$guest")
case $variant in
debian | gcc64k) recipe=("$tests_dir/kernel/$variant.sh") ;;
*) recipe=("$tests_dir/kernel/build.sh" "$variant") ;;
esac
kernel=$("${recipe[@]}")
obj=$(fact obj "$kernel")
image=$(fact image "$kernel")
qemu=$("$tests_dir/qemu/build.sh")
busybox=$("$tests_dir/scripts/busybox.sh")
tool=$("$tests_dir/scripts/tool.sh")
vfio_mig=$(fact vfio_mig "$tool")
# The Debian suites whose QEMU can run the emulated host's guests.
suites=(trixie trixie-backports)
declare -A vmm
for suite in "${suites[@]}"; do
	vmm[$suite]=$(fact vmm "$("$tests_dir/scripts/vmm.sh" "$suite")")
done
# What another run has left would have an older init.
rm -f "$out/initrd-fixed.cpio" "$out/initrd-libvirt.cpio" "$out/initrd-workloads.cpio"
if [ "${2:-}" = fixed ]; then
	suites+=(fixed)
	vmm[fixed]=$(fact vmm "$("$tests_dir/monitor-qemu/build.sh")")
fi

build_modules=(make -s -C "$top" modules KDIR="$obj" MO="$out/modules" CONFIG_SAMPLE_VFIO_EDU_RUST=m CRYPTO_CHECK=m)
case $variant in
debian | gcc64k)
	# By the compilers that built the kernel
	src=$(fact src "$kernel")
	build_modules=("$tests_dir/scripts/debian13.sh" "$top" "$obj" "$src" -- "${build_modules[@]}" KSRC="$src")
	;;
esac
[ "$variant" != debian ] || build_modules+=(KBUILD_EXTRA_SYMBOLS="$obj/accelerators/Module.symvers")
"${build_modules[@]}" >"$logs/modules-$variant.log" 2>&1 || {
	tail -n 30 "$logs/modules-$variant.log" >&2
	die "our modules do not build; whole log: $logs/modules-$variant.log"
}
ours=$out/modules
if [ "$variant" = gcc64k ]; then
	# Those that were built stay without a signature.
	ours=$out/signed
	rm -rf "$ours"
	mkdir "$ours"
	find "$out/modules/" -name '*.ko' -exec cp -t "$ours" {} +
	"$tests_dir/scripts/sign.sh" "$obj" "$ours"
fi
(
	cd "$tests_dir"
	arm64_linker "$sysroot"
	cargo build -q --locked --release -p init --target "$target"
) || die "the test program (init) does not build"

# Build the initramfs with the kernel's own tool.
{
	printf 'dir /dev 0755 0 0\nnod /dev/console 0600 0 0 c 5 1\n'
	printf 'dir /bin 0755 0 0\ndir /modules 0755 0 0\ndir /modules/kernel 0755 0 0\ndir /modules/ours 0755 0 0\n'
	printf 'file /init %s 0755 0 0\n' "$tests_dir/target/$target/release/init"
	printf 'file /bin/busybox %s 0755 0 0\n' "$(fact busybox "$busybox")"
	printf 'dir /boot 0755 0 0\nfile /boot/config-%s %s 0644 0 0\n' \
		"$(<"$obj/include/config/kernel.release")" "$obj/.config"
	printf 'file /bin/vfio-mig %s 0755 0 0\n' "$vfio_mig"
	find "$obj/" -name '*.ko' | while read -r module; do
		printf 'file /modules/kernel/%s %s 0644 0 0\n' "$(basename "$module")" "$module"
	done
	find "$ours/" -name '*.ko' | while read -r module; do
		printf 'file /modules/ours/%s %s 0644 0 0\n' "$(basename "$module")" "$module"
	done
} >"$out/initrd.list"
"$obj/usr/gen_init_cpio" "$out/initrd.list" >"$out/initrd.cpio"

# The initramfs of a host with guests also has a VM monitor, and the kernel and initramfs
# for its guests: always the normal kernel, independent of the host's kernel. The host is
# under test, and a guest of a guest is too slow for a kernel with additional checks.
guest_image=$image
guest_initrd=$out/initrd.cpio
if [ "$variant" != normal ]; then
	"${BASH_SOURCE[0]}" normal
	normal=$(<"$top/build/normal/artifacts")
	guest_image=$(fact image "$normal")
	guest_initrd=$(fact initrd "$normal")
fi

# programs FILE...: lists programs of Debian and the libraries that they are linked to for an
# initramfs
programs() {
	local file place
	printf 'dir %s 0755 0 0\n' /usr /usr/bin /lib /lib/aarch64-linux-gnu
	for file in "$@"; do
		case $file in
		*/ld-linux-*) place=/lib ;;
		*.so*) place=/lib/aarch64-linux-gnu ;;
		*) place=/usr/bin ;;
		esac
		printf 'file %s/%s %s 0755 0 0\n' "$place" "${file##*/}" "$file"
	done
}

# host_of SUITE IMAGE INITRD NAME: makes the initramfs of a host whose guests run on the QEMU of that
# suite, and boot that kernel and that initramfs
host_of() {
	{
		cat "$out/initrd.list"
		programs "${vmm[$1]}"/*
		printf 'dir /guest 0755 0 0\n'
		printf 'file /guest/Image %s 0644 0 0\n' "$2"
		printf 'file /guest/initrd.cpio %s 0644 0 0\n' "$3"
	} >"$out/initrd-$4.list"
	"$obj/usr/gen_init_cpio" "$out/initrd-$4.list" >"$out/initrd-$4.cpio"
}

for suite in "${suites[@]}"; do
	host_of "$suite" "$guest_image" "$guest_initrd" "$suite"
done

if [ "${2:-}" = workloads ]; then
	debian=$(fact obj "$("$tests_dir/kernel/debian.sh")")
	workloads=$(fact workloads "$("$tests_dir/scripts/workloads.sh" "$(<"$debian/include/config/kernel.release")")")
	{
		# All but the modules of the host's kernel
		grep -v ' /modules/.*\.ko ' "$out/initrd.list"
		programs "$workloads"/{bin,lib}/*
		find "$debian" "$workloads/modules" -name '*.ko' | while read -r module; do
			printf 'file /modules/kernel/%s %s 0644 0 0\n' "${module##*/}" "$module"
		done
	} >"$out/guest-workloads.list"
	"$obj/usr/gen_init_cpio" "$out/guest-workloads.list" >"$out/guest-workloads.cpio"
	host_of trixie "$debian/vmlinuz" "$out/guest-workloads.cpio" workloads
fi

if [ "${2:-}" = libvirt ]; then
	debian=$(fact root "$("$tests_dir/scripts/libvirt_root.sh" "${3:-trixie}")")
	installed=$out/installed
	rm -rf "$installed"
	# As on a distribution's host: the kernel's own modules, then these.
	{
		make -s -C "$obj" ARCH=arm64 modules_install INSTALL_MOD_PATH="$installed"
		make -s -C "$top" modules_install KDIR="$obj" MO="$out/modules" \
			CONFIG_SAMPLE_VFIO_EDU_RUST=m CRYPTO_CHECK=m INSTALL_MOD_PATH="$installed"
	} >"$logs/installed-$variant.log" 2>&1 || {
		tail -n 30 "$logs/installed-$variant.log" >&2
		die "the modules cannot be installed; whole log: $logs/installed-$variant.log"
	}
	{
		for place in "$debian" "$installed"; do
			# The modules' links to the kernel's build folder lead nowhere there, and
			# /lib is a link in Debian's root.
			(cd "$place" && find . -mindepth 1 ! -name build ! -name source \( \
				-type d -printf 'dir /%P 0%m 0 0\n' -o \
				-type l -printf 'slink /%P %l 0%m 0 0\n' -o \
				-type f -printf "file /%P $place/%P 0%m 0 0\n" \)) |
				sed -E 's#^(dir|file|slink) /lib/modules#\1 /usr/lib/modules#; \#^dir /lib 0#d'
		done
		printf 'dir %s 0755 0 0\n' /modules /modules/kernel /modules/ours /guest
		# Directories of Debian's root are links here.
		grep -v '^dir ' "$out/initrd.list"
		printf 'file /guest/Image %s 0644 0 0\n' "$guest_image"
		printf 'file /guest/initrd.cpio %s 0644 0 0\n' "$guest_initrd"
	} >"$out/initrd-libvirt.list"
	"$obj/usr/gen_init_cpio" "$out/initrd-libvirt.list" >"$out/initrd-libvirt.cpio"
fi

{
	cat <<-EOT
		qemu=$(fact qemu "$qemu")
		httu_test=$(fact httu_test "$qemu")
		kernel=$obj
		source=$(fact src "$kernel")
		image=$image
		initrd=$out/initrd.cpio
		logs=$out/logs
	EOT
	for suite in "${suites[@]}"; do
		printf 'initrd_%s=%s\n' "$suite" "$out/initrd-$suite.cpio"
	done
} >"$out/artifacts"
