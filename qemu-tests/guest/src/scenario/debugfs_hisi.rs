// SPDX-License-Identifier: GPL-2.0

//! The driver's own files: what they say when, and that looking changes nothing.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use serde_json::Value;

use super::transfer::{self, Path, STREAM_SIZE};
use super::tree;
use crate::Options;
use crate::control::{self, Report};
use crate::expect::{equal, refused};
use crate::host::Host;
use crate::qm::Vm;
use crate::sysfs::Function;
use crate::vfio::{Device, State};

/// All files of the driver, with their modes.
const FILES: [(&str, u32); 7] = [
    ("attr", 0o444),
    ("cmd_state", 0o444),
    ("data", 0o444),
    ("debug", 0o600),
    ("dev_data", 0o444),
    ("match", 0o444),
    ("migf_data", 0o444),
];
/// Bytes of the state that `dev_data` and `migf_data` show: all before the addresses.
const SHOWN_SIZE: usize = 144;
/// The keys of `attr`, in their order; `failed` is there only in ERROR, and `history` comes after
/// them for each of the last sessions.
const KEYS: [&str; 14] = [
    "engine",
    "hardware version",
    "registers",
    "function",
    "queue base",
    "queue count",
    "isolation",
    "driver ready",
    "device state",
    "data valid",
    "data size",
    "session",
    "source",
    "refused",
];
/// Texts that are no command.
const UNKNOWN: [&str; 6] = ["3", "-1", "save1", "Save", "io test", "\u{0}"];
const SLOW: Duration = Duration::from_millis(50);
const FAST: Duration = Duration::from_micros(20);

/// The files of one VF.
struct Files(PathBuf);

impl Files {
    fn of(vf: &Function) -> Self {
        Files(tree::device(vf.name()).join("migration/hisi_acc"))
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.0.join(name);
        tree::content(&path).with_context(|| format!("reading {}", path.display()))
    }

    /// Writes a command, by one write as `echo` does.
    fn command(&self, command: &str) -> std::io::Result<()> {
        let mut file = File::options().write(true).open(self.0.join("debug"))?;
        file.write_all(format!("{command}\n").as_bytes())
    }

    fn does(&self, command: &str) -> Result<()> {
        self.command(command)
            .with_context(|| format!("command {command}"))
    }

    fn refuses(&self, command: &str, errno: Errno) -> Result<()> {
        refused(
            &format!("command {command:?}"),
            self.command(command),
            errno,
        )
    }

    /// The lines of `attr`, taken apart.
    fn attributes(&self) -> Result<Vec<(String, String)>> {
        let text = self.read("attr")?;
        let pair = |line: &str| {
            let (key, value) = line
                .split_once(": ")
                .with_context(|| format!("line {line:?}"))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        text.lines().map(pair).collect()
    }

    /// The last sessions in `attr`, oldest first.
    fn history(&self) -> Result<Vec<String>> {
        let lines = self.attributes()?.into_iter();
        Ok(lines
            .filter(|(key, _)| key == "history")
            .map(|(_, value)| value)
            .collect())
    }

    /// The value of a key in `attr`.
    fn attribute(&self, key: &str) -> Result<String> {
        let found = self.attributes()?.into_iter().find(|(name, _)| name == key);
        Ok(found.with_context(|| format!("attr has no {key}"))?.1)
    }

    /// `attr` has its keys in their order, and these values among its own.
    fn attributes_are(&self, expected: &[(&str, &str)]) -> Result<()> {
        let found = self.attributes()?;
        let mut keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        keys.truncate(keys.len() - self.history()?.len());
        equal("keys of attr", keys, KEYS.to_vec())?;
        expected.iter().try_for_each(|(key, value)| {
            equal(
                &format!("{key} in attr"),
                self.attribute(key)?.as_str(),
                value,
            )
        })
    }

    fn no_data(&self) -> Result<()> {
        refused(
            "reading data",
            tree::content(&self.0.join("data")),
            Errno::NODATA,
        )
    }
}

struct Bench<'h> {
    host: &'h Host,
    files: Files,
    vm: Vm,
}

