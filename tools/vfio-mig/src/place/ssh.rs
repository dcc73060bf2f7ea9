// SPDX-License-Identifier: GPL-2.0

//! Copies the files of a VF from another host, with its shell.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::device::{DEBUGFS, is_name};

/// Files that are compared.
const FILES: [&str; 9] = [
    "/sys/bus/pci/devices/VF/vendor",
    "/sys/bus/pci/devices/VF/device",
    "/sys/bus/pci/devices/VF/revision",
    "/sys/bus/pci/devices/VF/class",
    "/sys/bus/pci/devices/VF/resource",
    "/sys/kernel/debug/vfio/VF/migration/state",
    "/sys/kernel/debug/vfio/VF/migration/features",
    "/sys/kernel/debug/vfio/VF/migration/hisi_acc/attr",
    "/sys/kernel/debug/vfio/VF/migration/hisi_acc/match",
];

/// Links that are compared.
const LINKS: [&str; 2] = [
    "/sys/bus/pci/devices/VF/driver",
    "/sys/bus/pci/devices/VF/physfn",
];

/// What the other host's shell does. None of the files has a line that begins with `@`.
fn script(vf: &str) -> String {
    let words = |paths: &[&str]| paths.join(" ").replace("VF", vf);
    format!(
        "for d in {DEBUGFS}; do [ -x $d ] && echo \"@folder $d\"; done\n\
         for f in {}; do [ -r $f ] && echo \"@file $f\" && cat $f && echo; done\n\
         for l in {}; do [ -L $l ] && echo \"@link $l $(readlink $l)\"; done\n\
         echo @end\n",
        words(&FILES),
        words(&LINKS)
    )
}

/// Copies the files into a folder of the same structure.
///
/// # Errors
///
/// If ssh fails, or the other host has no such VF.
pub fn fetch(host: &str, vf: &str) -> Result<TempDir> {
    ensure!(is_name(vf), "{vf} is no name of a device");
    let mut ssh = Command::new("ssh")
        .args([host, "sh", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run ssh")?;
    let input = ssh.stdin.take().context("ssh has no input")?;
    // If ssh has ended already, its status says why.
    let _ = { input }.write_all(script(vf).as_bytes());
    let output = ssh.wait_with_output().context("cannot wait for ssh")?;
    ensure!(output.status.success(), "ssh {host}: {}", output.status);
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let text = String::from_utf8_lossy(&output.stdout);
    unpack(&text, folder.path()).with_context(|| format!("ssh {host}"))?;
    Ok(folder)
}

/// Writes what the script has printed.
fn unpack(text: &str, folder: &Path) -> Result<()> {
    // A login shell may have printed something before.
    let items = text
        .split("\n@")
        .map(|item| item.strip_prefix('@').unwrap_or(item));
    let mut ended = false;
    for item in items {
        let (line, contents) = item.split_once('\n').unwrap_or((item, ""));
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["folder", path] => fs::create_dir_all(target(folder, path)?)?,
            ["file", path] => fs::write(parent_made(folder, path)?, contents)?,
            ["link", path, to] => symlink(to, parent_made(folder, path)?)?,
            ["end"] => ended = true,
            _ => {}
        }
    }
    ensure!(ended, "the answer is incomplete");
    Ok(())
}

/// The place of a file in the folder. The other host is not trusted to stay inside.
fn target(folder: &Path, path: &str) -> Result<std::path::PathBuf> {
    let inner = path
        .strip_prefix("/sys/")
        .filter(|inner| !inner.contains(".."));
    match inner {
        Some(inner) => Ok(folder.join("sys").join(inner)),
        None => bail!("{path} was not asked for"),
    }
}

fn parent_made(folder: &Path, path: &str) -> Result<std::path::PathBuf> {
    let target = target(folder, path)?;
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_elsewhere() -> Result<()> {
        let folder = tempfile::tempdir()?;
        for wrong in [
            "@file /etc/x\n1\n@end",
            "@file /sys/../x\n1\n@end",
            "@file /sys/x\n1",
        ] {
            assert!(unpack(wrong, folder.path()).is_err(), "{wrong}");
        }
        unpack("hello\n@file /sys/a/b\n0x1\n\n@end\n", folder.path())?;
        assert_eq!(fs::read_to_string(folder.path().join("sys/a/b"))?, "0x1\n");
        Ok(())
    }
}
