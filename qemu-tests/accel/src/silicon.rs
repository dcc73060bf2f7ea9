// SPDX-License-Identifier: GPL-2.0

//! What real hardware may do otherwise than this model does by default.
//!
//! There is no public data sheet, so a driver has to be right whichever way the hardware goes. Each flag is one point
//! in which it may go another way; `Documentation/accel-model.rst` has the evidence for each.

use bitflags::bitflags;

bitflags! {
    /// Points in which the device differs from the default.
    ///
    /// The text of the `silicon` property names flags in lower case, with `-` for `_` and `;` between them.
    #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
    pub struct Silicon: u32 {
        /// Writing EQC or AEQC through the migration registers does not arm the interrupt of the ring. Default: it does.
        const RESTORE_DOES_NOT_ARM = 1 << 0;
        /// A restored ring is armed, and interrupts only for events written after the restart. Default: the restart
        /// interrupts if the ring holds events that were not acknowledged.
        const RESTORE_TELLS_ONLY_LATER_EVENTS = 1 << 1;
        /// An event written while PAUSE waits for requests in flight raises no interrupt, neither then nor at the
        /// restart; an EQ or AEQ doorbell makes up for it. Default: it interrupts at once.
        const PAUSE_SUPPRESSES_EVENTS = 1 << 2;
        /// An EQ or AEQ doorbell of a paused function interrupts at once if the ring holds events that were not
        /// acknowledged. Default: only after the restart.
        const PAUSED_DOORBELL_INTERRUPTS = 1 << 3;
        /// An SQ or CQ doorbell without priority restarts a paused queue. Default: only a restart doorbell does.
        const PAUSE_ENDS_BY_GUEST_DOORBELL = 1 << 4;
        /// PAUSE outlasts the mailbox command for EQC by which a driver starts the function from scratch. Default: that
        /// ends it.
        const PAUSE_OUTLASTS_DRIVER_START = 1 << 5;
        /// A restart doorbell restarts all queues of the function. Default: only the one it names.
        const RESTART_RESUMES_ALL_QUEUES = 1 << 6;
        /// A restart doorbell reads the contexts of a paused queue from the tables, cached or not. Default: only those
        /// that are not cached.
        const RESTART_RELOADS_CONTEXTS = 1 << 7;
        /// A restart doorbell is dropped while `QM_IFC_INT_MASK` masks messages. Default: it works.
        const RESTART_NEEDS_MESSAGES_UNMASKED = 1 << 8;
        /// A restart doorbell for a queue without context, in a function without table of SQCs, is a hardware error
        /// (`QM_DB_TIMEOUT`). Default: it has no effect.
        const RESTART_WITHOUT_TABLE_IS_ERROR = 1 << 9;
        /// A context read at a restart that the IOMMU refuses is a hardware error (`QM_AXI_RRESP` and `QM_DB_TIMEOUT`).
        /// Default: the queue stays without context.
        const REFUSED_CONTEXT_READ_IS_ERROR = 1 << 10;
        /// A reset of a VF keeps `QM_VF_STATE`. Default: it is 1, not ready.
        const FLR_KEEPS_VF_STATE = 1 << 11;
        /// V5: a reset of a VF keeps `QM_FUN_DB_DROP`. Default: it is 0, doorbells work.
        const FLR_KEEPS_DB_DROP = 1 << 12;
        /// A reset of a VF sets `QM_IFC_INT_MASK`. Default: it keeps it.
        const FLR_MASKS_MESSAGES = 1 << 13;
        /// V4: a reset of the PF keeps `QM_MIG_REGION_SEL`. Default: it is 0, the migration windows are closed.
        const PF_RESET_KEEPS_MIG_REGION_SEL = 1 << 14;
        /// EQC and AEQC can be written through the migration registers only while `QM_VF_STATE` says that the driver
        /// is ready. Default: always.
        const RESTORE_NEEDS_VF_READY = 1 << 15;
        /// A message left by mailbox (V3) cannot be fetched by the registers of V4, nor the other way round. Default:
        /// both ways show the same message.
        const MESSAGE_PATHS_ARE_SEPARATE = 1 << 16;
        /// V4: what is behind a migration window is the next VF's, so that the event doorbell of a window is a write to
        /// the first two registers of the next VF. Default: there is nothing.
        const WINDOW_ENDS_IN_NEXT_VF = 1 << 17;
        /// A cache write-back takes 200 us. Default: it is done at once.
        const WRITE_BACK_TAKES_TIME = 1 << 18;
        /// `QM_VF_STATE` is 0, ready, after any reset. Default: it is 1, not ready.
        const VF_STATE_RESETS_TO_READY = 1 << 19;
    }
}

/// A text that names something else than flags of [`Silicon`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown silicon '{unknown}'; known, with ';' between them: {known}")]
pub struct SiliconError {
    unknown: String,
    known: String,
}

fn constant_to_name(constant: &str) -> String {
    constant.to_ascii_lowercase().replace('_', "-")
}

impl Silicon {
    /// What is about any reset of a function, and not only an FLR of a VF.
    pub(crate) const OF_ANY_RESET: Self = Self::VF_STATE_RESETS_TO_READY;

    /// The names in this set, in the order of their numbers.
    pub fn names(self) -> impl Iterator<Item = String> {
        self.iter_names().map(|(name, _)| constant_to_name(name))
    }

    /// The flags that `text` names.
    ///
    /// # Errors
    ///
    /// [`SiliconError`] with the first name that is unknown.
    pub fn parse(text: &str) -> Result<Self, SiliconError> {
        text.split(';')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(|name| {
                Self::all()
                    .iter_names()
                    .find(|(constant, _)| constant_to_name(constant) == name)
                    .map(|(_, flag)| flag)
                    .ok_or_else(|| SiliconError {
                        unknown: name.to_owned(),
                        known: Self::all().to_string(),
                    })
            })
            .collect()
    }
}

impl std::fmt::Display for Silicon {
    /// Writes the text that [`Silicon::parse`] takes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(";"))
    }
}

#[cfg(test)]
mod tests {
    use super::Silicon;

    #[test]
    fn names_are_parsed_and_written() {
        let two = Silicon::FLR_KEEPS_VF_STATE | Silicon::RESTORE_DOES_NOT_ARM;
        let parsed = Silicon::parse(" flr-keeps-vf-state; restore-does-not-arm;");
        assert_eq!(parsed, Ok(two));
        assert_eq!(two.to_string(), "restore-does-not-arm;flr-keeps-vf-state");
        assert_eq!(Silicon::parse(""), Ok(Silicon::empty()));
        let all = Silicon::all();
        assert_eq!(Silicon::parse(&all.to_string()), Ok(all));
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_that_are_known() {
        for text in ["flr", "FLR_KEEPS_VF_STATE", "flr-keeps-vf-state,flr"] {
            let error = Silicon::parse(text).expect_err(text).to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
            assert!(error.contains("flr-keeps-db-drop"), "{error}");
        }
    }
}
