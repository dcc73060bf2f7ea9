#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs all checkers on all files of this project. Names the checkers that report something
# and fails only at the end, so that one run shows all problems.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

top=$(cd "$tests_dir/.." && pwd)
kernel=$("$tests_dir/kernel/build.sh")
src=$(fact src "$kernel")
obj=$(fact obj "$kernel")
qemu=$("$tests_dir/qemu/build.sh")
failed=()

# check NAME COMMAND...
check() {
	local name=$1
	shift
	printf '%s\n' "$name"
	"$@" || failed+=("$name")
}

cd "$top"
mapfile -t kernel_rust < <(git ls-files 'drivers/*.rs' 'samples/*.rs')
mapfile -t kernel_c < <(git ls-files 'drivers/*.[ch]' 'qemu-tests/kernel/*.[ch]')
mapfile -t shim < <(git ls-files 'qemu-tests/qemu/*.[ch]')
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)

# of_modules LOG GOAL...
of_modules() {
	local log=$logs/$1.log
	shift
	make -s KDIR="$obj" MO="$top/build/normal/modules" "$@" >"$log" 2>&1 || {
		cat "$log"
		return 1
	}
}

# marked_comments: the kernel's coding-guidelines.rst requires comments to be sentences;
# neither the kernel's checkers nor clippy check the first letter.
marked_comments() {
	! git grep -nE '// (SAFETY|INVARIANT|CAST|PANIC): [a-z]' -- '*.rs'
}

# unsafe_code: outside of the crate vfio it is in files named ffi.rs only. The crates of interleavings
# stand in for core, kernel and the bindings of C, whose functions and traits are unsafe, under the
# names that these have.
unsafe_code() {
	! git grep -nw unsafe -- '*.rs' ':!drivers/vfio/rust' ':!*/ffi.rs' ':!qemu-tests/interleavings' |
		grep -vE '^[^:]*:[0-9]*:[[:space:]]*//'
}

# licenses: the shim is part of QEMU, everything else has the kernel's license.
licenses() {
	local wrong
	wrong=$(
		git grep -n 'SPDX-License-Identifier:' -- ':!qemu-tests/qemu' ':!qemu-tests/scripts/lint.sh' |
			grep -vE 'SPDX-License-Identifier: GPL-2\.0( \*/)?$'
		git ls-files -z '*.rs' '*.[ch]' '*.sh' '*.py' '*.mk' '*.rst' '*Kconfig' '*Makefile' '*Kbuild' |
			xargs -0 grep -L 'SPDX-License-Identifier:'
	) || true
	printf '%s' "${wrong:+$wrong$'\n'}"
	[ -z "$wrong" ]
}

# words: phrases that readers of the pages and of the drivers have stumbled over
words() {
	! git grep -niwE 'of ours|for ever|by itself|whoever|is told|are told|who asks|who has made|who has$' -- \
		drivers samples Documentation README.md
}

# The top files of the crates whose files must not import each other in circles.
crates=(
	drivers/vfio/rust/vfio.rs
	drivers/vfio/core_debugfs/debugfs.rs
	drivers/vfio/pci/hisi_acc_rs/hisi_acc_vfio_pci_rs.rs
	qemu-tests/accel/src/lib.rs
	qemu-tests/linux/src/lib.rs
	qemu-tests/vfio-client/src/lib.rs
	qemu-tests/vm/src/lib.rs
	qemu-tests/control/src/lib.rs
	qemu-tests/protocol/src/lib.rs
	qemu-tests/monitor/src/lib.rs
	qemu-tests/init/src/main.rs
	tools/vfio-mig/src/lib.rs
)

check 'rustfmt, kernel side' rustfmt --check --edition 2021 --config-path "$src/.rustfmt.toml" "${kernel_rust[@]}"
check 'clippy, kernel side' of_modules clippy modules_clippy CONFIG_SAMPLE_VFIO_EDU_RUST=m CRYPTO_CHECK=m
check 'rustdoc, kernel side' of_modules rustdoc modules_doc
check 'checkpatch' "$src/scripts/checkpatch.pl" --strict --no-tree --terse --quiet --show-types \
	--ignore FILE_PATH_CHANGES,SPDX_LICENSE_TAG -f "${kernel_c[@]}"
check 'checkpatch of QEMU' env -C "${qemu##*src=}" scripts/checkpatch.pl --no-tree --terse --strict -q -f "${shim[@]/#/$top/}"
check 'checkpatch of patches for QEMU' env -C "${qemu##*src=}" scripts/checkpatch.pl --no-tree --terse -q "$top"/qemu-tests/qemu/patches/*.patch
# Without the history of Linux, a Fixes: line cannot be checked.
check 'checkpatch of patches for Linux' "$src/scripts/checkpatch.pl" --strict --no-tree --terse --quiet --show-types \
	--ignore UNKNOWN_COMMIT_ID "$top"/qemu-tests/kernel/patches/*.patch
check 'marked comments' marked_comments
check 'unsafe code' unsafe_code
check 'licenses' licenses
check 'circular imports' python3 scripts/import-circles.py "${crates[@]}"
check 'words' words
check 'checkpatch of fixes for QEMU' env -C "${qemu##*src=}" scripts/checkpatch.pl --no-tree --terse --strict -q \
	"$top"/qemu-tests/monitor-qemu/patches/*.patch
check 'rustfmt, qemu-tests' env -C qemu-tests cargo fmt --all --check
check 'clippy, qemu-tests' env -C qemu-tests cargo clippy -q --locked --workspace --exclude init --all-targets -- -D warnings
check 'clippy, init' env -C qemu-tests cargo clippy -q --locked -p init -p linux -p vfio-client -p vm -p control -p monitor \
	--target aarch64-unknown-linux-musl -- -D warnings
check 'rustfmt, tools' env -C tools/vfio-mig cargo fmt --check
check 'clippy, tools' env -C tools/vfio-mig cargo clippy -q --locked --all-targets -- -D warnings
check 'shellcheck' shellcheck -x "${scripts[@]}"

[ ${#failed[@]} -eq 0 ] || die "lint: ${failed[*]}"
say 'lint: clean'
