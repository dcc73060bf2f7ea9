// SPDX-License-Identifier: GPL-2.0

//! An emulated host with a root of Debian: what systemd and udev would have done until an operator
//! can log in, as far as libvirt needs it. Modules come by Debian's modprobe, from `/lib/modules`.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use control::{EmulatedDevice, show};
use linux::sysfs::{self, Function, TRACING};
use protocol::{Container, Setup};
use rustix::mount::{MountFlags, mount};
use vm::engine::{self, Accelerator};

use super::virsh::{PATH, run, virsh};
use crate::expect;
use crate::host::{self, Driver, module_of};
use crate::scenario::l2::migrate_under_load::LATENCY;

/// For libvirt to ask QEMU for its capabilities.
const STARTS: Duration = Duration::from_secs(300);

/// The trace event.
const REFUSED: &str = "hisi_acc_vfio_refuse";

/// The number of a group.
fn group(name: &str) -> Result<u32> {
    let text = sysfs::read("/etc/group")?;
    let mut lines = text.lines().map(|line| line.split(':'));
    let line = lines.find(|words| words.clone().next() == Some(name));
    let number = line.and_then(|mut words| words.nth(2));
    Ok(number
        .with_context(|| format!("there is no group {name}"))?
        .parse()?)
}

/// Starts a daemon. QEMU is a process that it leaves to init, and libvirt takes it for alive until
/// someone has waited for it: `tini` does.
fn start(words: &[&str]) -> Result<()> {
    let log = File::create(format!("/var/log/{}.log", words[0]))?;
    Command::new("/usr/bin/tini")
        .args(["-s", "--"])
        .args(words)
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {}", words[0]))
        .map(drop)
}

/// The accelerator that was chosen.
pub(super) fn accelerator(setup: &Setup) -> Result<&'static Accelerator> {
    let chosen = engine::chosen(setup);
    chosen.first().copied().context("no accelerator is chosen")
}

/// Makes the host ready, with VFs of this accelerator that have no driver; starts libvirt.
pub(super) fn prepare(
    setup: &Setup,
    name: &str,
    accelerator: &Accelerator,
    vfs: u32,
) -> Result<Vec<Function>> {
    for (kind, target) in [
        ("devpts", "/dev/pts"),
        ("tmpfs", "/dev/shm"),
        ("tmpfs", "/run"),
    ] {
        fs::create_dir_all(target)?;
        mount(kind, target, kind, MountFlags::empty(), None)
            .with_context(|| format!("cannot mount {kind} on {target}"))?;
    }
    fs::create_dir_all("/run/lock")?;
    sysfs::write("/proc/sys/kernel/hostname", name)?;
    run(&["ip", "link", "set", "lo", "up"])?;
    let kvm = Path::new("/dev/kvm");
    chown(kvm, None, Some(group("kvm")?))?;
    fs::set_permissions(kvm, fs::Permissions::from_mode(0o660))?;

    for module in accelerator.software.iter().chain(&["cryptomgr"]) {
        run(&["modprobe", module])?;
    }
    run(&["modprobe", accelerator.module])?;
    host::end_of_self_tests(accelerator.module)?;
    // Its device file has to be there before libvirt takes VFIO for available.
    run(&["modprobe", "vfio_iommu_type1"])?;
    if setup.container == Some(Container::Iommufd) {
        run(&["modprobe", "iommufd"])?;
    }
    let pf = host::pf(accelerator)?;
    pf.enable_vfs(vfs, false)?;
    EmulatedDevice(accelerator.id).set_latency(LATENCY)?;

    start(&["virtlogd"])?;
    start(&["libvirtd", "--listen"])?;
    expect::eventually("libvirt to answer", STARTS, || {
        Ok(Path::new("/run/libvirt/libvirt-sock").exists())
    })?;
    show(virsh(&["version"])?);
    (0..vfs).map(|index| pf.virtual_function(index)).collect()
}

/// The containers of VFIO devices that processes of QEMU have opened.
pub(super) fn containers_of_qemu() -> Result<Vec<Container>> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")? {
        let process = process?.path();
        // It may have ended meanwhile, and not each entry is a process.
        let Ok(name) = fs::read_to_string(process.join("comm")) else {
            continue;
        };
        if !name.starts_with("qemu-system") {
            continue;
        }
        for file in fs::read_dir(process.join("fd"))? {
            match fs::read_link(file?.path())?.to_str() {
                Some("/dev/vfio/vfio") => found.push(Container::Type1),
                Some("/dev/iommu") => found.push(Container::Iommufd),
                _ => {}
            }
        }
    }
    found.dedup();
    Ok(found)
}

/// The VFs, of which there are three. Of 64 queues the first two have 21, the third has 22.
pub(super) fn three(vfs: Vec<Function>) -> Result<[Function; 3]> {
    let count = vfs.len();
    vfs.try_into()
        .map_err(|_| anyhow!("{count} VFs, not three"))
}

/// Records from now on what VFs are refused for, which outlasts the VFs' time with their driver.
pub(super) fn record_refusals() -> Result<()> {
    run(&["modprobe", module_of(Driver::Rust)])?;
    sysfs::write(format!("{TRACING}/trace"), "")?;
    sysfs::write(
        format!("{TRACING}/events/hisi_acc_vfio/{REFUSED}/enable"),
        "1",
    )
}

/// The VF was refused because of its number of queues.
pub(super) fn was_refused(vf: &Function) -> Result<()> {
    let trace = sysfs::read(format!("{TRACING}/trace"))?;
    let event = format!("{REFUSED}: dev={vf} ");
    let line = trace.lines().find(|line| line.contains(&event));
    let line = line.with_context(|| format!("{vf} was not refused: {trace}"))?;
    show(line.trim());
    ensure!(line.contains(" field=queue_count "), "{line}");
    Ok(())
}
