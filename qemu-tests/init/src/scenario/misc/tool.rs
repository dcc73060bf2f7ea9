// SPDX-License-Identifier: GPL-2.0

//! The operator's tool, vfio-mig, on a host whose VFs work, migrate and fail.
//!
//! Its answers must agree with what the VM does. The folders that it writes for bug reports are sent
//! to the runner, whose command `record` keeps them as the files for the tool's own tests.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use control::{Report, ZIP0, dump};
use linux::sysfs::TRACING;
use protocol::Setup;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use vfio_client::State;

use crate::expect::{equal, refused};
use crate::host::{self, Driver};
use crate::scenario::support::debugfs::entries;
use crate::scenario::support::fixture::{Fixture, stream};
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};
use crate::scenario::support::{history, mtty};

/// A third VF has the remainder of the queues, one more than the others.
const VFS: u32 = 3;

/// Runs the tool, and returns its exit code and its JSON.
fn vfio_mig(arguments: &[&str]) -> Result<(i32, Value)> {
    let output = Command::new("/bin/vfio-mig")
        .arg("--json")
        .args(arguments)
        .output()
        .context("cannot run /bin/vfio-mig")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code().context("vfio-mig was killed")?;
    let json = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("vfio-mig {arguments:?} ended with {code}: {errors}"))?;
    Ok((code, json))
}

/// The value at a place of the answer.
fn at<'a>(json: &'a Value, pointer: &str) -> Result<&'a Value> {
    json.pointer(pointer)
        .with_context(|| format!("no {pointer} in {json}"))
}

fn text<'a>(json: &'a Value, pointer: &str) -> Result<&'a str> {
    let value = at(json, pointer)?;
    value
        .as_str()
        .with_context(|| format!("{value} is no text"))
}

/// Sends the folder that `report` has written.
fn send(moment: &str, folder: &Path) -> Result<()> {
    // What is found by a link is there itself.
    let is_by_link = |path: &PathBuf| path.ancestors().skip(1).any(Path::is_symlink);
    let paths = entries(folder)?;
    for path in paths.into_iter().filter(|path| !is_by_link(path)) {
        let name = path.strip_prefix(folder)?.display();
        let about = fs::symlink_metadata(&path)?;
        let line = if about.is_symlink() {
            let target = fs::read_link(&path)?.display().to_string();
            format!("link {}", Value::from(target))
        } else if about.is_dir() {
            "folder null".to_owned()
        } else {
            let bytes = fs::read(&path)?;
            format!("file {}", Value::from(String::from_utf8_lossy(&bytes)))
        };
        dump(format!("{moment} {name} {line}"));
    }
    Ok(())
}

fn report(fixture: &Fixture, moment: &str) -> Result<()> {
    let folder = PathBuf::from(format!("/report-{moment}"));
    let path = folder.to_string_lossy();
    let arguments = ["report", "--with-guest-addresses", "--output", &*path];
    let (code, json) = vfio_mig(&arguments)?;
    equal("exit code of report", code, 0)?;
    let listed = at(&json, "/devices")?.as_array().map_or(0, Vec::len);
    equal("devices in the report", listed, fixture.host.vfs.len())?;
    let log = fs::read_to_string(folder.join("kernel-log.txt"))?;
    ensure!(log.contains("hisi_zip"), "no line of hisi_zip in {log:?}");
    // Idle now, so that what the C driver does for it disturbs nobody.
    for vf in &fixture.host.vfs {
        let file = Path::new("sys/kernel/debug/vfio").join(vf.name());
        let file = file.join("migration/hisi_acc/dev_data");
        if let Ok(bytes) = fs::read(Path::new("/").join(&file)) {
            fs::write(folder.join(file), bytes)?;
        }
    }
    send(moment, &folder)
}

