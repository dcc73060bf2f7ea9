// SPDX-License-Identifier: GPL-2.0

//! Which VF's stream fits which VF: engine, number of queues and doorbell isolation must be the
//! same; between two VFs with our driver also the hardware version; and nothing else.
//!
//! The machine has several accelerators, each with one VF of either driver, and the VM goes from
//! every driver to every driver. Where the stream fits, the VM moves with requests in flight.
//! Where it does not, the VM learns it while it still runs, and goes on where it is.

use std::fs::File;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::{EmulatedDevice, Report};
use linux::ffi::Mapping;
use linux::sysfs::Function;
use protocol::Setup;
use rustix::io::Errno;
use vfio_client::State;
use vm::engine::{Accelerator, HPRE, SEC, ZIP};
use vm::qm::{IOVA, Vm, registers};

use crate::expect::{equal, refused};
use crate::host::{self, HUAWEI, Host};
use crate::scenario::support::debugfs;
use crate::scenario::support::stream_layout::{self, MATCH_SIZE, STREAM_SIZE};
use crate::scenario::support::transfer::{self, Path};

/// The machine: ids of the emulated devices, in the order of their addresses.
const MACHINE: [(&str, &Accelerator); 7] = [
    ("zip0", &ZIP),
    ("zip1", &ZIP),
    (ZIP_OF_V4, &ZIP),
    ("zip-of-fewer-queues", &ZIP),
    (ISOLATED_ZIP, &ZIP),
    ("sec0", &SEC),
    ("hpre0", &HPRE),
];
/// The other ones are of V3.
const ZIP_OF_V4: &str = "zip-of-v4";
const ISOLATED_ZIP: &str = "isolated-zip";

/// A field of the match data.
struct Field {
    /// As `attr` of our driver has it.
    name: &'static str,
    bytes: Range<usize>,
    /// The C driver has no such field.
    ours_alone: bool,
}

const DEVICE: Option<Field> = Some(Field {
    name: "device",
    bytes: stream_layout::DEVICE,
    ours_alone: false,
});
const QUEUE_COUNT: Option<Field> = Some(Field {
    name: "queue_count",
    bytes: stream_layout::QUEUE_COUNT,
    ours_alone: false,
});
const ISOLATION: Option<Field> = Some(Field {
    name: "isolation",
    bytes: stream_layout::ISOLATION,
    ours_alone: false,
});
const HARDWARE_VERSION: Option<Field> = Some(Field {
    name: "hardware_version",
    bytes: stream_layout::HARDWARE_VERSION,
    ours_alone: true,
});
const FITS: Option<Field> = None;

/// From where to where, and the field that does not fit.
const PAIRS: [(&str, &str, Option<Field>); 17] = [
    ("zip0", "zip0", FITS),
    // Another PF at another address.
    ("zip0", "zip1", FITS),
    ("zip1", "zip0", FITS),
    // The registers have the same state; the guest's driver talks to the PF in another way.
    ("zip0", ZIP_OF_V4, HARDWARE_VERSION),
    (ZIP_OF_V4, "zip0", HARDWARE_VERSION),
    (ZIP_OF_V4, ZIP_OF_V4, FITS),
    (ISOLATED_ZIP, ISOLATED_ZIP, FITS),
    ("zip0", "sec0", DEVICE),
    ("sec0", "zip0", DEVICE),
    ("zip0", "hpre0", DEVICE),
    ("hpre0", "zip0", DEVICE),
    ("sec0", "hpre0", DEVICE),
    ("hpre0", "sec0", DEVICE),
    ("zip0", "zip-of-fewer-queues", QUEUE_COUNT),
    ("zip-of-fewer-queues", "zip0", QUEUE_COUNT),
    ("zip0", ISOLATED_ZIP, ISOLATION),
    (ISOLATED_ZIP, "zip0", ISOLATION),
];

/// VFs of an accelerator; [`Host::driver_of`] says which driver each has.
const VFS: usize = 2;
const REQUESTS: usize = 64;
const SLOW: Duration = Duration::from_millis(20);
const FAST: Duration = Duration::from_micros(20);

struct Place {
    id: &'static str,
    host: Host,
}

/// A VF of an accelerator.
#[derive(Clone, Copy)]
struct End<'p> {
    place: &'p Place,
    vf: usize,
}

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let places = places(setup)?;
    for (from, to, mismatch) in PAIRS {
        let of = |id: &str| {
            let place = places.iter().find(|place| place.id == id);
            place.with_context(|| format!("there is no {id}"))
        };
        let (from, to) = (of(from)?, of(to)?);
        let ends = |place| (0..VFS).map(move |vf| End { place, vf });
        for (source, target) in ends(from).flat_map(|source| ends(to).map(move |to| (source, to))) {
            if source.function() == target.function() {
                continue;
            }
            let both_ours = source.is_rust() && target.is_rust();
            let mismatch = mismatch
                .as_ref()
                .filter(|field| both_ours || !field.ours_alone);
            let verdict = match mismatch {
                Some(field) => field.name,
                None => "fits",
            };
            let name = format!("{} to {}: {verdict}", source.name(), target.name());
            report.point(&name, || match mismatch {
                Some(field) => stay(source, target, field),
                None => go(source, target),
            });
        }
    }
    for place in &places {
        EmulatedDevice(place.id).report_violations(report, place.host.is_clean()?);
    }
    Ok(())
}

