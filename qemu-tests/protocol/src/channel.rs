// SPDX-License-Identifier: GPL-2.0

//! The control channel, a machine's second serial port: lines from init to the runner, and from the
//! runner to init.
//!
//! A guest of the emulated host runs init as well. Its channel ends at the VM monitor, which takes
//! the place of the runner.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde_json::Value;

use crate::parameters::words;
use crate::{Loads, ParseError};

/// A line from init.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// `@show <text>`: text for the terminal.
    Show(String),
    /// `@dump <text>`: a result for the test to compare.
    Dump(String),
    /// `@doing <text>`: what the scenario begins now, which shows that it makes progress.
    Doing(String),
    /// `@guest <text>`: the kernel log of a guest of the machine.
    GuestLog(String),
    /// `@peer-failed`: the scenario fails because the one on another machine has failed.
    PeerFailed,
    /// `@load <json>`: how far the work of a guest is.
    Load(Loads),
    /// `@did <order>`: a guest has carried out an order.
    Did(Order),
    /// `@failed <order>: <reason>`: a guest could not carry out an order.
    Failed(Order, String),
    /// `@request <request>`: a request, which is answered by one [`Answer`].
    Request(Request),
    /// Any other line: the results, as KTAP.
    Ktap(String),
}

/// A request from init to the runner.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// `get <device> <property>`: the value of a property of an emulated device.
    Get { device: String, property: String },
    /// `set <device> <property> <json>`: write a property of an emulated device.
    Set {
        device: String,
        property: String,
        value: Value,
    },
    /// `error <device> <name>`: make a device report an error on the bus, by QEMU's name for it.
    BusError { device: String, name: String },
    /// `link <card> <up>`: plug the cable of a network card in, or pull it.
    Link { card: String, up: bool },
    /// `end`: the scenario has ended, and the machine is about to power off.
    End,
}

/// The answer to a [`Request`]: `ok <json>` or `err <reason>`.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer(pub Result<Value, String>);

words! {
    /// An order to a guest. Each is answered when it is carried out, by [`Line::Did`] or
    /// [`Line::Failed`], except for [`Order::Reboot`] and [`Order::End`].
    Order {
        /// Load the drivers of the VFs, and begin to work.
        Work = "work",
        /// End the work, and unload the drivers.
        Rest = "rest",
        /// Let go of the VFs, which have no driver, so that they can be unplugged.
        Unplug = "unplug",
        /// Look for VFs that have been plugged in.
        Plug = "plug",
        /// Reset the VFs, as an administrator of the guest does it.
        Reset = "reset",
        /// Reset the VFs over and over from now on.
        KeepResetting = "keep-resetting",
        /// Do not reset the VFs any more. Fails if no reset has succeeded.
        EndResetting = "end-resetting",
        /// Reset the machine, and begin anew.
        Reboot = "reboot",
        /// End the work, report the results, and shut down.
        End = "end",
    }
}

fn error(text: &str) -> ParseError {
    ParseError(format!("`{text}` is no line of the control channel"))
}

/// Splits the first word off.
fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Line::Show(text) if text.is_empty() => f.write_str("@show"),
            Line::Show(text) => write!(f, "@show {text}"),
            Line::Dump(text) => write!(f, "@dump {text}"),
            Line::Doing(text) => write!(f, "@doing {text}"),
            Line::GuestLog(text) => write!(f, "@guest {text}"),
            Line::PeerFailed => f.write_str("@peer-failed"),
            Line::Load(loads) => {
                let json = serde_json::to_string(loads).map_err(|_| fmt::Error)?;
                write!(f, "@load {json}")
            }
            Line::Did(order) => write!(f, "@did {order}"),
            Line::Failed(order, reason) => write!(f, "@failed {order}: {reason}"),
            Line::Request(request) => write!(f, "@request {request}"),
            Line::Ktap(text) => f.write_str(text),
        }
    }
}

