// SPDX-License-Identifier: GPL-2.0

//! Walks the migration uAPI: every feature, every arc, the data file in every state, refusals.
//!
//! Both drivers must pass the same checks. Where ours differs from the C driver on purpose, the
//! expectation is made by driver and says why.

pub(super) mod arcs;
mod device;
mod dma_logging;
pub(super) mod faults;
mod history;
pub(super) mod matching;
pub(super) mod parameter;
mod resuming;
mod saving;
mod waiting;
mod work;

use anyhow::{Context, Result};
use control::{Report, ZIP0};
use protocol::Setup;
use rustix::io::Errno;
use vfio_client::{DataFile, Device, State};

use crate::expect::equal;
use crate::host::{NO_IOMMUFD, can_log_dma};
use crate::scenario::support::fixture::Fixture;

impl Fixture {
    /// Runs one check.
    fn point(&mut self, report: &mut Report, name: &str, check: Check) -> Result<()> {
        if !report.point(name, || check(self)) {
            self.tidy()?;
        }
        Ok(())
    }

    fn is_rust(&self) -> bool {
        self.host.driver.is_rust()
    }

    /// What a write of match data that do not fit is answered with. The C driver says EFAULT, as
    /// if the buffer were bad; ours tells the two apart.
    fn mismatch(&self) -> Errno {
        if self.is_rust() {
            Errno::INVAL
        } else {
            Errno::FAULT
        }
    }
}

type Check = fn(&mut Fixture) -> Result<()>;

const CHECKS: [(&str, Check); 29] = [
    ("device, regions and interrupts", device::device_info),
    ("features can be probed", device::probe_features),
    ("features refuse what is wrong", device::refuse_features),
    ("attaching a PASID", device::attach_pasid),
    ("migration flags", device::migration_flags),
    ("data size", device::data_size),
    ("BAR2 hides the migration block", device::bar2),
    (
        "an ioeventfd does not reach the migration block",
        device::ioeventfd,
    ),
    ("a fresh device runs", arcs::fresh),
    ("every arc", arcs::arcs),
    ("numbers that are no state", arcs::unknown_states),
    ("R24: reset in every state", arcs::reset),
    ("the core's history of requests", history::requests),
    ("a request that the driver is busy with", history::under_way),
    (
        "what the core's history does not have",
        history::not_requested,
    ),
    ("precopy info", saving::precopy_info),
    (
        "precopy info where there is none",
        saving::precopy_info_refused,
    ),
    ("precopy info v2", saving::precopy_info_v2),
    ("reading the data file", saving::read_semantics),
    ("poll on the data file", waiting::poll),
    ("the data file after its state was left", saving::left),
    ("the data file after the device was closed", saving::closed),
    (
        "R25: stream of a device without driver",
        saving::stream_without_driver,
    ),
    ("stream of a device with driver", saving::stream_with_driver),
    ("writing the data file", resuming::write_semantics),
    ("match data that do not fit", resuming::mismatches),
    (
        "a second session is checked as the first",
        resuming::second_session,
    ),
    ("R25: truncated streams", resuming::truncated),
    ("a mailbox error while stopping", arcs::mailbox_error),
];

/// What the C driver is known to fail, up to a crash of the host; only ours is held to it.
const BEYOND_C: [(&str, Check); 7] = [
    ("work goes on after STOP and RUNNING", work::pause),
    (
        "work goes on after a migration that was given up",
        work::give_up,
    ),
    ("work goes on after a stop that failed", work::failed_stop),
    ("who polls is woken", waiting::wakes),
    ("a set of files to wait for", waiting::epoll),
    ("two writers of one data file", resuming::two_writers),
    ("the data file outlives the driver", saving::outlives_driver),
];

/// What the C driver does not have.
const DMA_LOGGING: [(&str, Check); 3] = [
    ("reports of dirty pages", dma_logging::reports),
    ("DMA logging refuses what is wrong", dma_logging::refusals),
    ("page sizes of DMA logging", dma_logging::page_sizes),
];

pub(super) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut fixture = Fixture::new(setup, 1)?;
    for (name, check) in CHECKS {
        fixture.point(report, name, check)?;
    }
    for (name, check) in BEYOND_C {
        if fixture.is_rust() {
            fixture.point(report, name, check)?;
        } else {
            report.skip(name, "known to fail with the C driver");
        }
    }
    for (name, check) in DMA_LOGGING {
        if !fixture.is_rust() {
            report.skip(name, "the C driver does not log DMA");
        } else if !can_log_dma() {
            report.skip(name, NO_IOMMUFD);
        } else {
            fixture.point(report, name, check)?;
        }
    }
    ZIP0.report_violations(report, fixture.is_rust());
    Ok(())
}

/// Brings a running device to `state`, with a stream written if it is to receive one.
fn go_to(device: &Device, state: State, stream: &[u8]) -> Result<Option<DataFile>> {
    equal("state to begin with", device.state()?, State::Running)?;
    let file = device
        .set_state(state)
        .with_context(|| format!("RUNNING to {state}"))?;
    if let (State::Resuming, Some(file)) = (state, &file) {
        file.write_chunks(stream, &[])?;
    }
    Ok(file)
}
