// SPDX-License-Identifier: GPL-2.0

//! Copies the files of a VF from another host, with its shell.
//!
//! ssh asks for nothing: there may be no terminal, and a question would come between two answers. It
//! takes all else, such as the port and the key, from its own configuration.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

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

/// How ssh is called. `ServerAlive` ends a connection whose other side has gone.
const OPTIONS: [&str; 5] = [
    "-T",
    "-oBatchMode=yes",
    "-oConnectTimeout=15",
    "-oServerAliveInterval=5",
    "-oServerAliveCountMax=3",
];

/// The exit code that ssh has for its own errors. Others are those of the other host's shell.
const SSH_FAILED: i32 = 255;

/// What the other host's shell does. None of the files has a line that begins with `@`. A file that
/// cannot be read is left out.
fn script(vf: &str) -> String {
    let words = |paths: &[&str]| paths.join(" ").replace("VF", vf);
    format!(
        "for d in {DEBUGFS}; do [ -x $d ] && echo \"@folder $d\"; done\n\
         for f in {}; do c=$(cat $f 2>/dev/null) && printf '@file %s\\n%s\\n\\n' $f \"$c\"; done\n\
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
    // A login shell of any kind understands these two words.
    let mut ssh = Command::new("ssh")
        .args(OPTIONS)
        .args(["--", host, "sh", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run ssh")?;
    let input = ssh.stdin.take().context("ssh has no input")?;
    // If ssh has ended already, its status says why.
    let _ = { input }.write_all(script(vf).as_bytes());
    let output = ssh.wait_with_output().context("cannot wait for ssh")?;
    ensure!(
        output.status.success(),
        "{}",
        failure(host, output.status, &output.stderr)
    );
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let text = String::from_utf8_lossy(&output.stdout);
    unpack(&text, folder.path()).with_context(|| format!("ssh {host}"))?;
    Ok(folder)
}

/// What went wrong, and where.
fn failure(host: &str, status: ExitStatus, stderr: &[u8]) -> String {
    let what = match status.code() {
        Some(SSH_FAILED) => format!("ssh cannot connect to {host}, or lost it"),
        Some(code) => format!("the shell of {host} ended with {code}"),
        None => format!("ssh to {host} was killed: {status}"),
    };
    // Without what could move the cursor.
    let said = String::from_utf8_lossy(stderr);
    let said: Vec<&str> = said
        .split(char::is_control)
        .filter(|part| !part.is_empty())
        .collect();
    match said.is_empty() {
        true => what,
        false => format!("{what}: {}", said.join("; ")),
    }
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
    fn who_has_failed_is_named() {
        use std::os::unix::process::ExitStatusExt;

        let failed = |code, said: &str| failure("h", ExitStatus::from_raw(code), said.as_bytes());
        assert_eq!(
            failed(255 << 8, "h: Permission denied (publickey).\r\n"),
            "ssh cannot connect to h, or lost it: h: Permission denied (publickey)."
        );
        let missing = "sh: not found\n\x1b[2Jx\n";
        let expected = "the shell of h ended with 127: sh: not found; [2Jx";
        assert_eq!(failed(127 << 8, missing), expected);
        assert_eq!(failed(9, ""), "ssh to h was killed: signal: 9 (SIGKILL)");
    }

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
