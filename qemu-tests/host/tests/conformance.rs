// SPDX-License-Identifier: GPL-2.0
//! Random sequences of what userspace can do: the C driver and ours differ in what is listed and in
//! nothing else. `make conformance N=<number>` runs more of them, `SEED=` others.

#![forbid(unsafe_code)]

use anyhow::Result;
use host::Artifacts;
use host::conformance::Sequences;

#[test]
fn random_sequences_agree_with_the_c_driver() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let all = Sequences {
        seed: 1,
        first: 0,
        // What looks at every access takes as long for a part of them.
        count: if artifacts.debug { 100 } else { 2000 },
    };
    print!("{}", all.run(&artifacts)?);
    Ok(())
}
