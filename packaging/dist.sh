#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the release tarball, hisi-acc-vfio-<version>.tar.xz, and prints
#
#	tarball=<file>
#
# Usage: dist.sh [DIRECTORY]. The default is build/dist; what is in it is removed.
#
# It has all files of the project, and the crates that vfio-mig and the kernel modules are built
# from, so that `make tools`, `make deb` and `make modules` work without network. The tests fetch
# what they need.

# shellcheck source-path=SCRIPTDIR source=../qemu-tests/scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../qemu-tests/scripts/common.sh"
# shellcheck source-path=SCRIPTDIR source=files.sh
. "$(dirname "${BASH_SOURCE[0]}")/files.sh"

top=$(cd "$tests_dir/.." && pwd)
out=${1:-$top/build/dist}
[ -e "$top/.git" ] || die "$top is a release already: it has no .git"
"$tests_dir/scripts/setup.sh" deb >/dev/null
version=$(dpkg-parsechangelog -l "$top/packaging/debian/changelog" -S Version)
# The time of all files, so that the same files make the same tarball
date=$(dpkg-parsechangelog -l "$top/packaging/debian/changelog" -S Date)
name=hisi-acc-vfio-$version

rm -rf "$out"
mkdir -p "$out/$name"
copy_files "$top" "$out/$name"
(
	cd "$out/$name"
	# bitflags.sh finds its own there.
	cargo vendor -q --locked --versioned-dirs --manifest-path tools/vfio-mig/Cargo.toml \
		--sync scripts/crates/Cargo.toml vendor
	mkdir tools/.cargo
	cat >tools/.cargo/config.toml <<-CONFIG
		# SPDX-License-Identifier: GPL-2.0

		# The crates are in this tarball.
		[source.crates-io]
		replace-with = "vendored-sources"

		[source.vendored-sources]
		directory = "../vendor"
	CONFIG
) || die 'cargo cannot fetch the crates'
tar -C "$out" --sort=name --mtime="$date" --owner=0 --group=0 --numeric-owner --mode=go=rX,u+w \
	-cf "$out/$name.tar" "$name"
xz -T0 -9 "$out/$name.tar"
rm -r "${out:?}/$name"
say "${out#"$top/"}/$name.tar.xz"
printf 'tarball=%s\n' "$out/$name.tar.xz"
