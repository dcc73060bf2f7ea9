#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Fetches, verifies, unpacks, patches and builds a minimal QEMU, once, and links the emulated
# accelerator into it, again whenever that changes. Prints
#
#	qemu=<binary> httu_test=<test of the SMMU for it> src=<source tree>
#
# QEMU_SRC=<dir or tarball> replaces the pinned Debian source.

# shellcheck source-path=SCRIPTDIR source=source.sh
. "$(dirname "${BASH_SOURCE[0]}")/source.sh"

here=$tests_dir/qemu
shim=("$here"/shim/*.[ch])
# What QEMU lacks, as patches in the form in which QEMU takes them
patches=("$here"/patches/*.patch)

# Without fuzz: what has changed around a patch has to be looked at.
patch_source() {
	local file
	for file in "${patches[@]}"; do
		patch -d "$1" -p1 --batch --forward --fuzz=0 -i "$file" >>"$logs/qemu-patch.log" 2>&1 ||
			die "$(basename "$file") does not apply to ${QEMU_SRC:-QEMU 10.2.2}; log: $logs/qemu-patch.log"
	done
}

# Debian's tarball lacks the firmware that pc-bios/ would unpack, and a machine booted
# with -kernel does not need it; and a minimal configuration lacks one CXL stub.
complete_source() {
	cat >"$1/pc-bios/meson.build" <<-'MESON'
		roms = []
		subdir('keymaps')
	MESON
	if ! grep -q cxl_fmws_get_all_sorted "$1/hw/cxl/cxl-host-stubs.c"; then
		cat >>"$1/hw/cxl/cxl-host-stubs.c" <<-'STUB'

			GSList *cxl_fmws_get_all_sorted(void);
			GSList *cxl_fmws_get_all_sorted(void)
			{
			    return NULL;
			}
		STUB
	fi
	cat >>"$1/hw/misc/meson.build" <<-'MESON'

		kunpeng_accel = cc.find_library('kunpeng_accel_qemu', static: true,
		                                dirs: meson.project_build_root() / 'kunpeng')
		system_ss.add([kunpeng_accel, files(run_command('sh', '-c',
		  'ls "$1"/kunpeng/*.c', 'sh', meson.current_source_dir(), check: true).stdout().split())])
	MESON
}

prepare() {
	local top=$1 tarball
	need_space 3000
	rm -rf "$top"
	mkdir -p "$top/src" "$top/build/kunpeng"
	if [ -d "${QEMU_SRC:-/nonexistent}" ]; then
		cp -a "$QEMU_SRC/." "$top/src/"
	else
		tarball=${QEMU_SRC:-$(fetch)}
		logged "unpacking $(basename "$tarball")" 1 "$logs/qemu-unpack.log" \
			tar -C "$top/src" --strip-components=1 -xf "$tarball"
	fi
	[ -f "$top/src/hw/pci/pcie_sriov.c" ] || die "${QEMU_SRC:-$tarball} is not a QEMU source tree"
	: >"$logs/qemu-patch.log"
	patch_source "$top/src"
	complete_source "$top/src"
	cp "$here/kunpeng.mak" "$top/src/configs/devices/aarch64-softmmu/kunpeng.mak"
	python3 -m venv "$top/venv"
	logged "installing meson" 10 "$logs/meson.log" "$top/venv/bin/pip" install -q "${python_packages[@]}"
	touch "$top/.prepared"
}

configure_qemu() {
	cd "$1/build"
	../src/configure --target-list=aarch64-softmmu --without-default-features \
		--without-default-devices --with-devices-aarch64=kunpeng --enable-tcg --enable-fdt=system \
		--enable-pixman --disable-docs --disable-tools --disable-user --disable-guest-agent \
		--disable-debug-info --disable-download --disable-werror --disable-install-blobs
}

# Builds the model as a static library; cargo determines what has to be rebuilt. Each
# clone has its own target directory: cargo treats two clones as the same package, and
# would consider the files built later by the other clone up to date.
build_model() {
	local target
	target=$1/model-$(key "$tests_dir")
	(
		cd "$tests_dir"
		CARGO_TARGET_DIR=$target cargo build --locked --release -p kunpeng-accel-qemu \
			>"$logs/model.log" 2>&1
	) || { tail -n 20 "$logs/model.log" >&2; die "the accelerator model does not build"; }
	update "$target/release/libkunpeng_accel_qemu.a" "$1/build/kunpeng/libkunpeng_accel_qemu.a"
}

# update FROM TO: copies only a changed file, so that ninja has nothing to do otherwise
update() {
	cmp -s "$1" "$2" || cp "$1" "$2"
}

lock qemu
if [ -n "${QEMU_SRC:-}" ]; then
	[ -e "$QEMU_SRC" ] || die "QEMU_SRC=$QEMU_SRC does not exist"
	source=$(source_key "$QEMU_SRC")
else
	source=$sha256
fi
# The key contains the recipe's functions as printed by bash, so that a changed comment
# does not rebuild QEMU.
top=$cache/qemu-$(key "$source" "$(declare -f patch_source complete_source configure_qemu)" \
	"${python_packages[*]}" "$here/kunpeng.mak" "${patches[@]}" "$(gcc --version | sed -n 1p)")
export PATH="$top/venv/bin:$PATH"

[ -f "$top/.prepared" ] || prepare "$top"
build_model "$top"

# The name of the binary is derived from its inputs, so that another clone with a
# different model does not replace it under a running test.
httu_test=tests/qtest/smmuv3-httu-test
binary=$top/bin/qemu-system-aarch64-$(key "${shim[@]}" "$top/build/kunpeng/libkunpeng_accel_qemu.a")
if [ ! -x "$binary" ]; then
	mkdir -p "$top/src/hw/misc/kunpeng" "$top/bin"
	before=$(ls "$top/src/hw/misc/kunpeng")
	for old in "$top"/src/hw/misc/kunpeng/*; do
		[ -e "$here/shim/$(basename "$old")" ] || rm -f "$old"
	done
	for file in "${shim[@]}"; do
		update "$file" "$top/src/hw/misc/kunpeng/$(basename "$file")"
	done
	# meson lists the files when it configures, and configures again only if one of
	# its inputs has changed
	[ "$before" = "$(ls "$top/src/hw/misc/kunpeng")" ] || touch "$top/src/hw/misc/meson.build"
	if [ ! -f "$top/build/build.ninja" ]; then
		logged "configuring QEMU" 400 "$logs/qemu-configure.log" configure_qemu "$top"
	fi
	logged "building QEMU" 1430 "$logs/qemu.log" \
		ninja -C "$top/build" -j "$jobs" qemu-system-aarch64 "$httu_test"
	cp "$top/build/$httu_test" "$top/bin/"
	cp "$top/build/qemu-system-aarch64" "$binary.new"
	mv "$binary.new" "$binary"
fi
printf 'qemu=%s httu_test=%s src=%s\n' "$binary" "$top/bin/$(basename "$httu_test")" "$top/src"
