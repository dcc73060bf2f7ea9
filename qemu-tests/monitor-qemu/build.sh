#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds a minimal QEMU for arm64 with the fixes of patches/, once: the VM monitor for the
# emulated host's guests that QEMU=fixed selects. Prints
#
#	vmm=<directory with the program and the libraries>
#
# clang compiles it, so that no cross compiler has to be installed; what it includes and
# links are Debian's packages for arm64, unpacked.

# shellcheck source-path=SCRIPTDIR source=../qemu/source.sh
. "$(dirname "${BASH_SOURCE[0]}")/../qemu/source.sh"

here=$tests_dir/monitor-qemu
patches=("$here"/patches/*.patch)
program=qemu-system-aarch64
suite=trixie
packages=(
	libatomic1 libc6 libc6-dev libfdt-dev libfdt1 libgcc-14-dev libgcc-s1 libgio-2.0-dev
	libglib2.0-0t64 libglib2.0-dev libpcre2-8-0 libpcre2-dev libsysprof-capture-4-dev
	linux-libc-dev zlib1g zlib1g-dev
)

# sysroot INTO: unpacks the packages
sysroot() {
	local file
	mkdir -p "$1/archives"
	(
		apt_of "$suite-arm64" arm64 "deb $suite"
		cd "$1/archives"
		logged "fetching libraries for arm64 (15 MB)" 20 "$logs/monitor-qemu-fetch.log" \
			apt-get download -q "${packages[@]}"
	)
	for file in "$1"/archives/*.deb; do
		dpkg-deb -x "$file" "$1/root"
	done
	# Debian's base-files has this link, and little else.
	ln -s usr/lib "$1/root/lib"
}

# configure_monitor TOP
configure_monitor() {
	local root=$1/root
	export PKG_CONFIG_SYSROOT_DIR=$root
	export PKG_CONFIG_LIBDIR=$root/usr/lib/aarch64-linux-gnu/pkgconfig
	mkdir "$1/build"
	cd "$1/build"
	PKG_CONFIG=pkg-config AR=llvm-ar-19 NM=llvm-nm-19 RANLIB=llvm-ranlib-19 \
		STRIP=llvm-strip-19 OBJCOPY=llvm-objcopy-19 ../src/configure \
		--cross-prefix=aarch64-linux-gnu- --host-cc=gcc --extra-ldflags=-fuse-ld=lld-19 \
		--cc="clang-19 --target=aarch64-linux-gnu --sysroot=$root" \
		--target-list=aarch64-softmmu --without-default-features \
		--without-default-devices --with-devices-aarch64=monitor --enable-kvm --disable-tcg \
		--enable-fdt=system --disable-docs --disable-tools --disable-user \
		--disable-guest-agent --disable-debug-info --disable-download --disable-werror \
		--disable-install-blobs
}

# build INTO: the recipe; its text is part of the key
build() {
	local file path
	need_space 2000
	sysroot "$1"
	mkdir "$1/src" "$1/vmm"
	logged "unpacking QEMU" 1 "$logs/monitor-qemu-unpack.log" \
		tar -C "$1/src" --strip-components=1 -xf "$tarball"
	for file in "${patches[@]}"; do
		patch -d "$1/src" -p1 --batch --forward --fuzz=0 -i "$file" \
			>"$logs/monitor-qemu-patch.log" 2>&1 ||
			die "$(basename "$file") does not apply; log: $logs/monitor-qemu-patch.log"
	done
	# Debian's tarball lacks the firmware that pc-bios/ would unpack.
	printf '%s\n' 'roms = []' "subdir('keymaps')" >"$1/src/pc-bios/meson.build"
	# And a minimal configuration lacks one CXL stub.
	cat >>"$1/src/hw/cxl/cxl-host-stubs.c" <<-'STUB'

		GSList *cxl_fmws_get_all_sorted(void);
		GSList *cxl_fmws_get_all_sorted(void)
		{
		    return NULL;
		}
	STUB
	cp "$here/monitor.mak" "$1/src/configs/devices/aarch64-softmmu/"
	python3 -m venv "$1/venv"
	logged "installing meson" 10 "$logs/monitor-qemu-meson.log" \
		"$1/venv/bin/pip" install -q "${python_packages[@]}"
	export PATH="$1/venv/bin:$PATH"
	logged "configuring QEMU with the fixes" 400 "$logs/monitor-qemu-configure.log" \
		configure_monitor "$1"
	logged "building QEMU with the fixes" 1300 "$logs/monitor-qemu.log" \
		ninja -C "$1/build" -j "$jobs" "$program"
	llvm-strip-19 -o "$1/vmm/$program" "$1/build/$program"
	closure "$1/root" "$1/vmm/$program" | while read -r path; do
		cp -L "$path" "$1/vmm/"
	done
}

vmm=$cache/vmm-$(key "$sha256" "${python_packages[*]}" "${packages[*]}" "$here/monitor.mak" \
	"${patches[@]}" "$(declare -f sysroot configure_monitor build closure libraries)")
if [ ! -d "$vmm" ]; then
	tarball=$(lock qemu && fetch)
	lock monitor-qemu
	build_once "$vmm" vmm
fi
printf 'vmm=%s\n' "$vmm"