/// `list` and `show` agree with the state of the VM's VF.
fn sees_the_state(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let vf = fixture.host.vfs[0].clone();
    for state in [
        State::Running,
        State::PreCopy,
        State::Running,
        State::Stop,
        State::Running,
    ] {
        if state == State::PreCopy {
            drop(fixture.vm.device()?.set_state_with_file(state)?);
        } else {
            fixture.vm.device()?.set_state(state)?;
        }
        let (code, json) = vfio_mig(&["list"])?;
        equal("exit code of list", code, 0)?;
        equal("name", text(&json, "/devices/0/name")?, vf.name())?;
        equal(
            "state in list",
            text(&json, "/devices/0/state")?,
            state.name(),
        )?;
        let (_, json) = vfio_mig(&["show", vf.name()])?;
        equal("state in show", text(&json, "/device/state")?, state.name())?;
    }
    let (_, json) = vfio_mig(&["show", vf.name()])?;
    let driver = fixture.host.driver_name()?;
    equal("driver", text(&json, "/device/driver")?, driver.as_str())?;
    let pf = fixture.host.pf.name();
    equal("PF", text(&json, "/device/pf/name")?, pf)
}

/// Nothing that a migration needs is missing here.
fn checks_pass(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let (code, json) = vfio_mig(&["check", fixture.host.vfs[0].name()])?;
    ensure!(code == 0, "{json:#}");
    let lines = at(&json, "/lines")?.as_array().context("no lines")?;
    let unknown = lines.iter().find(|line| line["verdict"] == "unknown");
    ensure!(unknown.is_none(), "{unknown:?}");
    match fixture.host.driver {
        Driver::Rust => report(fixture, "running"),
        Driver::C => Ok(()),
    }
}

/// A VM goes from VF1 to VF2. VF3 has another number of queues, and refuses it.
fn sees_a_migration(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let rust = fixture.host.driver == Driver::Rust;
    let [vf1, vf2, vf3] = [0, 1, 2].map(|n| fixture.host.vfs[n].name().to_owned());
    for (to, expected) in [(&vf2, 0), (&vf3, 1)] {
        let (code, json) = vfio_mig(&["compare", &vf1, to])?;
        // The C driver shows no match data.
        ensure!(code == if rust { expected } else { 3 }, "{code}: {json:#}");
    }
    let data = stream(fixture.vm.device()?, STREAM_SIZE)?;
    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    dump(format!("migrated stream.bin bytes {}", Value::from(hex)));
    fs::write("/stream.bin", &data)?;
    let (code, json) = vfio_mig(&["decode", "/stream.bin"])?;
    ensure!(code == 0, "a stream is wrong: {json:#}");

    let refusing = fixture.vm.open(fixture.host.kind, &fixture.host.vfs[2])?;
    let file = refusing.set_state_with_file(State::Resuming)?;
    // The C driver may accept the first part.
    let _ = file
        .write(&data[..MATCH_SIZE])
        .and_then(|_| file.write(&data[MATCH_SIZE..]));
    let _ = refusing.set_state(State::Stop);
    drop((file, refusing));

    let source = fixture.vm.detach()?;
    let mut device = fixture.vm.open(fixture.host.kind, &fixture.host.vfs[1])?;
    let file = device.set_state_with_file(State::Resuming)?;
    file.write_chunks(&data, &[MATCH_SIZE, STREAM_SIZE - MATCH_SIZE])?;
    device.enable()?;
    device.set_state(State::Running)?;
    source.set_state(State::Stop)?;
    fixture.vm.attach(device);
    fixture.vm.finish()?;
    report(fixture, "migrated")?;
    drop((source, file));
    if rust {
        let (code, json) = vfio_mig(&["explain", &vf3])?;
        equal("exit code of explain", code, 1)?;
        equal("cause", text(&json, "/findings/0/id")?, "does-not-fit")?;
        let (code, _) = vfio_mig(&["explain", &vf2])?;
        equal("exit code where nothing failed", code, 0)?;
    }
    fixture.close()
}

/// Faults of the device, and what of the registers explains a stop that fails for them.
const FAULTS: [(&str, &str); 5] = [
    ("abnormal=0x40", "abnormal_int_status is not 0"),
    ("fn1:vf-busy", "ifc_int_status is not 0"),
    ("fn1:mailbox-timeout@pause-qm", "bit 13 of mailbox is set"),
    ("fn1:wb-never", "cache_wb_done is 0"),
    ("fn1:mailbox-status=3", "bits 12:9 of mailbox are not 0"),
];