/// Makes the machine ready.
fn places(setup: &Setup) -> Result<Vec<Place>> {
    let modules = host::modules(setup)?;
    let mut places: Vec<Place> = Vec::new();
    for (id, accelerator) in MACHINE {
        host::load(&modules, accelerator, "")?;
        let before = places.iter().filter(|place| {
            let of_host = place.host.accelerator;
            of_host.pf == accelerator.pf
        });
        let pf = Function::find_all(HUAWEI, accelerator.pf)?
            .into_iter()
            .nth(before.count())
            .with_context(|| format!("the machine has no {id}"))?;
        if id == ISOLATED_ZIP {
            isolate(&pf)?;
        }
        let host = Host::on(setup, accelerator, pf, VFS as u32)?;
        places.push(Place { id, host });
    }
    Ok(places)
}

/// Makes the PF report that its doorbells are isolated, as its firmware would.
fn isolate(pf: &Function) -> Result<()> {
    let file = File::options()
        .read(true)
        .write(true)
        .open(pf.path("resource2"));
    let block = Mapping::new(file.context("opening the PF's BAR2")?, 0, 4096)?;
    block.write32(registers::QUEUE_ISOLATION, 1);
    Ok(())
}

impl<'p> End<'p> {
    fn function(self) -> &'p Function {
        &self.place.host.vfs[self.vf]
    }

    fn is_rust(self) -> bool {
        self.place.host.driver_of(self.vf).is_rust()
    }

    fn name(self) -> String {
        let driver = if self.is_rust() { "ours" } else { "C" };
        format!("{} ({driver})", self.place.id)
    }

    /// A VM that has this VF, at work.
    fn work(self) -> Result<Vm> {
        let host = &self.place.host;
        let mut vm = Vm::with(host.accelerator.engine, IOVA, 1)?;
        let device = vm.open(host.kind, self.function())?;
        vm.attach(device);
        vm.bring_up()?;
        vm.work(REQUESTS)?;
        Ok(vm)
    }

    /// The match data that the VF would send.
    fn match_data(self) -> Result<Vec<u8>> {
        let host = &self.place.host;
        let vm = Vm::with(host.accelerator.engine, IOVA, 1)?;
        let device = vm.open(host.kind, self.function())?;
        let file = device.set_state_with_file(State::PreCopy)?;
        file.read_available(STREAM_SIZE)
    }
}

/// The VM moves with requests in flight.
fn go(source: End<'_>, target: End<'_>) -> Result<()> {
    let mut vm = source.work()?;
    EmulatedDevice(source.place.id).set_latency(SLOW)?;
    vm.submit_at_once(REQUESTS)?;
    let stopped = transfer::stop(&mut vm, Path::PreCopy, STREAM_SIZE, |_| Ok(()))?;
    EmulatedDevice(source.place.id).set_latency(FAST)?;
    let device = vm.open(target.place.host.kind, target.function())?;
    let chunks = [MATCH_SIZE, STREAM_SIZE - MATCH_SIZE];
    transfer::load(&mut vm, device, &stopped.stream, &chunks)?;
    drop(stopped);
    vm.finish()?;
    vm.work(REQUESTS)
}

fn number(stream: &[u8], field: &Field) -> Result<u32> {
    let bytes = stream.get(field.bytes.clone()).context("a short stream")?;
    let bytes = bytes.iter().rev();
    Ok(bytes.fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// The stream is refused for `field`, and the VM stays where it is.
fn stay(source: End<'_>, target: End<'_>, field: &Field) -> Result<()> {
    let expected = number(&target.match_data()?, field)?;
    let mut vm = source.work()?;
    let file = vm.device()?.set_state_with_file(State::PreCopy)?;
    let stream = file.read_available(STREAM_SIZE)?;
    let got = number(&stream, field)?;
    ensure!(expected != got, "both VFs have the {} {got:#x}", field.name);

    let device = vm.open(target.place.host.kind, target.function())?;
    let written = device.set_state_with_file(State::Resuming)?.write(&stream);
    if target.is_rust() {
        refused("the match data", written, Errno::INVAL)?;
        let folder = debugfs::device(target.function().name());
        let attr = debugfs::content(&folder.join("migration/hisi_acc/attr"))?;
        let reason = format!("{} expected {expected:#x} got {got:#x}", field.name);
        let told = |line: &str| line.starts_with("refused: ") && line.ends_with(&reason);
        ensure!(
            attr.lines().any(told),
            "attr does not say {reason:?}:\n{attr}"
        );
        refused("STOP", device.set_state(State::Stop), Errno::INVAL)?;
    } else {
        // D-12: as if the buffer were bad. And what was refused would be loaded (D-7).
        refused("the match data", written, Errno::FAULT)?;
    }
    device.reset()?;
    equal("state after a reset", device.state()?, State::Running)?;
    drop(device);

    vm.device()?.set_state(State::Running)?;
    vm.work(REQUESTS)
}
