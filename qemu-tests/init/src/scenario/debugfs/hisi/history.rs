// SPDX-License-Identifier: GPL-2.0

//! `attr`: the last sessions, and the arcs that failed; and the history that VFIO core keeps.

use anyhow::{Context, Result, anyhow, ensure};
use control::ZIP0;
use rustix::io::Errno;
use vfio_client::State;

use super::Fixture;
use super::files::{Files, read_observed, word};
use crate::expect::{equal, refused};
use crate::scenario::support::stream_layout::STREAM_SIZE;
use crate::scenario::support::{debugfs, history};

/// The arcs in a line of `history` with their errnos, without their durations.
fn arcs(line: &str) -> Result<Vec<(String, String)>> {
    let arc = |text: &str| {
        let parts: Vec<&str> = text.split(':').collect();
        ensure!(parts.len() == 3, "arc {text:?}");
        let _: u32 = parts[1].parse().context("duration of an arc")?;
        Ok((parts[0].to_owned(), parts[2].to_owned()))
    };
    word(line, "arcs")?.split(',').map(arc).collect()
}

fn sessions(files: &Files) -> Result<Vec<String>> {
    files.values("history")
}

fn last(files: &Files) -> Result<String> {
    files.value("history")
}

pub(super) fn sessions_and_their_arcs(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    equal("sessions before any", sessions(&fixture.files())?.len(), 0)?;
    let file = fixture.vm.device()?.set_state_with_file(State::PreCopy)?;
    let line = last(&fixture.files())?;
    equal("end of a session in PRE_COPY", word(&line, "end")?, "-")?;
    drop(file);
    fixture.vm.device()?.set_state(State::Running)?;
    let line = last(&fixture.files())?;
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
        fixture.files().does("save")?;
    }
    let lines = sessions(&fixture.files())?;
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
    // Of a device that is stopped, the second save needs no arc.
    for command in ["stop", "save", "save", "start"] {
        fixture.files().does(command)?;
    }
    let line = &sessions(&fixture.files())?[3];
    equal(
        "arc after a save in STOP",
        arcs(line)?[0].0.as_str(),
        "STOP>RUNNING_P2P",
    )
}

pub(super) fn ends(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    for command in ["stop", "save", "save"] {
        fixture.files().does(command)?;
    }
    equal(
        "arcs of a save in STOP",
        word(&last(&fixture.files())?, "arcs")?,
        "-",
    )?;
    fixture.files().does("start")?;

    let device = fixture.vm.device()?;
    let file = device.set_state_with_file(State::Resuming)?;
    refused(
        "a stream of zeroes",
        file.write(&[0; STREAM_SIZE]),
        Errno::INVAL,
    )?;
    refused("loading it", device.set_state(State::Stop), Errno::INVAL)?;
    let line = last(&fixture.files())?;
    equal("role of a session", word(&line, "role")?, "resume")?;
    let failed = ("RESUMING>STOP".to_owned(), "22".to_owned());
    ensure!(arcs(&line)?.contains(&failed), "no failed arc in {line:?}");
    equal("end of a session in RESUMING", word(&line, "end")?, "-")?;
    drop(file);
    device.reset()?;
    let line = last(&fixture.files())?;
    ensure!(
        word(&line, "end")? != "-",
        "the reset has not ended {line:?}"
    );
    equal("bytes", word(&line, "bytes")?, "176")?;
    fixture.close()?;
    equal("sessions after close", sessions(&fixture.files())?.len(), 3)?;
    equal(
        "failures after close",
        fixture.files().values("failure")?.len(),
        1,
    )?;
    drop(fixture.open()?);
    for key in ["history", "failure"] {
        let left = fixture.files().values(key)?;
        ensure!(left.is_empty(), "{key} of the last owner: {left:?}");
    }
    Ok(())
}

/// VFIO core's file, of each state, of a number that is no state, and while the driver is busy.
pub(super) fn of_the_core(fixture: &mut Fixture) -> Result<()> {
    fixture.work()?;
    let device = fixture.vm.device()?;
    let file = history::file(fixture.host.vfs[0].name());
    for state in State::ALL {
        // Some are refused.
        let _ = device.set_state(state);
    }
    let refusal = device.set_state_number(u32::MAX);
    refused("a number that is no state", refusal, Errno::INVAL)?;
    device.reset()?;
    read_observed(&file)?;
    ZIP0.set("fault", "fn1:mailbox-timeout@pause-qm")?;
    let (seen, result) = std::thread::scope(|scope| {
        let thread = scope.spawn(|| device.set_state(State::Stop).map(drop));
        let mut seen = Ok(String::new());
        while !thread.is_finished() && !matches!(&seen, Ok(text) if text.contains("errno=-")) {
            seen = debugfs::content(&file);
        }
        // While the driver is still busy, most likely.
        let seen = seen.and_then(|_| read_observed(&file));
        (seen, thread.join())
    });
    ZIP0.set("fault", "")?;
    seen.context("reading the history")?;
    let result = result.map_err(|_| anyhow!("the thread panicked"))?;
    refused("a stop", result, Errno::TIMEDOUT)?;
    fixture.close()
}

