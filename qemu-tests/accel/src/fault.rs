// SPDX-License-Identifier: GPL-2.0

//! Faults that are injected into the device.
//!
//! Grammar of the `fault` property: faults separated by `;`, each `[fnN:]NAME[=VALUE][@WHICH]`. Without `fnN:` a fault
//! applies to all functions; `@WHICH` restricts a mailbox fault to one command, by its name in the counters, or names
//! the register that is stuck. A new text replaces the old one; the empty text removes all faults.

use crate::host::FunctionId;
use crate::mailbox::Opcode;
use crate::register::Register;

/// The effect of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The mailbox stays busy; the command is executed when the fault is removed.
    MailboxTimeout,
    /// The mailbox reports this status (1..=15) and the command is not executed.
    MailboxStatus(u8),
    /// A cache write-back is not performed and never reported as completed.
    WritebackNever,
    /// The VF always has a message pending, so it cannot be stopped.
    VfBusy,
    /// A VFT transaction is not performed and never reported as completed.
    VftNever,
    /// `QM_ABNORMAL_INT_STATUS` shows these bits.
    Abnormal(u32),
    /// The register keeps this value, or its current one.
    Stuck(Register, Option<u32>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fault {
    function: Option<FunctionId>,
    command: Option<Opcode>,
    kind: FaultKind,
}

/// A text that does not describe a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a fault; the syntax is [fnN:]NAME[=VALUE][@WHICH] where NAME is mailbox-timeout[@COMMAND], \
     mailbox-status=1..15[@COMMAND], wb-never, vf-busy, vft-never, abnormal=BITS or stuck[=VALUE]@REGISTER"
)]
pub struct FaultError(String);

/// The faults in effect.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn parse(text: &str) -> Result<Self, FaultError> {
        text.split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| parse_one(part).ok_or_else(|| FaultError(part.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn kinds(&self, function: FunctionId) -> impl Iterator<Item = &Fault> {
        self.0
            .iter()
            .filter(move |fault| fault.function.is_none_or(|only| only == function))
    }

    fn has(&self, function: FunctionId, kind: FaultKind) -> bool {
        self.kinds(function).any(|fault| fault.kind == kind)
    }

    pub(crate) fn mailbox_timeout(&self, function: FunctionId, opcode: Option<Opcode>) -> bool {
        self.kinds(function).any(|fault| {
            fault.kind == FaultKind::MailboxTimeout
                && (fault.command.is_none() || fault.command == opcode)
        })
    }

    pub(crate) fn mailbox_status(
        &self,
        function: FunctionId,
        opcode: Option<Opcode>,
    ) -> Option<u8> {
        self.kinds(function).find_map(|fault| match fault.kind {
            FaultKind::MailboxStatus(status)
                if fault.command.is_none() || fault.command == opcode =>
            {
                Some(status)
            }
            _ => None,
        })
    }

    pub(crate) fn writeback_never(&self, function: FunctionId) -> bool {
        self.has(function, FaultKind::WritebackNever)
    }

    pub(crate) fn vf_busy(&self, function: FunctionId) -> bool {
        self.has(function, FaultKind::VfBusy)
    }

    pub(crate) fn vft_never(&self) -> bool {
        self.has(0, FaultKind::VftNever)
    }

    pub(crate) fn abnormal(&self) -> u32 {
        self.kinds(0).fold(0, |bits, fault| match fault.kind {
            FaultKind::Abnormal(more) => bits | more,
            _ => bits,
        })
    }

    /// Returns the registers that are stuck, with their function and, if given, their value.
    pub(crate) fn stuck(
        &self,
    ) -> impl Iterator<Item = (Option<FunctionId>, Register, Option<u32>)> {
        self.0.iter().filter_map(|fault| match fault.kind {
            FaultKind::Stuck(register, value) => Some((fault.function, register, value)),
            _ => None,
        })
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn parse_one(text: &str) -> Option<Fault> {
    let (function, rest) = match text.split_once(':') {
        Some((scope, rest)) => (Some(scope.strip_prefix("fn")?.parse().ok()?), rest),
        None => (None, text),
    };
    let (rest, which) = match rest.split_once('@') {
        Some((rest, which)) => (rest, Some(which)),
        None => (rest, None),
    };
    let (name, value) = match rest.split_once('=') {
        Some((name, value)) => (name, Some(number(value)?)),
        None => (rest, None),
    };
    let kind = match (name, value) {
        ("mailbox-timeout", None) => FaultKind::MailboxTimeout,
        ("mailbox-status", Some(status @ 1..=15)) => {
            FaultKind::MailboxStatus(u8::try_from(status).ok()?)
        }
        ("wb-never", None) => FaultKind::WritebackNever,
        ("vf-busy", None) => FaultKind::VfBusy,
        ("vft-never", None) => FaultKind::VftNever,
        ("abnormal", Some(bits)) => FaultKind::Abnormal(bits),
        ("stuck", value) => FaultKind::Stuck(Register::from_name(which?)?, value),
        _ => return None,
    };
    let command = match (kind, which) {
        (FaultKind::MailboxTimeout | FaultKind::MailboxStatus(_), Some(name)) => {
            Some(Opcode::from_name(name)?)
        }
        (FaultKind::Stuck(register, _), _) if register.is_of_pf() && function.unwrap_or(0) != 0 => {
            return None;
        }
        (FaultKind::Stuck(..), _) | (_, None) => None,
        (_, Some(_)) => return None,
    };
    Some(Fault {
        function,
        command,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_applies_to_the_function_and_command_it_names() {
        let faults = Faults::parse("fn1:mailbox-status=3@cqc-bt; wb-never").unwrap();
        assert_eq!(faults.mailbox_status(1, Some(Opcode::CqcTable)), Some(3));
        assert_eq!(faults.mailbox_status(1, Some(Opcode::SqcTable)), None);
        assert_eq!(faults.mailbox_status(2, Some(Opcode::CqcTable)), None);
        assert!(faults.writeback_never(5));
        assert!(!faults.vf_busy(1));
    }

    #[test]
    fn what_is_no_fault_is_refused_by_name() {
        for text in [
            "mailbox-status=0",
            "mailbox-status=16",
            "mailbox-status",
            "vf-busy=1",
            "vf1:vf-busy",
            "wb-never@sqc",
            "mailbox-timeout@nothing",
            "abnormal=0xz",
            "stuck",
            "stuck@pause-qm",
            "stuck=one@vf-state",
            "fn1:stuck@abnormal-int-status",
        ] {
            let error = Faults::parse(text).expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
        assert!(Faults::parse("").is_ok());
    }
}
