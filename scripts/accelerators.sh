#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the drivers of the accelerators, hisi_qm, hisi_zip, hisi_sec2 and hisi_hpre, for a kernel that
# was configured without them, from the source of that kernel. What the kernel has is not built again.
#
# Usage: KDIR=<build directory> KSRC=<kernel source> accelerators.sh <new directory> [make argument]...
#
# The make arguments select compilers, e.g. CROSS_COMPILE=aarch64-linux-gnu-.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -ge 1 ] || die 'usage: KDIR=<build directory> KSRC=<kernel source> accelerators.sh <new directory> [make argument]...'
out=$1
shift
[ -n "${KDIR:-}" ] || die 'KDIR is not set: give the build directory of the kernel'
[ -n "${KSRC:-}" ] || die 'KSRC is not set: give the source of the kernel (Debian: linux-source-<version>, unpacked)'
config=$KDIR/include/config/auto.conf
for file in "$config" "$KDIR/include/config/kernel.release"; do
	[ -s "$file" ] || die "$KDIR is not a prepared kernel build directory: it has no ${file#"$KDIR/"}"
done
drivers=drivers/crypto/hisilicon
[ -f "$KSRC/$drivers/qm.c" ] || die "$KSRC is not the source of a kernel: it has no $drivers/qm.c"
same_version "$KSRC" "$KDIR" "$(<"$KDIR/include/config/kernel.release")"

settings=()
defines=''
for name in QM ZIP SEC2 HPRE; do
	name=CONFIG_CRYPTO_DEV_HISI_$name
	if grep -q "^$name=[ym]" "$config"; then
		settings+=("$name=")
	else
		settings+=("$name=m")
		defines+=" -D${name}_MODULE=1"
	fi
done
[ "$defines" ] || die "the kernel of $KDIR has the drivers of the accelerators"

mkdir -p "$out"
out=$(realpath "$out")
cp -r "$KSRC/$drivers" "$out"
printf 'obj-m += hisilicon/\n' >"$out/Kbuild"
make -C "$KDIR" M="$out" "$@" "${settings[@]}" KCFLAGS="${defines# }" modules
