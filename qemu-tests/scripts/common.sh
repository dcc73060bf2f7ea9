# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions shared by the recipes: location of the cache, verification of downloads,
# one-line error messages, progress of long steps.
#
# The recipes source this file; it is not a program.

# With pipefail, a command that exits early (grep -q, head) must not be at the end of a
# pipe: the command that writes into the pipe could be killed by SIGPIPE.
set -euo pipefail
shopt -s inherit_errexit

# shellcheck disable=SC2034 # used by the recipes
tests_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Builds of kernel and QEMU are kept outside of the clone: clones with the same sources
# share them.
cache=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hisi-acc-vfio}
logs=${LOGS:-$cache/logs}
# shellcheck disable=SC2034 # used by the recipes
jobs=${JOBS:-$(nproc)}
export PATH="$cache/tools/bin:$PATH"

say() { printf '%s\n' "$*" >&2; }

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

mkdir -p "$cache" "$logs" 2>/dev/null ||
	die "cannot create $cache; set CACHE=<dir with 12 GiB free>"

# Allows one builder at a time for each cached item, so that two clones can build at once.
lock() {
	exec {lock_fd}>"$cache/$1.lock"
	flock -n "$lock_fd" || {
		say "waiting for another build of $1 ..."
		flock "$lock_fd"
	}
}

# need_space MIB: checks that the file system of the cache has that much free space
need_space() {
	local free
	free=$(df -Pm "$cache" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] ||
		die "$cache has $free MiB free, this step needs $1; free some or set CACHE="
}

# key FILE-OR-TEXT...: prints a short name for the inputs of a build
key() {
	local part
	for part in "$@"; do
		if [ -f "$part" ]; then cat "$part"; else printf '%s\n' "$part"; fi
	done | sha256sum | cut -c1-16
}

# source_key DIR-OR-TARBALL: prints a key for a source supplied by the user
source_key() {
	if [ -d "$1" ]; then
		find "$1" -name .git -prune -o -type f -printf '%P %s %T@\n' |
			LC_ALL=C sort | sha256sum | cut -c1-16
	else
		sha256sum "$1" | cut -c1-16
	fi
}

# logged TITLE STEPS LOG COMMAND...: runs COMMAND with all output in LOG and shows the
# progress meanwhile: ninja's own [n/m], or else the number of output lines, of about
# STEPS. On failure shows the end of LOG.
logged() {
	local title=$1 steps=$2 log=$3 status=0 terminal=0
	shift 3
	mkdir -p "$(dirname "$log")"
	say "$title (log: $log)"
	[ -t 2 ] && terminal=1
	"$@" 2>&1 | tee "$log" | awk -v n="$steps" -v terminal="$terminal" '
		NR == 1 { unit = n / 10 }
		match($0, /^\[[0-9]+\/[0-9]+\]/) {
			split(substr($0, 2, RLENGTH - 2), step, "/")
			done = step[1] - 1; n = step[2]; unit = n / 10
		}
		{ done++ }
		done > n { next }
		terminal && NR % 5 == 0 { printf "\r  %d%% (%d of about %d steps) ", 100 * done / n, done, n; fflush() }
		!terminal && done >= next_mark { printf "  %d%% (%d of about %d steps)\n", 100 * done / n, done, n; fflush(); next_mark = done + unit }
		END { if (terminal) printf "\r%60s\r", "" }' >&2 || status=$?
	if [ "$status" -ne 0 ]; then
		grep -E '(^|[ :])(error|Error|ERROR|FAILED|fatal)[ :\[]' "$log" | head -n 20 >&2 || true
		tail -n 15 "$log" >&2
		if grep -q 'No space left on device' "$log"; then
			die "$title: the disk is full; free some space or set CACHE="
		fi
		die "$title failed; whole log: $log"
	fi
}

# codename: prints the name of this Debian release
codename() {
	# shellcheck disable=SC1091
	(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
}

# mirror: prints the machine's own mirror, from its apt configuration
mirror() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		awk -v r="$(codename)" '$2 == r && !found++ { sub(/\/$/, "", $1); print $1 }'
}

