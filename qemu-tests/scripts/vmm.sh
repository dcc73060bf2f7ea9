#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Fetches Debian's QEMU for arm64, the VM monitor for the emulated host's guests, and the
# libraries that it is linked to. Prints
#
#	vmm=<directory with the program and the libraries>
#
# Usage: vmm.sh [SUITE]. The default is trixie. For a backports suite, all other packages
# are from the suite that it belongs to.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# apt verifies the packages with the archive's signature.
suite=${1:-trixie}
sources=("deb $suite")
[ "${suite%-backports}" = "$suite" ] || sources+=("deb ${suite%-backports}")
package=qemu-system-arm
program=qemu-system-aarch64

# build INTO: the recipe; its text is part of the key
build() {
	local root=$1/root path
	need_space 1200
	apt_of "$suite-arm64" arm64 "${sources[@]}"
	unpack_packages "fetching $package for arm64 (90 MB)" 300 "$logs/vmm-$suite.log" "$1" "$suite" "$package"
	mkdir "$1/vmm"
	cp "$root/usr/bin/$program" "$1/vmm/"
	closure "$root" "$root/usr/bin/$program" | while read -r path; do
		cp -L "$path" "$1/vmm/"
	done
	rm -r "$root"
}

vmm=$cache/vmm-$(key "${sources[*]}" "$package" "$(declare -f build closure libraries unpack_packages)")
lock "vmm-$suite"
build_once "$vmm" vmm
printf 'vmm=%s\n' "$vmm"
