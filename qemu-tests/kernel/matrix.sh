#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Lays our files over the kernel's source as in-tree.patch says, and compiles
# drivers/vfio and our sample in each configuration of matrix.conf, as far as something of it has
# changed. A warning of ours, clippy's too, is an error. Prints for each
#
#	<configuration>=<object folder>
#
# The kernel's source is not touched: the two are one tree in an overlay mount.

# shellcheck source-path=SCRIPTDIR source=../workbench/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../workbench/common.sh"

llvm=-19

here=$tests_dir/kernel
top=$(cd "$tests_dir/.." && pwd)
matrix=$cache/matrix
# Rust's command lines have this name in them, so it is the same for all clones.
tree=$matrix/tree

# lay_out INTO: our files and the patched ones, each in its place
lay_out() {
	local file
	while read -r file; do
		install -D -m 0644 "$src/$file" "$1/$file"
	done < <(sed -n 's,^+++ b/,,p' "$top/in-tree.patch")
	patch -s -p1 -d "$1" <"$top/in-tree.patch" >&2 ||
		die "in-tree.patch does not fit $src"
	cp -r "$top/drivers" "$top/samples" "$1"
}

# mounted COMMAND...: run where $tree is the kernel's source with our files over it.
# The mount is in a namespace of its own: nobody else sees it, and it ends with the command,
# however that ends.
mounted() {
	local user=()
	[ "$(id -u)" = 0 ] || user=(--map-root-user)
	# shellcheck disable=SC2016 # the inner shell's
	unshare --mount "${user[@]}" sh -ec '
		mount -t overlay overlay -o "ro,lowerdir=$1:$2" "$3"
		shift 3
		exec "$@"' mounted "$ours" "$src" "$tree" "$@"
}

is_built() { [ "$(cat "$obj/.built" 2>/dev/null)" = "$state" ]; }

# build OBJ ARCHITECTURE OPTION...
build() {
	local obj=$1 arch=$2 log=$logs/matrix-$name.log make_kernel
	shift 2
	make_kernel=(make -C "$tree" "O=$obj" "ARCH=$arch" "LLVM=$llvm" CLIPPY=1)
	need_space 500
	mkdir -p "$obj"
	# What was compiled before must not be taken for what is compiled now.
	rm -rf "$obj/.built" "$obj/drivers/vfio" "$obj/samples"
	{ cat "$here/matrix.config" && printf 'CONFIG_%s\n' "$@"; } >"$obj/fragments.config"
	mounted "${make_kernel[@]}" KCONFIG_ALLCONFIG="$obj/fragments.config" allnoconfig >"$log.config" 2>&1 ||
		die "configuring $name failed; log: $log.config"
	honoured "$obj/fragments.config" "$obj/.config"
	logged "building drivers/vfio in the tree, configuration $name" 180 "$log" \
		mounted "${make_kernel[@]}" -j"$jobs" drivers/vfio/ samples/
	! grep -h -A5 'warning' "$log" "$log.config" | grep -E '(drivers/vfio|samples/vfio-rust)/' >&2 ||
		die "configuration $name has warnings; whole logs: $log, $log.config"
	printf '%s' "$state" >"$obj/.built"
}

where=$("$here/source.sh")
src=$(fact src "$where")
source=$(key "$(fact source "$where")" "$src")

mkdir -p "$tree"
ours=$(mktemp -d "$matrix/ours.XXXXXX")
trap 'rm -rf "$ours"' EXIT
lay_out "$ours"
files=$(cd "$ours" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
tools=$(rustc --version && bindgen --version && "clang$llvm" --version)

mounted true 2>"$logs/matrix-mount.log" ||
	die "cannot lay our files over the kernel's source: no overlay mount here ($(tail -n 1 "$logs/matrix-mount.log")); it takes root or user namespaces, and in a container the right to mount"

while read -r name arch options; do
	read -ra options <<<"$options"
	# Kbuild knows what to do about whatever else has changed, but not about another source.
	obj=$matrix/$name-$source
	state=$(key "$files" "$tools" "$here/matrix.config" "$arch" "${options[@]}" "$(declare -f build)")
	is_built || (
		lock "matrix-$name"
		is_built || build "$obj" "$arch" "${options[@]}" </dev/null
	)
	printf '%s=%s\n' "$name" "$obj"
done < <(grep '^[^#]' "$here/matrix.conf")
