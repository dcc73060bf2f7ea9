// SPDX-License-Identifier: GPL-2.0-only

//! The file `migration/features`: which parts of the migration protocol a device supports.

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

use crate::{
    bindings::{
        VFIO_MIGRATION_P2P,
        VFIO_MIGRATION_PRE_COPY,
        VFIO_MIGRATION_STOP_COPY, //
    },
    ffi::{
        SeqFileOps,
        VfioDevice, //
    }, //
};

/// Returns the names of what a device with the `VFIO_MIGRATION_*` bits `flags` supports, in the
/// order of the file.
fn names(flags: u32, logs_dirty_pages: bool) -> impl Iterator<Item = &'static str> {
    let has = |flag| flags & flag != 0;

    [
        (has(VFIO_MIGRATION_STOP_COPY), "stop-copy"),
        (has(VFIO_MIGRATION_P2P), "p2p"),
        (has(VFIO_MIGRATION_PRE_COPY), "pre-copy"),
        (logs_dirty_pages, "dirty-tracking"),
    ]
    .into_iter()
    .filter_map(|(supported, name)| supported.then_some(name))
}

/// The file `migration/features`.
pub(crate) struct Features;

impl SeqFileOps for Features {
    const NAME: &'static CStr = c"features";

    /// Prints one feature per line; nothing for a device that has none.
    fn show(device: &VfioDevice, seq: &SeqFile) -> Result {
        for name in names(device.migration_flags(), device.logs_dirty_pages()) {
            seq_print!(seq, "{}\n", name);
        }
        Ok(())
    }
}

#[kunit_tests(vfio_debugfs_features)]
mod tests {
    use super::*;

    #[test]
    fn order_is_fixed() {
        let all = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;

        assert!(names(all, true).eq(["stop-copy", "p2p", "pre-copy", "dirty-tracking"]));
    }

    #[test]
    fn each_is_printed_by_itself() {
        assert!(names(1, false).eq(["stop-copy"]));
        assert!(names(2, false).eq(["p2p"]));
        assert!(names(4, false).eq(["pre-copy"]));
        assert!(names(0, true).eq(["dirty-tracking"]));
    }

    #[test]
    fn unknown_flags_print_nothing() {
        assert_eq!(names(!7, false).count(), 0);
    }
}
