// SPDX-License-Identifier: GPL-2.0

//! The trace events of the driver and of VFIO core: what comes of a migration, of refusals, failures
//! and resets, compared with what the migration's user, the device and debugfs know of it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use control::{Report, ZIP0};
use linux::sysfs::{self, TRACING};
use protocol::Setup;
use rustix::io::Errno;
use vfio_client::State;

use crate::expect::{equal, refused};
use crate::scenario::support::debugfs;
use crate::scenario::support::fixture::Fixture;
use crate::scenario::support::history;
use crate::scenario::support::stream_layout::STREAM_SIZE;

const EVENTS: &str = "/sys/kernel/tracing/events/hisi_acc_vfio";
/// The names of the driver's events begin with this.
const PREFIX: &str = "hisi_acc_vfio_";
const CORE_EVENTS: &str = "/sys/kernel/tracing/events/vfio";
/// VFIO core's event.
const CORE_ARC: &str = "migration_arc";
/// Mailbox commands by their numbers, and the names that the device counts them by.
const COMMANDS: [(&str, &str); 4] = [
    ("0x4", "sqc-bt"),
    ("0x5", "cqc-bt"),
    ("0x6", "sqc-vft"),
    ("0xe", "pause-qm"),
];

/// An event as the trace shows it.
#[derive(Clone, Debug)]
struct Event {
    /// Without the prefix of the driver's events.
    name: String,
    text: String,
}

impl Event {
    /// The value of a field.
    fn value(&self, field: &str) -> Result<&str> {
        self.text
            .split(' ')
            .find_map(|word| word.strip_prefix(field)?.strip_prefix('='))
            .with_context(|| format!("no {field} in {self:?}"))
    }
}

/// The events since the last time this was asked for; the host gets them as well.
fn events() -> Result<Vec<Event>> {
    let path = Path::new(TRACING).join("trace");
    let text = sysfs::read(&path)?;
    sysfs::write(&path, "")?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    // After the time come the name of an event and its text.
    let found = lines.filter_map(|line| line.split_once(": ")?.1.split_once(": "));
    Ok(found
        .map(|(name, text)| {
            let folder = if name == CORE_ARC {
                CORE_EVENTS
            } else {
                EVENTS
            };
            let json = serde_json::Value::from(text);
            control::dump(format!("{folder}/{name} text {json}"));
            Event {
                name: name.trim_start_matches(PREFIX).to_owned(),
                text: text.to_owned(),
            }
        })
        .collect())
}

impl Fixture {
    /// Lets a VM's driver work on VF1, and discards what was traced of it.
    fn work_untraced(&mut self) -> Result<()> {
        self.work()?;
        events().map(drop)
    }

    /// The last value of a key in `attr`.
    fn attr(&self, key: &str) -> Result<String> {
        let folder = debugfs::device(self.host.vfs[0].name());
        let text = debugfs::content(&folder.join("migration/hisi_acc/attr"))?;
        let mut lines = text.lines().rev();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        Ok(value
            .with_context(|| format!("no {key} in attr"))?
            .to_owned())
    }

    /// All events are of VF1.
    fn own(&self, events: &[Event]) -> Result<()> {
        let name = self.host.vfs[0].name();
        events
            .iter()
            .try_for_each(|event| equal("device", event.value("dev")?, name))
    }
}

/// How many of each command the mailbox of VF1 has got.
fn counted() -> Result<[u64; 4]> {
    let counters = ZIP0.get("counters")?;
    let count = |(_, name): (&str, &str)| counters["fn1"]["mailbox"][name].as_u64().unwrap_or(0);
    Ok(COMMANDS.map(count))
}

/// How many of each command were traced.
fn traced(events: &[Event]) -> [u64; 4] {
    let of = |number: &str| {
        let is = |event: &&Event| {
            event.name == "mailbox" && event.value("command").is_ok_and(|value| value == number)
        };
        events.iter().filter(is).count() as u64
    };
    COMMANDS.map(|(number, _)| of(number))
}

/// The driver's arcs among the events, in the words of `history` in `attr`.
fn arcs(events: &[Event]) -> Result<Vec<String>> {
    arcs_of("arc", events)
}

fn arcs_of(name: &str, events: &[Event]) -> Result<Vec<String>> {
    events
        .iter()
        .filter(|event| event.name == name)
        .map(|event| {
            let ret: i32 = event.value("ret")?.parse().context("ret of an arc")?;
            Ok(format!(
                "{}>{}:{}:{}",
                event.value("from")?,
                event.value("to")?,
                event.value("duration")?,
                -ret
            ))
        })
        .collect()
}

/// The arcs in the last line of `history`.
fn remembered(fixture: &Fixture) -> Result<Vec<String>> {
    let line = fixture.attr("history")?;
    let (_, arcs) = line.split_once(" arcs=").context("history without arcs")?;
    Ok(arcs.split(',').map(str::to_owned).collect())
}

/// Each event's own fields, for the host to compare.
fn fields(_: &mut Fixture) -> Result<()> {
    for folder in [EVENTS, CORE_EVENTS] {
        fields_of(folder)?;
    }
    Ok(())
}