# apt_of NAME ARCHITECTURE [LINE...]: sets up an apt separate from the machine's, for
# other suites or another architecture, with the same mirror and the same keyring. The
# machine's apt never sees any of it.
# LINE is "deb <suite>" or "deb-src <suite>"; without any, the machine's own suites are
# used.
apt_of() {
	local dir=$cache/apt-$1 arch=$2 uri line
	shift 2
	uri=$(mirror)
	[ -n "$uri" ] || die "no Debian mirror in apt's configuration; is this Debian?"
	mkdir -p "$dir"/{lists/partial,archives/partial}
	: >"$dir/status"
	: >"$dir/sources.conf"
	for line in "$@"; do
		printf '%s [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
			"${line% *}" "$uri" "${line#* }"
	done >"$dir/sources.list"
	[ $# -eq 0 ] || cat >"$dir/sources.conf" <<-CONF
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "-";
	CONF
	cat "$dir/sources.conf" - >"$dir/apt.conf" <<-CONF
		Dir::State::lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir";
		Acquire::Languages "none";
		Acquire::Retries "3";
		APT::Sandbox::User "root";
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
	CONF
	export APT_CONFIG=$dir/apt.conf
	if [ -z "$(find "$dir/updated" -mmin -720 2>/dev/null)" ]; then
		apt-get update -q >"$dir/update.log" 2>&1 ||
			die "apt cannot read $uri; check the network (log: $dir/update.log)"
		touch "$dir/updated"
	fi
}

# unpack_packages TITLE STEPS LOG INTO SUITE PACKAGE...: fetches packages and all that they depend on, by
# the apt that apt_of has set up, and unpacks them into the directory INTO/root
unpack_packages() {
	local title=$1 steps=$2 log=$3 into=$4 suite=$5 file
	shift 5
	mkdir -p "$into/archives/partial" "$into/root"
	# Nothing is installed in this separate apt, so apt fetches all dependencies.
	logged "$title" "$steps" "$log" \
		apt-get install -qy --download-only --no-install-recommends -t "$suite" \
		-o "Dir::Cache::archives=$into/archives" "$@"
	for file in "$into"/archives/*.deb; do
		dpkg-deb -x "$file" "$into/root"
	done
	rm -r "$into/archives"
}

# libraries FILE: prints the names of the shared libraries that a program or library is
# linked to
libraries() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

# closure ROOT FILE: prints the paths of FILE's libraries in ROOT, of their libraries, and
# so on, one per line
closure() {
	local queue=("$2") name path
	declare -A seen=()
	while [ ${#queue[@]} -ne 0 ]; do
		for name in $(libraries "${queue[0]}"); do
			[ -z "${seen[$name]:-}" ] || continue
			path=$(find "$1" -name "$name" -print -quit)
			[ -n "$path" ] || die "no package has $name, which $2 needs"
			seen[$name]=$path
			queue+=("$path")
		done
		queue=("${queue[@]:1}")
	done
	printf '%s\n' "${seen[@]}" | LC_ALL=C sort
}

# verify FILE SHA256
verify() {
	local got
	got=$(sha256sum "$1" | cut -d' ' -f1)
	[ "$got" = "$2" ] || {
		rm -f "$1"
		die "$(basename "$1"): sha256 is $got, expected $2; the broken download is removed, run again"
	}
}

# build_once DIR NAME: calls the recipe's function build with a new directory, and
# moves NAME from there to DIR, unless DIR exists already
build_once() {
	local scratch
	[ ! -d "$1" ] || return 0
	scratch=$(mktemp -d "$1.XXXXXX")
	# shellcheck disable=SC2064 # the variable is gone at exit
	trap "rm -rf ${scratch@Q}" EXIT
	build "$scratch"
	mv "$scratch/$2" "$1"
}

# fact NAME "a=b c=d": prints the value of NAME
fact() { tr ' ' '\n' <<<"$2" | sed -n "s/^$1=//p"; }

# honoured FRAGMENT CONFIG: fails if kconfig has silently dropped a line of FRAGMENT
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

# arm64_linker SYSROOT: sets up cargo to build static programs for arm64. Debian's Rust has no musl
# for arm64; a static glibc is sufficient. SYSROOT is empty if there is musl.
arm64_linker() {
	[ -n "$1" ] || return 0
	export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
	export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="--sysroot=$1 -Ctarget-feature=+crt-static"
}
