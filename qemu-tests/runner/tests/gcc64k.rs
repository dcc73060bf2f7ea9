// SPDX-License-Identifier: GPL-2.0

//! What shows on a kernel that was built by GCC with pages of 64 KiB, versions of symbols and
//! enforced signatures. `.config/nextest.toml` leaves it out with other kernels.

#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use common::run;
use protocol::{Driver, Scenario, TopologyItem};
use runner::{Artifacts, Machine, modules};

/// Hardware whose VFs have the migration registers in half of their BAR 2.
const V3: u8 = 0x30;

const VFIO: &str = "drivers/vfio/core_debugfs/vfio.ko";
const DRIVER: &str = "drivers/vfio/pci/hisi_acc_rs/hisi-acc-vfio-pci-rs.ko";

/// What the driver says of a VF that cannot migrate because of the pages.
const REASON: &str = "cannot migrate: pages of 65536 bytes are too large to split BAR 2";

/// A module as it was built, without a signature.
fn unsigned(artifacts: &Artifacts, module: &str) -> PathBuf {
    artifacts.out.join("modules").join(module)
}

/// A VF of V3 works as with vfio-pci. It is bound twice, and each time the log says once why it
/// cannot migrate.
#[test]
fn b01_a_vf_of_v3_works_without_migration_and_the_log_says_why() -> Result<()> {
    let item = TopologyItem::PlainLargePages;
    let machine = Machine::new(Scenario::Topology { item }).driver(Driver::Rust);
    let outcome = run(machine.revision(V3))?;
    outcome.expect_clean()?;
    let log = outcome.kernel_log()?;
    let said = log.lines().filter(|line| line.contains(REASON)).count();
    ensure!(said == 2, "the kernel log says it {said} times");
    Ok(())
}

#[test]
fn b01_a_guest_works_with_a_vf_of_v3() -> Result<()> {
    let machine = Machine::new(Scenario::GuestPlain).driver(Driver::Rust);
    run(machine.revision(V3).hypervisor().within(1800))?.expect_clean()
}

/// With lockdown from the start, all modules have to be signed, and are.
#[test]
fn b07_a_kernel_that_was_locked_down_at_boot_migrates_vfs() -> Result<()> {
    run(Machine::new(Scenario::Lockdown).locked_down())?.expect_passed()
}

/// Modules that a machine must refuse, in folders below `scratch`.
struct Refused<'a> {
    artifacts: &'a Artifacts,
    scratch: &'a Path,
    list: String,
}

impl<'a> Refused<'a> {
    fn new(artifacts: &'a Artifacts, scratch: &'a Path) -> Self {
        let list = "dir /modules/refused 0755 0 0\n".into();
        Refused {
            artifacts,
            scratch,
            list,
        }
    }

    /// Makes one from a module, whose content `change` changes, with what is wrong with it.
    fn add(
        &mut self,
        fault: &str,
        module: &Path,
        change: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let name = module.file_name().and_then(|name| name.to_str());
        let name = name.context("a module without a name")?;
        let folder = self.scratch.join(fault);
        let file = folder.join(name);
        fs::create_dir(&folder)?;
        let mut bytes = fs::read(module)?;
        change(&mut bytes)?;
        fs::write(&file, bytes)?;
        self.list += &format!(
            "dir /modules/refused/{fault} 0755 0 0\nfile /modules/refused/{fault}/{} {} 0644 0 0\n",
            name,
            file.display()
        );
        Ok(())
    }

    /// Artifacts with an initramfs that has them.
    fn artifacts(&self) -> Result<Artifacts> {
        let initrd = self.scratch.join("initrd.cpio");
        modules::extend(self.artifacts, &self.list, &initrd)?;
        Ok(Artifacts {
            initrd,
            ..self.artifacts.clone()
        })
    }
}

fn with_refused(refused: &Refused<'_>, scenario: Scenario) -> Result<()> {
    let machine = Machine::new(scenario);
    machine
        .run(&refused.artifacts()?, |line| println!("{line}"))?
        .expect_passed()
}

/// Without a signature, with that of another key, and changed after it was signed. The remedy of
/// the page, a signature with the kernel's key, is what all the other tests rely on.
#[test]
fn b08_a_vfio_ko_is_loaded_only_if_the_kernels_key_signed_it_as_it_is() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let scratch = tempfile::tempdir()?;
    let mut refused = Refused::new(&artifacts, scratch.path());
    let module = unsigned(&artifacts, VFIO);
    refused.add("without-a-signature", &module, |_| Ok(()))?;
    let signed = artifacts.out.join("signed/vfio.ko");
    refused.add("changed-after-it-was-signed", &signed, |bytes| {
        // In the text of .modinfo, which no check of the format looks at.
        let at = find(bytes, b"license=GPL")?;
        bytes[at] ^= 0x20;
        Ok(())
    })?;
    let other = Artifacts {
        kernel: scratch.path().join("kernel-with-another-key"),
        ..artifacts.clone()
    };
    another_key(&artifacts, &other.kernel)?;
    refused.add("signed-with-another-key", &module, |_| Ok(()))?;
    modules::sign(&other, &scratch.path().join("signed-with-another-key"))?;
    with_refused(&refused, Scenario::Signatures)
}

