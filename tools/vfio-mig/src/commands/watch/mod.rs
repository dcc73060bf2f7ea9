// SPDX-License-Identifier: GPL-2.0

//! `watch`: each change of a VF's state as it happens.
//!
//! Root on a host with VFIO core's trace event gets each request for a state when the driver has
//! answered it. Otherwise the state alone is polled, so that states which the device is in only for
//! a moment are missed. Drivers that record their arcs show them in `attr`; these are printed as
//! well, with their own durations.

mod trace;

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit, json};
use crate::cli;
use crate::device::{DEBUGFS, Device};
use crate::duration;
use crate::errno::Errno;
use crate::hisi::attr::Attr;
use crate::hisi::history::{Arc, Session};
use crate::output;
use crate::request::Request;
use crate::root::Root;
use crate::state::State;
use crate::style;

pub use trace::Answered;
use trace::Trace;

/// How requests for a state are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Each by VFIO core's trace event.
    TraceEvents,
    /// Only by the state that is read again and again.
    Polling,
}

/// Something that was seen. With `--json` each is an object on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The device is in this state at the beginning.
    Begin {
        /// The device.
        device: String,
        /// Its state.
        state: State,
        /// When, in microseconds since 1970.
        at_us: u64,
        /// How requests for a state are seen.
        source: Source,
        /// Why there are no trace events.
        reason: Option<String>,
    },
    /// The driver has answered a request for a state.
    Request {
        /// The request and its answer.
        #[serde(flatten)]
        answered: Answered,
        /// When it was read, in microseconds since 1970.
        at_us: u64,
    },
    /// Trace events were lost, as too many came at once.
    Lost {
        /// How many.
        count: u64,
    },
    /// The device is in another state than before.
    State {
        /// The state before.
        from: State,
        /// The state now.
        to: State,
        /// How long it was seen in the state before.
        after_us: u64,
        /// When, in microseconds since 1970.
        at_us: u64,
    },
    /// The driver has recorded an arc.
    Arc {
        /// The session that it belongs to.
        session: u64,
        /// The arc.
        #[serde(flatten)]
        arc: Arc,
    },
}

impl Event {
    fn text(&self) -> String {
        match self {
            Event::Begin {
                device,
                state,
                source,
                reason,
                ..
            } => {
                let source = match source {
                    Source::TraceEvents => "requests are read from trace events",
                    Source::Polling => "only the state is polled",
                };
                let reason = reason
                    .as_ref()
                    .map_or(String::new(), |why| format!(": {why}"));
                format!("{device}: {state}; {source}{reason}\n")
            }
            Event::Request { answered, at_us } => {
                let Answered {
                    change, comm, tid, ..
                } = answered;
                let took = duration::text(Duration::from_micros(answered.duration_us));
                let at = duration::moment(*at_us);
                let line = format!("{at} request {change}: {took}; by {comm} (thread {tid})");
                match answered.errno {
                    Errno(0) => line + "\n",
                    errno => style::bad(format!("{line}; failed with {errno}")) + "\n",
                }
            }
            Event::Lost { count } => {
                style::doubtful(format!("    {count} trace events were lost")) + "\n"
            }
            Event::State {
                from,
                to,
                after_us,
                at_us,
            } => {
                let after = duration::text(Duration::from_micros(*after_us));
                let line = format!("{} {from} -> {to} after {after}", duration::moment(*at_us));
                match to {
                    State::Error => style::bad(line) + "\n",
                    _ => line + "\n",
                }
            }
            Event::Arc { session, arc } => {
                let line = format!("    session {session}: {arc}");
                match arc.succeeded() {
                    true => line + "\n",
                    false => style::bad(line) + "\n",
                }
            }
        }
    }

    fn line(&self, as_json: bool) -> Result<String> {
        match as_json {
            true => Ok(format!("{}\n", json("watch", self)?)),
            false => Ok(self.text()),
        }
    }
}

/// The arcs that were printed already. A session keeps its last eight.
#[derive(Default)]
struct Seen {
    sessions: Vec<Session>,
}

impl Seen {
    /// The arcs that were not there at the last look.
    fn new_arcs(&mut self, attr: &Attr) -> Vec<Event> {
        let mut events = Vec::new();
        for session in &attr.history {
            let before = self.sessions.iter().find(|s| s.number == session.number);
            let known = before.map_or(0, |before| overlap(&before.arcs, &session.arcs));
            events.extend(session.arcs[known..].iter().map(|arc| Event::Arc {
                session: session.number,
                arc: *arc,
            }));
        }
        self.sessions.clone_from(&attr.history);
        events
    }
}

/// How many of the first arcs of `now` are the last ones of `before`.
fn overlap(before: &[Arc], now: &[Arc]) -> usize {
    let longest = before.len().min(now.len());
    let fits = |&n: &usize| before[before.len() - n..] == now[..n];
    (0..=longest).rev().find(fits).unwrap_or(0)
}

/// What is read at each look.
struct Look {
    state: State,
    attr: Option<Attr>,
}

