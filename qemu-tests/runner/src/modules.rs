// SPDX-License-Identifier: GPL-2.0

//! Our kernel modules, built with other options than those that `make prepare` builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::artifacts::Artifacts;

/// Builds our modules into `folder`, with `options` on make's command line, and signs them if the
/// kernel wants that. Returns the folder.
pub fn build(artifacts: &Artifacts, folder: &Path, options: &[&str]) -> Result<PathBuf> {
    let top = top()?;
    let mut command = match &artifacts.debian13 {
        None => Command::new("make"),
        Some(debian13) => {
            std::fs::create_dir_all(folder)?;
            let mut command = Command::new(top.join("qemu-tests/scripts/debian13.sh"));
            command.args([&top, &artifacts.kernel, &debian13.source, folder]);
            command.args(["--", "make"]);
            command.arg(format!("KSRC={}", debian13.source.display()));
            if let Some(symbols) = &debian13.symbols {
                command.arg(format!("KBUILD_EXTRA_SYMBOLS={}", symbols.display()));
            }
            command
        }
    };
    let output = command
        .arg("-C")
        .arg(top)
        .arg("modules")
        .arg(format!("KDIR={}", artifacts.kernel.display()))
        .arg(format!("MO={}", folder.display()))
        .args(options)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    if artifacts.signed {
        sign(artifacts, folder)?;
    }
    Ok(folder.to_owned())
}

/// This tree.
fn top() -> Result<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Ok(top.canonicalize()?)
}

/// Signs the modules in `folder` with the key of the kernel.
pub fn sign(artifacts: &Artifacts, folder: &Path) -> Result<()> {
    let output = Command::new(top()?.join("qemu-tests/scripts/sign.sh"))
        .args([&artifacts.kernel, folder])
        .output()
        .context("cannot run sign.sh")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Writes an initramfs to `into` that has `module` in place of this project's of that name.
pub fn replace(artifacts: &Artifacts, module: &Path, into: &Path) -> Result<()> {
    let name = module.file_name().context("a module without a name")?;
    let name = name.to_string_lossy();
    let entry = format!("file /modules/ours/{name} {} 0644 0 0\n", module.display());
    extend(artifacts, &entry, into)
}

/// Writes an initramfs to `into` that has what is in `list` besides, in the format of the kernel's
/// `gen_init_cpio`.
pub fn extend(artifacts: &Artifacts, list: &str, into: &Path) -> Result<()> {
    let list_file = into.with_extension("list");
    std::fs::write(&list_file, list)?;
    let output = Command::new(artifacts.kernel.join("usr/gen_init_cpio"))
        .arg(&list_file)
        .output()
        .context("cannot run gen_init_cpio")?;
    ensure!(
        output.status.success(),
        "no archive of {}: {}",
        list_file.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    // The kernel unpacks one archive after the other, and the last one stays.
    let archive = [std::fs::read(&artifacts.initrd)?, output.stdout].concat();
    Ok(std::fs::write(into, archive)?)
}
