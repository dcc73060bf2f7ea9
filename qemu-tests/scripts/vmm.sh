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
	local root=$1/root file path
	need_space 1200
	apt_of "$suite-arm64" arm64 "${sources[@]}"
	mkdir -p "$1/archives/partial" "$root"
	# Nothing is installed in this separate apt, so apt fetches all dependencies of
	# the package.
	logged "fetching $package for arm64 (90 MB)" 300 "$logs/vmm-$suite.log" \
		apt-get install -qy --download-only --no-install-recommends -t "$suite" \
		-o "Dir::Cache::archives=$1/archives" "$package"
	for file in "$1"/archives/*.deb; do
		dpkg-deb -x "$file" "$root"
	done
	mkdir "$1/vmm"
	cp "$root/usr/bin/$program" "$1/vmm/"
	closure "$root" "$root/usr/bin/$program" | while read -r path; do
		cp -L "$path" "$1/vmm/"
	done
	rm -r "$root" "$1/archives"
}

vmm=$cache/vmm-$(key "${sources[*]}" "$package" "$(declare -f build closure libraries)")
lock "vmm-$suite"
build_once "$vmm" vmm
printf 'vmm=%s\n' "$vmm"
