#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes a root of Debian 13 for arm64, in which all packages are installed and configured that
# hisi-acc-vfio-dkms depends on: the emulated host of `make deb-test`. Prints
#
#	root=<directory>
#
# The packages' scripts run under QEMU's emulation of programs. The kernel is told of it in a user
# namespace, so that this machine as a whole goes on to refuse programs for arm64.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

suite=trixie
packages=(bindgen dkms gcc kmod librust-bitflags-dev rustc)
# Nothing is compiled in the emulated host, which has all of this in memory.
without=(
	/usr/lib/aarch64-linux-gnu/{libLLVM,libclang,librustc_driver}'*' '/usr/lib/gcc/*' '/usr/lib/llvm-*'
	'/usr/lib/rustlib/*' '/usr/libexec/gcc/*' '/usr/share/doc/*' '/usr/share/locale/*' '/usr/share/man/*'
)

# in_namespace EMULATOR COMMAND...: runs a command in a user namespace, with all users mapped, where
# programs for arm64 run under EMULATOR
in_namespace() {
	local pipes child
	pipes=$(mktemp -d)
	mkfifo "$pipes/ready" "$pipes/mapped"
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --user --mount --propagation private bash -ec '
		echo $$ >"$1/ready"
		read -r _ <"$1/mapped"
		rm -r "$1"
		mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
		magic="\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
		mask="\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
		printf ":arm64:M::%s:%s:%s:F" "$magic" "$mask" "$2" >/proc/sys/fs/binfmt_misc/register
		shift 2
		exec "$@"
	' in_namespace "$pipes" "$@" &
	read -r child <"$pipes/ready"
	echo '0 0 4294967295' >"/proc/$child/uid_map"
	echo '0 0 4294967295' >"/proc/$child/gid_map"
	echo mapped >"$pipes/mapped"
	wait $!
}

# build INTO: the recipe; its text is part of the key
build() {
	local IFS=,
	need_space 1500
	(
		apt_of "$suite-amd64" amd64 "deb $suite"
		cd "$1"
		logged 'fetching QEMU for programs of arm64' 2 "$logs/qemu-user.log" apt-get download -q qemu-user
		dpkg-deb -x qemu-user_*.deb emulator
	)
	logged "installing Debian 13 for arm64 (340 MB)" 900 "$logs/arm64-root.log" \
		in_namespace "$1/emulator/usr/bin/qemu-aarch64" \
		mmdebstrap --mode=root --skip=check/qemu --variant=minbase --architectures=arm64 \
		--include="${packages[*]}" --aptopt='APT::Install-Recommends "false"' \
		"${without[@]/#/--dpkgopt=path-exclude=}" "$suite" "$1/root" \
		"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $suite main"
}

[ "$(id -u)" = 0 ] || die 'root is needed for a Debian 13 for arm64'
root=$cache/arm64-root-$(key "$suite" "${packages[*]}" "${without[*]}" "$(declare -f build in_namespace)")
lock arm64-root
build_once "$root" root
printf 'root=%s\n' "$root"
