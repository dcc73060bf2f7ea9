#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Installs the package hisi-acc-vfio-dkms in a Debian 13 for arm64 with compilers, as an operator does, so
# that dkms compiles the modules for Debian's kernel RELEASE, once for each source of them. Writes what dkms
# has built to DIRECTORY, as an archive of dkms, and prints
#
#	modules=<the kernel's own modules>
#
# Usage: arm64_dkms.sh RELEASE PACKAGE DIRECTORY

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source-path=SCRIPTDIR source=arm64_programs.sh
. "$tests_dir/scripts/arm64_programs.sh"

[ $# -eq 3 ] || die 'usage: arm64_dkms.sh RELEASE PACKAGE DIRECTORY'
release=$1
package=$2
into=$3
builder=$("$tests_dir/scripts/arm64_root.sh" builder "$release")
root=$(fact root "$builder")
emulator=$(fact emulator "$builder")

# build INTO: installs the package above the root, which stays as it is; the text is part of the key
build() {
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
		in_namespace "$emulator" bash -ec '
			mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/above,workdir=$2/work,userxattr" "$2/root"
			for directory in proc dev sys; do
				mount --rbind "/$directory" "$2/root/$directory"
			done
			exec chroot "$2/root" sh -e /install
		' bash "$root" "$1"
	mv "$1/above/built" "$1"
}

source=$(dpkg-deb --fsys-tarfile "$package" | tar -xO --wildcards './usr/src/*' | sha256sum)
built=$cache/arm64-built-$(key "$root" "$source" "$(declare -f build)")
(
	lock arm64-built
	build_once "$built" built
)
mkdir -p "$into"
cp "$built/"* "$into"
printf 'modules=%s\n' "$root/usr/lib/modules/$release"
