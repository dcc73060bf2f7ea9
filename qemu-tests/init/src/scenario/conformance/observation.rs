// SPDX-License-Identifier: GPL-2.0

//! Everything that can be observed of a device after a step.

use std::io;

use rustix::io::Errno;
use vfio_client::State;

use crate::expect::errno;

/// The result of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    /// It could not be tried.
    Nothing,
    Done,
    Number(u64),
    Numbers(Vec<u64>),
    Bytes(Vec<u8>),
    Text(String),
}

pub(super) type Answer = Result<Value, Errno>;

/// An answer of an operation that fails by an error number and not otherwise.
pub(super) fn answer<T>(result: io::Result<T>, value: impl FnOnce(T) -> Value) -> Answer {
    match result {
        Ok(done) => Ok(value(done)),
        Err(error) => match errno(&error) {
            Some(errno) => Err(errno),
            None => Ok(Value::Text(error.to_string())),
        },
    }
}

/// The answer of something with several operations, any of which may have failed.
pub(super) fn answer_of_many<T>(
    result: anyhow::Result<T>,
    value: impl FnOnce(T) -> Value,
) -> Answer {
    match result {
        Ok(done) => Ok(value(done)),
        Err(error) => match error.downcast_ref::<io::Error>().and_then(errno) {
            Some(errno) => Err(errno),
            None => Ok(Value::Text(format!("{error:#}"))),
        },
    }
}

/// The registers of a function that are looked at, by their offsets in the function block.
pub(super) const REGISTERS: [(&str, usize); 10] = [
    ("AEQ_INT_MASK", 0x04),
    ("EQ_INT_MASK", 0x0c),
    ("IFC_INT_SOURCE", 0x20),
    ("IFC_INT_MASK", 0x24),
    ("IFC_INT_STATUS", 0x28),
    ("IFC_INT_SET", 0x2c),
    ("QUE_ISO_CFG", 0x30),
    ("PAGE_SIZE", 0x34),
    ("VF_STATE", VF_STATE),
    ("CACHE_WB_DONE", 0x208),
];
/// Whether the driver in the VM has set the function up.
pub(super) use vm::qm::registers::VF_STATE;

/// Words of the context of an event queue.
pub(super) const CONTEXT: usize = 7;

/// The values of the function block and of the contexts of the event queues.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Image {
    pub(super) registers: [u32; REGISTERS.len()],
    pub(super) eqc: [u32; CONTEXT],
    pub(super) aeqc: [u32; CONTEXT],
}

impl Image {
    /// A register, by its name.
    pub(super) fn register(&self, name: &str) -> Option<u32> {
        let at = REGISTERS.iter().position(|(known, _)| *known == name)?;
        Some(self.registers[at])
    }
}

/// Everything that can be observed of a device after a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Observation {
    pub(super) answer: Answer,
    /// Of an open device.
    pub(super) state: Option<Result<State, Errno>>,
    /// Of an open device.
    pub(super) image: Option<Image>,
}

/// A part of an observation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Aspect {
    Answer,
    State,
    Register(&'static str),
    EventQueue,
    AbnormalEventQueue,
    /// One device is open, the other is not.
    Openness,
}

impl Observation {
    /// Returns the aspects in which the two differ.
    pub(super) fn differs(&self, other: &Self) -> Vec<Aspect> {
        let mut found = Vec::new();
        if self.answer != other.answer {
            found.push(Aspect::Answer);
        }
        match (&self.state, &other.state) {
            (one, another) if one == another => {}
            (Some(_), Some(_)) => found.push(Aspect::State),
            _ => found.push(Aspect::Openness),
        }
        if let (Some(one), Some(other)) = (&self.image, &other.image) {
            for (n, (name, _)) in REGISTERS.iter().enumerate() {
                if one.registers[n] != other.registers[n] {
                    found.push(Aspect::Register(name));
                }
            }
            if one.eqc != other.eqc {
                found.push(Aspect::EventQueue);
            }
            if one.aeqc != other.aeqc {
                found.push(Aspect::AbnormalEventQueue);
            }
        }
        found
    }

    /// A register, by its name.
    pub(super) fn register(&self, name: &str) -> Option<u32> {
        self.image.as_ref()?.register(name)
    }

    /// One part, for a person.
    pub(super) fn show(&self, aspect: Aspect) -> String {
        match aspect {
            Aspect::Answer => match &self.answer {
                Ok(Value::Bytes(bytes)) => {
                    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                    format!("{} bytes: {}", bytes.len(), bytes.join(" "))
                }
                Ok(Value::Text(text)) => format!("{text:?}"),
                Ok(value) => format!("{value:?}"),
                Err(errno) => errno.to_string(),
            },
            Aspect::State | Aspect::Openness => match &self.state {
                Some(Ok(state)) => state.name().into(),
                Some(Err(errno)) => errno.to_string(),
                None => "closed".into(),
            },
            Aspect::Register(name) => self
                .register(name)
                .map_or("unknown".into(), |value| format!("{value:#x}")),
            Aspect::EventQueue => format!("{:x?}", self.image.as_ref().map(|image| image.eqc)),
            Aspect::AbnormalEventQueue => {
                format!("{:x?}", self.image.as_ref().map(|image| image.aeqc))
            }
        }
    }
}
