// SPDX-License-Identifier: GPL-2.0

//! The demonstration: what an operator types, and what comes back.
//!
//! Every command that is shown is run by the machine's shell, and its real output is shown. This
//! program is the VM: it holds the VFs open and has work on them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::{Report, ZIP0, show};
use protocol::Setup;
use vfio_client::{Kind, State};
use vm::engine::ZIP;
use vm::qm::Vm;

use crate::expect::equal;
use crate::host::{self, Driver, Host};
use crate::modules::is_loaded;

const SLOW: Duration = Duration::from_millis(200);
const FAST: Duration = Duration::from_micros(20);

fn explain(text: &str) {
    show("\n");
    show(text);
}

/// Shows a command, runs it, shows and returns what it printed. Whether it should succeed is part
/// of what is demonstrated.
fn typed(command: &str, succeeds: bool) -> Result<String> {
    show(format!("# {command}"));
    let output = Command::new("/bin/busybox")
        .args(["sh", "-c", &format!("exec 2>&1; {command}")])
        .env("PATH", "/bin")
        .current_dir("/sys/kernel/debug/vfio")
        .output()
        .context("cannot run /bin/busybox")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    show(&text);
    let wanted = if succeeds { "succeed" } else { "fail" };
    ensure!(
        output.status.success() == succeeds,
        "`{command}` was to {wanted}; {}: {text}",
        output.status,
    );
    Ok(text)
}

fn types(command: &str) -> Result<String> {
    typed(command, true)
}

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let Some(fixture) = prepare(setup, report)? else {
        return Ok(());
    };
    let mut demo = Demo {
        vm: ZIP.vm(1)?,
        fixture,
    };
    type Step = fn(&mut Demo) -> Result<()>;
    let steps: [(&str, Step); 6] = [
        ("look at the tree", Demo::tree),
        ("work on VF1", Demo::work),
        ("step the device", Demo::debug),
        ("a refused command", Demo::refused),
        ("migrate from VF1 to VF2", Demo::migrate),
        ("the data of both sides", Demo::data),
    ];
    for (name, step) in steps {
        // A step stands on the one before.
        if !report.point(name, || step(&mut demo)) {
            return Ok(());
        }
    }
    Ok(())
}

struct DemoFixture {
    vf1: linux::sysfs::Function,
    vf2: linux::sysfs::Function,
}

fn prepare(setup: &Setup, report: &mut Report) -> Result<Option<DemoFixture>> {
    let modules = host::modules(setup)?;
    let mut fixture = None;
    report.point("prepare the host", || {
        explain("hisi_zip on the PF; our vfio.ko and our driver");
        let pf = host::load_zip(&modules, "")?;
        host::load_vfio(&modules)?;
        modules.load(host::module_of(Driver::Rust))?;
        ensure!(is_loaded("vfio"), "vfio is not loaded");
        types(&format!("cat /sys/bus/pci/devices/{pf}/uevent"))?;
        let driver = Host::name_of(Driver::Rust)?;
        explain("two VFs, both for our driver");
        types(&format!(
            "echo 0 > /sys/bus/pci/devices/{pf}/sriov_drivers_autoprobe"
        ))?;
        types(&format!("echo 2 > /sys/bus/pci/devices/{pf}/sriov_numvfs"))?;
        let (vf1, vf2) = (pf.virtual_function(0)?, pf.virtual_function(1)?);
        for vf in [&vf1, &vf2] {
            types(&format!(
                "echo {driver} > /sys/bus/pci/devices/{vf}/driver_override"
            ))?;
            types(&format!("echo {vf} > /sys/bus/pci/drivers_probe"))?;
            equal("driver", vf.driver().as_deref(), Some(driver.as_str()))?;
        }
        fixture = Some(DemoFixture { vf1, vf2 });
        Ok(())
    });
    Ok(fixture)
}

struct Demo {
    vm: Vm,
    fixture: DemoFixture,
}

impl Demo {
    fn tree(&mut self) -> Result<()> {
        explain("what VFIO shows of them");
        types("pwd")?;
        let text = types(&format!("find {} | sort", self.fixture.vf1))?;
        ensure!(
            text.contains("/migration/hisi_acc/attr"),
            "the driver's files are missing"
        );
        types(&format!("cat {}/migration/features", self.fixture.vf1))?;
        types(&format!("cat {}/migration/state", self.fixture.vf1)).map(drop)
    }

    fn work(&mut self) -> Result<()> {
        explain("a VM opens VF1, brings its queues up and compresses");
        let device = self.vm.open(Kind::newest(), &self.fixture.vf1)?;
        self.vm.attach(device);
        self.vm.bring_up()?;
        self.vm.work(64)?;
        show(format!(
            "(VM: {} requests done, all right)",
            self.vm.counts().completed
        ));
        let state = types(&format!("cat {}/migration/state", self.fixture.vf1))?;
        equal("state", state.as_str(), "RUNNING\n")?;
        types(&format!("cat {}/migration/hisi_acc/attr", self.fixture.vf1))?;
        explain("is anything missing for a migration?");
        types(&format!("vfio-mig check {}", self.fixture.vf1)).map(drop)
    }

