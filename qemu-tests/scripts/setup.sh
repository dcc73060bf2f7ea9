#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Installs everything that the recipes need on a base Debian: packages, Rust, bindgen,
# nextest. Another run takes a second. Prints how to build the test program:
#
#	target=<Rust target> [sysroot=<dir>]
#
# Usage: setup.sh [deb]. With "deb" only what vfio-mig and the Debian packages are built with.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

packages=(
	bc bison clang-19 cpio curl dkms file flex git kmod
	libelf-dev libfdt-dev libclang-19-dev libglib2.0-dev libpixman-1-dev libssl-dev lintian lld-19 llvm-19 mmdebstrap
	ninja-build pkg-config procps python3-venv rsync shellcheck zlib1g-dev
)
for_packages=(build-essential ca-certificates debhelper dh-dkms python3 xz-utils)
bindgen=0.72.1
nextest=0.9.143
rust_needed=1.85.0

[ "$(uname -m)" = x86_64 ] || die "the tests require an x86-64 machine, this is $(uname -m)"
command -v apt-get >/dev/null || die "the tests require Debian 12 or later (apt-get not found)"

# at_least VERSION NEEDED
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | sed -n 1p)" = "$2" ]; }

# install PACKAGE...: installs the packages that are missing
install() {
	local missing=() package
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep 'ok installed' >/dev/null ||
			missing+=("$package")
	done
	[ ${#missing[@]} -ne 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "root is needed to install: ${missing[*]}"
	need_space 1500
	logged "installing Debian packages" 900 "$logs/packages.log" \
		sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"' sh "${missing[@]}"
}

rust_by_rustup() {
	local sysroot component
	sysroot=$(rustc --print sysroot)
	[ -d "$sysroot/lib/rustlib/src/rust/library" ] ||
		logged "installing rust-src" 5 "$logs/rust-src.log" rustup component add rust-src
	[ -d "$sysroot/lib/rustlib/aarch64-unknown-linux-musl" ] ||
		logged "installing Rust for the guest" 5 "$logs/rust-target.log" rustup target add aarch64-unknown-linux-musl
	for component in rustfmt clippy; do
		"cargo-${component/rustfmt/fmt}" --version >/dev/null 2>&1 ||
			logged "installing $component" 5 "$logs/rust-$component.log" rustup component add "$component"
	done
	guest='target=aarch64-unknown-linux-musl'
}

# Debian 13 has a sufficiently new Rust under its usual name; Debian 12 has one for its
# browsers.
rust_by_debian() {
	local candidate std
	if ! command -v rustc >/dev/null; then
		candidate=$(apt-cache policy rustc | awk '/Candidate:/ { print $2 }')
		if at_least "${candidate%%+*}" "$rust_needed"; then
			install rustc cargo rust-src rustfmt rust-clippy
		else
			install rustc-web cargo-web rust-web-src rustfmt-web rust-web-clippy
		fi
	fi
	[ -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library" ] ||
		die "Rust's library source is missing: run apt-get install rust-src (or rust-web-src)"

	# The standard library for arm64 is the same package for that architecture.
	install gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	std=$cache/rust-std-arm64-$(key "$(rustc --version)")
	if [ ! -d "$std" ]; then
		rm -rf "$std.new"
		mkdir -p "$std.new"
		(
			guest_std=libstd-rust-dev
			dpkg-query -W rustc-web >/dev/null 2>&1 && guest_std=libstd-rust-web-dev
			# shellcheck disable=SC2016 # a variable of dpkg-query
			same=$(dpkg-query -W -f '${Version}' "$guest_std")
			apt_of own-arm64 arm64
			cd "$std.new"
			logged "fetching Rust for the guest" 2 "$logs/rust-target.log" \
				apt-get download -q "$guest_std=$same"
			dpkg-deb -x ./*.deb .
			rm ./*.deb
		)
		mv "$std.new" "$std"
	fi
	guest="target=aarch64-unknown-linux-gnu sysroot=$std/usr"
}

# cargo_tool NAME CRATE VERSION STEPS
cargo_tool() {
	local found
	found=$("$1" --version 2>/dev/null | sed -n 1p | cut -d' ' -f2) || found=
	[ -n "$found" ] && at_least "$found" "$3" && return
	logged "building $1 $3" "$4" "$logs/$1.log" \
		cargo install --locked --root "$cache/tools" --version "$3" "$2"
}

# A test runs sshd on a port of its own. A machine that had none does not get one for everybody: the
# service is masked before it comes.
ssh_server() {
	local unit
	if [ ! -x /usr/sbin/sshd ]; then
		[ "$(id -u)" = 0 ] || die "root is needed to install: openssh-server"
		mkdir -p /etc/systemd/system
		for unit in ssh.service ssh.socket; do
			[ -e "/etc/systemd/system/$unit" ] || ln -sf /dev/null "/etc/systemd/system/$unit"
		done
	fi
	install openssh-client openssh-server
}

[ "${1:-}" != deb ] || packages=()
lock setup
install "${for_packages[@]}" "${packages[@]}"
[ "${1:-}" = deb ] || ssh_server
if command -v rustup >/dev/null; then rust_by_rustup; else rust_by_debian; fi
version=$(rustc --version | cut -d' ' -f2)
at_least "$version" "$rust_needed" ||
	die "rustc $version is too old for Linux 7.3, which needs $rust_needed: run rustup update, or remove it to have Debian's installed"
if [ "${1:-}" != deb ]; then
	cargo_tool bindgen bindgen-cli "$bindgen" 130
	cargo_tool cargo-nextest cargo-nextest "$nextest" 500
fi
printf '%s\n' "$guest"
