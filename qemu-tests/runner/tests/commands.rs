// SPDX-License-Identifier: GPL-2.0
//! What a user types gets an answer: a wrong option one line before anything is built, and a shell
//! whose input ends an end.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use runner::{Artifacts, modules};

/// Runs make at the top, with a cache in which nothing could be built. Returns the lines that it
/// prints when it refuses.
fn refusal(arguments: &[&str]) -> Result<Vec<String>> {
    let output = Command::new("make")
        .arg("-C")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .arg("--no-print-directory")
        .args(arguments)
        .env("CACHE", "/dev/null")
        .env_remove("MAKEFLAGS")
        .output()?;
    ensure!(!output.status.success(), "{arguments:?} was not refused");
    let lines = String::from_utf8([output.stdout, output.stderr].concat())?;
    Ok(lines.lines().map(str::to_owned).collect())
}

#[test]
fn a_wrong_option_is_refused_in_one_line() -> Result<()> {
    for (arguments, names) in [
        (["migrate", "ENGINES=foo"], ["foo", "hpre"]),
        (["migrate", "ENGINES=zip,foo"], ["foo", "hpre"]),
        (["migrate", "HOSTS=3"], ["HOSTS=3", "1 2"]),
        (["migrate", "ENGINE=zip"], ["ENGINE", "make help"]),
        (["migrate", "QEMU=sid"], ["QEMU=sid", "fixed"]),
        (["migrate", "MULTIFD=4"], ["MULTIFD=4", "no yes"]),
        (["migrate", "STOP_FIRST=yes"], ["STOP_FIRST=yes", "auto no"]),
        (["migrate", "ROUNDS=many"], ["ROUNDS=many", "number"]),
        (["conformance", "N=-1"], ["N=-1", "number"]),
        (["soak", "HOURS=x"], ["HOURS=x", "number"]),
        (["silicon", "GUESTS=maybe"], ["GUESTS=maybe", "yes no"]),
        (["test", "KERNEL=fast"], ["KERNEL=fast", "kcsan"]),
    ] {
        let lines = refusal(&arguments)?;
        let [line] = lines.as_slice() else {
            bail!("{arguments:?}: not one line: {lines:?}");
        };
        for name in names {
            ensure!(line.contains(name), "{arguments:?}: no `{name}` in {line}");
        }
    }
    Ok(())
}

/// An option that is misspelt would otherwise leave what it should turn off.
#[test]
fn a_misspelt_option_of_the_modules_is_refused() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let output = tempfile::tempdir()?;
    for option in [
        "CONFIG_HISI_ACC_VFIO_PCI_RS_DEBUG_CMD=n",
        "HISI_ACC_VFIO_PCI_RS_DEBUG_CMDS=n",
    ] {
        let error = modules::build(&artifacts, output.path(), &[option])
            .err()
            .with_context(|| format!("{option} was not refused"))?
            .to_string();
        let (name, _) = option.split_once('=').context("no value")?;
        ensure!(error.contains(name), "{error}");
    }
    let left = std::fs::read_dir(output.path())?.count();
    ensure!(left == 0, "{left} files were built");
    Ok(())
}

#[test]
fn options_that_do_not_go_together_are_refused_by_the_runner() -> Result<()> {
    let output = Command::new(env!("CARGO_BIN_EXE_runner"))
        .args(["migrate", "--check", "driver=c", "engines=zip,sec"])
        .output()?;
    ensure!(!output.status.success(), "not refused");
    let line = String::from_utf8(output.stderr)?;
    ensure!(line.contains("engines=zip,sec"), "{line}");
    Ok(())
}

/// Without a terminal the shell reads what it is given, does it and ends.
#[test]
fn a_shell_ends_when_its_input_does() -> Result<()> {
    let mut shell = Command::new(env!("CARGO_BIN_EXE_runner"))
        .arg("shell")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = shell.stdin.take().context("no input")?;
    input.write_all(b"echo it is $((6 * 7))\n")?;
    drop(input);
    let mut output = shell.stdout.take().context("no output")?;
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).map(|_| bytes)
    });
    let end = Instant::now() + Duration::from_secs(900);
    let status = loop {
        if let Some(status) = shell.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            shell.kill()?;
            bail!("the shell has not ended");
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let Ok(bytes) = reader.join() else {
        bail!("the reader panicked");
    };
    let text = String::from_utf8_lossy(&bytes?).into_owned();
    ensure!(status.success(), "{status}: {text}");
    ensure!(text.contains("it is 42"), "{text}");
    Ok(())
}
