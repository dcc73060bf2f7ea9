// SPDX-License-Identifier: GPL-2.0

//! The program as others meet it: a reader that goes away, a terminal's colours, files that change
//! while it runs, a driver that does not answer, and a folder for a bug report.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use vfio_mig::commands::check::Check;
use vfio_mig::commands::explain::Explain;
use vfio_mig::commands::list::List;
use vfio_mig::commands::show::Show;
use vfio_mig::commands::watch::{Event, Source};

const VF: &str = "0000:01:00.1";
const STATE: &str = "sys/kernel/debug/vfio/0000:01:00.1/migration/state";

fn recorded(moment: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/recorded")
        .join(moment)
}

fn vfio_mig(moment: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vfio-mig"));
    command.arg("--root").arg(recorded(moment));
    command
}

fn json(output: &Output) -> Result<Value> {
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).with_context(|| errors.into_owned())
}

/// A copy of recorded files that can be changed.
fn copy(moment: &str) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let mut cp = Command::new("cp");
    cp.arg("-a")
        .arg(recorded(moment).join("."))
        .arg(folder.path());
    ensure!(cp.status()?.success(), "cp has failed");
    Ok(folder)
}

#[test]
fn a_reader_that_goes_away_is_no_error() -> Result<()> {
    for arguments in [
        &["list", "--json"][..],
        &["--help"],
        &["watch", VF, "--for", "0.1"],
    ] {
        let mut child = vfio_mig("rust-running")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        drop(child.stdout.take());
        let output = child.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(errors.is_empty(), "{arguments:?}: {errors}");
    }
    Ok(())
}

#[test]
fn only_a_terminal_gets_colours() -> Result<()> {
    let escape =
        |command: &mut Command| -> Result<bool> { Ok(command.output()?.stdout.contains(&0x1b)) };
    let shown = ["show", VF];
    ensure!(
        !escape(vfio_mig("rust-failed").args(shown))?,
        "colours in a pipe"
    );
    let forced = |name| escape(vfio_mig("rust-failed").args(shown).env(name, "1"));
    ensure!(
        forced("CLICOLOR_FORCE")?,
        "no colours although they are forced"
    );
    // `script` gives it a terminal.
    let program = env!("CARGO_BIN_EXE_vfio-mig");
    let line = format!(
        "{program} --root {} show {VF}",
        recorded("rust-failed").display()
    );
    let in_terminal = |no_color: bool| {
        let mut command = Command::new("script");
        command
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        command.stdin(Stdio::null());
        escape(&mut command)
    };
    if Command::new("script").arg("--version").output().is_ok() {
        ensure!(in_terminal(false)?, "no colours in a terminal");
        ensure!(!in_terminal(true)?, "colours in spite of NO_COLOR");
    }
    Ok(())
}

