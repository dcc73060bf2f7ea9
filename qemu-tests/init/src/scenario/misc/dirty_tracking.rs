// SPDX-License-Identifier: GPL-2.0

//! The SMMU marks the pages that devices write, and iommufd reports them: an edu device, which
//! writes what it is told to, and a VF.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use control::{Report, ZIP0};
use linux::ffi::Mapping;
use linux::sysfs::Function;
use protocol::{FurtherWrites, Setup};
use vfio_client::{Container, Device, IovaRange, Memory, PAGE};
use vm::engine::ZIP;
use vm::qm::{IOVA, Vm};

use super::example::{BUFFER, DMA_COMMAND, EDU, MODULE, QEMU, TO_DEVICE, TO_MEMORY};
use super::example::{read32, transfer};
use crate::expect::{equal, eventually};
use crate::host::{self, Host, driver_of};

/// Where the memory begins for the edu device, which has 28 address lines.
const EDU_IOVA: u64 = 0x10_0000;
/// Pages of it; too few for one block descriptor.
const EDU_PAGES: u64 = 64;

/// The engine takes this long for a request while memory is looked at.
const SLOW: Duration = Duration::from_secs(4);
const FAST: Duration = Duration::from_micros(20);
/// Requests of the VF: one for each queue.
const REQUESTS: usize = 4;

const LONG: Duration = Duration::from_secs(120);

/// An edu device whose writes are tracked.
struct Edu {
    memory: Arc<Mapping>,
    container: Arc<Container>,
    device: Device,
}

fn page(number: u64) -> u64 {
    EDU_IOVA + number * PAGE
}

impl Edu {
    fn open(edu: &Function) -> Result<Self> {
        let memory = Arc::new(Mapping::memory((EDU_PAGES * PAGE) as usize)?);
        let container = Arc::new(Container::tracked(vec![Memory {
            mapping: memory.clone(),
            iova: EDU_IOVA,
        }])?);
        let device = Device::open_in(&container, edu)?;
        device.switch(true)?;
        container.track(true)?;
        Ok(Edu {
            memory,
            container,
            device,
        })
    }

    fn transfer(&self, from: u64, to: u64, command: u32) -> Result<()> {
        transfer(&self.device, from, to, command)?;
        eventually("a transfer", LONG, || {
            Ok(read32(&self.device, DMA_COMMAND)? & 1 == 0)
        })
    }

    /// The device reads from a page, and writes to others what it has read.
    fn copy(&self, text: &[u8; 8], source: u64, targets: &[u64]) -> Result<()> {
        self.memory.write((source * PAGE) as usize, text);
        self.transfer(page(source), BUFFER, TO_DEVICE)?;
        for target in targets {
            self.transfer(BUFFER, page(*target), TO_MEMORY)?;
            let came = self.memory.read((target * PAGE) as usize, text.len());
            equal("what was written", came.as_slice(), text.as_slice())?;
        }
        Ok(())
    }

    fn expect_dirty(&self, when: &str, pages: &[u64]) -> Result<()> {
        let dirty = self.container.dirty_pages(IovaRange {
            iova: EDU_IOVA,
            length: EDU_PAGES * PAGE,
        })?;
        let pages: Vec<_> = pages.iter().map(|number| page(*number)).collect();
        equal(when, dirty.addresses(), pages)
    }
}

/// What is reported of pages that are written again after they were reported.
fn again(further: FurtherWrites, pages: &[u64]) -> &[u64] {
    match further {
        FurtherWrites::Reported => pages,
        FurtherWrites::Missed => &[],
    }
}

