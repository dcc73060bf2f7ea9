// SPDX-License-Identifier: GPL-2.0

//! The weaknesses of the C driver that `Documentation/weaknesses.rst` lists, one by one.
//!
//! Both drivers go through the same steps, and what comes of them is either weak or sound. The C
//! driver has to show each weakness, so that no step tests nothing, and ours must show none.

mod files;
mod fixture;
mod hardware;
mod locking;
mod memory;
mod protocol;
mod stream;

use ::protocol::{Driver, Setup, Weakness};
use anyhow::{Context, Result, bail, ensure};

use crate::scenario::support::fixture::Fixture;

/// The result of the steps.
enum Seen {
    /// The weakness.
    Weak(String),
    /// The weakness, and a kernel that cannot be used any more.
    Broken(String),
    /// The right behaviour.
    Sound(String),
}

enum Steps {
    /// On VFs that are bound to the driver.
    Bound(fn(&mut Fixture) -> Result<Seen>),
    /// On a machine that the steps make ready.
    Bare(fn(&Setup) -> Result<Seen>),
}

use Steps::{Bare, Bound};
use Weakness::*;
use control::{Report, ZIP0};
use linux::sysfs;

const ITEMS: [(Weakness, &str, Steps); Weakness::ALL.len()] = [
    (
        D1,
        "writers that wait for each other write past the end",
        Bound(memory::waiting_writers),
    ),
    (
        D2,
        "a reset of a VF without PF driver",
        Bare(memory::reset_without_pf_driver),
    ),
    (
        D2b,
        "a reset of a VF of hardware V2",
        Bare(memory::reset_on_hardware_v2),
    ),
    (
        D3,
        "a data file that outlives its device",
        Bound(memory::file_without_device),
    ),
    (
        D4,
        "the device is closed while it is reset",
        Bound(locking::close_during_reset),
    ),
    (D6, "migf_data mixes two sessions", Bound(files::torn_dump)),
    (
        D7,
        "a stream that was refused is loaded",
        Bound(stream::refused_and_loaded),
    ),
    (
        D8,
        "a second session is not checked",
        Bound(stream::second_session),
    ),
    (
        D9,
        "the number of queues is the stream's",
        Bound(stream::number_of_queues),
    ),
    (
        D10,
        "a stream that was cut off is loaded",
        Bound(stream::cut_off),
    ),
    (
        D11,
        "what a stream means depends on how it is cut",
        Bound(stream::version_1_in_pieces),
    ),
    (
        D12,
        "a stream that does not fit is a bad address",
        Bound(stream::errno_of_mismatch),
    ),
    (
        D13,
        "a save writes outside the VF's window",
        Bound(hardware::outside_window),
    ),
    (
        D14,
        "accesses to the PF's table interleave",
        Bound(hardware::table_of_queues),
    ),
    (
        D15,
        "a load that failed leaves the VF ready",
        Bound(hardware::half_loaded),
    ),
    (
        D16,
        "a stop that failed leaves the VF paused",
        Bound(hardware::failed_stop),
    ),
    (
        D16b,
        "work does not go on after STOP and RUNNING",
        Bound(hardware::stop_and_go_on),
    ),
    (
        D16c,
        "a stop that an error of the device has failed is none",
        Bound(hardware::stop_at_an_error),
    ),
    (
        D17,
        "a stop spins while it waits",
        Bound(hardware::busy_wait),
    ),
    (
        D19,
        "half of a BAR is offered that is smaller than a page",
        Bare(hardware::half_of_bar2),
    ),
    (
        D20,
        "an ioeventfd reaches the migration block",
        Bound(hardware::ioeventfd),
    ),
    (
        D21,
        "a read into the device's own memory against a reset",
        Bound(locking::read_against_reset),
    ),
    (
        D22,
        "a read of migf_data at an offset",
        Bound(files::read_at_offset),
    ),
    (
        D25,
        "a stream is loaded while it is written",
        Bound(locking::load_during_write),
    ),
    (
        D26,
        "a debug file uses a device that sleeps",
        Bound(files::sleeping_device),
    ),
    (
        D27,
        "a write of data gives a mailbox command",
        Bound(stream::write_uses_mailbox),
    ),
    (
        D28,
        "a save that failed keeps the module",
        Bound(protocol::failed_save),
    ),
    (
        D29,
        "the end of PRE_COPY data is the end of the stream",
        Bound(protocol::end_of_pre_copy),
    ),
    (
        D30,
        "a debug file hides why it failed",
        Bound(files::reason_of_failure),
    ),
    (
        D31,
        "dev_data uses a running guest's mailbox",
        Bound(files::dev_data_uses_mailbox),
    ),
    (
        D32,
        "dev_data tells the last migration's driver state",
        Bound(files::stale_driver_state),
    ),
    (
        D33,
        "migf_data shows the data of the last owner",
        Bound(files::data_of_last_owner),
    ),
    (
        D33b,
        "dev_data has no match data",
        Bound(files::dump_without_match_data),
    ),
    (D34, "a busy mailbox is ready", Bound(files::busy_mailbox)),
    (
        D35,
        "a device that was never opened is in ERROR",
        Bound(protocol::never_opened),
    ),
];

/// Goes through the steps of items.
pub(super) fn run(setup: &Setup, items: &[Weakness], report: &mut Report) -> Result<Ending> {
    let driver = setup.driver.unwrap_or_default();
    // A thread that the kernel kills is a result here.
    sysfs::write("/proc/sys/kernel/panic_on_oops", "0")?;
    let mut fixture = None;
    for item in items {
        let (_, title, steps) = ITEMS
            .iter()
            .find(|(known, ..)| known == item)
            .with_context(|| format!("{item} has no steps"))?;
        let mut broken = false;
        report.point(&format!("{item}: {title}"), || {
            let seen = match steps {
                Bare(steps) => steps(setup)?,
                Bound(steps) => {
                    let fixture = match &mut fixture {
                        Some(fixture) => fixture,
                        none => none.insert(Fixture::new(setup, 2)?),
                    };
                    let seen = steps(fixture);
                    if !matches!(seen, Ok(Seen::Broken(_))) {
                        fixture.tidy()?;
                    }
                    seen?
                }
            };
            broken = matches!(seen, Seen::Broken(_));
            check(*item, driver, seen)
        });
        if broken {
            // A thread that never comes back can hold the lock of the address space, and nothing
            // can be unmapped then.
            std::mem::forget(fixture);
            return Ok(Ending::Broken);
        }
    }
    ZIP0.report_violations(report, driver.is_rust());
    Ok(Ending::Usual)
}

/// How the machine can end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Usual,
    /// The kernel cannot shut down any more.
    Broken,
}

/// Ends a machine whose kernel waits for what never comes, so that it cannot be powered off.
pub(super) fn cut_power() -> Result<()> {
    control::end();
    sysfs::write("/proc/sysrq-trigger", "b")?;
    bail!("the machine goes on after an emergency restart")
}

fn check(item: Weakness, driver: Driver, seen: Seen) -> Result<()> {
    let (weak, what) = match seen {
        Seen::Weak(what) | Seen::Broken(what) => (true, what),
        Seen::Sound(what) => (false, what),
    };
    let word = if weak { "shown" } else { "absent" };
    control::dump(format!("weakness {item} {word}: {what}"));
    ensure!(
        weak != driver.is_rust(),
        "the weakness is {word}, which was not expected of this driver: {what}"
    );
    Ok(())
}
