// SPDX-License-Identifier: GPL-2.0

//! The example of a variant driver, on two of QEMU's edu devices: bound, opened, led through its
//! arcs, its state moved from one to the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use control::Report;
use linux::ffi::Mapping;
use linux::sysfs::Function;
use protocol::Setup;
use rustix::event::PollFlags;
use rustix::io::Errno;
use vfio_client::{BAR0, DataFile, Device, Kind, LARGEST_PAGE, Memory, State};

use crate::expect::{equal, eventually, refused};
use crate::host::{self, driver_of};
use crate::modules;
use crate::scenario::support::debugfs;
use crate::scenario::support::history;
use crate::scenario::support::transfer::Path;
use crate::scenario::uapi::arcs::{every_arc, every_reset};

pub(super) const MODULE: &str = "vfio_edu";
pub(super) const QEMU: u16 = 0x1234;
pub(super) const EDU: u16 = 0x11e8;

const LIVENESS: u64 = 0x04;
const FACTORIAL: u64 = 0x08;
const STATUS: u64 = 0x20;
const IRQ_STATUS: u64 = 0x24;
const IRQ_RAISE: u64 = 0x60;
const DMA_SOURCE: u64 = 0x80;
const DMA_TARGET: u64 = 0x88;
const DMA_COUNT: u64 = 0x90;
pub(super) const DMA_COMMAND: u64 = 0x98;

/// In STATUS: the device computes.
const COMPUTING: u32 = 1;
/// In STATUS: an interrupt is wanted when it has.
const RAISE_IRQ: u32 = 1 << 7;
/// In the DMA command: go, from the VM's memory to the device's.
pub(super) const TO_DEVICE: u32 = 1;
/// In the DMA command: go, from the device's memory to the VM's.
pub(super) const TO_MEMORY: u32 = 3;
/// The device's own memory, as its DMA engine has it.
pub(super) const BUFFER: u64 = 0x4_0000;

/// Where the VM's memory begins for the device, which has 28 address lines.
const IOVA: u64 = 0x10_0000;
const MEMORY: usize = LARGEST_PAGE as usize;

/// Bytes of the stream, and those of them that go ahead.
const STREAM: usize = 44;
const HEAD: usize = 4;
/// Where the factorial is in the stream.
const FACTORIAL_AT: usize = 8;

/// Longer than any waiter waits that is woken.
const LONG: Duration = Duration::from_secs(60);

struct Fixture {
    kind: Kind,
    memory: Arc<Mapping>,
    edus: Vec<Function>,
}

/// All of a device's state that the VM can read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Registers {
    liveness: u32,
    factorial: u32,
    status: u32,
    irq_status: u32,
    dma: [u64; 3],
}

/// A value that no device has unless it is written.
const WORKED: Registers = Registers {
    liveness: 0x1234_5678,
    factorial: 3_628_800,
    status: RAISE_IRQ,
    irq_status: 0x105,
    dma: [0x1_2345_6789, 0xab_cdef_0123, 0x765],
};

