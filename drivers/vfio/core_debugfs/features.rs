// SPDX-License-Identifier: GPL-2.0

//! The file `migration/features`: which parts of the migration protocol a device supports.

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

use crate::{
    file::{
        MigratableDevice,
        SeqFileOps, //
    },
    migration_features::Features, //
};

/// Returns the names of `features` in the order of the file, followed by the name of dirty page
/// tracking.
fn names(features: Features, logs_dirty_pages: bool) -> impl Iterator<Item = &'static str> {
    [
        (features.contains(Features::STOP_COPY), "stop-copy"),
        (features.contains(Features::P2P), "p2p"),
        (features.contains(Features::PRE_COPY), "pre-copy"),
        (logs_dirty_pages, "dirty-tracking"),
    ]
    .into_iter()
    .filter_map(|(supported, name)| supported.then_some(name))
}

/// The file `migration/features`.
pub(crate) struct FeaturesFile;

impl SeqFileOps for FeaturesFile {
    const NAME: &'static CStr = c"features";

    /// Prints one feature per line, or nothing if there is none.
    fn show(device: &impl MigratableDevice, seq: &SeqFile) -> Result {
        for name in names(device.migration_features(), device.logs_dirty_pages()) {
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
        assert!(names(Features::all(), true).eq([
            "stop-copy",
            "p2p",
            "pre-copy",
            "dirty-tracking"
        ]));
    }

    #[test]
    fn each_is_printed_by_itself() {
        assert!(names(Features::STOP_COPY, false).eq(["stop-copy"]));
        assert!(names(Features::P2P, false).eq(["p2p"]));
        assert!(names(Features::PRE_COPY, false).eq(["pre-copy"]));
        assert!(names(Features::empty(), true).eq(["dirty-tracking"]));
    }

    #[test]
    fn unknown_flags_print_nothing() {
        let unknown = Features::from_bits_retain(!Features::all().bits());

        assert_eq!(names(unknown, false).count(), 0);
    }
}
