// SPDX-License-Identifier: GPL-2.0

//! What is known about migrations that fail, as data: `knowledge.toml`.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::hisi::attr::DirtyTracking;
use crate::hisi::failure::{Failure, Registers};
use crate::request::Outcome;

/// The tables, as text.
const TEXT: &str = include_str!("knowledge.toml");

/// All tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knowledge {
    /// From a symptom to its cause.
    #[serde(rename = "symptom")]
    pub symptoms: Vec<Symptom>,
    /// The fields for which a stream can be refused.
    #[serde(rename = "field")]
    pub fields: Vec<Field>,
    /// What the registers after a failed arc say.
    #[serde(rename = "register")]
    pub registers: Vec<Register>,
}

/// A symptom and its cause. The texts are reStructuredText.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symptom {
    /// Its name in JSON.
    pub id: String,
    /// What QEMU shows.
    pub qemu: String,
    /// The file that shows the cause, and the line in it.
    pub file: String,
    /// The cause.
    pub cause: String,
    /// What to do.
    pub remedy: String,
    /// How `attr` or `history` of VFIO core shows it. Nothing if they do not.
    pub when: Option<When>,
}

/// What of `attr` tells a symptom; with `request`, what of `history` does. All that is given must
/// hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// What came of a request for a state.
    pub request: Option<Outcome>,
    /// Whether data were refused.
    pub refused: Option<bool>,
    /// Arcs of which one has failed.
    #[serde(default)]
    pub failure: Vec<String>,
    /// Whether a session was ended by no arc.
    #[serde(default)]
    pub cut_off: bool,
    /// Whether the guest's driver has set the VF up.
    pub driver_ready: Option<bool>,
    /// Who tracks dirty pages.
    pub tracking: Option<DirtyTracking>,
    /// That nothing has failed.
    #[serde(default)]
    pub no_failure: bool,
}

/// A field for which a stream can be refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name in `refused`.
    pub name: String,
    /// Why it can differ.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// What registers say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// What the page says that they show.
    pub shows: String,
    /// The cause.
    pub cause: String,
    /// What to do.
    pub remedy: String,
    /// What they must show.
    pub when: RegisterCondition,
}

/// A condition on a failed arc. All that is given must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterCondition {
    /// The registers could not be read.
    #[serde(default)]
    pub unknown: bool,
    /// A register that is not 0.
    pub nonzero: Option<String>,
    /// A register that is 0.
    pub zero: Option<String>,
    /// The mailbox is busy.
    #[serde(default)]
    pub mailbox_busy: bool,
    /// The last mailbox command has failed.
    #[serde(default)]
    pub mailbox_failed: bool,
    /// The error of the arc.
    pub errno: Option<i32>,
}

impl RegisterCondition {
    fn holds(&self, failure: &Failure) -> bool {
        let Some(registers) = &failure.registers else {
            return self.unknown;
        };
        let value = |name: &String| register(registers, name);
        !self.unknown
            && self
                .nonzero
                .as_ref()
                .is_none_or(|name| value(name) != Some(0))
            && self.zero.as_ref().is_none_or(|name| value(name) == Some(0))
            && (!self.mailbox_busy || registers.mailbox_busy())
            && (!self.mailbox_failed || registers.mailbox_status() != 0)
            && self.errno.is_none_or(|errno| failure.errno.0 == errno)
    }
}

fn register(registers: &Registers, name: &str) -> Option<u64> {
    let all = registers.values();
    let found = all.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

impl Knowledge {
    /// Reads the tables.
    ///
    /// # Errors
    ///
    /// If they are malformed, which a test excludes.
    pub fn load() -> Result<Self> {
        toml::from_str(TEXT).context("the tables of this program are malformed")
    }

    /// The row on a field of a stream.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The first row that fits the registers of a failed arc.
    pub fn registers_of(&self, failure: &Failure) -> Option<&Register> {
        self.registers.iter().find(|row| row.when.holds(failure))
    }
}

/// The text without the marks of reStructuredText.
pub fn plain(text: &str) -> String {
    let text = text.replace("``", "").replace("`_", "\"");
    text.replace('`', "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_of_conditions_are_known() -> Result<()> {
        let names = ["mailbox", "ifc_int_status", "ifc_int_set", "cache_wb_done"];
        let more = ["abnormal_int_status", "core_int_status", "vf_state"];
        for row in Knowledge::load()?.registers {
            for name in row.when.zero.iter().chain(&row.when.nonzero) {
                assert!(names.iter().chain(&more).any(|n| n == name), "{name}");
            }
        }
        Ok(())
    }

    #[test]
    fn marks_are_removed() {
        assert_eq!(plain("``cont``: see `Settings`_"), "cont: see \"Settings\"");
    }
}