    fn debug(&mut self) -> Result<()> {
        let folder = format!("{}/migration/hisi_acc", self.fixture.vf1);
        for (command, what) in [
            (2, "does the device answer?"),
            (
                0,
                "take a snapshot; the device is stopped for it, and goes on",
            ),
            (1, "load that snapshot, and go on"),
        ] {
            explain(what);
            types(&format!("echo {command} > {folder}/debug"))?;
            types(&format!("cat {folder}/debug"))?;
        }
        self.vm.work(64)?;
        show(format!(
            "(VM: {} requests done, all right)",
            self.vm.counts().completed
        ));
        Ok(())
    }

    fn refused(&mut self) -> Result<()> {
        let folder = format!("{}/migration/hisi_acc", self.fixture.vf1);
        explain("no such command");
        typed(&format!("echo 7 > {folder}/debug"), false)?;
        explain("nobody has VF2 open");
        let other = format!("{}/migration/hisi_acc", self.fixture.vf2);
        typed(&format!("echo 0 > {other}/debug"), false)?;
        explain("the VM's monitor has begun a migration");
        let file = self.vm.device()?.set_state_with_file(State::PreCopy)?;
        typed(&format!("echo 0 > {folder}/debug"), false)?;
        types(&format!("cat {folder}/debug"))?;
        self.vm.device()?.set_state(State::Running)?;
        drop(file);
        Ok(())
    }

    fn state(&self, vf: usize, expected: State) -> Result<()> {
        let vf = if vf == 1 {
            &self.fixture.vf1
        } else {
            &self.fixture.vf2
        };
        let state = types(&format!("cat {vf}/migration/state"))?;
        equal("state", state.trim_end(), expected.name())
    }

    fn migrate(&mut self) -> Result<()> {
        explain("would the VM load on VF2?");
        let DemoFixture { vf1, vf2 } = &self.fixture;
        types(&format!("vfio-mig compare {vf1} {vf2}"))?;
        explain("the VM works while it is migrated; requests are in flight when VF1 stops");
        ZIP0.set_latency(SLOW)?;
        let file = self.vm.device()?.set_state_with_file(State::PreCopy)?;
        self.state(1, State::PreCopy)?;
        let mut stream = file.read_available(4096)?;
        self.vm.submit_at_once(64)?;
        self.vm.device()?.set_state(State::StopCopy)?;
        self.state(1, State::StopCopy)?;
        stream.extend(file.read_available(4096)?);
        show(format!(
            "(VM: {} bytes saved, {} requests still in its queues)",
            stream.len(),
            self.vm.waiting(),
        ));
        ensure!(
            self.vm.waiting() > 0,
            "VF1 had done everything before it stopped"
        );
        let source = self.vm.detach()?;

        let mut device = self.vm.open(Kind::newest(), &self.fixture.vf2)?;
        let file = device.set_state_with_file(State::Resuming)?;
        self.state(2, State::Resuming)?;
        file.write_chunks(&stream, &[40, 136])?;
        device.enable()?;
        device.set_state(State::Stop)?;
        self.state(2, State::Stop)?;
        device.set_state(State::Running)?;
        self.state(2, State::Running)?;
        self.vm.attach(device);
        source.set_state(State::Stop)?;
        self.state(1, State::Stop)?;
        drop(source);
        ZIP0.set_latency(FAST)?;
        self.vm.finish()?;
        self.vm.work(64)?;
        show(format!(
            "(VM on VF2: {} requests done, each once, all right)",
            self.vm.counts().completed,
        ));
        Ok(())
    }

    fn data(&mut self) -> Result<()> {
        explain("what was sent is what arrived");
        let DemoFixture { vf1, vf2 } = &self.fixture;
        types(&format!("cat {vf1}/migration/hisi_acc/data"))?;
        types(&format!("cat {vf2}/migration/hisi_acc/data"))?;
        types(&format!(
            "cmp {vf1}/migration/hisi_acc/data {vf2}/migration/hisi_acc/data"
        ))?;
        types(&format!("vfio-mig decode {vf1}/migration/hisi_acc/data"))?;
        types(&format!("cat {vf2}/migration/hisi_acc/attr"))?;
        let list = types("vfio-mig list")?;
        for session in ["save, 176 bytes, ended", "resume, 176 bytes, ended"] {
            ensure!(list.contains(session), "no {session:?} in the list");
        }
        Ok(())
    }
}
