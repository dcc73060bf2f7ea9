// SPDX-License-Identifier: GPL-2.0

//! A guest of libvirt at work migrates from one host to another and back. Both hosts run this.

use anyhow::{Context, Result, ensure};
use control::{EmulatedDevice, Report, show};
use linux::sysfs::Function;
use monitor::TransferredState;
use protocol::{Container, HostName, Load, Setup};
use serde::{Deserialize, Serialize};

use super::domain::{Domain, NAME, Xml};
use super::host;
use super::virsh::{fails, virsh};
use crate::host::Driver;
use crate::other_host::{self, OtherHost};
use crate::scenario::l2::migrate_under_load::{WITHIN, WORK, works_flawlessly};

/// Options of `virsh migrate`, leg by leg: there, and back. `--parallel` is multifd, by which
/// QEMU 10.0 may load a VF too early. libvirt that knows iommufd comes with a later QEMU.
fn legs(container: Container) -> [&'static [&'static str]; 4] {
    match container {
        Container::Type1 => [&[], &[], &["--p2p"], &[]],
        Container::Iommufd => [&[], &["--parallel"], &["--p2p"], &["--parallel"]],
    }
}

/// Bytes that a VF has to send.
const STREAM: u64 = 176;
/// Milliseconds that the guest may stand still.
const DOWNTIME: &str = "600000";

/// The destination host says that the guest can come.
#[derive(Serialize, Deserialize)]
struct Ready;

/// The source host says that the guest could not leave.
#[derive(Serialize, Deserialize)]
struct Stayed;

/// The source host says that the guest has left.
#[derive(Serialize, Deserialize)]
struct Left {
    transferred: TransferredState,
}

/// The destination host says that the guest works there.
#[derive(Serialize, Deserialize)]
struct Arrived {
    load: Load,
}

/// One of the two hosts.
struct Local {
    other: OtherHost,
    /// libvirt's name for the other host.
    there: String,
    domain: Domain,
    xml: Xml,
    vf: Function,
    /// A VF with another number of queues.
    unlike: Function,
}

impl AsMut<OtherHost> for Local {
    fn as_mut(&mut self) -> &mut OtherHost {
        &mut self.other
    }
}

pub(in crate::scenario) fn run(setup: &Setup, host: HostName, report: &mut Report) -> Result<()> {
    let mut local = Local::prepare(setup, host)?;
    let is_first = local.other.is_first();
    if is_first {
        other_host::part(&mut local, report, "a guest boots and works", |local| {
            virsh(&["define", &local.xml.file(NAME)?])?;
            virsh(&["start", NAME])?;
            local.works()
        })?;
    }
    let name = "it stays where it is if the VF there does not fit";
    other_host::part(
        &mut local,
        report,
        name,
        match is_first {
            true => Local::does_not_fit,
            false => Local::refuses,
        },
    )?;
    for (number, options) in (1..).zip(legs(setup.container.unwrap_or_default())) {
        let leaves = is_first == (number % 2 == 1);
        let way = if leaves { "leaves" } else { "comes" };
        let name = format!("leg {number}: the guest {way} {}", options.join(" "));
        other_host::part(&mut local, report, name.trim_end(), |local| match leaves {
            true => local.give(options),
            false => local.take(),
        })?;
    }
    if is_first {
        other_host::part(&mut local, report, "every request came back", |local| {
            let load = local.domain.guest.end(&mut local.domain.orders, WITHIN)?;
            ensure!(load.is_flawless(), "{load}");
            local.domain.has_left(&local.vf)
        })?;
    }
    EmulatedDevice(host::accelerator(setup)?.id).report_violations(report, true);
    Ok(())
}

impl Local {
    fn prepare(setup: &Setup, host: HostName) -> Result<Self> {
        // First of all: it sets the clock, and has to hear of every failure.
        let mut other = OtherHost::meet(host)?;
        let prepared = host::accelerator(setup).and_then(|accelerator| {
            let vfs = host::prepare(setup, host.name(), accelerator, 3)?;
            let vfs = host::three(vfs)?;
            let domain = Domain::new(accelerator.kind)?;
            let xml = Xml::of(setup, &domain.guest, &vfs[0])?;
            Ok((vfs, domain, xml))
        });
        let (vfs, domain, xml) = prepared.inspect_err(|error| other.fail(&format!("{error:#}")))?;
        let [vf, _, unlike] = vfs;
        let there = if other.is_first() {
            HostName::B
        } else {
            HostName::A
        };
        Ok(Local {
            other,
            there: format!("qemu+tcp://{there}/system"),
            domain,
            xml,
            vf,
            unlike,
        })
    }

    fn works(&self) -> Result<()> {
        self.domain.works(&self.vf, Driver::Rust)
    }

    /// The guest works here, although it was to migrate to a VF with one queue more.
    fn does_not_fit(&mut self) -> Result<()> {
        let Ready = self.other.hear(WITHIN)?;
        let other = self.xml.clone().vf(&self.unlike)?.file("unlike")?;
        fails(&["migrate", "--live", NAME, &self.there, "--xml", &other])?;
        self.other.say(&Stayed)?;
        self.works()
    }

    /// The guest does not come here, and it is known why.
    fn refuses(&mut self) -> Result<()> {
        host::record_refusals()?;
        self.other.say(&Ready)?;
        let Stayed = self.other.hear(WITHIN)?;
        host::was_refused(&self.unlike)?;
        self.domain.has_left(&self.unlike)
    }

    /// Moves the guest to the other host.
    fn give(&mut self, options: &[&str]) -> Result<()> {
        let Ready = self.other.hear(WITHIN)?;
        self.works()?;
        let before = self.domain.guest.load();
        // By the default of 300 ms it would never end: the driver takes every page for dirty.
        virsh(&["migrate-setmaxdowntime", NAME, DOWNTIME])?;
        let words = [
            &["migrate", "--live", "--persistent"],
            options,
            &[NAME, &self.there],
        ]
        .concat();
        virsh(&words)?;
        self.domain.has_left(&self.vf)?;
        let bytes = bytes_of_the_vf()?;
        ensure!(bytes >= STREAM, "{bytes} bytes of the VF");
        show(format!("  {bytes} bytes of the VF"));
        let transferred = self.domain.guest.leaves()?;
        self.other.say(&Left { transferred })?;
        let Arrived { load } = self.other.hear(WITHIN)?;
        let requests = load.done.checked_sub(before.done);
        let requests = requests.context("requests that were done are forgotten")?;
        show(format!("  {requests} requests until it worked there"));
        Ok(())
    }

    /// Lets the guest come from the other host.
    fn take(&mut self) -> Result<()> {
        self.domain.guest.will_arrive();
        self.other.say(&Ready)?;
        let Left { transferred } = self.other.hear(WITHIN)?;
        self.domain.guest.arrives(transferred);
        self.domain
            .guest
            .does(WORK, WITHIN)
            .context("after the move")?;
        let load = self.domain.guest.load();
        self.other.say(&Arrived { load })?;
        self.works()?;
        works_flawlessly(&self.domain.guest)
    }
}

/// How many bytes of the last migration were the VF's, as the source tells.
fn bytes_of_the_vf() -> Result<u64> {
    let text = virsh(&["domjobinfo", NAME, "--completed", "--rawstats"])?;
    let mut facts = text.lines().filter_map(|line| line.split_once(": "));
    let bytes = facts.find(|(name, _)| *name == "vfio_data_transferred");
    let (_, bytes) = bytes.with_context(|| format!("no bytes of the VF: {text}"))?;
    Ok(bytes.trim().parse()?)
}