/// The VF of a VM cannot be stopped.
fn explains_failures(fixture: &mut Fixture) -> Result<()> {
    let vf = fixture.host.vfs[0].name().to_owned();
    for (fault, shown) in FAULTS {
        fixture.tidy()?;
        fixture.work()?;
        drop(fixture.vm.device()?.set_state_with_file(State::PreCopy)?);
        ZIP0.set("fault", fault)?;
        let result = fixture.vm.device()?.set_state(State::StopCopy);
        ZIP0.set("fault", "")?;
        ensure!(result.is_err(), "{fault}: the VF was stopped");
        let (code, json) = vfio_mig(&["explain", &vf])?;
        equal("exit code of explain", code, 1)?;
        equal("cause", text(&json, "/findings/0/id")?, "failed-at-source")?;
        let found = text(&json, "/findings/0/shown/0")?;
        ensure!(found.contains(shown), "{fault}: {found}");
    }
    report(fixture, "failed")
}

/// `vfio-mig watch`, which is running.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(vf: &str) -> Result<Self> {
        let mut child = Command::new("/bin/vfio-mig")
            .args(["--json", "watch", vf])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run /bin/vfio-mig")?;
        let stdout = child.stdout.take().context("no output")?;
        let lines = BufReader::new(stdout).lines();
        Ok(Watch { child, lines })
    }

    /// The next event of this kind.
    fn next(&mut self, kind: &str) -> Result<Value> {
        loop {
            let line = self.lines.next().with_context(|| format!("no {kind}"))??;
            let event: Value = serde_json::from_str(&line)?;
            if event["event"] == kind {
                return Ok(event);
            }
        }
    }

    /// Ends it by a signal, and returns its exit code.
    fn end(mut self, signal: Signal) -> Result<Option<i32>> {
        kill_process(Pid::from_child(&self.child), signal)?;
        let left: Vec<String> = self.lines.collect::<std::io::Result<_>>()?;
        let request = left.iter().find(|line| line.contains("\"request\""));
        ensure!(request.is_none(), "one request too many: {request:?}");
        Ok(self.child.wait()?.code())
    }
}

