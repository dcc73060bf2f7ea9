# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Runs programs of arm64 under QEMU's emulation of programs. The kernel is told of it in a user namespace,
# so that this machine as a whole goes on to refuse them.
#
# The recipes source this file; it is not a program.

# in_namespace EMULATOR COMMAND...: runs a command in a user namespace, with all users mapped, where
# programs for arm64 run under EMULATOR
in_namespace() {
	local pipes child
	pipes=$(mktemp -d)
	mkfifo "$pipes/ready" "$pipes/mapped"
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --user --mount --propagation private bash -ec '
		echo $$ >"$1/ready"
		read -r _ <"$1/mapped"
		rm -r "$1"
		mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
		magic="\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
		mask="\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
		printf ":arm64:M::%s:%s:%s:F" "$magic" "$mask" "$2" >/proc/sys/fs/binfmt_misc/register
		shift 2
		exec "$@"
	' in_namespace "$pipes" "$@" &
	read -r child <"$pipes/ready"
	echo '0 0 4294967295' >"/proc/$child/uid_map"
	echo '0 0 4294967295' >"/proc/$child/gid_map"
	echo mapped >"$pipes/mapped"
	wait $!
}
