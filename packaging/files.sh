# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the packages and the release tarball consist of. dist.sh and deb.sh source this file; it is not a
# program.

# copy_files TOP INTO [PATH...]: copies the project's files, or only those under the paths: what git
# would track, as it is now. A release tarball has no others but results of builds.
copy_files() {
	local top=$1 into=$2
	shift 2
	(
		cd "$top" || exit
		if [ -e .git ]; then
			git ls-files -z --cached --others --exclude-standard -- "$@"
		else
			find "${@:-.}" -path ./build -prune -o -path ./qemu-tests/target -prune -o ! -type d -print0
		fi
	) | tar -C "$top" --null --no-recursion -T - -c | tar -C "$into" -x
}