fn fields_of(folder: &str) -> Result<()> {
    let mut events: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("cannot list {folder}"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    events.retain(|path| path.is_dir());
    events.sort();
    ensure!(!events.is_empty(), "{folder} has no events");
    for event in events {
        let text = sysfs::read(event.join("format"))?;
        let declared = text.lines().filter_map(|line| {
            let (declaration, _) = line.trim().strip_prefix("field:")?.split_once(';')?;
            (!declaration.contains(" common_")).then_some(declaration)
        });
        let declared: Vec<&str> = declared.collect();
        let declared = serde_json::Value::from(declared);
        control::dump(format!("{} fields {declared}", event.display()));
    }
    Ok(())
}

/// A VF is asked for its queues when it is bound, and not again.
fn binding(fixture: &mut Fixture) -> Result<()> {
    let driver = fixture.host.driver_name()?;
    let vf = &fixture.host.vfs[0];
    vf.unbind()?;
    events()?;
    let before = counted()?;
    vf.bind(&driver)?;
    let seen = events()?;
    let after = counted()?;
    fixture.own(&seen)?;
    let given = std::array::from_fn(|n| after[n] - before[n]);
    equal("commands traced", traced(&seen), given)?;
    equal("commands of the binding", given, [0, 0, 1, 0])?;
    fixture.vm.open(fixture.host.kind, vf)?;
    equal("commands of the opening", traced(&events()?), [0; 4])
}

fn saving(fixture: &mut Fixture) -> Result<()> {
    fixture.work_untraced()?;
    let device = fixture.vm.device()?;
    let before = counted()?;
    let file = device.set_state_with_file(State::PreCopy)?;
    device.set_state(State::StopCopy)?;
    file.read_available(4096)?;
    let events_of_save = events()?;
    let after = counted()?;
    fixture.own(&events_of_save)?;
    equal("arcs", arcs(&events_of_save)?, remembered(fixture)?)?;
    ensure!(arcs(&events_of_save)?.len() >= 3, "{events_of_save:?}");
    let given = std::array::from_fn(|n| after[n] - before[n]);
    equal("commands traced", traced(&events_of_save), given)?;
    ensure!(given[3] == 1, "commands that pause: {}", given[3]);

    device.set_state(State::Running)?;
    let all = [arcs(&events_of_save)?, arcs(&events()?)?].concat();
    equal("arcs until it runs", all, remembered(fixture)?)?;
    fixture.close()
}

fn loading(fixture: &mut Fixture) -> Result<()> {
    fixture.work_untraced()?;
    let device = fixture.vm.device()?;
    let file = device.set_state_with_file(State::StopCopy)?;
    let stream = file.read_available(4096)?;
    device.set_state(State::Running)?;
    events()?;
    let before = counted()?;
    let file = device.set_state_with_file(State::Resuming)?;
    file.write_chunks(&stream, &[])?;
    device.set_state(State::Running)?;
    let seen = events()?;
    let after = counted()?;
    fixture.own(&seen)?;
    equal("arcs", arcs(&seen)?, remembered(fixture)?)?;
    let given = std::array::from_fn(|n| after[n] - before[n]);
    equal("commands traced", traced(&seen), given)?;
    equal("commands that set tables", &given[..2], &[1, 1])?;
    fixture.close()
}

fn refusal(fixture: &mut Fixture) -> Result<()> {
    fixture.work_untraced()?;
    let device = fixture.vm.device()?;
    let file = device.set_state_with_file(State::Resuming)?;
    let mut stream = vec![0; STREAM_SIZE];
    stream[0] = 1;
    refused("a stream of nothing", file.write(&stream), Errno::INVAL)?;
    refused("loading it", device.set_state(State::Stop), Errno::INVAL)?;
    refused("again", device.set_state(State::Stop), Errno::INVAL)?;
    device.reset()?;
    let seen = events()?;
    fixture.own(&seen)?;
    let refusals: Vec<&Event> = seen.iter().filter(|e| e.name == "refuse").collect();
    ensure!(refusals.len() == 1, "refusals: {refusals:?}");
    let of = |field: &str| refusals[0].value(field);
    equal(
        "the refusal",
        format!(
            "session {}, {} expected {} got {}",
            of("session")?,
            of("field")?,
            of("expected")?,
            of("got")?
        ),
        fixture.attr("refused")?,
    )?;
    equal("what was sent", of("got")?, "0x1")?;
    let failed = arcs(&seen)?;
    let failed = failed.iter().filter(|arc| arc.ends_with(":22"));
    equal("arcs refused", failed.count(), 2)?;
    fixture.close()
}

fn failure(fixture: &mut Fixture) -> Result<()> {
    fixture.work_untraced()?;
    ZIP0.set("fault", "fn1:mailbox-status=3")?;
    let result = fixture.vm.device()?.set_state(State::Stop);
    ZIP0.set("fault", "")?;
    refused("RUNNING to STOP", result, Errno::IO)?;
    let seen = events()?;
    let commands = seen.iter().filter(|event| event.name == "mailbox");
    let commands: Vec<&str> = commands.map(|event| event.text.as_str()).collect();
    ensure!(
        commands.len() == 1
            && commands[0].contains(" command=0xe ")
            && commands[0].ends_with(" ret=-5"),
        "commands: {commands:?}"
    );
    let failed = arcs(&seen)?;
    let failed: Vec<&String> = failed.iter().filter(|arc| !arc.ends_with(":0")).collect();
    ensure!(
        failed.len() == 1
            && failed[0].starts_with("RUNNING_P2P>STOP:")
            && failed[0].ends_with(":5"),
        "arcs that failed: {failed:?}"
    );
    fixture.close()
}

fn resets(fixture: &mut Fixture) -> Result<()> {
    fixture.work_untraced()?;
    fixture.vm.device()?.reset()?;
    let seen = events()?;
    fixture.own(&seen)?;
    let resets = seen.iter().filter(|event| event.name == "reset");
    let done: Vec<&str> = resets
        .map(|event| event.value("done"))
        .collect::<Result<_>>()?;
    equal("resets", done, vec!["0", "1"])?;
    fixture.close()
}

/// Every arc that no check above walks comes as well.
fn p2p(fixture: &mut Fixture) -> Result<()> {
    fixture.work_untraced()?;
    let device = fixture.vm.device()?;
    for state in [
        State::PreCopy,
        State::PreCopyP2p,
        State::PreCopy,
        State::RunningP2p,
    ] {
        device.set_state(state)?;
    }
    let seen = arcs(&events()?)?;
    equal("arcs", seen.len(), 5)?;
    fixture.close()
}

/// VFIO core traces each request that is in its history, with all that the driver does for one as one
/// event.
fn requests(fixture: &mut Fixture) -> Result<()> {
    fixture.work_untraced()?;
    let name = fixture.host.vfs[0].name();
    let device = fixture.vm.device()?;
    let last = history::last_number(name)?;
    for state in State::ALL {
        // Some are refused.
        let _ = device.set_state(state);
    }
    let refusal = device.set_state_number(77);
    refused("a number that is no state", refusal, Errno::INVAL)?;
    device.reset()?;
    ZIP0.set("fault", "fn1:mailbox-status=3")?;
    let result = device.set_state(State::Stop);
    ZIP0.set("fault", "")?;
    refused("RUNNING to STOP", result, Errno::IO)?;
    let seen = events()?;
    fixture.own(&seen)?;
    let line = |request: &history::Request| {
        let errno = request.errno.context("it has not ended")?;
        let history::Request {
            from, to, duration, ..
        } = request;
        Ok(format!("{from}>{to}:{duration}:{errno}"))
    };
    let kept = history::since(name, last)?;
    let kept: Vec<String> = kept.iter().map(line).collect::<Result<_>>()?;
    equal("requests", kept.len(), State::ALL.len() + 2)?;
    equal("requests traced", arcs_of(CORE_ARC, &seen)?, kept)?;
    let failed = arcs_of(CORE_ARC, &seen)?.pop().unwrap_or_default();
    ensure!(
        failed.starts_with("RUNNING>STOP:") && failed.ends_with(":5"),
        "the last one: {failed}"
    );
    fixture.close()
}

fn enable(on: bool) -> Result<()> {
    for folder in [EVENTS, CORE_EVENTS] {
        sysfs::write(format!("{folder}/enable"), if on { "1" } else { "0" })?;
    }
    Ok(())
}

/// Events that are not enabled are not traced, and a filter holds.
fn disabled(fixture: &mut Fixture) -> Result<()> {
    enable(false)?;
    fixture.work_untraced()?;
    fixture.vm.device()?.set_state(State::Stop)?;
    let nothing = events()?;
    ensure!(nothing.is_empty(), "disabled events came: {nothing:?}");
    enable(true)?;
    let filter = format!("{EVENTS}/hisi_acc_vfio_arc/filter");
    sysfs::write(&filter, "dev == \"no such device\" || ret != 0")?;
    fixture.vm.device()?.set_state(State::Running)?;
    let seen = arcs(&events()?)?;
    sysfs::write(&filter, "0")?;
    ensure!(seen.is_empty(), "a filter let through {seen:?}");
    fixture.close()
}

type Check = fn(&mut Fixture) -> Result<()>;

const CHECKS: [(&str, Check); 10] = [
    ("the events and their fields", fields),
    ("a VF is bound and opened", binding),
    ("a device is saved", saving),
    ("a device is loaded", loading),
    ("a stream is refused", refusal),
    ("a stop fails", failure),
    ("a device is reset", resets),
    ("pre-copy and back, with P2P", p2p),
    ("requests, as VFIO core sees them", requests),
    ("disabled events", disabled),
];

pub(crate) fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut fixture = Fixture::new(setup, 1)?;
    enable(true)?;
    for (name, check) in CHECKS {
        report.point(name, || check(&mut fixture));
        fixture.tidy()?;
    }
    ZIP0.report_violations(report, true);
    Ok(())
}
