// SPDX-License-Identifier: GPL-2.0

//! The accelerators, one file each: their ids, their drivers, and work for their engines.
//!
//! What comes out of an engine is compared byte for byte with what this program has computed
//! itself. Outside of these files the engine of an accelerator is known only as [`Engine`];
//! scenarios about one accelerator choose it by name.

mod hpre;
mod sec;
mod zip;

use anyhow::Result;
use fastrand::Rng;
use protocol::{List, Setup};

use crate::qm::{Engine, IOVA, Vm};
pub use hpre::HPRE;
pub use sec::SEC;
pub use zip::{SMALL_ZIP, ZIP};

/// An accelerator, as a host knows it.
pub struct Accelerator {
    /// Which one it is.
    pub kind: protocol::Engine,
    /// Id of the emulated device.
    pub id: &'static str,
    /// PCI device of the PF.
    pub pf: u16,
    /// PCI device of a VF, also what the migration stream names.
    pub vf: u16,
    /// The PF's driver.
    pub module: &'static str,
    /// Algorithms in software that the driver's self-tests need: fallbacks, without which they
    /// pass without the device, and references.
    pub software: &'static [&'static str],
    /// What its VMs' driver has to know of it.
    pub engine: &'static dyn Engine,
}

impl Accelerator {
    /// Its name on the command line, and in `attr` of our driver.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// A VM for one of its VFs.
    pub fn vm(&self, seed: u64) -> Result<Vm> {
        Vm::with(self.engine, IOVA, seed)
    }
}

/// All accelerators.
pub const ALL: [&Accelerator; 3] = [&ZIP, &SEC, &HPRE];

/// The accelerators that `engines=` on the command line names; ZIP if it is left out.
pub fn chosen(setup: &Setup) -> Vec<&'static Accelerator> {
    let Some(List(engines)) = &setup.engines else {
        return vec![&ZIP];
    };
    let wanted = |accelerator: &&Accelerator| engines.contains(&accelerator.kind);
    ALL.into_iter().filter(wanted).collect()
}

/// `count` bytes that mean nothing.
fn noise(random: &mut Rng, count: usize) -> Vec<u8> {
    (0..count).map(|_| random.u8(..)).collect()
}

/// The output must be these bytes.
fn same(output: &[u8], expected: &[u8]) -> Result<()> {
    let differs = output
        .iter()
        .zip(expected)
        .position(|(got, want)| got != want);
    anyhow::ensure!(
        differs.is_none() && output.len() == expected.len(),
        "expected {} bytes, got {}, first difference at {differs:?}",
        expected.len(),
        output.len(),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qm::{Entry, Image, Work};

    /// Finds `work` right with the outcome and the output that it expects, and nothing else.
    pub(super) fn notices(work: &dyn Work, outcome: (usize, u32), expected: &[u8]) {
        let image = Image::new(0x1_0000_0000).unwrap();
        let slot = image.slot(0);
        let mut entry = work.submit(&slot, 1, &mut Rng::with_seed(1));
        let (word, value) = outcome;
        let unfinished = Entry::new(entry.clone());
        entry[4 * word..4 * word + 4].copy_from_slice(&value.to_le_bytes());
        let done = Entry::new(entry.clone());
        slot.answer(expected);
        work.check(&slot, &done).unwrap();
        assert!(work.check(&slot, &unfinished).is_err());
        for place in [0, expected.len() / 2, expected.len() - 1] {
            let mut wrong = expected.to_vec();
            wrong[place] ^= 1 << (place % 8);
            slot.answer(&wrong);
            assert!(work.check(&slot, &done).is_err(), "byte {place}");
        }
    }

    /// A device that does nothing: every check has to notice.
    #[test]
    fn work_that_nobody_did_is_not_right() {
        let image = Image::new(0x1_0000_0000).unwrap();
        let mut random = Rng::with_seed(1);
        for accelerator in ALL {
            for queue in 0..8 {
                let work = accelerator.engine.work(queue, &mut random);
                let slot = image.slot(3);
                let bytes = work.submit(&slot, 0x1122_3344_5566_7788, &mut random);
                assert_eq!(bytes.len(), accelerator.engine.entry_size());
                let entry = Entry::new(bytes);
                assert_eq!(accelerator.engine.tag(&entry), 0x1122_3344_5566_7788);
                assert!(work.check(&slot, &entry).is_err());
            }
        }
    }
}
