#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Overlays the kernel's source with our files as described in Documentation/in-tree.rst, and
# compiles drivers/vfio and our sample in each configuration of matrix.conf that has not been
# compiled yet. Warnings in our files, including those of clippy, are errors. One configuration is
# compiled with the oldest Rust accepted by Linux 7.3. Prints for each configuration
#
#	<configuration>=<directory with the objects>
#
# The kernel's source is not modified: the tree that is compiled consists of links to it.

# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

llvm=-19

here=$tests_dir/kernel
top=$(cd "$tests_dir/.." && pwd)
matrix=$cache/matrix
# Rust's command lines contain this name, so it is the same for all clones.
tree=$matrix/tree

# collect INTO: copies our files and the patched ones to their places
collect() {
	local file patch
	for patch in "$top/Documentation/in-tree.patch" "$top/drivers/vfio/core_debugfs/vfio_main.patch"; do
		while read -r file; do
			install -D -m 0644 "$src/$file" "$1/$file"
		done < <(sed -n 's,^+++ b/,,p' "$patch")
		patch -s -p1 -d "$1" <"$patch" >&2 ||
			die "${patch##*/} does not fit $src"
	done
	cp -r "$top/drivers" "$top/samples" "$1"
	cp "$top/Kconfig" "$1/drivers/vfio/rust/Kconfig"
	bitflags=$("$top/scripts/bitflags.sh")
	mkdir -p "$1/rust/bitflags"
	cp -r "$bitflags/src" "$1/rust/bitflags"
}

# lay_out: fills $tree with links to the kernel's source, and with our files
lay_out() {
	local folder
	find "$tree" -mindepth 1 -delete
	# A directory without any of our files is a single link.
	while read -r folder; do
		[ ! -L "$tree/$folder" ] || rm "$tree/$folder"
		mkdir -p "$tree/$folder"
		[ ! -d "$src/$folder" ] ||
			find "$src/$folder" -mindepth 1 -maxdepth 1 -exec ln -s -t "$tree/$folder" {} +
	done < <(cd "$ours" && find . -type d)
	cp -r --remove-destination "$ours/." "$tree"
}

# build OBJ ARCHITECTURE RUST OPTION...
build() {
	local obj=$1 arch=$2 rust=$3 log=$logs/matrix-$name.log make_kernel
	shift 3
	make_kernel=(make -C "$tree" "O=$obj" "ARCH=$arch" "LLVM=$llvm")
	case $rust in
	newest) make_kernel+=(CLIPPY=1) ;;
	oldest) make_kernel+=("RUSTC=$oldest_rustc" "HOSTRUSTC=$oldest_rustc") ;;
	*) die "unknown Rust '$rust' of configuration $name; there are: newest, oldest" ;;
	esac
	need_space 500
	mkdir -p "$obj"
	# Objects of an earlier build must not be mistaken for those of this one.
	rm -rf "$obj/drivers/vfio" "$obj/samples"
	{ cat "$here/matrix.config" && printf 'CONFIG_%s\n' "$@"; } >"$obj/fragments.config"
	"${make_kernel[@]}" KCONFIG_ALLCONFIG="$obj/fragments.config" allnoconfig >"$log.config" 2>&1 ||
		die "configuring $name failed; log: $log.config"
	honoured "$obj/fragments.config" "$obj/.config"
	logged "building drivers/vfio in the tree, configuration $name" 180 "$log" \
		"${make_kernel[@]}" -j"$jobs" drivers/vfio/ samples/
	! grep -h -A5 'warning' "$log" "$log.config" | grep -E '(drivers/vfio|samples/vfio-rust)/' >&2 ||
		die "configuration $name has warnings; whole logs: $log, $log.config"
}

# keep OBJ RESULT: copies the objects to where no later build changes them
keep() {
	rm -rf "$2.new"
	mkdir -p "$2.new/drivers"
	cp -r "$1/drivers/vfio" "$2.new/drivers"
	[ ! -d "$1/samples" ] || cp -r "$1/samples" "$2.new"
	mv "$2.new" "$2"
}

where=$("$here/source.sh")
src=$(fact src "$where")
source=$(key "$(fact source "$where")" "$src")

mkdir -p "$tree"
ours=$(mktemp -d "$matrix/ours.XXXXXX")
trap 'rm -rf "$ours"' EXIT
collect "$ours"
files=$(cd "$ours" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
oldest_rustc=$(fact rustc "$("$tests_dir/scripts/oldest_rust.sh")")
tools=$(rustc --version && "$oldest_rustc" --version && bindgen --version && "clang$llvm" --version)

while read -r name arch rust options; do
	read -ra options <<<"$options"
	# Kbuild detects all other changes, but not a change of the source.
	obj=$matrix/$name-$source
	result=$obj-$(key "$files" "$tools" "$here/matrix.config" "$arch" "$rust" "${options[@]}" "$(declare -f lay_out build keep)")
	[ -d "$result" ] || (
		lock matrix
		[ -d "$result" ] || {
			lay_out
			build "$obj" "$arch" "$rust" "${options[@]}" </dev/null
			keep "$obj" "$result"
		}
	)
	printf '%s=%s\n' "$name" "$result"
done < <(grep '^[^#]' "$here/matrix.conf")