/// How many instances tracefs has.
fn instances() -> Result<usize> {
    let folder = Path::new(TRACING).join("instances");
    Ok(fs::read_dir(&folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .count())
}

/// What of a request both the history and the trace event show.
type Answered = (String, String, u64, Option<i64>);

/// `watch` gets each request when it is answered, of this VF alone, and leaves nothing behind.
fn watches_requests(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let name = fixture.host.vfs[0].name().to_owned();
    let other = fixture.vm.open(fixture.host.kind, &fixture.host.vfs[1])?;
    let device = fixture.vm.device()?;
    for signal in [Signal::INT, Signal::TERM] {
        let last = history::last_number(&name)?;
        let mut watch = Watch::start(&name)?;
        let begin = watch.next("begin")?;
        equal("source", text(&begin, "/source")?, "trace_events")?;
        equal("instances", instances()?, 1)?;
        for state in [State::Stop, State::StopCopy, State::Running] {
            device.set_state(state)?;
            other.set_state(State::Stop)?;
        }
        let refusal = device.set_state_number(77);
        refused("a number that is no state", refusal, Errno::INVAL)?;
        let made = history::since(&name, last)?;
        equal("requests", made.len(), 4)?;
        for request in &made {
            let event = watch.next("request")?;
            let found: Answered = (
                text(&event, "/from")?.to_owned(),
                text(&event, "/to")?.to_owned(),
                at(&event, "/duration_us")?.as_u64().context("no number")?,
                at(&event, "/errno")?.as_i64(),
            );
            let expected: Answered = (
                request.from.clone(),
                request.to.clone(),
                request.duration,
                request.errno.map(i64::from),
            );
            equal("request", found, expected)?;
        }
        equal("exit code of watch", watch.end(signal)?, Some(0))?;
        equal("instances that are left", instances()?, 0)?;
    }
    drop(other);
    fixture.close()
}

/// The device does not answer for a second while it is stopped. The tool says so meanwhile, and does
/// not wait for it.
fn sees_a_request_that_hangs(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let name = fixture.host.vfs[0].name().to_owned();
    let device = fixture.vm.device()?;
    let last = history::last_number(&name)?;
    ZIP0.set("fault", "fn1:mailbox-timeout@pause-qm")?;
    let answers = std::thread::scope(|scope| -> Result<_> {
        let request = scope.spawn(|| device.set_state(State::Stop).map(drop));
        while history::last_number(&name)? == last && !request.is_finished() {}
        let explained = vfio_mig(&["explain", &name])?;
        let is_meanwhile = !request.is_finished();
        ensure!(is_meanwhile, "the answer came after that of the driver");
        Ok(explained)
    });
    ZIP0.set("fault", "")?;
    let (code, json) = answers?;
    equal("exit code of explain", code, 1)?;
    equal(
        "cause",
        text(&json, "/findings/0/id")?,
        "driver-does-not-answer",
    )?;
    let shown = text(&json, "/findings/0/shown/0")?;
    let asker = format!("(pid {})", std::process::id());
    ensure!(shown.ends_with(&asker), "{shown:?} does not name {asker}");
    // Then the driver has failed, and records it in its own way or not at all.
    let (code, json) = vfio_mig(&["explain", &name])?;
    equal("exit code of explain", code, 1)?;
    let expected = match fixture.host.driver {
        Driver::Rust => "failed-at-source",
        Driver::C => "request-failed",
    };
    equal("cause", text(&json, "/findings/0/id")?, expected)?;
    fixture.vm.device()?.reset()?;
    fixture.close()
}

/// Of a device of any other driver, the tool shows what VFIO core knows.
fn sees_any_driver(setup: &Setup, driver: Driver) -> Result<()> {
    host::modules(setup)?.load("mtty")?;
    mtty::create()?;
    let device = mtty::open()?;
    device.set_state(State::Stop)?;
    let file = device.set_state(State::StopCopy)?;
    let refusal = device.set_state_number(77);
    refused("a number that is no state", refusal, Errno::INVAL)?;
    drop(file);
    let (code, json) = vfio_mig(&["show", mtty::UUID])?;
    equal("exit code of show", code, 0)?;
    equal("state", text(&json, "/device/state")?, "STOP_COPY")?;
    let requests = at(&json, "/device/history")?.as_array();
    equal("requests", requests.map_or(0, Vec::len), 3)?;
    equal(
        "errno",
        at(&json, "/device/history/2/errno")?.as_i64(),
        Some(22),
    )?;
    let (code, json) = vfio_mig(&["explain", mtty::UUID])?;
    equal("exit code of explain", code, 1)?;
    equal("cause", text(&json, "/findings/0/id")?, "request-failed")?;
    let arguments = ["report", mtty::UUID, "--output", "/report-mtty"];
    equal("exit code of report", vfio_mig(&arguments)?.0, 0)?;
    drop(device);
    mtty::remove()?;
    match driver {
        Driver::Rust => send("mtty", Path::new("/report-mtty")),
        // It would be the same.
        Driver::C => Ok(()),
    }
}

/// Of a device that is not there, there is no answer.
fn names_what_is_missing() -> Result<()> {
    let output = Command::new("/bin/vfio-mig")
        .args([OsStr::new("show"), OsStr::new("0000:99:00.1")])
        .output()?;
    equal("exit code", output.status.code(), Some(3))?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(error.contains("0000:99:00.1"), "the error is {error:?}");
    Ok(())
}

type Check = fn(&mut Fixture) -> Result<()>;

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut fixture = Fixture::new(setup, VFS)?;
    let checks: [(&str, Check); 6] = [
        ("list and show see each state", sees_the_state),
        ("check finds nothing missing", checks_pass),
        (
            "compare and explain agree with the driver",
            sees_a_migration,
        ),
        ("watch gets each request", watches_requests),
        ("a request that hangs is named", sees_a_request_that_hangs),
        ("explain finds the arc that failed", explains_failures),
    ];
    let is_rust = fixture.host.driver == Driver::Rust;
    // The C driver records no registers of a failure.
    let count = if is_rust {
        checks.len()
    } else {
        checks.len() - 1
    };
    for (name, check) in &checks[..count] {
        report.point(name, || check(&mut fixture));
        fixture.tidy()?;
    }
    let driver = fixture.host.driver;
    report.point("a device of any driver is shown", || {
        sees_any_driver(setup, driver)
    });
    report.point("a device that is missing is named", names_what_is_missing);
    Ok(())
}
