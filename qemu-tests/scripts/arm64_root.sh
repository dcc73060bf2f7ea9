#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes roots of Debian 13 for arm64 for `make deb-test`.
#
# Usage: arm64_root.sh
#	The emulated host: all packages are installed and configured that hisi-acc-vfio-dkms depends on, but
#	not what compilers consist of. Prints root=<directory>.
#
#        arm64_root.sh build RELEASE PACKAGE DIRECTORY
#	Installs the package hisi-acc-vfio-dkms in a root that has compilers, and the headers, the source and
#	the modules of Debian's kernel RELEASE, as the page for operators says. dkms builds there. Writes
#	what it has built to DIRECTORY, as an archive of dkms, and prints modules=<the kernel's modules>.
#
# Programs of arm64 run under QEMU's emulation of programs. The kernel is told of it in a user namespace, so
# that this machine as a whole goes on to refuse them.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

suite=trixie
source_of() { printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main' "$(mirror)" "$1"; }

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
case "${1:-} $#" in
' 0')
	kind=host
	space=1500
	packages=(bindgen dkms gcc kmod librust-bitflags-dev rustc)
	# Nothing is compiled in the emulated host, which has all of this in memory.
	without+=(
		/usr/lib/aarch64-linux-gnu/{libLLVM,libclang,librustc_driver}'*' '/usr/lib/gcc/*' '/usr/lib/llvm-*'
		'/usr/lib/rustlib/*' '/usr/libexec/gcc/*'
	)
	;;
'build 4')
	kind=builder
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
*) die 'usage: arm64_root.sh [build RELEASE PACKAGE DIRECTORY]' ;;
esac
made=$cache/arm64-$kind-$(key "$suite" "${packages[*]}" "${without[*]}" "${hooks[*]}" "$(declare -f build in_namespace)")
(
	lock "arm64-$kind"
	build_once "$made" made
)
root=$made/root
if [ "$kind" = host ]; then
	printf 'root=%s\n' "$root"
	exit
fi

# compile INTO: installs the package above the root, which stays as it is, so that dkms compiles; the
# text is part of the key
compile() {
	local version
	version=$(dpkg-deb -f "$package" Version)
	mkdir "$1"/{above,above/built,work,root}
	cp "$package" "$1/above/package.deb"
	cat >"$1/above/install" <<-EOT
		export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
		dpkg --install /package.deb || {
			cat /var/lib/dkms/*/*/build/make.log
			exit 1
		}
		dkms mktarball hisi-acc-vfio-rs/$version -k $release -a aarch64 --binaries-only \\
			--archive /built/hisi-acc-vfio-rs-$version.dkms.tar.gz
	EOT
	# shellcheck disable=SC2016 # expanded by the inner shell
	logged "installing $(basename "$package") there; dkms compiles for $release, within an hour" 20 \
		"$logs/arm64-dkms.log" \
		in_namespace "$made/qemu-aarch64" bash -ec '
			mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/above,workdir=$2/work,userxattr" "$2/root"
			for directory in proc dev sys; do
				mount --rbind "/$directory" "$2/root/$directory"
			done
			exec chroot "$2/root" sh -e /install
		' bash "$root" "$1"
}

package=$3
source=$(dpkg-deb --fsys-tarfile "$package" | tar -xO --wildcards './usr/src/*' | sha256sum)
built=$cache/arm64-built-$(key "$made" "$source" "$(declare -f compile)")
build() {
	compile "$1"
	mv "$1/above/built" "$1"
}
(
	lock arm64-built
	build_once "$built" built
)
mkdir -p "$4"
cp "$built/"* "$4"
printf 'modules=%s\n' "$root/usr/lib/modules/$release"