/// A fault of the device, and what it makes of a stop.
struct Fault {
    text: &'static str,
    errno: Errno,
    ends_in: State,
    /// A register's name and some bits that it must show.
    shows: (&'static str, u32, u32),
    /// The errors of the queue manager by name.
    qm_errors: &'static str,
}

const FAULTS: [Fault; 6] = [
    Fault {
        text: "fn1:mailbox-status=3",
        errno: Errno::IO,
        ends_in: State::Running,
        // The command that pauses, and the status.
        shows: ("mailbox", 0x1eff, 3 << 9 | 0xe),
        qm_errors: "-",
    },
    Fault {
        text: "fn1:mailbox-timeout@pause-qm",
        errno: Errno::TIMEDOUT,
        ends_in: State::Error,
        // Busy with the command that pauses.
        shows: ("mailbox", 0x20ff, 1 << 13 | 0xe),
        qm_errors: "-",
    },
    Fault {
        text: "fn1:vf-busy",
        errno: Errno::BUSY,
        ends_in: State::Running,
        shows: ("ifc_int_status", 1, 1),
        qm_errors: "-",
    },
    Fault {
        text: "abnormal=0x40",
        errno: Errno::IO,
        ends_in: State::Running,
        shows: ("abnormal_int_status", !0, 0x40),
        qm_errors: "qm_acc_wb_not_ready_timeout",
    },
    Fault {
        text: "fn1:wb-never",
        errno: Errno::TIMEDOUT,
        ends_in: State::Error,
        shows: ("cache_wb_done", 1, 0),
        qm_errors: "-",
    },
    Fault {
        text: "abnormal=0x8401",
        errno: Errno::IO,
        ends_in: State::Running,
        shows: ("abnormal_int_status", !0, 0x8401),
        // The last one has no name.
        qm_errors: "qm_axi_rresp,qm_db_timeout,0x8000",
    },
];

/// A stop that fails is remembered with its arc, its errno, its session and what the registers
/// said; in a session, by way of PRE_COPY, and without one.
pub(super) fn failures(fixture: &mut Fixture) -> Result<()> {
    for fault in &FAULTS {
        for in_session in [false, true] {
            failure(fixture, fault, in_session)
                .with_context(|| format!("{} in a session: {in_session}", fault.text))?;
        }
    }
    Ok(())
}

fn failure(fixture: &mut Fixture, fault: &Fault, in_session: bool) -> Result<()> {
    fixture.work()?;
    let device = fixture.vm.device()?;
    let (arc, target, stays_in) = if in_session {
        drop(device.set_state_with_file(State::PreCopy)?);
        ("PRE_COPY_P2P>STOP_COPY", State::StopCopy, State::PreCopy)
    } else {
        ("RUNNING_P2P>STOP", State::Stop, State::Running)
    };
    ZIP0.set("fault", fault.text)?;
    let result = device.set_state(target);
    let kept = if fault.ends_in == State::Error {
        State::Error
    } else {
        stays_in
    };
    let line = fixture.files().value("failure");
    ZIP0.set("fault", "")?;
    refused("the arc", result, fault.errno)?;
    equal("state", device.state()?, kept)?;
    equal(
        "the state file",
        fixture.files().state()?.as_str(),
        kept.name(),
    )?;
    let line = line?;
    equal("arc", word(&line, "arc")?, arc)?;
    let errno = fault.errno.raw_os_error().to_string();
    equal("errno", word(&line, "errno")?, &errno)?;
    let (register, mask, bits) = fault.shows;
    let value = word(&line, register)?.trim_start_matches("0x").to_owned();
    let value = u32::from_str_radix(&value, 16).with_context(|| format!("{register} {value}"))?;
    equal(register, value & mask, bits)?;
    equal("vf_state", word(&line, "vf_state")?, "0x0")?;
    equal("qm_errors", word(&line, "qm_errors")?, fault.qm_errors)?;

    let id = word(&line, "session")?;
    if in_session {
        let session = last(&fixture.files())?;
        equal("session", id, word(&session, "session")?)?;
        ensure!(
            arcs(&session)?.contains(&(arc.to_owned(), errno.clone())),
            "the arc is not in {session:?}"
        );
    } else {
        equal("session", id, "-")?;
    }
    if kept == State::Error {
        fixture.files().attributes_are(&[
            ("device state", "ERROR"),
            (
                "failed",
                &format!("{}, error {errno}", arc.replace('>', " to ")),
            ),
        ])?;
        fixture.files().refuses("stop", Errno::IO)?;
    }
    fixture.close()
}