impl Bench<'_> {
    fn open(&self) -> Result<Device> {
        self.vm.open(self.host.kind, &self.host.vfs[0])
    }

    /// Opens VF1 and has a VM's driver work on it.
    fn work(&mut self) -> Result<()> {
        let device = self.open()?;
        self.vm.attach(device);
        self.vm.bring_up()?;
        self.vm.submit(16)?;
        self.vm.finish()
    }

    fn close(&mut self) -> Result<()> {
        drop(self.vm.detach()?);
        self.vm.forget();
        Ok(())
    }
}

type Check = fn(&mut Bench<'_>) -> Result<()>;

const CHECKS: [(&str, Check); 14] = [
    ("files and their modes", modes),
    ("before anything was opened", unopened),
    ("attr says what the device is and does", attributes),
    ("attr says why a stream was refused", refusal),
    ("attr tells of the last sessions", history),
    ("the files of the C driver, and match", mainline),
    ("io_test", io_test),
    ("save and resume under work", save_and_resume),
    ("stop and start", stop_and_start),
    ("what is no command", unknown),
    ("a user's session keeps commands out", busy),
    ("the data are the same on both sides", both_sides),
    ("data stay after close and go at the next open", kept),
    ("reading changes nothing in any state", reading),
];

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let host = Host::prepare(options, 2)?;
    let mut bench = Bench {
        host: &host,
        files: Files::of(&host.vfs[0]),
        vm: Vm::new(1)?,
    };
    for (name, check) in CHECKS {
        report.point(name, || check(&mut bench));
        // What a failed check left open must not fail the next one.
        if bench.vm.device().is_ok() {
            bench.close()?;
        }
    }
    report.point("files go at unbind, also under a reader", || unbind(&bench));
    control::report_violations(report, true);
    Ok(())
}

fn modes(bench: &mut Bench<'_>) -> Result<()> {
    let mut names: Vec<String> = fs::read_dir(&bench.files.0)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort();
    let mut expected = FILES.map(|(name, _)| name.to_owned()).to_vec();
    expected.sort();
    equal("files", names, expected)?;
    for (name, mode) in FILES {
        let about = fs::metadata(bench.files.0.join(name))?;
        equal(&format!("mode of {name}"), about.mode() & 0o7777, mode)?;
        equal(
            &format!("owner of {name}"),
            (about.uid(), about.gid()),
            (0, 0),
        )?;
    }
    Ok(())
}

fn unopened(bench: &mut Bench<'_>) -> Result<()> {
    bench.files.no_data()?;
    let answer = bench.files.read("debug")?;
    ensure!(
        answer.starts_with("command: none\n"),
        "debug says before any command:\n{answer}"
    );
    for command in ["0", "1", "2", "save", "resume", "io_test", "stop", "start"] {
        bench.files.refuses(command, Errno::NODEV)?;
    }
    // At an offset seq_file used to spin in the kernel on an EAGAIN of the file.
    for (name, _) in FILES {
        let file = File::open(bench.files.0.join(name))?;
        if let Err(error) = file.read_at(&mut [0; 16], 1) {
            ensure!(
                error.raw_os_error() != Some(libc::EAGAIN),
                "reading {name} at an offset: {error}",
            );
        }
    }
    Ok(())
}

fn attributes(bench: &mut Bench<'_>) -> Result<()> {
    bench.work()?;
    bench.files.attributes_are(&[
        ("engine", "zip"),
        ("function", "1"),
        ("isolation", "0"),
        ("driver ready", "yes"),
        ("device state", "RUNNING"),
        ("data valid", "no"),
        ("data size", "0"),
        ("session", "none"),
        ("source", "none"),
        ("refused", "none"),
    ])?;
    bench.files.does("save")?;
    bench.files.attributes_are(&[
        ("data valid", "yes"),
        ("data size", "176"),
        ("source", "debugfs"),
        ("refused", "none"),
    ])?;
    let session = bench.files.attribute("session")?;
    ensure!(session.ends_with(" save"), "session is {session:?}");
    bench.vm.device()?.set_state(State::Stop)?;
    bench.files.attributes_are(&[("device state", "STOP")])?;
    bench.close()?;
    bench.files.attributes_are(&[
        ("queue base", "unknown"),
        ("queue count", "unknown"),
        ("isolation", "unknown"),
        ("driver ready", "unknown"),
        ("device state", "closed"),
        ("data size", "176"),
    ])
}

