#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs a command in a Debian 13 of its own, in which the compilers are those that Debian's kernels
# are built with: GCC 14 for arm64, Rust 1.85, bindgen, pahole. Makes that Debian first, once.
#
# Usage: debian13.sh DIRECTORY... -- COMMAND...
#
# The command sees each DIRECTORY of this machine under the same path, and nothing else of it. It
# starts in the first one.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

suite=trixie
packages=(
	bc bindgen binutils-aarch64-linux-gnu bison clang-19 cpio dwarves flex gcc gcc-14-aarch64-linux-gnu
	gcc-arm-linux-gnueabihf kmod libc6-dev libclang-19-dev libdw-dev libelf-dev librust-bitflags-dev
	libssl-dev make openssl patch perl python3 rsync rust-src rustc xz-utils
)

# build INTO: the recipe; its text is part of the key
build() {
	local IFS=,
	need_space 2500
	logged "installing Debian 13 with the compilers of its kernel (500 MB)" 900 "$logs/debian13.log" \
		mmdebstrap --mode=root --variant=minbase --include="${packages[*]}" "$suite" "$1/root" \
		"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $suite main"
}

[ "$(id -u)" = 0 ] || die 'root is needed for a Debian 13 with the compilers of its kernel'
[ "$(mirror)" ] || die "no Debian mirror in apt's configuration; is this Debian?"
command -v mmdebstrap >/dev/null ||
	logged 'installing mmdebstrap' 20 "$logs/mmdebstrap.log" \
		sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends mmdebstrap'

root=$cache/debian13-$(key "$suite" "${packages[*]}" "$(declare -f build)")
(
	lock debian13
	build_once "$root" root
)

directories=()
while [ $# -ne 0 ] && [ "$1" != -- ]; do
	directories+=("$(realpath "$1")")
	shift
done
if [ ${#directories[@]} -eq 0 ] || [ $# -lt 2 ]; then
	die 'usage: debian13.sh DIRECTORY... -- COMMAND...'
fi
shift

# In a mount namespace, so that nothing stays mounted whatever happens.
# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --mount --propagation private bash -ec '
	root=$1
	shift
	first=$1
	while [ "$1" != -- ]; do
		mkdir -p "$root$1"
		mount --rbind "$1" "$root$1"
		shift
	done
	shift
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	exec env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LC_ALL=C.UTF-8 \
		chroot "$root" bash -c "cd \"\$1\" && shift && exec \"\$@\"" debian13 "$first" "$@"
' debian13 "$root" "${directories[@]}" -- "$@"