/// Reads the state and the driver's record. Nothing is read while a request is under way, as that
/// would wait for the driver.
fn look(root: &Root, name: &str) -> Result<Option<Look>> {
    let folder = format!("{DEBUGFS}/{name}/migration");
    let history = root.text(&format!("{folder}/history")).unwrap_or_default();
    let requests = Request::parse_all(&history).unwrap_or_default();
    if requests.iter().any(|request| request.errno.is_none()) {
        return Ok(None);
    }
    let text = match root.text(&format!("{folder}/state")) {
        Ok(text) => text,
        Err(error) => bail!("{folder}/state {error}"),
    };
    let attr = root.text(&format!("{folder}/hisi_acc/attr"));
    Ok(Some(Look {
        state: text.trim().parse()?,
        attr: attr.ok().and_then(|text| Attr::parse(&text).ok()),
    }))
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

/// The signals that ask the program to end. They end it in order, so that no instance of tracefs is
/// left.
struct EndRequested(SignalFd);

impl EndRequested {
    fn new() -> Result<Self> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            signals.add(signal);
        }
        signals.thread_block().context("cannot block signals")?;
        let flags = SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&signals, flags).context("cannot wait for signals")?;
        Ok(EndRequested(signals))
    }

    /// Waits for one, or for so long. Returns whether one came.
    fn wait(&self, interval: Duration) -> Result<bool> {
        let timeout = PollTimeout::try_from(interval)?;
        let mut signals = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut signals, timeout).context("cannot wait for signals")? != 0)
    }
}

/// A device that is being watched.
struct Watch<'w> {
    root: &'w Root,
    name: &'w str,
    trace: Option<Trace>,
    seen: Seen,
    state: State,
    /// When the device was first seen in the state.
    since: Instant,
}

impl Watch<'_> {
    /// What has happened since the last time.
    fn events(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        if let Some(trace) = &mut self.trace {
            let found = trace.events()?;
            if found.lost != 0 {
                events.push(Event::Lost { count: found.lost });
            }
            let at_us = now_us();
            let requests = found.answered.into_iter();
            events.extend(requests.map(|answered| Event::Request { answered, at_us }));
        }
        let Some(next) = look(self.root, self.name)? else {
            return Ok(events);
        };
        if next.state != self.state {
            events.push(Event::State {
                from: self.state,
                to: next.state,
                after_us: u64::try_from(self.since.elapsed().as_micros())?,
                at_us: now_us(),
            });
            self.state = next.state;
            self.since = Instant::now();
        }
        events.extend(next.attr.iter().flat_map(|attr| self.seen.new_arcs(attr)));
        Ok(events)
    }
}

/// Begins to trace, or says why that cannot be done.
fn begin_trace(root: &Root, name: &str) -> Result<Trace, String> {
    if root.is_saved() {
        return Err("saved files have no trace events".to_owned());
    }
    Trace::begin(Path::new(trace::TRACEFS), name).map_err(|error| format!("{error:#}"))
}

/// Runs the command. It ends when the time is over, when nobody reads, when a signal asks for it, or
/// when the device goes.
///
/// # Errors
///
/// If there is no such device, or it cannot migrate, or goes while it is watched.
pub fn run(root: &Root, options: &cli::Watch, as_json: bool) -> Result<Answer> {
    let name = &options.vf;
    let device = Device::read(root, name)?;
    let Some(state) = device.state else {
        match device.notes.is_empty() {
            true => bail!("{name} cannot migrate; `check` looks for the reason"),
            false => bail!("{name}: {}", device.notes.join("; ")),
        }
    };
    let begin = Instant::now();
    let end = EndRequested::new()?;
    let (trace, reason) = match begin_trace(root, name) {
        Ok(trace) => (Some(trace), None),
        Err(reason) => (None, Some(reason)),
    };
    let source = match &trace {
        Some(_) => Source::TraceEvents,
        None => Source::Polling,
    };
    let mut watch = Watch {
        root,
        name,
        trace,
        seen: Seen::default(),
        state,
        since: begin,
    };
    // Only what happens from now on is new.
    device
        .attr
        .iter()
        .for_each(|attr| drop(watch.seen.new_arcs(attr)));
    let first = Event::Begin {
        device: name.clone(),
        state,
        at_us: now_us(),
        source,
        reason,
    };
    let mut is_read = output::print(&first.line(as_json)?)?;
    let is_over = || {
        options
            .duration
            .is_some_and(|limit| begin.elapsed() >= limit)
    };
    while is_read && !is_over() && !end.wait(options.interval)? {
        let lines: Vec<String> = watch
            .events()?
            .iter()
            .map(|event| event.line(as_json))
            .collect::<Result<_>>()?;
        is_read = output::print(&lines.concat())?;
    }
    Ok(Answer {
        text: String::new(),
        exit: Exit::Good,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno::Errno;
    use crate::hisi::history::Ends;

    #[test]
    fn arcs_that_were_seen_are_not_new() {
        let states = [State::Running, State::PreCopy, State::StopCopy, State::Stop];
        let arc = |n: usize| Arc {
            ends: Ends {
                from: states[n % 4],
                to: states[(n + 1) % 4],
            },
            duration_us: 0,
            errno: Errno(0),
        };
        let arcs: Vec<Arc> = (0..4).map(arc).collect();
        assert_eq!(overlap(&[], &arcs), 0);
        assert_eq!(overlap(&arcs[..2], &arcs), 2);
        assert_eq!(overlap(&arcs[..3], &arcs[1..]), 2);
        assert_eq!(overlap(&arcs, &arcs), 4);
    }
}
