// SPDX-License-Identifier: GPL-2.0

//! When the files are there, for whom, and with what names and modes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use linux::sysfs::{self, Function};
use rustix::io::Errno;

use super::Fixture;
use super::files::{self, Files, observe, read_observed};
use crate::expect::{equal, refused};
use crate::host::{Driver, Host};
use crate::modules::Modules;
use crate::scenario::support::debugfs;
use crate::scenario::support::fault_injection::Creatable;
use crate::scenario::support::mtty;

/// A user that is not root.
const NOBODY: u32 = 65534;

pub(super) fn modes(fixture: &mut Fixture) -> Result<()> {
    let mut names: Vec<String> = fs::read_dir(&fixture.files().0)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort();
    let expected = files::ALL.map(|(name, _)| name.to_owned()).to_vec();
    equal("files", names, expected)?;
    for path in debugfs::entries(&debugfs::device(fixture.host.vfs[0].name()))? {
        let about = fs::metadata(&path)?;
        if about.is_file() {
            observe(&path, "mode", about.mode() & 0o7777);
        }
        let owner = (about.uid(), about.gid());
        equal(&format!("owner of {}", path.display()), owner, (0, 0))?;
    }
    for (name, mode) in files::ALL {
        let about = fs::metadata(fixture.files().0.join(name))?;
        equal(&format!("mode of {name}"), about.mode() & 0o7777, mode)?;
    }
    Ok(())
}

/// The data hold addresses of the guest: only root comes to where they are.
pub(super) fn for_root_only(fixture: &mut Fixture) -> Result<()> {
    let read_as = |user: u32| -> Result<bool> {
        let output = Command::new("/bin/busybox")
            .args(["cat", &fixture.files().0.join("attr").to_string_lossy()])
            .uid(user)
            .gid(user)
            .output()
            .context("cannot run /bin/busybox")?;
        Ok(output.status.success())
    };
    ensure!(read_as(0)?, "root cannot read attr");
    ensure!(!read_as(NOBODY)?, "anybody can read attr");
    Ok(())
}

pub(super) fn unbind(fixture: &mut Fixture) -> Result<()> {
    let vf = &fixture.host.vfs[0];
    let held: Vec<(&str, File)> = files::ALL
        .iter()
        .map(|(name, _)| Ok((*name, File::open(fixture.files().0.join(name))?)))
        .collect::<Result<_>>()?;
    let number = vfio_name(vf)?;
    vf.unbind()?;
    let folder = debugfs::device(vf.name());
    ensure!(
        !folder.exists(),
        "{} is there after unbind",
        folder.display()
    );
    for (name, file) in held {
        refused(
            &format!("{name} after unbind"),
            file.read_at(&mut [0; 16], 0),
            Errno::IO,
        )?;
    }
    vf.bind(&fixture.host.driver_name()?)?;
    ensure!(
        fixture.files().0.exists(),
        "{} is not there after bind",
        fixture.files().0.display()
    );
    // A device that something still holds, such as a folder in debugfs, keeps its number.
    equal("name of the VFIO device", vfio_name(vf)?, number)
}

/// The name VFIO core has given to the device of this function.
fn vfio_name(vf: &Function) -> Result<OsString> {
    let mut entries = fs::read_dir(vf.path("vfio-dev"))?;
    let entry = entries
        .next()
        .context("the function has no VFIO device")??;
    Ok(entry.file_name())
}

/// A VF whose PF has no driver of its kind cannot migrate, so it has no files for that, and works.
pub(super) fn not_migratable(fixture: &Fixture, modules: &Modules) -> Result<()> {
    let pf = &fixture.host.pf;
    let driver = Host::name_of(Driver::Rust)?;
    for vf in &fixture.host.vfs {
        vf.unbind()?;
    }
    sysfs::write(pf.path("sriov_numvfs"), "0")?;
    modules.load_with("vfio_pci", "enable_sriov=1")?;
    pf.bind("vfio-pci")?;
    pf.enable_vfs(1, false)?;
    let vf = pf.virtual_function(0)?;
    vf.bind(&driver)?;
    let device = debugfs::device(vf.name());
    ensure!(device.exists(), "{} is not there", device.display());
    let migration = device.join("migration");
    ensure!(!migration.exists(), "{} is there", migration.display());
    vf.unbind()
}

/// The core's files of a device that has all features.
pub(super) fn of_the_core(modules: &Modules) -> Result<()> {
    modules.load("mtty")?;
    mtty::create()?;
    let migration = debugfs::device(mtty::UUID).join("migration");
    for name in ["state", "features", "history"] {
        let path = migration.join(name);
        observe(&path, "mode", fs::metadata(&path)?.mode() & 0o7777);
        read_observed(&path)?;
    }
    let own = Files(migration.join("hisi_acc"));
    ensure!(!own.0.exists(), "mtty has files of ours");
    mtty::remove()
}

/// A VF, bound while memory runs out.
pub(super) struct Binding<'b>(pub(super) &'b Fixture);

impl Creatable for Binding<'_> {
    fn make(&self) {
        let vf = &self.0.host.vfs[0];
        // What came of it is looked at when memory is there again.
        let _ = sysfs::write("/sys/bus/pci/drivers_probe", vf.name());
    }

    fn is_made(&self) -> bool {
        self.0.host.vfs[0].driver().is_some()
    }

    fn is_whole(&self) -> Result<bool> {
        let has = |(name, _): &(&str, u32)| self.0.files().0.join(name).exists();
        Ok(files::ALL.iter().all(has))
    }

    fn remove(&self) -> Result<()> {
        let vf = &self.0.host.vfs[0];
        vf.unbind()?;
        let folder = debugfs::device(vf.name());
        ensure!(!folder.exists(), "{} is left behind", folder.display());
        Ok(())
    }
}
