// SPDX-License-Identifier: GPL-2.0

//! Ways in which real hardware may differ from the defaults of this model.
//!
//! There is no public data sheet, so a driver must be correct whichever way the hardware behaves. Each flag is one
//! point in which the hardware may behave differently; `Documentation/accel-model.rst` lists the evidence for each.

use bitflags::bitflags;

bitflags! {
    /// Points in which the device differs from the default.
    ///
    /// The text of the `silicon` property lists flags in lower case, with `-` for `_` and separated by `;`.
    #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
    pub struct Silicon: u32 {
        /// Writing EQC or AEQC through the migration registers does not arm the interrupt of the ring. Default: it
        /// does.
        const RESTORE_DOES_NOT_ARM = 1 << 0;
        /// A restored ring is armed, but raises interrupts only for events written after the restart. Default: the
        /// restart raises an interrupt if the ring holds events that were not acknowledged.
        const RESTORE_TELLS_ONLY_LATER_EVENTS = 1 << 1;
        /// An event written while PAUSE waits for requests in flight does not raise an interrupt, neither then nor at
        /// the restart; an EQ or AEQ doorbell raises the missing one. Default: the event raises an interrupt at once.
        const PAUSE_SUPPRESSES_EVENTS = 1 << 2;
        /// An EQ or AEQ doorbell of a paused function raises an interrupt at once if the ring holds events that were
        /// not acknowledged. Default: only after the restart.
        const PAUSED_DOORBELL_INTERRUPTS = 1 << 3;
        /// An SQ or CQ doorbell without priority restarts a paused queue. Default: only a restart doorbell does.
        const PAUSE_ENDS_BY_GUEST_DOORBELL = 1 << 4;
        /// PAUSE stays in effect after the mailbox command for EQC with which a driver starts the function from
        /// scratch. Default: that command ends it.
        const PAUSE_OUTLASTS_DRIVER_START = 1 << 5;
        /// A restart doorbell restarts all queues of the function. Default: only the queue that it names.
        const RESTART_RESUMES_ALL_QUEUES = 1 << 6;
        /// A restart doorbell reads the contexts of a paused queue from the tables even if they are cached. Default:
        /// only those that are not cached.
        const RESTART_RELOADS_CONTEXTS = 1 << 7;
        /// A restart doorbell is dropped while `QM_IFC_INT_MASK` masks messages. Default: it works.
        const RESTART_NEEDS_MESSAGES_UNMASKED = 1 << 8;
        /// A restart doorbell for a queue without context, in a function without table of SQCs, is a hardware error
        /// (`QM_DB_TIMEOUT`). Default: it has no effect.
        const RESTART_WITHOUT_TABLE_IS_ERROR = 1 << 9;
        /// If the IOMMU rejects the read of a context at a restart, this is a hardware error (`QM_AXI_RRESP` and
        /// `QM_DB_TIMEOUT`). Default: the queue stays without context.
        const REFUSED_CONTEXT_READ_IS_ERROR = 1 << 10;
        /// A reset of a VF preserves `QM_VF_STATE`. Default: it becomes 1, not ready.
        const FLR_KEEPS_VF_STATE = 1 << 11;
        /// V5: a reset of a VF preserves `QM_FUN_DB_DROP`. Default: it becomes 0, doorbells work.
        const FLR_KEEPS_DB_DROP = 1 << 12;
        /// A reset of a VF sets `QM_IFC_INT_MASK`. Default: the reset preserves it.
        const FLR_MASKS_MESSAGES = 1 << 13;
        /// V4: a reset of the PF preserves `QM_MIG_REGION_SEL`. Default: it becomes 0, the migration windows are
        /// closed.
        const PF_RESET_KEEPS_MIG_REGION_SEL = 1 << 14;
        /// EQC and AEQC can be written through the migration registers only while `QM_VF_STATE` shows that the driver
        /// is ready. Default: always.
        const RESTORE_NEEDS_VF_READY = 1 << 15;
        /// A message sent by mailbox (V3) cannot be received through the registers of V4, nor the other way round.
        /// Default: both ways show the same message.
        const MESSAGE_PATHS_ARE_SEPARATE = 1 << 16;
        /// V4: the registers behind a migration window are those of the next VF, so that the event doorbell of a window
        /// is a write to the first two registers of the next VF. Default: there is nothing.
        const WINDOW_ENDS_IN_NEXT_VF = 1 << 17;
        /// A cache write-back takes 200 us. Default: it completes at once.
        const WRITE_BACK_TAKES_TIME = 1 << 18;
        /// `QM_VF_STATE` is 0, ready, after any reset. Default: it is 1, not ready.
        const VF_STATE_RESETS_TO_READY = 1 << 19;
    }
}

/// A text that contains something other than flags of [`Silicon`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown silicon flag '{unknown}'; the flags, separated by ';', are: {known}")]
pub struct SiliconError {
    unknown: String,
    known: String,
}

fn constant_to_name(constant: &str) -> String {
    constant.to_ascii_lowercase().replace('_', "-")
}

impl Silicon {
    /// Flags that apply to any reset of a function, not only to an FLR of a VF.
    pub(crate) const OF_ANY_RESET: Self = Self::VF_STATE_RESETS_TO_READY;

    /// Returns the names in this set, in numerical order.
    pub fn names(self) -> impl Iterator<Item = String> {
        self.iter_names().map(|(name, _)| constant_to_name(name))
    }

    /// Parses a list of flags.
    ///
    /// # Errors
    ///
    /// [`SiliconError`] with the first unknown name.
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
    /// Writes the text that [`Silicon::parse`] accepts.
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
