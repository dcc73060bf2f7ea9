// SPDX-License-Identifier: GPL-2.0

//! The pages of memory that each function has written, for tests of what the host knows of them.

use std::collections::BTreeSet;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::host::FunctionId;

/// Pages have 4 KiB, whatever the host's have.
const PAGE_SHIFT: u32 = 12;

/// The pages that the functions have written since each was reset last, by the addresses on the bus.
#[derive(Debug)]
pub struct WrittenPages(Vec<BTreeSet<u64>>);

impl WrittenPages {
    pub(crate) fn new(functions: usize) -> Self {
        Self(vec![BTreeSet::new(); functions])
    }

    /// Called for each write that has succeeded.
    pub(crate) fn record(&mut self, function: FunctionId, address: u64, length: usize) {
        let Some(pages) = self.0.get_mut(usize::from(function)) else {
            return;
        };
        let Some(last) = (length as u64).checked_sub(1) else {
            return;
        };
        pages.extend(address >> PAGE_SHIFT..=address.saturating_add(last) >> PAGE_SHIFT);
    }

    pub(crate) fn forget(&mut self, function: FunctionId) {
        if let Some(pages) = self.0.get_mut(usize::from(function)) {
            pages.clear();
        }
    }

    /// Returns a JSON object: for each function (`fn0`, `fn1`, ..) the runs of pages, each as the number of its first
    /// page and the number of pages.
    #[must_use]
    pub fn to_json(&self) -> String {
        let of_functions = self.0.iter().enumerate();
        let object: Map<String, Value> = of_functions
            .map(|(number, pages)| {
                let pages: Vec<u64> = pages.iter().copied().collect();
                let runs = pages.chunk_by(|page, next| page + 1 == *next);
                let runs: Value = runs.map(|run| json!([run[0], run.len()])).collect();
                (format!("fn{number}"), runs)
            })
            .collect();
        Value::Object(object).to_string()
    }
}