pub(super) fn read32(device: &Device, register: u64) -> Result<u32> {
    let mut bytes = [0; 4];
    device.read_region(BAR0, register, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn write32(device: &Device, register: u64, value: u32) -> Result<()> {
    device.write_region(BAR0, register, &value.to_le_bytes())?;
    Ok(())
}

fn read64(device: &Device, register: u64) -> Result<u64> {
    let mut bytes = [0; 8];
    device.read_region(BAR0, register, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn write64(device: &Device, register: u64, value: u64) -> Result<()> {
    device.write_region(BAR0, register, &value.to_le_bytes())?;
    Ok(())
}

impl Registers {
    fn of(device: &Device) -> Result<Self> {
        Ok(Registers {
            liveness: read32(device, LIVENESS)?,
            factorial: read32(device, FACTORIAL)?,
            status: read32(device, STATUS)?,
            irq_status: read32(device, IRQ_STATUS)?,
            dma: [
                read64(device, DMA_SOURCE)?,
                read64(device, DMA_TARGET)?,
                read64(device, DMA_COUNT)?,
            ],
        })
    }
}

/// Makes a device work, which leaves it with [`WORKED`].
fn work(device: &Device) -> Result<()> {
    write32(device, LIVENESS, !WORKED.liveness)?;
    write32(device, FACTORIAL, 10)?;
    eventually("the factorial of 10", Duration::from_secs(120), || {
        Ok(read32(device, STATUS)? & COMPUTING == 0)
    })?;
    write32(device, STATUS, RAISE_IRQ)?;
    write32(device, IRQ_RAISE, WORKED.irq_status)?;
    for (register, value) in [DMA_SOURCE, DMA_TARGET, DMA_COUNT]
        .into_iter()
        .zip(WORKED.dma)
    {
        write64(device, register, value)?;
    }
    equal("registers after work", Registers::of(device)?, WORKED)
}

/// Starts the DMA engine.
pub(super) fn transfer(device: &Device, from: u64, to: u64, command: u32) -> Result<()> {
    write64(device, DMA_SOURCE, from)?;
    write64(device, DMA_TARGET, to)?;
    write64(device, DMA_COUNT, 8)?;
    write32(device, DMA_COMMAND, command)
}

impl Fixture {
    /// An edu device, opened and switched on.
    fn open(&self, index: usize) -> Result<Device> {
        let memory = Memory {
            mapping: self.memory.clone(),
            iova: IOVA,
        };
        let device = Device::open(self.kind, &self.edus[index], memory)?;
        device.switch(true)?;
        Ok(device)
    }

    fn folder(&self, index: usize) -> PathBuf {
        debugfs::device(self.edus[index].name()).join("migration")
    }

    /// The stream of the first device after work.
    fn stream(&self) -> Result<Vec<u8>> {
        let device = self.open(0)?;
        work(&device)?;
        let file = device.set_state_with_file(State::StopCopy)?;
        let stream = file.read_available(4096)?;
        equal("size of the stream", stream.len(), STREAM)?;
        Ok(stream)
    }

    /// The second device, waiting for a stream.
    fn resuming(&self) -> Result<(Device, DataFile)> {
        let device = self.open(1)?;
        let file = device.set_state_with_file(State::Resuming)?;
        Ok((device, file))
    }
}

fn files(fixture: &Fixture) -> Result<()> {
    let says = |name: &str, expected: &str| -> Result<()> {
        let text = debugfs::content(&fixture.folder(0).join(name))?;
        equal(name, text.as_str(), expected)
    };
    let mut features = "stop-copy\npre-copy\n".to_owned();
    if host::can_log_dma() {
        features += "dirty-tracking\n";
    }
    says("features", &features)?;
    says("state", "RUNNING\n")?;
    let device = fixture.open(0)?;
    for state in [
        State::Stop,
        State::StopCopy,
        State::Running,
        State::PreCopy,
        State::Resuming,
    ] {
        let file = device.set_state(state);
        let _file = file.with_context(|| format!("setting {state}"))?;
        says("state", &format!("{state}\n"))?;
    }
    Ok(())
}

/// The core keeps a history of the requests to a driver that has none itself.
fn requests(fixture: &Fixture) -> Result<()> {
    let device = fixture.open(0)?;
    let name = fixture.edus[0].name();
    history::has_each_request(&device, name)?;
    history::is_bounded(&device, name)?;
    history::is_consistent_under_threads(&device, name)
}

fn arcs(fixture: &Fixture) -> Result<()> {
    let stream = fixture.stream()?;
    every_arc(&fixture.open(1)?, &stream)
}

fn resets(fixture: &Fixture) -> Result<()> {
    let stream = fixture.stream()?;
    every_reset(&fixture.open(1)?, &stream)
}

/// Moves the state of the first device to the second.
fn migrate(fixture: &Fixture, path: Path, chunk: usize) -> Result<()> {
    let source = fixture.open(0)?;
    work(&source)?;
    let mut stream = Vec::new();
    let file = match path {
        Path::Straight => source.set_state_with_file(State::StopCopy)?,
        Path::PreCopy => {
            let file = source.set_state_with_file(State::PreCopy)?;
            equal("initial bytes", file.precopy_info()?.initial, HEAD as u64)?;
            stream = file.read_available(chunk)?;
            equal("bytes in PRE_COPY", stream.len(), HEAD)?;
            equal(
                "a second file",
                source.set_state(State::StopCopy)?.is_some(),
                false,
            )?;
            file
        }
    };
    stream.extend(file.read_available(chunk)?);
    equal("size of the stream", stream.len(), STREAM)?;
    equal("its announced size", source.data_size()?, STREAM as u64)?;

    // What is there before must not be there afterwards.
    let target = fixture.open(1)?;
    write32(&target, LIVENESS, 0)?;
    write32(&target, FACTORIAL, 3)?;
    write32(&target, IRQ_RAISE, 0xff)?;
    let file = target.set_state_with_file(State::Resuming)?;
    file.write_chunks(&stream, &[chunk])?;
    target.set_state(State::Running).context("to RUNNING")?;
    equal(
        "registers on the other side",
        Registers::of(&target)?,
        WORKED,
    )?;
    refused("the data file afterwards", file.write(&[0]), Errno::NODEV)
}

fn straight(fixture: &Fixture) -> Result<()> {
    migrate(fixture, Path::Straight, 4096)
}

fn by_pre_copy(fixture: &Fixture) -> Result<()> {
    migrate(fixture, Path::PreCopy, 1)
}

/// A reader that has read all data of PRE_COPY waits for those of STOP_COPY.
fn waiting(fixture: &Fixture) -> Result<()> {
    let device = fixture.open(0)?;
    let file = device.set_state_with_file(State::PreCopy)?;
    file.read_available(4096)?;
    let now = file.poll(Duration::ZERO)?;
    ensure!(!now.contains(PollFlags::IN), "in PRE_COPY: {now:?}");
    let begun = Instant::now();
    let woken = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| file.poll(LONG));
        std::thread::sleep(Duration::from_millis(100));
        device.set_state(State::StopCopy)?;
        waiter
            .join()
            .map_err(|_| anyhow!("who waits panicked"))?
            .context("poll")
    })?;
    // poll() looks once more when its time is over.
    ensure!(begun.elapsed() < LONG, "nobody woke who waits");
    ensure!(woken.contains(PollFlags::IN), "in STOP_COPY: {woken:?}");
    let rest = file.read_available(4096)?;
    equal("bytes in STOP_COPY", rest.len(), STREAM - HEAD)
}

/// A device stops when what the VM has asked it for is done, and not before.
fn work_in_flight(fixture: &Fixture) -> Result<()> {
    let device = fixture.open(0)?;
    fixture.memory.write(0, b"migrated");
    transfer(&device, IOVA, BUFFER, TO_DEVICE)?;
    eventually("a transfer", Duration::from_secs(120), || {
        Ok(read32(&device, DMA_COMMAND)? & 1 == 0)
    })?;
    transfer(&device, BUFFER, IOVA + 8, TO_MEMORY)?;
    ensure!(
        read32(&device, DMA_COMMAND)? & 1 == 1,
        "the transfer was done too soon to be stopped"
    );
    device.set_state(State::Stop).context("RUNNING to STOP")?;
    let done = fixture.memory.read(8, 8);
    equal("what came by then", done.as_slice(), b"migrated".as_slice())
}

/// The VM's firmware has not touched the device yet: it is saved and loaded all the same.
fn switched_off(fixture: &Fixture) -> Result<()> {
    let stream = fixture.stream()?;
    let (device, file) = fixture.resuming()?;
    device.switch(false)?;
    file.write_chunks(&stream, &[])?;
    device.set_state(State::Running).context("to RUNNING")?;
    let file = device.set_state_with_file(State::StopCopy)?;
    equal("the stream", file.read_available(4096)?, stream)?;
    equal("switched on by that", device.is_switched_on()?, false)?;
    device.set_state(State::Running)?;
    device.switch(true)?;
    equal("registers", Registers::of(&device)?, WORKED)
}

fn wrong_device(fixture: &Fixture) -> Result<()> {
    let mut stream = fixture.stream()?;
    stream[0] ^= 1;
    let (device, file) = fixture.resuming()?;
    file.write_chunks(&stream[..HEAD - 1], &[])?;
    let last = file.write(&stream[HEAD - 1..]);
    refused("the stream of another device", last, Errno::INVAL)?;
    refused("a write after that", file.write(&[0]), Errno::INVAL)?;
    let loaded = device.set_state(State::Stop);
    refused("loading after that", loaded, Errno::INVAL)?;
    equal("state", device.state()?, State::Resuming)
}

fn impossible(fixture: &Fixture) -> Result<()> {
    let mut stream = fixture.stream()?;
    stream[FACTORIAL_AT..FACTORIAL_AT + 4].copy_from_slice(&5u32.to_le_bytes());
    let (device, file) = fixture.resuming()?;
    let before = Registers::of(&device)?;
    file.write_chunks(&stream, &[])?;
    let loaded = device.set_state(State::Stop);
    refused("5, which is no factorial", loaded, Errno::INVAL)?;
    equal("state", device.state()?, State::Resuming)?;
    equal("registers", Registers::of(&device)?, before)
}

fn length(fixture: &Fixture) -> Result<()> {
    let stream = fixture.stream()?;
    let (device, file) = fixture.resuming()?;
    let too_long = [stream.as_slice(), &[0]].concat();
    refused("a byte too many", file.write(&too_long), Errno::NOMEM)?;
    file.write_chunks(&stream[..STREAM - 1], &[7])?;
    let loaded = device.set_state(State::Stop);
    refused("a byte too few", loaded, Errno::INVAL)?;
    file.write_chunks(&stream[STREAM - 1..], &[])?;
    device.set_state(State::Running).context("to RUNNING")?;
    equal("registers", Registers::of(&device)?, WORKED)
}

fn outlives(fixture: &Fixture) -> Result<()> {
    let device = fixture.open(0)?;
    let file = device.set_state_with_file(State::PreCopy)?;
    drop(device);
    refused("a read after close", file.read(&mut [0]), Errno::NODEV)?;
    let edu = &fixture.edus[0];
    edu.unbind()?;
    ensure!(
        !debugfs::device(edu.name()).exists(),
        "its files are still there"
    );
    refused("a read after unbind", file.read(&mut [0]), Errno::NODEV)?;
    drop(file);
    fixture.edus[1].unbind()?;
    modules::unload(MODULE)
}

type Check = fn(&Fixture) -> Result<()>;

const CHECKS: [(&str, Check); 13] = [
    ("features and state in debugfs", files),
    ("the history of requests in debugfs", requests),
    ("every arc", arcs),
    ("reset in every state", resets),
    ("the state moves", straight),
    ("the state moves, with pre-copy", by_pre_copy),
    ("poll waits for what is to come", waiting),
    ("a stop waits for what is in flight", work_in_flight),
    ("a device that is switched off", switched_off),
    ("the stream of another device", wrong_device),
    ("a stream with what cannot be", impossible),
    ("a stream that is too short or too long", length),
    ("the data file outlives device and driver", outlives),
];

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    host::load_vfio(&modules)?;
    modules.load(MODULE)?;
    let driver = driver_of(MODULE)?;
    let fixture = Fixture {
        kind: host::container_of(setup),
        memory: Arc::new(Mapping::memory(MEMORY)?),
        edus: Function::find_all(QEMU, EDU)?,
    };
    equal("edu devices", fixture.edus.len(), 2)?;
    for edu in &fixture.edus {
        edu.bind(&driver)?;
    }
    for (name, check) in CHECKS {
        report.point(name, || check(&fixture));
    }
    Ok(())
}
