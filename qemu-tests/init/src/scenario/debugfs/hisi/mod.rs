// SPDX-License-Identifier: GPL-2.0

//! The driver's own files: what they say when, and that looking changes nothing.
//!
//! Names that begin with R and a number are those of `Documentation/review-requirements.rst`.

mod attr;
mod commands;
mod content;
mod files;
mod history;
mod lifetime;
mod owners;
mod reading;
mod refusals;

use anyhow::Result;
use protocol::{Commands, Setup};

use crate::host;
use crate::scenario::support::fault_injection;
use crate::scenario::support::fixture::Fixture;
use control::{Report, ZIP0};
use files::Files;

impl Fixture {
    fn files(&self) -> Files {
        Files::of(&self.host.vfs[0])
    }
}

type Check = fn(&mut Fixture) -> Result<()>;

const CHECKS: [(&str, Check); 28] = [
    ("R18: files and their modes", lifetime::modes),
    ("R17: only root comes to the files", lifetime::for_root_only),
    ("before anything was opened", commands::unopened),
    (
        "R15: attr says what the device is and does",
        attr::of_the_device,
    ),
    ("attr of the second VF", attr::of_the_second_vf),
    ("a device that sleeps is let sleep", attr::asleep),
    (
        "R23: attr says why a stream was refused",
        refusals::each_field,
    ),
    (
        "R14: attr tells of the last sessions",
        history::sessions_and_their_arcs,
    ),
    ("attr tells how a session ended", history::ends),
    (
        "attr tells which arc failed and what the registers said",
        history::failures,
    ),
    ("R20: the dumps are the stream's bytes", content::mainline),
    ("match", content::match_data),
    ("R21: the mailbox is looked at", content::mailbox),
    ("the history of VFIO core", history::of_the_core),
    ("data of a session that was cut off", content::cut_off),
    ("the data are the same on both sides", content::both_sides),
    (
        "R14: data stay after close and go at the next open",
        content::kept,
    ),
    ("io_test", commands::io_test),
    ("save and resume under work", commands::save_and_resume),
    ("stop and start", commands::stop_and_start),
    (
        "io_test of a stopped VM asks the device",
        commands::io_test_of_a_stopped_vm,
    ),
    (
        "what is older than a reset is not loaded",
        commands::resume_after_a_reset,
    ),
    ("what is no command", commands::unknown),
    ("R12: a command fails with its errno", commands::failures),
    ("R9: a user's session keeps commands out", commands::busy),
    (
        "R8: reading changes nothing in any state",
        reading::in_any_state,
    ),
    (
        "R13: nothing in the log that a user can bring about",
        reading::nothing_in_the_log,
    ),
    (
        "R10: sessions, owners and binds under readers",
        owners::under_readers,
    ),
];

/// With a driver that was built without the commands that change the device.
const WITHOUT_COMMANDS: [(&str, Check); 1] = [(
    "R9: without the option no command changes the device",
    commands::not_offered,
)];

pub(crate) fn run(setup: &Setup, commands: Commands, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    let mut fixture = Fixture::new(setup, 2)?;
    let all = commands == Commands::All;
    let checks = if all { &CHECKS[..] } else { &WITHOUT_COMMANDS };
    for (name, check) in checks {
        report.point(name, || check(&mut fixture));
        fixture.tidy()?;
    }
    if all {
        report.point("R3: files go at unbind, also under a reader", || {
            lifetime::unbind(&mut fixture)
        });
        report.point("R4: the core's files, of a device without hardware", || {
            lifetime::of_the_core(&modules)
        });
        let name = "R22: memory runs out while a VF is bound";
        fault_injection::point(report, name, || {
            fixture.host.vfs[0].unbind()?;
            fault_injection::fail_each_allocation_backwards(&lifetime::Binding(&fixture))?;
            fixture.host.vfs[0].bind(&fixture.host.driver_name()?)
        });
        let name = "attr and match of the other engines";
        if attr::has_other_engines() {
            report.point(name, || attr::of_other_engines(&fixture, &modules));
        } else {
            report.skip(name, "this machine has a ZIP accelerator only");
        }
        report.point("R19: a VF that cannot migrate has no files", || {
            lifetime::not_migratable(&fixture, &modules)
        });
    }
    ZIP0.report_violations(report, true);
    Ok(())
}
