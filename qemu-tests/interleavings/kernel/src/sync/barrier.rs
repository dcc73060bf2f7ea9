// SPDX-License-Identifier: GPL-2.0

//! Memory barriers.

pub use super::atomic::Full;

/// Orders every access before it against every access after it.
#[track_caller]
pub fn smp_mb(_: Full) {
    crate::trace::step(|| "passes a full barrier".into());
    loom::sync::atomic::fence(loom::sync::atomic::Ordering::SeqCst);
}
