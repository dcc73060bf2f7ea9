#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes a root of Debian for arm64 with libvirt, its QEMU, and the tools that operators use on a
# VF: the emulated host of `make libvirt`. Prints
#
#	root=<directory>
#
# Usage: libvirt_root.sh [SUITE]. The default is trixie.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# apt verifies the packages with the archive's signature.
suite=${1:-trixie}
packages=(
	base-files base-passwd bash coreutils findutils gawk grep hostname mount procps sed util-linux
	libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu libvirt-daemon-log qemu-system-arm
	driverctl kmod pciutils tini trace-cmd udev
)

# No program can be run here that is built for arm64, so the packages are only unpacked. This
# does what their scripts would have done, as far as something here needs it.
#
# configure ROOT
configure() {
	local master=$1/usr/share/base-passwd link
	cp "$master/passwd.master" "$1/etc/passwd"
	cp "$master/group.master" "$1/etc/group"
	# The numbers of Debian's libvirt; that of the group kvm is any.
	printf 'kvm:x:994:\nlibvirt:x:995:\nlibvirt-qemu:x:64055:\n' >>"$1/etc/group"
	printf 'libvirt-qemu:x:64055:994::/var/lib/libvirt:/usr/sbin/nologin\n' >>"$1/etc/passwd"
	for link in run:/run lock:/run/lock; do
		rm -rf "${1:?}/var/${link%%:*}"
		ln -s "${link#*:}" "${1:?}/var/${link%%:*}"
	done
	mkdir -p "$1/var/log/libvirt/qemu" "$1/run/lock"
	# There is no polkit, which would let root in as well. The other emulated host is let in
	# without a word; a real one has certificates.
	cat >>"$1/etc/libvirt/libvirtd.conf" <<-CONF
		auth_unix_rw = "none"
		listen_tls = 0
		listen_tcp = 1
		auth_tcp = "none"
	CONF
	printf '127.0.0.1 localhost\n192.0.2.1 a\n192.0.2.2 b\n' >"$1/etc/hosts"
}

# build INTO: the recipe; its text is part of the key
build() {
	local root=$1/root
	need_space 1200
	apt_of "$suite-arm64" arm64 "deb $suite"
	unpack_packages "fetching libvirt and its dependencies for arm64 (60 MB)" 280 \
		"$logs/libvirt-root-$suite.log" "$1" "$suite" "${packages[@]}"
	# What is not used here: all of it would be in the memory of the emulated host, and libvirt
	# asks each QEMU for its capabilities.
	rm -rf "$root"/usr/share/{doc,info,locale,man,lintian} "$root"/usr/lib/aarch64-linux-gnu/gconv \
		"$root"/usr/bin/qemu-system-arm{,el,hf} "$root"/usr/lib/udev/hwdb.d
	configure "$root"
}

root=$cache/libvirt-root-$(key "$suite" "${packages[*]}" "$(declare -f build configure unpack_packages)")
lock "libvirt-root-$suite"
build_once "$root" root
printf 'root=%s\n' "$root"
