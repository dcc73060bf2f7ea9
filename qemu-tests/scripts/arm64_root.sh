#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes a root of Debian 13 for arm64 for `make deb-test`. Prints
#
#	root=<directory>
#	emulator=<QEMU for programs of arm64>
#
# Usage: arm64_root.sh host
#	for the emulated host: all packages are installed and configured that hisi-acc-vfio-dkms depends on,
#	but not what compilers consist of
#        arm64_root.sh builder RELEASE
#	for dkms: with compilers, and the headers, the source and the modules of Debian's kernel RELEASE, as
#	the page for operators says

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source-path=SCRIPTDIR source=arm64_programs.sh
. "$tests_dir/scripts/arm64_programs.sh"

suite=trixie
source_of() { printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main' "$(mirror)" "$1"; }

# build INTO: makes a root of Debian, and the emulator of programs beside it; the text is part of the key
build() {
	local IFS=,
	need_space "$space"
	(
		apt_of "$suite-amd64" amd64 "deb $suite"
		cd "$1"
		logged 'fetching QEMU for programs of arm64' 2 "$logs/qemu-user.log" apt-get download -q qemu-user
		dpkg-deb -x qemu-user_*.deb emulator
	)
	mkdir "$1/made"
	mv "$1/emulator/usr/bin/qemu-aarch64" "$1/made"
	logged "installing Debian 13 for arm64, $kind" 900 "$logs/arm64-$kind.log" \
		in_namespace "$1/made/qemu-aarch64" \
		mmdebstrap --mode=root --skip=check/qemu --variant=minbase --architectures=arm64 \
		--include="${packages[*]}" --aptopt='APT::Install-Recommends "false"' \
		"${without[@]/#/--dpkgopt=path-exclude=}" "${hooks[@]}" "$suite" "$1/made/root" "${sources[@]}"
}

[ "$(id -u)" = 0 ] || die 'root is needed for a Debian 13 for arm64'
without=('/usr/share/doc/*' '/usr/share/locale/*' '/usr/share/man/*')
sources=("$(source_of "$suite")")
hooks=()
kind=${1:-}
case "$kind $#" in
'host 1')
	space=1500
	packages=(bindgen dkms gcc kmod librust-bitflags-dev rustc)
	# Nothing is compiled in the emulated host, which has all of this in memory.
	without+=(
		/usr/lib/aarch64-linux-gnu/{libLLVM,libclang,librustc_driver}'*' '/usr/lib/gcc/*' '/usr/lib/llvm-*'
		'/usr/lib/rustlib/*' '/usr/libexec/gcc/*'
	)
	;;
'builder 2')
	space=6000
	release=$2
	# What "Debian's own kernel" in kunpeng-host.rst installs
	packages=(
		bc bindgen bison clang-19 dkms dwarves flex gcc-14 gcc-arm-linux-gnueabihf kmod libclang-19-dev
		libelf-dev librust-bitflags-dev libssl-dev make openssl patch python3 rsync rust-src rustc xz-utils
		linux-{headers,modules}-"$release" "linux-source-$(cut -d. -f1,2 <<<"$release")"
	)
	sources+=("$(source_of "$suite-backports")")
	# shellcheck disable=SC2016 # expanded by mmdebstrap's shell
	hooks=(
		--customize-hook='tar -C "$1/usr/src" -xf "$1"/usr/src/linux-source-*.tar.xz'
		--customize-hook='rm "$1"/usr/src/linux-source-*.tar.xz'
	)
	;;
*) die 'usage: arm64_root.sh host|builder RELEASE' ;;
esac
made=$cache/arm64-$kind-$(key "$suite" "${packages[*]}" "${without[*]}" "${hooks[*]}" "$(declare -f build in_namespace)")
(
	lock "arm64-$kind"
	build_once "$made" made
)
printf 'root=%s\nemulator=%s\n' "$made/root" "$made/qemu-aarch64"
