// SPDX-License-Identifier: GPL-2.0

//! `watch`: each change of a VF's state as it happens.
//!
//! The state is polled, so that states which the device is in only for a moment are missed. Drivers
//! that record their arcs show them in `attr`; these are printed as well, with their own durations.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit, json};
use crate::cli;
use crate::device::{DEBUGFS, Device};
use crate::duration;
use crate::hisi::attr::Attr;
use crate::hisi::history::{Arc, Session};
use crate::output;
use crate::root::Root;
use crate::state::State;
use crate::style;

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
            Event::Begin { device, state, .. } => format!("{device}: {state}\n"),
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

fn look(root: &Root, name: &str) -> Result<Look> {
    let folder = format!("{DEBUGFS}/{name}/migration");
    let text = match root.text(&format!("{folder}/state")) {
        Ok(text) => text,
        Err(error) => bail!("{folder}/state {error}"),
    };
    let attr = root.text(&format!("{folder}/hisi_acc/attr"));
    Ok(Look {
        state: text.trim().parse()?,
        attr: attr.ok().and_then(|text| Attr::parse(&text).ok()),
    })
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

/// Runs the command. It ends when the time is over, when nobody reads, or when the device goes.
///
/// # Errors
///
/// If there is no such device, or it cannot migrate, or goes while it is watched.
pub fn run(root: &Root, options: &cli::Watch, as_json: bool) -> Result<Answer> {
    let name = &options.vf;
    let device = Device::read(root, name)?;
    if let Some(note) = device.notes.first().filter(|_| device.state.is_none()) {
        bail!("{name}: {note}");
    }
    let begin = Instant::now();
    let mut seen = Seen::default();
    let mut last = look(root, name)?;
    // Only what happens from now on is new.
    last.attr.iter().for_each(|attr| drop(seen.new_arcs(attr)));
    let mut since = begin;
    let first = Event::Begin {
        device: name.clone(),
        state: last.state,
        at_us: now_us(),
    };
    let mut is_read = output::print(&first.line(as_json)?)?;
    while is_read && options.duration.is_none_or(|limit| begin.elapsed() < limit) {
        std::thread::sleep(options.interval);
        let next = look(root, name)?;
        let mut events = Vec::new();
        if next.state != last.state {
            events.push(Event::State {
                from: last.state,
                to: next.state,
                after_us: u64::try_from(since.elapsed().as_micros())?,
                at_us: now_us(),
            });
            since = Instant::now();
        }
        events.extend(next.attr.iter().flat_map(|attr| seen.new_arcs(attr)));
        let lines: Vec<String> = events
            .iter()
            .map(|event| event.line(as_json))
            .collect::<Result<_>>()?;
        is_read = output::print(&lines.concat())?;
        last = next;
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