fn exact_pages(edu: &Function, further: FurtherWrites) -> Result<()> {
    let edu = Edu::open(edu)?;
    edu.expect_dirty("before the device writes", &[])?;
    edu.copy(b"the 1st ", 9, &[3, 17, 40])?;
    edu.expect_dirty("after three writes and a read", &[3, 17, 40])?;
    edu.expect_dirty("after no further write", &[])?;

    edu.copy(b"the 2nd ", 9, &[17])?;
    edu.expect_dirty("after a second write", again(further, &[17]))?;
    edu.copy(b"the 3rd ", 10, &[5])?;
    edu.expect_dirty("after a write to another page", &[5])
}

/// Stopping and starting again clears what was written meanwhile.
fn off_and_on(edu: &Function, further: FurtherWrites) -> Result<()> {
    let edu = Edu::open(edu)?;
    edu.copy(b"the 1st ", 9, &[1, 2])?;
    edu.container.track(false)?;
    edu.container.track(true)?;
    edu.expect_dirty("after a new start", &[])?;
    edu.copy(b"the 2nd ", 9, &[2, 6])?;
    let again: Vec<_> = again(further, &[2]).iter().copied().chain([6]).collect();
    edu.expect_dirty("after further writes", &again)
}

/// A sum of each page.
fn fingerprints(memory: &Mapping) -> Vec<u32> {
    let words = PAGE as usize / 4;
    (0..memory.len() / PAGE as usize)
        .map(|page| {
            (page * words..(page + 1) * words).fold(1, |sum: u32, word| {
                sum.wrapping_mul(0x0100_0193) ^ memory.read32(word * 4)
            })
        })
        .collect()
}

/// The pages that a VF writes for some requests, and which of them are reported.
fn written_and_reported(vm: &mut Vm, container: &Container) -> Result<(Vec<u64>, Vec<u64>)> {
    let memory = IovaRange {
        iova: IOVA,
        length: vm.memory().len() as u64,
    };
    container.dirty_pages(memory)?;
    ZIP0.set_latency(SLOW)?;
    vm.submit_at_once(REQUESTS)?;
    let before = fingerprints(vm.memory());
    equal("requests that wait", vm.waiting(), REQUESTS)?;
    eventually("the VF to be done", LONG, || Ok(vm.waiting() == 0))?;
    // Of the events, the VM can only wait for the interrupts.
    std::thread::sleep(Duration::from_millis(200));
    let after = fingerprints(vm.memory());
    let reported = container.dirty_pages(memory)?.addresses();
    ZIP0.set_latency(FAST)?;
    vm.finish()?;
    vm.settle()?;
    vm.verify()?;
    let changed = (0..before.len()).filter(|page| before[*page] != after[*page]);
    let written = changed.map(|page| IOVA + page as u64 * PAGE).collect();
    Ok((written, reported))
}

fn of_a_vf(host: &Host, further: FurtherWrites) -> Result<()> {
    let mut vm = Vm::with(ZIP.engine, IOVA, 1)?;
    let container = Arc::new(Container::tracked(vec![vm.for_dma()])?);
    let device = Device::open_in(&container, &host.vfs[0])?;
    vm.attach(device);
    vm.bring_up()?;
    container.track(true)?;

    let (written, reported) = written_and_reported(&mut vm, &container)?;
    ensure!(written.len() > REQUESTS, "a VF wrote only {written:x?}");
    equal("pages of the first requests", &reported, &written)?;
    let (written, reported) = written_and_reported(&mut vm, &container)?;
    let missing = written.iter().any(|page| !reported.contains(page));
    equal(
        "whether pages of further requests are missing",
        missing,
        further == FurtherWrites::Missed,
    )
}

pub(crate) fn run(setup: &Setup, further: FurtherWrites, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    let host = Host::prepare(setup, 1)?;
    modules.load("iommufd")?;
    modules.load(MODULE)?;
    let edu = Function::find(QEMU, EDU)?;
    edu.bind(&driver_of(MODULE)?)?;

    report.point("the pages of an edu device", || exact_pages(&edu, further));
    report.point("stop and start", || off_and_on(&edu, further));
    report.point("the pages of a VF", || of_a_vf(&host, further));
    Ok(())
}
