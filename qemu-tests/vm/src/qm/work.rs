// SPDX-License-Identifier: GPL-2.0

//! What the driver of a queue manager needs of the engine behind it, and of the engine's requests.

use anyhow::Result;
use fastrand::Rng;

use super::layout::Entry;
use super::slot::Slot;

/// What the driver of a queue manager needs to know of the engine behind it.
pub trait Engine: Sync {
    /// Bytes of a submission queue entry, a power of two up to 128.
    fn entry_size(&self) -> usize;

    /// Algorithm type of the queue with this number.
    fn algorithm(&self, queue: u16) -> u16;

    /// Makes up a request for that queue.
    fn work(&self, queue: u16, random: &mut Rng) -> Box<dyn Work>;

    /// The tag of a request, from its entry.
    fn tag(&self, entry: &Entry) -> u64;
}

/// One request: what goes in, what has to come out.
pub trait Work: Send {
    /// Puts everything that goes in into `slot`; the request's entry.
    fn submit(&self, slot: &Slot<'_>, tag: u64, random: &mut Rng) -> Vec<u8>;

    /// Whether the outcome in `entry` and what is in `slot` are right, byte for byte.
    fn check(&self, slot: &Slot<'_>, entry: &Entry) -> Result<()>;
}
