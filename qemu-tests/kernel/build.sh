#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Fetches, verifies, unpacks and builds the kernel under test, once for every
# state of what goes into it. Prints the two folders it ends with:
#
#	src=<source tree> obj=<object tree>
#
# Usage: build.sh [normal|debug|kcsan]
#
# KERNEL_SRC=<folder or tarball> stands in for the pinned Debian package.

# shellcheck source-path=SCRIPTDIR source=../workbench/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../workbench/common.sh"

package=linux-source-7.3
version='7.3.4-1~bpo13+1'
sha256=703e369ddd4cce971452f5a593ee55df3a5c10c83caf0fa0df039633ed181ee3
llvm=-19

here=$tests_dir/kernel
variant=${1:-normal}
fragments=("$here/host.config")
case $variant in
normal) ;;
debug | kcsan) fragments+=("$here/$variant.config") ;;
*) die "unknown kernel variant '$variant'; there are: normal, debug, kcsan" ;;
esac

fetch() {
	local file=$cache/downloads/${package}_${version}.deb newest
	mkdir -p "$cache/downloads"
	if [ ! -f "$file" ]; then
		(
			apt_of backports amd64 "deb trixie-backports"
			if ! apt-cache madison "$package" | grep -F "$version" >/dev/null; then
				newest=$(apt-cache madison "$package" | awk 'NR == 1 { print $3 }')
				die "$package $version is gone from the mirror; newest there: ${newest:-none}." \
					"Set KERNEL_SRC=<folder or tarball of Linux 7.3>, or change the pin in $here/build.sh"
			fi
			need_space 400
			cd "$cache/downloads"
			logged "fetching $package $version (167 MB)" 3 "$logs/kernel-fetch.log" \
				apt-get download -q "$package=$version"
			mv "${package}_"*.deb "$file.new"
			verify "$file.new" "$sha256"
			mv "$file.new" "$file"
		)
	fi
	printf '%s' "$file"
}

# unpack INTO: leaves the top of the kernel tree in INTO
unpack() {
	local file
	need_space 3500
	rm -rf "$1.new"
	mkdir -p "$1.new"
	if [ -n "${KERNEL_SRC:-}" ]; then
		logged "unpacking $KERNEL_SRC" 1 "$logs/kernel-unpack.log" \
			tar -C "$1.new" --strip-components=1 -xf "$KERNEL_SRC"
	else
		file=$(fetch)
		# shellcheck disable=SC2016
		logged "unpacking Linux ${version%%-*}" 1 "$logs/kernel-unpack.log" bash -o pipefail -c '
			dpkg-deb --fsys-tarfile "$1" | tar -xO "./usr/src/$2.tar.xz" |
				xz -dc -T0 | tar -C "$3" --strip-components=1 -x' unpack "$file" "$package" "$1.new"
	fi
	rm -rf "$1"
	mv "$1.new" "$1"
}

if [ -n "${KERNEL_SRC:-}" ]; then
	[ -e "$KERNEL_SRC" ] || die "KERNEL_SRC=$KERNEL_SRC does not exist"
	source=$(source_key "$KERNEL_SRC")
else
	source=$sha256
fi
if [ -d "${KERNEL_SRC:-/nonexistent}" ]; then
	src=$(cd "$KERNEL_SRC" && pwd)
else
	src=$cache/linux-$(key "$source")
	[ -d "$src" ] || (
		lock kernel
		[ -d "$src" ] || unpack "$src"
	)
fi
[ -f "$src/rust/kernel/fwctl.rs" ] || die "$src is not a Linux 7.3 source tree"

# build OBJ: the recipe itself. Its text is part of the key, as bash prints it, so
# that a comment does not cost a kernel.
build() {
	local log=$logs/kernel-$variant.log make_kernel
	make_kernel=(make -C "$src" "O=$1" ARCH=arm64 "LLVM=$llvm")
	need_space 2500
	mkdir -p "$1"
	cat "${fragments[@]}" >"$1/fragments.config"
	"${make_kernel[@]}" rustavailable >"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		die "the kernel does not accept this Rust; log: $log"
	}
	"${make_kernel[@]}" KCONFIG_ALLCONFIG="$1/fragments.config" allnoconfig >>"$log" 2>&1 ||
		die "configuring the kernel failed; log: $log"
	honoured "$1/fragments.config" "$1/.config"
	logged "building the $variant kernel, 5 to 15 minutes on 2 cores" 1900 "$log" \
		"${make_kernel[@]}" -j"$jobs" Image modules
	touch "$1/.built"
}

# honoured FRAGMENT CONFIG: a line that kconfig silently dropped is an error here
honoured() {
	local name value
	while IFS='=' read -r name value; do
		if [ "$value" = n ]; then
			! grep -q "^$name=" "$2"
		else
			grep -qxF -- "$name=$value" "$2"
		fi || die "the kernel configuration did not take $name=$value"
	done < <(awk -F= '/^CONFIG_/ { last[$1] = $0 } END { for (n in last) print last[n] }' "$1")
}

obj=$cache/kernel-$variant-$(key "$src" "$source" "${fragments[@]}" "$(declare -f build)" \
	"$(rustc --version)" "$(bindgen --version)" "$("clang$llvm" --version | sed -n 1p)")
[ -f "$obj/.built" ] || (
	lock kernel
	[ -f "$obj/.built" ] || build "$obj"
)
printf 'src=%s obj=%s\n' "$src" "$obj"
