// SPDX-License-Identifier: GPL-2.0

//! Does on purpose what a driver must not do, and sees that the device counts it.
//!
//! The VF is bound to plain vfio-pci, so that the whole of its BAR is at hand; the function table
//! is reached through the PF's BAR in sysfs.

use std::fs::File;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::{Report, ZIP0};
use linux::ffi::Mapping;
use linux::sysfs::Function;
use protocol::Setup;
use serde_json::Value;
use vfio_client::{BAR2, Kind};
use vm::engine::ZIP;
use vm::qm::registers::{self, Bell, Command};
use vm::qm::{IOVA, Vm};

use crate::host;
use crate::scenario::support::register_layout::{EQC, PF_BAR2_SIZE, PF_BLOCK, VFT_OPERATION};

/// Nothing is there, in the function block and in the migration block.
const NO_REGISTER: usize = 0xf000;
/// No mailbox command has this number.
const NO_COMMAND: u32 = 0x3f;
/// Pauses the function (only a migration driver sends it).
const PAUSE: u32 = 0xe;
const BUSY: u32 = 1 << 13;
/// No function has so many queues.
const NO_QUEUE: u16 = 1000;
/// The VM has no memory there.
const NO_MEMORY: u64 = IOVA + (1 << 40);

const SLOW: Duration = Duration::from_millis(200);
const FAST: Duration = Duration::from_micros(20);

struct Fixture {
    vm: Vm,
    table: Mapping,
}

type Provoke = fn(&mut Fixture) -> Result<()>;

const PROVOKED: [(&str, Provoke); 9] = [
    ("migration-write-while-running", migration_write),
    ("mailbox-while-busy", mailbox_while_busy),
    ("mailbox-command", mailbox_command),
    ("number", number),
    ("dma-after-pause", dma_after_pause),
    ("outside-window", outside_window),
    ("access-width", access_width),
    ("vft-interleaved", vft_interleaved),
    ("dma-fault", dma_fault),
];

fn counts() -> Result<serde_json::Map<String, Value>> {
    match ZIP0.get("violations")? {
        Value::Object(counts) => Ok(counts),
        other => anyhow::bail!("violations is no JSON object: {other}"),
    }
}

fn count(kind: &str) -> Result<u64> {
    let value = counts()?.get(kind).and_then(Value::as_u64);
    value.with_context(|| format!("the device does not count {kind}"))
}

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    let pf = host::load_zip(&modules, "")?;
    host::load_vfio(&modules)?;
    modules.load("vfio_pci")?;
    pf.enable_vfs(1, false)?;
    let vf = pf.virtual_function(0)?;
    vf.bind("vfio-pci")?;
    let table = File::options()
        .read(true)
        .write(true)
        .open(pf.path("resource2"))?;
    let mut fixture = Fixture {
        vm: ZIP.vm(1)?,
        table: Mapping::new(&table, 0, PF_BAR2_SIZE).context("mapping the PF's BAR2")?,
    };

    report.point("every kind is provoked here", || {
        let known: Vec<String> = counts()?.into_iter().map(|(kind, _)| kind).collect();
        let missing: Vec<&String> = known
            .iter()
            .filter(|kind| !PROVOKED.iter().any(|(name, _)| name == kind))
            .collect();
        ensure!(missing.is_empty(), "not provoked: {missing:?}");
        Ok(())
    });
    for (kind, provoke) in PROVOKED {
        report.point(kind, || one(&mut fixture, &vf, kind, provoke));
    }
    report.point("the counts go back to zero", || {
        ZIP0.set("violations-reset", true)?;
        let left = ZIP0.violations()?;
        ensure!(left.is_empty(), "left: {left:?}");
        Ok(())
    });
    Ok(())
}

/// Each kind gets a function fresh from a reset, with a VM's driver at work.
fn one(fixture: &mut Fixture, vf: &Function, kind: &str, provoke: Provoke) -> Result<()> {
    let device = fixture.vm.open(Kind::Type1, vf)?;
    fixture.vm.attach(device);
    fixture.vm.bring_up()?;
    fixture.vm.submit(8)?;
    fixture.vm.finish()?;
    let before = count(kind)?;
    let result = provoke(fixture);
    drop(fixture.vm.detach()?);
    fixture.vm.forget();
    result?;
    let after = count(kind)?;
    ensure!(
        after > before,
        "expected more than {before} of {kind}, got {after}"
    );
    Ok(())
}

impl Fixture {
    fn registers(&self) -> Result<&Mapping> {
        self.vm.device()?.registers()
    }
}

fn migration_write(fixture: &mut Fixture) -> Result<()> {
    let registers = fixture.registers()?;
    registers.write32(EQC, registers.read32(EQC));
    Ok(())
}

fn mailbox_while_busy(fixture: &mut Fixture) -> Result<()> {
    ZIP0.set_latency(SLOW)?;
    fixture.vm.submit(4)?;
    let registers = fixture.registers()?;
    // Draining a queue at work takes as long as its requests do.
    let stop = registers::start_word(Command::StopQueue);
    registers::mailbox_start(registers, stop, 0, 0);
    registers::mailbox_start(registers, stop, 1, 0);
    let ended = registers::mailbox_wait(registers);
    ZIP0.set_latency(FAST)?;
    ended.map(drop)
}

fn mailbox_command(fixture: &mut Fixture) -> Result<()> {
    let registers = fixture.registers()?;
    registers::mailbox_start(registers, NO_COMMAND | BUSY, 0, 0);
    registers::mailbox_wait(registers).map(drop)
}

fn number(fixture: &mut Fixture) -> Result<()> {
    registers::ring(fixture.registers()?, Bell::Sq, NO_QUEUE, 0, false);
    Ok(())
}

fn dma_after_pause(fixture: &mut Fixture) -> Result<()> {
    let registers = fixture.registers()?;
    registers::mailbox_start(registers, PAUSE | BUSY, 0, 0);
    registers::mailbox_wait(registers)?;
    fixture.vm.submit(1)
}

fn outside_window(fixture: &mut Fixture) -> Result<()> {
    fixture.registers()?.read32(NO_REGISTER);
    Ok(())
}

fn access_width(fixture: &mut Fixture) -> Result<()> {
    let offset = registers::PAGE_SIZE as u64;
    fixture
        .vm
        .device()?
        .write_region(BAR2, offset, &[0])
        .map(drop)
        .context("writing one byte")
}

fn vft_interleaved(fixture: &mut Fixture) -> Result<()> {
    // Two agents that each begin a transaction.
    fixture.table.write32(PF_BLOCK + VFT_OPERATION, 1);
    fixture.table.write32(PF_BLOCK + VFT_OPERATION, 1);
    Ok(())
}

fn dma_fault(fixture: &mut Fixture) -> Result<()> {
    let registers = fixture.registers()?;
    let refused = registers::mailbox_write(registers, Command::Sqc, 5, NO_MEMORY);
    ensure!(
        refused.is_err(),
        "the device took a context from where no memory is"
    );
    Ok(())
}