/// A build folder with what `sign.sh` takes from one, and a key that no kernel knows.
fn another_key(artifacts: &Artifacts, folder: &Path) -> Result<()> {
    for part in ["certs", "scripts"] {
        fs::create_dir_all(folder.join(part))?;
    }
    for file in [".config", "scripts/sign-file"] {
        fs::copy(artifacts.kernel.join(file), folder.join(file))?;
    }
    let output = Command::new("openssl")
        .args([
            "req", "-new", "-x509", "-nodes", "-batch", "-newkey", "rsa:2048",
        ])
        .args(["-subj", "/CN=another key", "-outform", "DER"])
        .arg("-keyout")
        .arg(folder.join("certs/signing_key.pem"))
        .arg("-out")
        .arg(folder.join("certs/signing_key.x509"))
        .output()
        .context("cannot run openssl")?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

/// The only place of `wanted` in `bytes`.
fn find(bytes: &[u8], wanted: &[u8]) -> Result<usize> {
    let mut places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(wanted));
    let place = places.next().context("it is nowhere")?;
    ensure!(places.next().is_none(), "it is there twice");
    Ok(place)
}

/// A section of an object file.
fn section(object: &Path, name: &str, scratch: &Path) -> Result<Vec<u8>> {
    let file = scratch.join("section");
    let output = Command::new("llvm-objcopy-19")
        .arg(format!("--dump-section={name}={}", file.display()))
        .arg(object)
        .arg("/dev/null")
        .output()
        .context("cannot run llvm-objcopy-19")?;
    ensure!(
        output.status.success(),
        "{}: {}",
        object.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(fs::read(file)?)
}

const CHECKSUM: usize = 4;

/// The versions that a module was built for, in the order in which it has them: of each symbol the
/// name, and a checksum of its type.
struct Versions {
    names: Vec<String>,
    /// The section.
    checksums: Vec<u8>,
}

impl Versions {
    fn of(module: &Path) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let names = section(module, "__version_ext_names", scratch.path())?;
        let names = String::from_utf8(names)?;
        // There is one more zero at the end.
        let names = names.split('\0').filter(|name| !name.is_empty());
        let names: Vec<_> = names.map(str::to_owned).collect();
        let checksums = section(module, "__version_ext_crcs", scratch.path())?;
        ensure!(names.len() * CHECKSUM == checksums.len(), "{names:?}");
        Ok(Versions { names, checksums })
    }

    /// The place of the first symbol that fits, in the sections.
    fn position(&self, fits: impl Fn(&str) -> bool) -> Result<usize> {
        let found = self.names.iter().position(|name| fits(name));
        found.with_context(|| format!("none of {:?}", self.names))
    }

    fn iter(&self) -> impl Iterator<Item = (&String, u32)> {
        let checksum = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |sum, b| sum << 8 | u32::from(*b))
        };
        let checksums = self.checksums.chunks_exact(CHECKSUM).map(checksum);
        self.names.iter().zip(checksums)
    }
}

/// Of a `Module.symvers` the checksum and the module of each symbol.
fn exported(folder: &Path) -> Result<BTreeMap<String, (u32, String)>> {
    let file = folder.join("Module.symvers");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let entry = |line: &str| -> Option<(String, (u32, String))> {
        let mut words = line.split('\t');
        let checksum = u32::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
        let name = words.next()?.to_owned();
        Some((name, (checksum, words.next()?.to_owned())))
    };
    Ok(text.lines().filter_map(entry).collect())
}

fn is_rust(name: &str) -> bool {
    name.starts_with("_R")
}

/// Of Rust and C symbols alike, and those that vfio.ko exports have the versions that the kernel's
/// own vfio.ko has: its vfio-pci-core is loaded on this one.
#[test]
fn b16_the_modules_have_the_versions_of_the_kernels_symbols() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let kernel = exported(&artifacts.kernel)?;
    for module in [VFIO, DRIVER] {
        let versions = Versions::of(&unsigned(&artifacts, module))?;
        for (name, checksum) in versions.iter() {
            let (wanted, _) = kernel
                .get(name)
                .with_context(|| format!("{module}: the kernel does not export {name}"))?;
            ensure!(*wanted == checksum, "{module}: {name} has {checksum:#x}");
            ensure!(checksum != 0, "{module}: {name} has no version");
        }
        let rust = versions.names.iter().filter(|name| is_rust(name)).count();
        let c = versions.names.len() - rust;
        ensure!(rust > 0 && c > 20, "{module}: {rust} of Rust, {c} of C");
    }
    let ours = exported(&artifacts.out.join("modules"))?;
    let mut count = 0;
    for (name, (checksum, module)) in &kernel {
        if module == "drivers/vfio/vfio" {
            let (found, _) = ours.get(name).with_context(|| format!("no {name}"))?;
            ensure!(found == checksum, "{name} has {found:#x}");
            count += 1;
        }
    }
    ensure!(count > 20, "the kernel's vfio.ko exports {count} symbols");
    Ok(())
}

#[test]
fn b16_a_module_for_other_versions_is_refused() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let scratch = tempfile::tempdir()?;
    let mut refused = Refused::new(&artifacts, scratch.path());
    let module = unsigned(&artifacts, DRIVER);
    let versions = Versions::of(&module)?;
    for (fault, of_rust) in [
        ("another-version-of-a-symbol-of-rust", true),
        ("another-version-of-a-symbol-of-c", false),
    ] {
        // The version of module_layout is that of the module itself, with an errno of its own.
        let fits = |name: &str| is_rust(name) == of_rust && name != "module_layout";
        let place = versions.position(fits)? * CHECKSUM;
        refused.add(fault, &module, |bytes| {
            let section = find(bytes, &versions.checksums)?;
            bytes[section + place] ^= 1;
            Ok(())
        })?;
        modules::sign(&artifacts, &scratch.path().join(fault))?;
    }
    with_refused(&refused, Scenario::Versions)
}
