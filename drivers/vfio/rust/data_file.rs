// SPDX-License-Identifier: GPL-2.0

//! The file through which migration data leave or enter a device.
//!
//! The file holds a session and never the device: it can outlive the device's last user and the
//! driver's binding. User memory is accessed while at most the file's own lock is held, and only
//! reads and writes of the same file wait for that lock. Therefore a page fault on the device's own
//! memory may wait for a reset, and a reset for the session.
//!
//! C headers: [`include/linux/anon_inodes.h`](srctree/include/linux/anon_inodes.h),
//! [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

mod fops;
mod poll;
mod session;

pub(crate) use self::{
    poll::Waiters,
    session::{
        Readable,
        ResumingSession,
        SavingSession,
        Writable, //
    }, //
};

use self::fops::{
    ResumingFileOps,
    SavingFileOps, //
};
use kernel::{
    fs::File,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

/// Creates the file of a session, to read its data from.
///
/// # Errors
///
/// Those of `anon_inode_getfile()`.
pub(crate) fn saving_file<S: SavingSession>(
    name: &CStr,
    session: Arc<Readable<S>>,
) -> Result<ARef<File>> {
    SavingFileOps::<S>::open(name, session)
}

/// Creates the file of a session, to write its data to.
///
/// # Errors
///
/// Those of `anon_inode_getfile()`.
pub(crate) fn resuming_file<S: ResumingSession>(
    name: &CStr,
    session: Arc<Writable<S>>,
) -> Result<ARef<File>> {
    ResumingFileOps::<S>::open(name, session)
}
