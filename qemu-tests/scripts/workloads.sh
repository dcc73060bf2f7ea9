#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Fetches what a guest with Debian's kernel needs to use its VFs as real guests do: programs of
# Debian for arm64 with their libraries, and modules of its kernel. Prints
#
#	workloads=<directory with the folders bin, lib and modules>
#
# Usage: workloads.sh RELEASE, the release of the kernel as `uname -r` has it.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# apt verifies the packages with the archive's signature.
suite=trixie
release=${1:?usage: workloads.sh RELEASE}
packages=(cryptsetup-bin fio iproute2 iputils-ping)
programs=(usr/bin/fio usr/bin/ip usr/bin/ping usr/sbin/cryptsetup)
# Names that this kernel has built in are no modules of it.
modules=(authenc brd crypto_user dm-crypt echainiv esp4 veth xfrm_user xts)

# build INTO: the recipe; its text is part of the key
build() {
	local root=$1/root out=$1/workloads log=$logs/workloads.log program path file
	need_space 1500
	mkdir -p "$1/kernel/root" "$out"/{bin,lib,modules}
	(
		apt_of "$suite-arm64" arm64 "deb $suite"
		unpack_packages "fetching the programs of a guest for arm64 (45 MB)" 250 "$log" "$1" "$suite" "${packages[@]}"
	)
	for program in "${programs[@]}"; do
		cp "$root/$program" "$out/bin/"
		closure "$root" "$root/$program" | while read -r path; do
			cp -L "$path" "$out/lib/"
		done
	done
	(
		apt_of "$suite-backports-arm64" arm64 "deb $suite-backports" "deb $suite"
		cd "$1/kernel"
		logged "fetching the modules of Debian's Linux $release (60 MB)" 3 "$log" \
			apt-get download -q linux-{modules,base}-"$release"
	)
	for file in "$1"/kernel/*.deb; do
		dpkg-deb -x "$file" "$1/kernel/root"
	done
	depmod -b "$1/kernel/root/usr" "$release" >>"$log" 2>&1 ||
		die "depmod does not accept the modules of $release; log: $log"
	for program in "${modules[@]}"; do
		modprobe -d "$1/kernel/root/usr" -S "$release" --show-depends "$program"
	done | awk '$1 == "insmod" { print $2 }' | LC_ALL=C sort -u | while read -r file; do
		path=${file##*/}
		xz -dc "$file" >"$out/modules/${path%.xz}"
	done
}

workloads=$cache/workloads-$(key "$suite" "$release" "${packages[*]}" "${programs[*]}" "${modules[*]}" \
	"$(declare -f build closure libraries unpack_packages)")
lock workloads
build_once "$workloads" workloads
printf 'workloads=%s\n' "$workloads"
