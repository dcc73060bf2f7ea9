// SPDX-License-Identifier: GPL-2.0

//! The weaknesses of the C driver, by their numbers in `Documentation/weaknesses.rst`. Each test
//! expects the C driver to show them and ours not to, by the same steps.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use protocol::Weakness::{self, *};
use protocol::{Driver, List, Scenario};
use runner::{Artifacts, Machine, Outcome};

/// A machine on which each driver in turn goes through the steps of some items.
struct Comparison {
    items: &'static [Weakness],
    revision: Option<u8>,
    /// Texts that the kernel log must have with the C driver; none if it must not complain.
    splat: &'static [&'static str],
    /// Texts that the checkers of the debug kernel must report of the C driver.
    checkers: &'static [&'static str],
}

impl Comparison {
    fn of(items: &'static [Weakness]) -> Self {
        Self {
            items,
            revision: None,
            splat: &[],
            checkers: &[],
        }
    }

    fn splat(mut self, texts: &'static [&'static str]) -> Self {
        self.splat = texts;
        self
    }

    fn checkers(mut self, texts: &'static [&'static str]) -> Self {
        self.checkers = texts;
        self
    }

    fn revision(mut self, revision: u8) -> Self {
        self.revision = Some(revision);
        self
    }

    /// Runs both machines.
    fn run(&self) -> Result<()> {
        let artifacts = Artifacts::load()?;
        if !artifacts.debug {
            let c = self.machine(&artifacts, Driver::C)?;
            if self.splat.is_empty() {
                c.expect_passed()?;
            } else {
                let problems = c.report.problems();
                ensure!(problems.is_empty(), "{}", problems.join("\n"));
                ensure!(c.ended, "the machine stopped before its scenario ended");
                says(&c, self.splat)?;
            }
            self.expect(&c, "shown")?;
        } else if artifacts.kasan() && !self.checkers.is_empty() {
            // They come before what the steps wait for, and may keep it from happening.
            says(&self.machine(&artifacts, Driver::C)?, self.checkers)?;
        }

        let rust = self.machine(&artifacts, Driver::Rust)?;
        rust.expect_clean()?;
        self.expect(&rust, "absent")
    }

    fn machine(&self, artifacts: &Artifacts, driver: Driver) -> Result<Outcome> {
        let item = List(self.items.to_vec());
        let machine = Machine::new(Scenario::Weakness { item });
        let machine = machine.driver(driver).vfio(driver);
        let machine = match self.revision {
            Some(revision) => machine.revision(revision),
            None => machine,
        };
        machine
            .run(artifacts, |line| println!("{line}"))
            .with_context(|| format!("with driver={driver}"))
    }

    /// Each item has been seen, in order, and is this.
    fn expect(&self, outcome: &Outcome, word: &str) -> Result<()> {
        for line in &outcome.dump {
            println!("{line}");
        }
        ensure!(
            outcome.dump.len() == self.items.len(),
            "{} items, but {} were seen",
            self.items.len(),
            outcome.dump.len()
        );
        for (item, line) in self.items.iter().zip(&outcome.dump) {
            let start = format!("weakness {item} {word}: ");
            ensure!(line.starts_with(&start), "expected {start:?}, got {line:?}");
        }
        Ok(())
    }
}

/// The kernel log has all of these texts.
fn says(outcome: &Outcome, texts: &[&str]) -> Result<()> {
    let log = outcome.kernel_log()?;
    for text in texts {
        ensure!(log.contains(text), "the kernel log does not say {text:?}");
    }
    Ok(())
}

#[test]
fn d01_d25_writers() -> Result<()> {
    Comparison::of(&[D1, D25]).run()
}

#[test]
fn d02_reset_without_pf_driver() -> Result<()> {
    Comparison::of(&[D2])
        .splat(&[
            "Unable to handle kernel NULL pointer dereference",
            "hisi_acc_vf_pci_reset_prepare",
        ])
        .run()
}

#[test]
fn d02b_reset_on_hardware_v2() -> Result<()> {
    Comparison::of(&[D2b])
        .revision(0x21)
        .splat(&[
            "Unable to handle kernel NULL pointer dereference",
            "hisi_acc_vf_pci_reset_prepare",
        ])
        .run()
}

#[test]
fn d03_file_that_outlives_its_device() -> Result<()> {
    Comparison::of(&[D3])
        .checkers(&["KASAN: slab-use-after-free", "hisi_acc_vf_precopy_ioctl"])
        .run()
}

#[test]
fn d04_close_during_reset() -> Result<()> {
    Comparison::of(&[D4])
        .splat(&[
            "Unable to handle kernel NULL pointer dereference",
            "hisi_acc_vf_disable_fds",
        ])
        .run()
}

#[test]
fn d07_to_d12_d27_streams() -> Result<()> {
    Comparison::of(&[D7, D8, D9, D10, D11, D12, D27]).run()
}

#[test]
fn d13_doorbells_outside_the_window() -> Result<()> {
    Comparison::of(&[D13]).revision(0x50).run()
}

#[test]
fn d14_to_d20_hardware() -> Result<()> {
    Comparison::of(&[D14, D15, D16, D16b, D16c, D17, D20]).run()
}

/// Half of BAR 2 is smaller than a page on a kernel with pages of 64 KiB, and only there.
#[test]
fn d19_half_of_bar_2_with_large_pages() -> Result<()> {
    Comparison::of(&[D19]).revision(0x30).run()
}

#[test]
fn d21_read_against_reset() -> Result<()> {
    Comparison::of(&[D21])
        .checkers(&["possible circular locking dependency"])
        .run()
}

#[test]
fn d22_migf_data_at_an_offset() -> Result<()> {
    Comparison::of(&[D22]).run()
}

#[test]
fn d06_d26_d30_to_d34_files() -> Result<()> {
    Comparison::of(&[D6, D26, D30, D31, D32, D33, D33b, D34]).run()
}

#[test]
fn d28_d29_d35_protocol() -> Result<()> {
    // d28 unloads the driver, if it can.
    Comparison::of(&[D29, D35, D28]).run()
}
