// SPDX-License-Identifier: GPL-2.0

//! Draws what happened while a guest migrated: a lane for each VF's states and VM monitor's events,
//! one for the guest's throughput with each engine, and below them the arcs with their times.

use std::collections::BTreeMap;

use protocol::{Event, What};
use svg::Document;
use svg::node::element::{Group, Line, Path, Rectangle, Text, Title, path::Data};

const WIDTH: f64 = 1200.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 20.0;
const LANE: f64 = 36.0;
const BAR: f64 = 24.0;
const CURVE: f64 = 90.0;
const TEXT: f64 = 15.0;
const MARGIN: f64 = 20.0;
/// In microseconds.
const PERIOD: u64 = 200_000;

/// From the first to the last moment, as x coordinates.
struct Scale {
    begin: u64,
    end: u64,
}

impl Scale {
    fn of(events: &[Event]) -> Option<Self> {
        let begin = events.iter().map(|event| event.at).min()?;
        let end = events.iter().map(|event| event.at).max()?;
        (begin < end).then_some(Self { begin, end })
    }

    fn x(&self, at: u64) -> f64 {
        let part = (at - self.begin) as f64 / (self.end - self.begin) as f64;
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    /// Seconds since the beginning.
    fn seconds(&self, at: u64) -> f64 {
        (at - self.begin) as f64 / 1e6
    }
}

/// A state of a VF has the same colour in all of the picture.
fn colour(state: &str) -> &'static str {
    match state {
        "RUNNING" => "#7fb77e",
        "RUNNING_P2P" => "#b5d5a8",
        "PRE_COPY" | "PRE_COPY_P2P" => "#8fb8de",
        "STOP_COPY" => "#e8a33d",
        "STOP" => "#c9ccd1",
        "RESUMING" => "#b48ead",
        "ERROR" => "#d1495b",
        _ => "#f0f0f0",
    }
}

fn label(text: &str, x: f64, y: f64) -> Text {
    Text::new(text).set("x", x).set("y", y)
}

/// The states of one VF, each a bar up to the next one.
fn states(scale: &Scale, name: &str, changes: &[(u64, &str)], y: f64) -> Group {
    let mut lane = Group::new().add(label(name, 4.0, y + 16.0));
    let ends = changes.iter().skip(1).map(|(at, _)| *at);
    for ((at, state), end) in changes.iter().zip(ends.chain([scale.end])) {
        let (x, width) = (scale.x(*at), (scale.x(end) - scale.x(*at)).max(1.0));
        let hint = format!(
            "{state}, {:.3} s to {:.3} s",
            scale.seconds(*at),
            scale.seconds(end)
        );
        lane = lane.add(
            Rectangle::new()
                .set("x", x)
                .set("y", y)
                .set("width", width)
                .set("height", BAR)
                .set("fill", colour(state))
                .add(Title::new(hint)),
        );
        if width > 8.0 * state.len() as f64 {
            lane = lane.add(label(state, x + 3.0, y + 16.0));
        }
    }
    lane
}

/// The monitors' events, a tick each.
fn ticks(scale: &Scale, said: &[(u64, String)], y: f64) -> Group {
    let mut lane = Group::new().add(label("QEMU", 4.0, y + 16.0));
    for (at, text) in said {
        let hint = format!("{text}, {:.3} s", scale.seconds(*at));
        lane = lane.add(
            Rectangle::new()
                .set("x", scale.x(*at))
                .set("y", y)
                .set("width", 2)
                .set("height", BAR)
                .set("fill", "#333")
                .add(Title::new(hint)),
        );
    }
    lane
}

/// From when to when, and requests a second in between.
fn rates(reports: &[(u64, u64)]) -> Vec<(u64, u64, f64)> {
    let mut rates = Vec::new();
    let mut reports = reports.iter();
    let Some(mut last) = reports.next() else {
        return rates;
    };
    for report in reports {
        // Reports that come close to one another were only heard together.
        if report.0 - last.0 >= PERIOD {
            let seconds = (report.0 - last.0) as f64 / 1e6;
            let done = report.1.saturating_sub(last.1) as f64;
            rates.push((last.0, report.0, done / seconds));
            last = report;
        }
    }
    rates
}

/// Requests a second of an engine, as the guest reports them.
fn throughput(scale: &Scale, engine: &str, reports: &[(u64, u64)], y: f64) -> Group {
    let rates = rates(reports);
    let most = rates.iter().map(|rate| rate.2).fold(1.0, f64::max);
    let height = |rate: f64| y + CURVE - rate / most * (CURVE - 6.0);
    let mut data = Data::new().move_to((LEFT, y + CURVE));
    if let Some((from, ..)) = rates.first() {
        // Nothing was done before the first report.
        data = data.line_to((scale.x(*from), y + CURVE));
    }
    let end = rates.last().map_or(scale.begin, |(_, to, _)| *to);
    for (from, to, rate) in rates {
        data = data
            .line_to((scale.x(from), height(rate)))
            .line_to((scale.x(to), height(rate)));
    }
    data = data.line_to((scale.x(end), y + CURVE)).close();
    Group::new()
        .add(label(&format!("guest's {engine}"), 4.0, y + 16.0))
        .add(label(
            &format!("up to {most:.0} requests/s"),
            4.0,
            y + 16.0 + TEXT,
        ))
        .add(Path::new().set("d", data).set("fill", "#5b7db1"))
}