/// The reason for a refusal stands in `attr`, and stays until the next user comes.
fn refusal(bench: &mut Bench<'_>) -> Result<()> {
    let device = bench.open()?;
    let mut stream = device
        .set_state_with_file(State::StopCopy)?
        .read_available(4096)?;
    device.set_state(State::Running)?;
    // The PCI device of the VF.
    stream[12] ^= 0x55;
    let file = device.set_state_with_file(State::Resuming)?;
    refused(
        "a stream of another device",
        file.write(&stream),
        Errno::INVAL,
    )?;
    drop((file, device));
    let reason = bench.files.attribute("refused")?;
    ensure!(
        reason.contains(", device expected ")
            && reason.contains(" got ")
            && reason.contains("a251"),
        "the reason given is {reason:?}",
    );
    drop(bench.open()?);
    bench.files.attributes_are(&[("refused", "none")])
}

/// The word of a line of `history` that starts with `key=`, without that.
fn word<'l>(line: &'l str, key: &str) -> Result<&'l str> {
    line.split(' ')
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        .with_context(|| format!("no {key} in {line:?}"))
}

/// The arcs in a line of `history`, without their durations.
fn arcs(line: &str) -> Result<Vec<(String, String)>> {
    let arc = |text: &str| {
        let parts: Vec<&str> = text.split(':').collect();
        ensure!(parts.len() == 3, "arc {text:?}");
        let _: u32 = parts[1].parse().context("duration of an arc")?;
        Ok((parts[0].to_owned(), parts[2].to_owned()))
    };
    word(line, "arcs")?.split(',').map(arc).collect()
}

fn history(bench: &mut Bench<'_>) -> Result<()> {
    bench.work()?;
    equal("sessions before any", bench.files.history()?.len(), 0)?;
    let file = bench.vm.device()?.set_state_with_file(State::PreCopy)?;
    let line = bench.files.history()?.pop().unwrap_or_default();
    equal("end of a session in PRE_COPY", word(&line, "end")?, "-")?;
    drop(file);
    bench.vm.device()?.set_state(State::Running)?;
    let line = bench.files.history()?.pop().unwrap_or_default();
    equal("bytes of a session", word(&line, "bytes")?, "40")?;
    equal("role of a session", word(&line, "role")?, "save")?;
    let walked = [("RUNNING>PRE_COPY", "0"), ("PRE_COPY>RUNNING", "0")];
    equal(
        "arcs of a session",
        arcs(&line)?,
        walked
            .map(|(arc, errno)| (arc.to_owned(), errno.to_owned()))
            .to_vec(),
    )?;
    let seconds = |key| word(&line, key)?.parse::<f64>().context("a time");
    ensure!(
        seconds("begin")? <= seconds("end")?,
        "the session ended before it began: {line:?}"
    );

    for _ in 0..4 {
        bench.files.does("save")?;
    }
    let lines = bench.files.history()?;
    let source: Vec<&str> = lines
        .iter()
        .map(|line| word(line, "source"))
        .collect::<Result<_>>()?;
    equal("sources", source, vec!["debugfs"; 4])?;
    let stopped = ("RUNNING_P2P>STOP".to_owned(), "0".to_owned());
    ensure!(
        arcs(&lines[3])?.contains(&stopped),
        "no stop in {:?}",
        lines[3]
    );

    let device = bench.vm.device()?;
    let file = device.set_state_with_file(State::Resuming)?;
    refused(
        "a stream of zeroes",
        file.write(&[0; STREAM_SIZE]),
        Errno::INVAL,
    )?;
    ensure!(
        device.set_state(State::Stop).is_err(),
        "what was refused is loaded"
    );
    let line = bench.files.history()?.pop().unwrap_or_default();
    ensure!(
        word(&line, "refused")?.starts_with("magic:"),
        "refused in {line:?}"
    );
    let failed = ("RESUMING>STOP".to_owned(), "22".to_owned());
    ensure!(arcs(&line)?.contains(&failed), "no failed arc in {line:?}");
    drop(file);
    device.reset()?;
    let line = bench.files.history()?.pop().unwrap_or_default();
    ensure!(
        word(&line, "end")? != "-",
        "the reset has not ended {line:?}"
    );
    bench.close()?;
    equal("sessions after close", bench.files.history()?.len(), 4)?;
    drop(bench.open()?);
    equal(
        "sessions of the last owner",
        bench.files.history()?,
        Vec::new(),
    )
}

