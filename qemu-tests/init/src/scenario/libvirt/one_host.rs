// SPDX-License-Identifier: GPL-2.0

//! What libvirt does with a guest and its VF on one host.

use anyhow::{Context, Result, ensure};
use control::{EmulatedDevice, Report, show};
use linux::sysfs::Function;
use protocol::channel::Order;
use protocol::{Engine, Setup};

use super::domain::{Domain, NAME, Xml};
use super::virsh::{fails, run as run_command, virsh};
use super::{host, tie};
use crate::expect::equal;
use crate::host::{Driver, module_of};
use crate::scenario::l2::migrate_under_load::WITHIN;

const FILE: &str = "/tmp/guest.save";
const TRACE: &str = "/tmp/trace.dat";

/// A host with a domain.
struct Fixture {
    domain: Domain,
    xml: Xml,
    vf: Function,
    /// A VF with another number of queues.
    unlike: Function,
}

type Test = (&'static str, fn(&mut Fixture) -> Result<()>);

const TESTS: [Test; 6] = [
    ("suspended and resumed", suspended),
    ("trace-cmd records the arcs of a VF", traced),
    ("saved and restored", saved),
    ("not restored with a VF that does not fit", refused),
    ("unplugged and plugged in while the guest runs", plugged),
    ("saved by libvirt, and started again", managed_saved),
];

pub(in crate::scenario) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let accelerator = host::accelerator(setup)?;
    let vfs = host::prepare(setup, "a", accelerator, 3)?;
    let domain = Domain::new(accelerator.kind)?;
    let [vf, other, unlike] = host::three(vfs)?;
    let xml = Xml::of(setup, &domain.guest, &vf)?;
    // The aliases of the other engines are equal as well.
    if accelerator.kind == Engine::Zip {
        report.point("the stock driver's alias comes first", || {
            tie::order_of_installation()
        });
        report.point("the name in the XML decides between equal aliases", || {
            tie::name_decides(&xml, &vf)
        });
        report.point("a VF that is not managed keeps its driver", || {
            tie::driver_is_kept(&xml, &other)
        });
    }
    let mut fixture = Fixture {
        domain,
        xml,
        vf,
        unlike,
    };
    let up = report.point("the VF goes to the driver that the XML names", || {
        virsh(&["define", &fixture.xml.file(NAME)?])?;
        virsh(&["start", NAME])?;
        fixture.works()?;
        let chosen = setup.container.unwrap_or_default();
        equal("containers", host::containers_of_qemu()?, vec![chosen])
    });
    ensure!(up, "there is no guest");
    for (name, test) in TESTS {
        report.point(name, || {
            test(&mut fixture)?;
            fixture.works().context("afterwards")
        });
    }
    report.point("every request came back, and the VF is given back", || {
        let Domain { guest, orders } = &mut fixture.domain;
        let load = guest.end(orders, WITHIN)?;
        ensure!(load.is_flawless(), "{load}");
        fixture.domain.has_left(&fixture.vf)?;
        virsh(&["undefine", NAME]).map(drop)
    });
    EmulatedDevice(accelerator.id).report_violations(report, true);
    Ok(())
}

impl Fixture {
    fn works(&self) -> Result<()> {
        self.domain.works(&self.vf, Driver::Rust)
    }
}

fn suspended(fixture: &mut Fixture) -> Result<()> {
    virsh(&["suspend", NAME])?;
    equal("the domain", fixture.domain.state()?.as_str(), "paused")?;
    let state = monitor::state(&fixture.vf)?;
    equal("state of the VF", state.as_str(), "STOP")?;
    virsh(&["resume", NAME]).map(drop)
}

fn traced(_: &mut Fixture) -> Result<()> {
    let record = ["trace-cmd", "record", "-e", "hisi_acc_vfio", "-o", TRACE];
    run_command(&[&record, &["virsh", "suspend", NAME][..]].concat())?;
    let report = run_command(&["trace-cmd", "report", "-i", TRACE])?;
    let arcs = report
        .lines()
        .filter(|line| line.contains(" hisi_acc_vfio_arc:"));
    let arcs: Vec<&str> = arcs.collect();
    show(arcs.join("\n"));
    let seen = arcs
        .iter()
        .any(|line| line.contains(" from=RUNNING ") && line.contains(" ret=0"));
    ensure!(seen, "{report}");
    virsh(&["resume", NAME]).map(drop)
}

fn saved(fixture: &mut Fixture) -> Result<()> {
    virsh(&["save", NAME, FILE])?;
    equal("the domain", fixture.domain.state()?.as_str(), "shut off")?;
    fixture.domain.has_left(&fixture.vf)?;
    virsh(&["restore", FILE]).map(drop)
}

/// The other VF has one queue more. The reason is in its `attr` as long as it has its driver, and in
/// the trace.
fn refused(fixture: &mut Fixture) -> Result<()> {
    virsh(&["save", NAME, FILE])?;
    let other = fixture.xml.clone().vf(&fixture.unlike)?;
    host::record_refusals()?;
    fails(&["restore", FILE, "--xml", &other.file("managed")?])?;
    equal("the domain", fixture.domain.state()?.as_str(), "shut off")?;
    fixture.domain.has_left(&fixture.unlike)?;
    host::was_refused(&fixture.unlike)?;

    fixture.unlike.bind(module_of(Driver::Rust))?;
    fails(&[
        "restore",
        FILE,
        "--xml",
        &other.unmanaged()?.file("unmanaged")?,
    ])?;
    let reason = monitor::refusal(&fixture.unlike)?;
    show(format!("refused: {reason}"));
    ensure!(reason.contains("queue_count"), "{reason}");
    fixture.unlike.unbind()?;
    virsh(&["restore", FILE]).map(drop)
}

/// The guest has no VF for a while, and the VF no driver.
fn plugged(fixture: &mut Fixture) -> Result<()> {
    let file = fixture.xml.device("hostdev")?;
    fixture.domain.obeys(Order::Rest)?;
    virsh(&["detach-device", NAME, &file, "--live"])?;
    fixture.domain.obeys(Order::Unplug)?;
    fixture.domain.has_left(&fixture.vf)?;
    virsh(&["attach-device", NAME, &file, "--live"])?;
    fixture.domain.obeys(Order::Plug)?;
    fixture.domain.obeys(Order::Work)
}

fn managed_saved(fixture: &mut Fixture) -> Result<()> {
    virsh(&["managedsave", NAME])?;
    equal("the domain", fixture.domain.state()?.as_str(), "shut off")?;
    fixture.domain.has_left(&fixture.vf)?;
    virsh(&["start", NAME]).map(drop)
}
