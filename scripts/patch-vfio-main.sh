#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Writes a copy of a kernel's drivers/vfio/vfio_main.c that has vfio_main.patch applied. Each line
# around a change must be as in the patch; the numbers of the lines may differ.
#
# Prints why not, in one line, if the patch does not apply; the copy does not exist then.
#
# Usage: patch-vfio-main.sh VFIO_MAIN_C COPY

set -euo pipefail

die() {
	printf 'error: %s; CONFIG_VFIO_DEBUGFS_HISTORY=n builds vfio.ko without the history\n' "$*" >&2
	exit 1
}

patch=$(dirname "${BASH_SOURCE[0]}")/../drivers/vfio/core_debugfs/vfio_main.patch
command -v patch >/dev/null || die 'there is no patch: install the package patch'
rm -f "$2"
if ! command patch -s -f -F0 -r - -o "$2" "$1" "$patch" >/dev/null 2>&1; then
	rm -f "$2"
	die "$1 is not the file that vfio_main.patch is for"
fi
