// SPDX-License-Identifier: GPL-2.0

//! Counts the operations of the functions, for tests that compare the cost of two drivers.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::host::FunctionId;
use crate::mailbox::Opcode;

/// Counters of one function.
#[derive(Debug, Default, Clone)]
pub(crate) struct FunctionCounters {
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) doorbells: u64,
    pub(crate) mailbox: BTreeMap<Opcode, u64>,
}

/// Counters since the device was created.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) functions: Vec<FunctionCounters>,
    /// Requests completed.
    pub requests_done: u64,
    /// Requests fetched but not completed.
    pub requests_in_flight: u64,
    /// Memory reads.
    pub dma_reads: u64,
    /// Memory writes.
    pub dma_writes: u64,
    /// Doorbells for queues that had no context, and on V5 those that it was configured to drop.
    pub doorbells_dropped: u64,
    /// Hardware errors caused by functions, which are reported to the PF.
    pub hardware_errors: u64,
}

impl Counters {
    pub(crate) fn new(functions: usize) -> Self {
        Self {
            functions: vec![FunctionCounters::default(); functions],
            ..Self::default()
        }
    }

    pub(crate) fn function(&mut self, function: FunctionId) -> Option<&mut FunctionCounters> {
        self.functions.get_mut(usize::from(function))
    }

    /// Returns a JSON object: one object per function (`fn0`, `fn1`, ..) with register reads and writes, doorbells and
    /// mailbox commands by name; the sum of mailbox commands; the device-wide counters.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut sums = BTreeMap::<Opcode, u64>::new();
        let mut object = Map::new();
        for (number, counts) in self.functions.iter().enumerate() {
            for (opcode, count) in &counts.mailbox {
                *sums.entry(*opcode).or_default() += count;
            }
            object.insert(
                format!("fn{number}"),
                json!({
                    "reads": counts.reads,
                    "writes": counts.writes,
                    "doorbells": counts.doorbells,
                    "mailbox": by_name(&counts.mailbox),
                }),
            );
        }
        object.insert("mailbox".into(), by_name(&sums));
        for (name, count) in [
            ("requests_done", self.requests_done),
            ("requests_in_flight", self.requests_in_flight),
            ("dma_reads", self.dma_reads),
            ("dma_writes", self.dma_writes),
            ("doorbells_dropped", self.doorbells_dropped),
            ("hardware_errors", self.hardware_errors),
        ] {
            object.insert(name.into(), count.into());
        }
        Value::Object(object).to_string()
    }
}

fn by_name(counts: &BTreeMap<Opcode, u64>) -> Value {
    counts
        .iter()
        .map(|(opcode, count)| (opcode.name().to_owned(), (*count).into()))
        .collect::<Map<_, _>>()
        .into()
}
