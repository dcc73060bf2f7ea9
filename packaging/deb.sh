#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the Debian packages hisi-acc-vfio-dkms and vfio-mig, and prints them:
#
#	dkms=<package>
#	tool=<package>
#	changes=<the list of both, for lintian>
#
# Usage: deb.sh [DIRECTORY [VERSION]]. The default is build/deb; what is in it is removed. Tests of
# upgrades give another version than that of the project.
#
# From the tarball of dist.sh it works without network, if the packages that it is built with are
# installed.

# shellcheck source-path=SCRIPTDIR source=../qemu-tests/scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../qemu-tests/scripts/common.sh"
# shellcheck source-path=SCRIPTDIR source=files.sh
. "$(dirname "${BASH_SOURCE[0]}")/files.sh"

top=$(cd "$tests_dir/.." && pwd)
out=${1:-$top/build/deb}
log=$out/build.log
"$tests_dir/scripts/setup.sh" deb >/dev/null
"$tests_dir/scripts/tool.sh" packages >/dev/null
tools=$top/build/tools
rm -rf "$out"
mkdir -p "$out/source"
# A release's configuration of cargo is found from there.
env -C "$top/tools/vfio-mig" cargo metadata -q --locked --format-version 1 \
	--filter-platform aarch64-unknown-linux-musl |
	"$top/packaging/crate-licenses.py" >"$out/crates.txt"
copy_files "$top" "$out/source" COPYING Documentation Kbuild Kconfig Makefile dkms.conf drivers packaging samples scripts
mv "$out/source/packaging/debian" "$out/source/debian"
rm -r "$out/source/packaging"
if [ $# -eq 2 ]; then
	sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$2\"/" "$out/source/dkms.conf"
	sed -i "1s/(.*)/($2)/" "$out/source/debian/changelog"
fi
(
	cd "$out/source"
	# The compiler is cargo's, so that no cross compiler for arm64 has to be there.
	TOOLS=$tools CRATES=$out/crates.txt dpkg-buildpackage -b -us -uc -a arm64
) >"$log" 2>&1 || {
	tail -n 30 "$log" >&2
	die "the packages do not build; whole log: $log"
}
version=$(dpkg-parsechangelog -l "$out/source/debian/changelog" -S Version)
rm -r "$out/source" "$out/crates.txt"
say "${out#"$top/"}: hisi-acc-vfio-dkms and vfio-mig, $version"
printf 'dkms=%s\ntool=%s\nchanges=%s\n' "$out/hisi-acc-vfio-dkms_${version}_all.deb" \
	"$out/vfio-mig_${version}_arm64.deb" "$out/hisi-acc-vfio_${version}_arm64.changes"
