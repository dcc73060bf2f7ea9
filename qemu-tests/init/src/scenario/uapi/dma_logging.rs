// SPDX-License-Identifier: GPL-2.0

//! DMA logging: which pages a VF may have written.

use anyhow::{Result, ensure};
use rustix::io::Errno;
use vfio_client::{DirtyPages, IovaRange, PAGE, State};
use vm::qm::IOVA;

use super::Fixture;
use crate::expect::{equal, refused};

/// Some pages of the VM, which the log is started for.
pub(super) const LOGGED: IovaRange = IovaRange {
    iova: IOVA,
    length: 100 * PAGE,
};

/// Other pages of it, behind a gap.
const LOGGED_TOO: IovaRange = IovaRange {
    iova: IOVA + 200 * PAGE,
    length: 8 * PAGE,
};

/// So many pages from a page of the VM's memory on.
fn pages(first: u64, count: u64) -> IovaRange {
    IovaRange {
        iova: IOVA + first * PAGE,
        length: count * PAGE,
    }
}

/// What a report says of [`LOGGED`].
fn report(fixture: &Fixture) -> Result<DirtyPages> {
    Ok(fixture.vm.device()?.dirty_pages(LOGGED, PAGE)?)
}

fn all_are_dirty(fixture: &Fixture, when: &str) -> Result<()> {
    ensure!(report(fixture)?.are_all(), "{when}: not all are dirty");
    Ok(())
}

fn none_is_dirty(fixture: &Fixture, when: &str) -> Result<()> {
    let dirty = report(fixture)?;
    ensure!(
        dirty.are_none(),
        "{when}: {} are dirty",
        dirty.numbers().count()
    );
    Ok(())
}

/// While the VF runs it may have written everything; when it stands still, each page is reported
/// once.
pub(super) fn reports(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let device = fixture.vm.device()?;
    let used = device.start_dma_logging(&[LOGGED_TOO, LOGGED], PAGE)?;
    equal("page size", used, PAGE)?;
    all_are_dirty(fixture, "RUNNING")?;
    all_are_dirty(fixture, "RUNNING, again")?;
    fixture.vm.work(8)?;
    let device = fixture.vm.device()?;

    device.set_state(State::Stop)?;
    let part = device.dirty_pages(pages(30, 20), PAGE)?;
    ensure!(part.are_all(), "STOP: not all of a part are dirty");
    let rest: Vec<u64> = report(fixture)?.numbers().collect();
    let expected: Vec<u64> = (0..30).chain(50..100).collect();
    equal("STOP: what was not reported", rest, expected)?;
    none_is_dirty(fixture, "STOP, again")?;
    let other = device.dirty_pages(LOGGED_TOO, PAGE)?;
    ensure!(other.are_all(), "STOP: the other range was not reported");

    // An arc may write to memory even if the VF does not run in between.
    let file = device.set_state_with_file(State::StopCopy)?;
    all_are_dirty(fixture, "STOP_COPY")?;
    none_is_dirty(fixture, "STOP_COPY, again")?;
    file.read_available(4096)?;
    none_is_dirty(fixture, "STOP_COPY, after the stream was read")?;
    device.set_state(State::Running)?;
    device.set_state(State::Stop)?;
    all_are_dirty(fixture, "STOP, after it ran")?;

    // A reset does not end the log.
    device.reset()?;
    all_are_dirty(fixture, "after a reset")?;
    all_are_dirty(fixture, "after a reset, again")?;
    device.stop_dma_logging()?;
    fixture.close()
}

/// What the uAPI says of calls in the wrong order and with wrong arguments.
pub(super) fn refusals(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    let report = |range| device.dirty_pages(range, PAGE);
    refused("a report before a start", report(LOGGED), Errno::INVAL)?;
    device.stop_dma_logging()?;
    refused(
        "no ranges",
        device.start_dma_logging(&[], PAGE),
        Errno::INVAL,
    )?;
    let overlapping = device.start_dma_logging(&[LOGGED, pages(99, 2)], PAGE);
    refused("ranges that overlap", overlapping, Errno::INVAL)?;
    let unaligned = IovaRange {
        iova: IOVA + 1,
        length: PAGE,
    };
    let unaligned = device.start_dma_logging(&[unaligned], PAGE);
    refused("a range within a page", unaligned, Errno::INVAL)?;

    device.start_dma_logging(&[LOGGED, LOGGED_TOO], PAGE)?;
    let again = device.start_dma_logging(&[LOGGED], PAGE);
    refused("a second start", again, Errno::INVAL)?;
    refused("a gap", report(pages(100, 1)), Errno::INVAL)?;
    refused("over a gap", report(pages(0, 208)), Errno::INVAL)?;
    refused("beyond the end", report(pages(207, 2)), Errno::INVAL)?;
    refused("no pages", report(pages(0, 0)), Errno::INVAL)?;
    refused(
        "small pages",
        device.dirty_pages(LOGGED, 2048),
        Errno::INVAL,
    )?;
    refused("odd pages", device.dirty_pages(LOGGED, 5000), Errno::INVAL)?;
    // None of this has ended the log.
    ensure!(report(LOGGED)?.are_all(), "not all are dirty");

    device.stop_dma_logging()?;
    device.stop_dma_logging()?;
    refused("a report after a stop", report(LOGGED), Errno::INVAL)?;

    // Closing the device ends the log.
    device.start_dma_logging(&[LOGGED], PAGE)?;
    drop(device);
    let device = fixture.open()?;
    let report = device.dirty_pages(LOGGED, PAGE);
    refused("a report to the next user", report, Errno::INVAL)?;
    device.start_dma_logging(&[LOGGED], PAGE).map(drop)?;
    Ok(())
}

/// The page size of a report need not be that of the log, and any size will do for the log.
pub(super) fn page_sizes(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    let large = IovaRange {
        iova: IOVA,
        length: 4 << 20,
    };
    for size in [4 << 10, 64 << 10, 2 << 20] {
        equal("page size", device.start_dma_logging(&[large], size)?, size)?;
        for of_report in [4 << 10, 64 << 10, 2 << 20] {
            let dirty = device.dirty_pages(large, of_report)?;
            ensure!(dirty.are_all(), "{size} and {of_report}: not all are dirty");
        }
        device.stop_dma_logging()?;
    }
    let chosen = device.start_dma_logging(&[large], 12 << 10)?;
    equal("page size instead of one that is none", chosen, PAGE)?;
    device.stop_dma_logging()?;

    // As many ranges as fit into a page of the kernel, which are more than a log can remember one by
    // one.
    let most = (rustix::param::page_size() / size_of::<[u64; 2]>()) as u64;
    let many: Vec<IovaRange> = (0..most).map(|n| pages(2 * n, 1)).collect();
    device.start_dma_logging(&many, PAGE)?;
    for range in &many {
        ensure!(device.dirty_pages(*range, PAGE)?.are_all(), "{range:?}");
    }
    let too_many: Vec<IovaRange> = (0..=most).map(|n| pages(2 * n, 1)).collect();
    device.stop_dma_logging()?;
    let refusal = device.start_dma_logging(&too_many, PAGE);
    refused("more ranges than fit into a page", refusal, Errno::TOOBIG)
}