#[test]
fn changes_are_printed_as_they_happen() -> Result<()> {
    let folder = copy("rust-running")?;
    let state = folder.path().join(STATE);
    let attr = state.with_file_name("hisi_acc").join("attr");
    let mut child = Command::new(env!("CARGO_BIN_EXE_vfio-mig"))
        .arg("--root")
        .arg(folder.path())
        .args(["-j", "watch", VF, "--interval", "1", "--for", "60"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut event = || -> Result<Event> {
        let line = lines.next().context("no further event")??;
        Ok(serde_json::from_str(&line)?)
    };
    // In one step, as a file of debugfs changes.
    let write = |file: &Path, text: &str| -> Result<()> {
        let new = file.with_extension("new");
        fs::write(&new, text)?;
        Ok(fs::rename(new, file)?)
    };
    match event()? {
        Event::Begin { source, reason, .. } => {
            assert_eq!(source, Source::Polling);
            ensure!(reason.is_some(), "no reason");
        }
        other => panic!("{other:?}"),
    }
    write(&state, "PRE_COPY\n")?;
    let name = |event: Event| match event {
        Event::State { from, to, .. } => format!("{from}>{to}"),
        other => format!("{other:?}"),
    };
    assert_eq!(name(event()?), "RUNNING>PRE_COPY");
    let history = "history: session=9 role=save source=user begin=7.000000 end=- bytes=- refused=- \
                   arcs=RUNNING>PRE_COPY:118:0\n";
    write(&attr, &(fs::read_to_string(&attr)? + history))?;
    match event()? {
        Event::Arc { session: 9, arc } => assert_eq!(arc.duration_us, 118),
        other => panic!("{other:?}"),
    }
    fs::remove_file(&state)?;
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(errors.contains("is not there"), "{errors}");
    Ok(())
}

/// While the driver is busy with a request, reading `state` would wait. What can be read is shown and
/// kept, and the other files are not missed.
#[test]
fn a_driver_that_does_not_answer_is_not_waited_for() -> Result<()> {
    let folder = copy("c-migrated")?;
    let state = folder.path().join(STATE);
    // Nobody writes to it: whoever opens it waits.
    fs::remove_file(&state)?;
    let made = Command::new("mkfifo").arg(&state).status()?;
    ensure!(made.success(), "mkfifo has failed");
    let line = "request=7 time=9.793776 from=RUNNING to=STOP duration=12000000 errno=- ioctl=- \
                pid=42 comm=qemu\n";
    fs::write(state.with_file_name("history"), line)?;
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfio-mig"));
        command.arg("--root").arg(folder.path()).args(arguments);
        command.output()
    };
    let answer: Explain = serde_json::from_value(json(&run(&["-j", "explain", VF])?)?)?;
    let ids: Vec<&str> = answer.findings.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(ids, ["driver-does-not-answer"]);
    let shown = &answer.findings[0].shown[0];
    for word in ["12.0 s", "qemu (pid 42)", "RUNNING -> STOP"] {
        ensure!(shown.contains(word), "{shown}");
    }
    let list = run(&["list"])?;
    let list = String::from_utf8(list.stdout)?;
    ensure!(list.contains("request 7: RUNNING -> STOP"), "{list}");
    let watch = run(&["watch", VF])?;
    assert_eq!(watch.status.code(), Some(3));
    let report = folder.path().join("report");
    let output = run(&["report", VF, "--output", &report.to_string_lossy()])?;
    ensure!(output.status.success(), "{output:?}");
    let kept = report.join(STATE).with_file_name("history");
    assert_eq!(fs::read_to_string(kept)?, line);
    ensure!(!report.join(STATE).exists(), "it has read the state");
    Ok(())
}

/// The C driver records nothing, and a `vfio.ko` without the option does not either.
#[test]
fn without_any_record_there_is_no_explanation() -> Result<()> {
    let folder = copy("c-migrated")?;
    fs::remove_file(folder.path().join(STATE).with_file_name("history"))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_vfio-mig"));
    let explain = command
        .arg("--root")
        .arg(folder.path())
        .args(["explain", VF]);
    assert_eq!(explain.output()?.status.code(), Some(3));
    Ok(())
}

#[test]
fn a_report_can_be_read_and_has_no_addresses() -> Result<()> {
    let place = tempfile::tempdir()?;
    let report = |name: &str, more: &[&str]| -> Result<PathBuf> {
        let folder = place.path().join(name);
        let mut command = vfio_mig("rust-migrated");
        command
            .args(["report", VF, "--output"])
            .arg(&folder)
            .args(more);
        let output = command.output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(folder)
    };
    let (without, with) = (
        report("without", &[])?,
        report("with", &["--with-guest-addresses"])?,
    );
    let data = "sys/kernel/debug/vfio/0000:01:00.1/migration/hisi_acc/data";
    let original = fs::read_to_string(recorded("rust-migrated").join(data))?;
    assert_eq!(fs::read_to_string(with.join(data))?, original);
    assert_eq!(
        fs::read_to_string(without.join(data))?
            .matches(" --")
            .count(),
        48
    );

    // What is shown does not depend on them.
    let answers = |folder: &Path| -> Result<Value> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfio-mig"));
        json(
            &command
                .arg("--root")
                .arg(folder)
                .args(["-j", "show", VF])
                .output()?,
        )
    };
    let expected = json(
        &vfio_mig("rust-migrated")
            .args(["-j", "show", VF])
            .output()?,
    )?;
    assert_eq!(answers(&without)?, expected);
    // It does not replace anything.
    let again = vfio_mig("rust-migrated")
        .args(["report", VF, "--output"])
        .arg(&with)
        .output()?;
    assert_eq!(again.status.code(), Some(3));
    Ok(())
}

#[test]
fn metrics_are_in_the_format_of_prometheus() -> Result<()> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("vfio.prom");
    let mut command = vfio_mig("rust-migrated");
    let output = command
        .args(["list", "--prometheus", "--output"])
        .arg(&file)
        .output()?;
    ensure!(
        output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
    let text = fs::read_to_string(&file)?;
    let mut name = String::new();
    let mut samples = 0;
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", metric, _] => name = metric.to_owned(),
            ["#", "TYPE", metric, kind] => ensure!(metric == name && kind == "gauge", "{line}"),
            _ => {
                let rest = line
                    .strip_prefix(&name)
                    .and_then(|rest| rest.strip_prefix('{'));
                let (labels, value) = rest.and_then(|r| r.rsplit_once("} ")).context("a sample")?;
                ensure!(value.parse::<f64>().is_ok(), "{line}");
                ensure!(labels.starts_with("device=\"0000:01:00."), "{line}");
                samples += 1;
            }
        }
    }
    let refused = "vfio_mig_last_session_refused{device=\"0000:01:00.3\"} 1";
    ensure!(text.lines().any(|line| line == refused), "{text}");
    ensure!(samples > 45, "only {samples} samples");
    Ok(())
}

/// What is written can be read back into the types that the schemas are made from.
#[test]
fn answers_are_those_of_their_types() -> Result<()> {
    let answer = |arguments: &[&str]| -> Result<Value> {
        json(&vfio_mig("rust-failed").arg("-j").args(arguments).output()?)
    };
    serde_json::from_value::<List>(answer(&["list"])?)?;
    serde_json::from_value::<Show>(answer(&["show", VF])?)?;
    serde_json::from_value::<Check>(answer(&["check", VF])?)?;
    serde_json::from_value::<Explain>(answer(&["explain", VF])?)?;
    Ok(())
}