/// Seconds, as a person counts them.
fn axis(scale: &Scale, y: f64) -> Group {
    let span = scale.seconds(scale.end);
    let step = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]
        .into_iter()
        .find(|step| span / step <= 20.0)
        .unwrap_or(500.0);
    let mut axis = Group::new();
    let mut second = 0.0;
    while second <= span {
        let x = LEFT + second / span * (WIDTH - LEFT - RIGHT);
        axis = axis
            .add(
                Line::new()
                    .set("x1", x)
                    .set("x2", x)
                    .set("y1", MARGIN)
                    .set("y2", y)
                    .set("stroke", "#ddd"),
            )
            .add(label(&format!("{second} s"), x - 8.0, y + TEXT));
        second += step;
    }
    axis
}

/// A line for each leg and each VF in it.
fn sessions(events: &[Event]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut ended: Vec<String> = Vec::new();
    for event in events {
        match &event.what {
            What::History { vf, sessions } => {
                let told = sessions.last().and_then(|session| protocol::arcs(session));
                ended.extend(told.map(|told| format!("    {vf}: {told}")));
            }
            What::Migration(leg) => {
                lines.push(format!(
                    "leg {}, {} to {}: stood still for {} ms; arcs, in us:",
                    leg.number, leg.from, leg.to, leg.downtime
                ));
                lines.append(&mut ended);
            }
            _ => {}
        }
    }
    lines
}

/// The picture, if there is anything to see.
pub fn draw(events: &[Event]) -> Option<Document> {
    let scale = Scale::of(events)?;
    let mut vfs: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    let mut reports: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    let mut said = Vec::new();
    for event in events {
        match &event.what {
            What::State { vf, state } => {
                vfs.entry(vf).or_default().push((event.at, state));
            }
            What::Monitor { vmm, event: text } => said.push((event.at, format!("{vmm}: {text}"))),
            What::Load { engines } => {
                for (engine, load) in engines {
                    reports
                        .entry(engine)
                        .or_default()
                        .push((event.at, load.done));
                }
            }
            What::History { .. } | What::Migration(_) => {}
        }
    }
    let text = sessions(events);
    let lanes = MARGIN + LANE * (vfs.len() + 1) as f64 + CURVE * reports.len() as f64;
    let height = lanes + TEXT * (text.len() + 3) as f64;

    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("font-family", "sans-serif")
        .set("font-size", 12)
        .add(
            Rectangle::new()
                .set("width", "100%")
                .set("height", "100%")
                .set("fill", "white"),
        )
        .add(axis(&scale, lanes));
    let mut y = MARGIN;
    for (name, changes) in &vfs {
        document = document.add(states(&scale, name, changes, y));
        y += LANE;
    }
    document = document.add(ticks(&scale, &said, y));
    y += LANE;
    for (engine, reports) in &reports {
        document = document.add(throughput(&scale, engine, reports, y));
        y += CURVE;
    }
    for (n, line) in text.iter().enumerate() {
        let indent = if line.starts_with(' ') { 20.0 } else { 4.0 };
        let y = lanes + TEXT * (n + 3) as f64;
        document = document.add(label(line.trim_start(), indent, y));
    }
    Some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: u64, what: What) -> Event {
        Event { at, what }
    }

    #[test]
    fn a_state_lasts_until_the_next_one() {
        let state = |at, state: &str| {
            let (vf, state) = ("0000:01:00.1".to_string(), state.to_string());
            event(at, What::State { vf, state })
        };
        let events = [
            state(0, "RUNNING"),
            state(1_000_000, "STOP_COPY"),
            state(4_000_000, "STOP"),
        ];
        let picture = draw(&events).unwrap().to_string();
        assert!(
            picture.contains("STOP_COPY, 1.000 s to 4.000 s"),
            "{picture}"
        );
    }

    #[test]
    fn reports_heard_together_make_no_peak() {
        let rates = rates(&[(0, 0), (1_000_000, 50), (1_000_001, 60), (2_000_000, 150)]);
        assert_eq!(rates[0], (0, 1_000_000, 50.0));
        assert_eq!(rates[1], (1_000_000, 2_000_000, 100.0));
        assert_eq!(rates.len(), 2);
    }

    #[test]
    fn nothing_has_no_picture() {
        assert!(draw(&[]).is_none());
    }
}