/// The lines that `seq_hex_dump` makes of `bytes`.
fn dump(prefix: &str, bytes: &[u8]) -> Vec<String> {
    let line = |(number, bytes): (usize, &[u8])| {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{prefix}{:08x}: {}", number * 16, hex.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// What the files say of a device at rest is what a migration takes from it.
fn mainline(bench: &mut Bench<'_>) -> Result<()> {
    let reading = |bench: &Bench<'_>, name: &str, errno| {
        let path = bench.files.0.join(name);
        refused(&format!("reading {name}"), tree::content(&path), errno)
    };
    for name in ["dev_data", "cmd_state"] {
        reading(bench, name, Errno::NODEV)?;
    }
    let before = bench.files.read("match")?;
    let keys: Vec<&str> = before
        .lines()
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect();
    equal(
        "keys of match",
        keys,
        vec![
            "magic",
            "major_version",
            "device",
            "queue_count",
            "isolation",
        ],
    )?;
    ensure!(before.contains("\ndevice: 0xa251\n"), "match is {before:?}");

    let device = bench.open()?;
    let text = bench.files.read("dev_data")?;
    ensure!(
        text.ends_with("\nguest driver load: 0\ndata size: 40\n"),
        "dev_data without a driver in the guest:\n{text}"
    );
    drop(device);

    bench.work()?;
    reading(bench, "migf_data", Errno::NODATA)?;
    equal(
        "cmd_state",
        bench.files.read("cmd_state")?.as_str(),
        "mailbox cmd channel ready!\n",
    )?;
    equal("match, open", bench.files.read("match")?, before.clone())?;
    let dev_data = bench.files.read("dev_data")?;
    let file = bench.vm.device()?.set_state_with_file(State::StopCopy)?;
    let stream = file.read_available(4096)?;
    equal(
        "dev_data, stopped",
        &bench.files.read("dev_data")?,
        &dev_data,
    )?;
    bench.vm.device()?.set_state(State::Running)?;

    let mut expected = dump("Dev Data:", &stream[..SHOWN_SIZE]);
    expected.push("guest driver load: 1".to_owned());
    expected.push(format!("data size: {STREAM_SIZE}"));
    equal("dev_data", lines(&dev_data), expected)?;
    let mut expected = dump("Mig Data:", &stream[..SHOWN_SIZE]);
    expected.push(format!("migrate data length: {STREAM_SIZE}"));
    equal(
        "migf_data",
        lines(&bench.files.read("migf_data")?),
        expected,
    )?;

    control::set("fault", "fn1:mailbox-status=3")?;
    let result = bench.vm.device()?.set_state(State::StopCopy);
    let state = reading(bench, "cmd_state", Errno::IO);
    control::set("fault", "")?;
    ensure!(result.is_err(), "a refused PAUSE succeeded");
    state?;
    bench.close()?;
    equal("match, closed", bench.files.read("match")?, before)?;
    drop(bench.open()?);
    reading(bench, "migf_data", Errno::NODATA)
}

fn io_test(bench: &mut Bench<'_>) -> Result<()> {
    bench.work()?;
    for command in ["2", "io_test"] {
        bench.files.does(command)?;
        let answer = bench.files.read("debug")?;
        ensure!(
            answer.contains("io_test"),
            "debug does not name the command:\n{answer}"
        );
        for name in ["save", "resume", "stop", "start"] {
            ensure!(
                answer.contains(name),
                "debug does not list {name}:\n{answer}"
            );
        }
    }
    bench.files.no_data()?;
    bench.vm.submit(16)?;
    bench.vm.finish()?;
    bench.vm.verify()
}

/// Runs commands while requests are in flight; all must complete, once.
fn under_work(bench: &mut Bench<'_>, commands: &[&str]) -> Result<()> {
    control::set_latency(SLOW)?;
    bench.vm.submit_at_once(32)?;
    let result = commands
        .iter()
        .try_for_each(|command| bench.files.does(command));
    control::set_latency(FAST)?;
    result?;
    bench.vm.finish()?;
    bench.vm.submit(16)?;
    bench.vm.finish()?;
    bench.vm.verify()
}

fn save_and_resume(bench: &mut Bench<'_>) -> Result<()> {
    bench.work()?;
    bench.files.refuses("1", Errno::NODATA)?;
    for command in ["0", "save"] {
        under_work(bench, &[command])?;
        equal(
            "state after save",
            bench.vm.device()?.state()?,
            State::Running,
        )?;
        let data = bench.files.read("data")?;
        ensure!(
            data.starts_with("Mig Data:00000000: "),
            "data begins otherwise:\n{data}"
        );
        let last = data.lines().last().unwrap_or_default();
        ensure!(
            last.contains(&STREAM_SIZE.to_string()),
            "data ends without its length: {last:?}"
        );
    }
    for command in ["1", "resume"] {
        // The snapshot is of a device at rest, and so is the device it is loaded into: requests
        // since the snapshot would be forgotten.
        bench.files.does("save")?;
        bench.files.does(command)?;
        equal(
            "state after resume",
            bench.vm.device()?.state()?,
            State::Running,
        )?;
        bench.vm.submit(32)?;
        bench.vm.finish()?;
        bench.vm.verify()?;
    }
    Ok(())
}

fn stop_and_start(bench: &mut Bench<'_>) -> Result<()> {
    bench.work()?;
    let state = |bench: &Bench<'_>| bench.vm.device()?.state().context("reading the state");
    bench.files.does("stop")?;
    equal("state after stop", state(bench)?, State::Stop)?;
    bench.files.does("start")?;
    equal("state after start", state(bench)?, State::Running)?;
    under_work(bench, &["stop", "start"])
}

fn unknown(bench: &mut Bench<'_>) -> Result<()> {
    bench.work()?;
    for text in UNKNOWN {
        bench.files.refuses(text, Errno::INVAL)?;
    }
    bench.files.refuses(&"9".repeat(5000), Errno::INVAL)?;
    bench.files.no_data()?;
    bench.vm.submit(16)?;
    bench.vm.finish()?;
    bench.vm.verify()
}

fn busy(bench: &mut Bench<'_>) -> Result<()> {
    bench.work()?;
    bench.vm.device()?.set_state(State::RunningP2p)?;
    bench.files.refuses("save", Errno::BUSY)?;
    bench.vm.device()?.set_state(State::Running)?;
    for state in [State::PreCopy, State::StopCopy, State::Resuming] {
        let file = bench.vm.device()?.set_state_with_file(state)?;
        for command in ["0", "1", "stop", "start"] {
            bench
                .files
                .refuses(command, Errno::BUSY)
                .with_context(|| format!("in {state}"))?;
        }
        equal(
            "state after the refusals",
            bench.vm.device()?.state()?,
            state,
        )?;
        if state == State::Resuming {
            bench.vm.device()?.reset()?;
        } else {
            ensure!(
                !file.read_available(4096)?.is_empty(),
                "the session has no data"
            );
            bench.vm.device()?.set_state(State::Running)?;
        }
    }
    Ok(())
}

fn both_sides(bench: &mut Bench<'_>) -> Result<()> {
    bench.work()?;
    let stopped = transfer::stop(&mut bench.vm, Path::PreCopy, 4096, |_| Ok(()))?;
    let device = bench.vm.open(bench.host.kind, &bench.host.vfs[1])?;
    transfer::load(&mut bench.vm, device, &stopped.stream, &[40])?;
    stopped.device.set_state(State::Stop)?;
    let source = bench.files.read("data")?;
    let destination = Files::of(&bench.host.vfs[1]).read("data")?;
    equal("data of the destination", &destination, &source)?;
    for (number, bytes) in stopped.stream.chunks(16).enumerate() {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let line = format!("Mig Data:{:08x}: {}", number * 16, hex.join(" "));
        let shown = source.lines().nth(number).unwrap_or_default();
        equal("a line of data", shown.trim_end(), line.as_str())?;
    }
    bench.vm.submit(16)?;
    bench.vm.finish()?;
    bench.vm.verify()
}

fn kept(bench: &mut Bench<'_>) -> Result<()> {
    bench.work()?;
    let file = bench.vm.device()?.set_state_with_file(State::StopCopy)?;
    file.read_available(4096)?;
    bench.vm.device()?.set_state(State::Running)?;
    let data = bench.files.read("data")?;
    bench.close()?;
    equal("data after close", bench.files.read("data")?, data)?;
    bench.files.refuses("io_test", Errno::NODEV)?;
    let device = bench.open()?;
    bench.files.no_data()?;
    drop(device);
    bench.files.no_data()
}

/// Register writes, doorbells and mailbox commands of all functions.
fn changes() -> Result<Value> {
    let counters = control::get("counters")?;
    let counters = counters.as_object().context("counters is no JSON object")?;
    let functions = counters.iter().filter(|(name, _)| name.starts_with("fn"));
    let pick = |counts: &Value| {
        let keys = ["writes", "doorbells", "mailbox"];
        keys.map(|key| counts.get(key).cloned().unwrap_or_default())
            .to_vec()
    };
    Ok(functions
        .map(|(name, counts)| (name.clone(), Value::from(pick(counts))))
        .collect())
}

fn read_all(bench: &Bench<'_>, what: &str) -> Result<()> {
    let before = changes()?;
    for path in tree::entries(&tree::device(bench.host.vfs[0].name()))? {
        // Some have nothing to say in some states; what they answer is checked elsewhere.
        if path.is_file() {
            let _ = tree::content(&path);
        }
    }
    equal(
        &format!("register writes by reading all files {what}"),
        changes()?,
        before,
    )
}

fn reading(bench: &mut Bench<'_>) -> Result<()> {
    read_all(bench, "of an unopened device")?;
    bench.work()?;
    let device = bench.vm.device()?;
    read_all(bench, "in RUNNING")?;
    for state in [
        State::RunningP2p,
        State::Stop,
        State::StopCopy,
        State::Running,
        State::PreCopy,
        State::PreCopyP2p,
        State::StopCopy,
        State::Resuming,
    ] {
        let file = device
            .set_state(state)
            .with_context(|| format!("setting {state}"))?;
        let said = tree::content(&tree::device(bench.host.vfs[0].name()).join("migration/state"))?;
        equal("the state file", said.trim_end(), state.name())?;
        read_all(bench, &format!("in {state}"))?;
        drop(file);
    }
    bench.close()?;
    read_all(bench, "of a closed device")
}

fn unbind(bench: &Bench<'_>) -> Result<()> {
    let vf = &bench.host.vfs[0];
    let held: Vec<(&str, File)> = FILES
        .iter()
        .map(|(name, _)| Ok((*name, File::open(bench.files.0.join(name))?)))
        .collect::<Result<_>>()?;
    let number = vfio_name(vf)?;
    vf.unbind()?;
    let folder = tree::device(vf.name());
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
    vf.bind(&bench.host.driver_name()?)?;
    ensure!(
        bench.files.0.exists(),
        "{} is not there after bind",
        bench.files.0.display()
    );
    // A device that something still holds, such as a folder in debugfs, keeps its number.
    equal("name of the VFIO device", vfio_name(vf)?, number)
}

/// The name VFIO core has given to the device of this function.
fn vfio_name(vf: &Function) -> Result<OsString> {
    let mut entries = std::fs::read_dir(vf.path("vfio-dev"))?;
    let entry = entries
        .next()
        .context("the function has no VFIO device")??;
    Ok(entry.file_name())
}