impl FromStr for Line {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if !text.starts_with('@') {
            return Ok(Line::Ktap(text.to_owned()));
        }
        let (word, rest) = split(text);
        let owned = || rest.to_owned();
        Ok(match word {
            "@show" => Line::Show(owned()),
            "@dump" => Line::Dump(owned()),
            "@doing" => Line::Doing(owned()),
            "@guest" => Line::GuestLog(owned()),
            "@peer-failed" => Line::PeerFailed,
            "@load" => Line::Load(serde_json::from_str(rest).map_err(|_| error(text))?),
            "@did" => Line::Did(rest.parse()?),
            "@failed" => {
                let (order, reason) = rest.split_once(": ").ok_or_else(|| error(text))?;
                Line::Failed(order.parse()?, reason.to_owned())
            }
            "@request" => Line::Request(rest.parse()?),
            _ => return Err(error(text)),
        })
    }
}

impl Display for Request {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Request::Get { device, property } => write!(f, "get {device} {property}"),
            Request::Set {
                device,
                property,
                value,
            } => write!(f, "set {device} {property} {value}"),
            Request::BusError { device, name } => write!(f, "error {device} {name}"),
            Request::Link { card, up } => write!(f, "link {card} {up}"),
            Request::End => f.write_str("end"),
        }
    }
}

impl FromStr for Request {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let words: Vec<&str> = text.splitn(4, ' ').collect();
        Ok(match words[..] {
            ["get", device, property] => Request::Get {
                device: device.to_owned(),
                property: property.to_owned(),
            },
            ["set", device, property, value] => Request::Set {
                device: device.to_owned(),
                property: property.to_owned(),
                value: serde_json::from_str(value).map_err(|_| error(text))?,
            },
            ["error", device, name] => Request::BusError {
                device: device.to_owned(),
                name: name.to_owned(),
            },
            ["link", card, up] => Request::Link {
                card: card.to_owned(),
                up: up.parse().map_err(|_| error(text))?,
            },
            ["end"] => Request::End,
            _ => return Err(error(text)),
        })
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(value) => write!(f, "ok {value}"),
            Err(reason) => write!(f, "err {}", reason.replace('\n', " ")),
        }
    }
}

impl FromStr for Answer {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Ok(Answer(match split(text) {
            ("ok", json) => Ok(serde_json::from_str(json).map_err(|_| error(text))?),
            ("err", reason) => Err(reason.to_owned()),
            _ => return Err(error(text)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Load;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let device = || "zip0".to_owned();
        let property = || "fault".to_owned();
        let requests = [
            Request::Get {
                device: device(),
                property: property(),
            },
            Request::Set {
                device: device(),
                property: property(),
                value: json!("a text with spaces"),
            },
            Request::BusError {
                device: device(),
                name: "COMP_ABORT".to_owned(),
            },
            Request::Link {
                card: "net0".to_owned(),
                up: false,
            },
            Request::End,
        ];
        let mut lines = vec![
            Line::Show(String::new()),
            Line::Show("  two spaces first".to_owned()),
            Line::Dump("a b".to_owned()),
            Line::Doing("sequence 7".to_owned()),
            Line::GuestLog("[    0.1] Booting Linux".to_owned()),
            Line::PeerFailed,
            Line::Load([("zip".to_owned(), Load::default())].into()),
            Line::Failed(Order::Rest, "no work: none".to_owned()),
            Line::Ktap("ok 1 open # SKIP no device".to_owned()),
        ];
        lines.extend(Order::ALL.iter().copied().map(Line::Did));
        lines.extend(requests.map(Line::Request));
        for line in lines {
            assert_eq!(line.to_string().parse(), Ok(line));
        }
        for answer in [Ok(Value::Null), Ok(json!({"a": 1})), Err("no".to_owned())] {
            let answer = Answer(answer);
            assert_eq!(answer.to_string().parse(), Ok(answer));
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for wrong in [
            "@shown text",
            "@load {\"zi",
            "@did dance",
            "@failed work",
            "@request",
            "@request get zip0",
            "@request get zip0 fault now",
            "@request set zip0 fault text",
            "@request link net0 half",
            "@request end now",
        ] {
            wrong.parse::<Line>().unwrap_err();
        }
        for wrong in ["", "ok", "ok {", "no"] {
            wrong.parse::<Answer>().unwrap_err();
        }
    }
}
