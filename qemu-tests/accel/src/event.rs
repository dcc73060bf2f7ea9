// SPDX-License-Identifier: GPL-2.0

//! Event queue (EQ) and asynchronous event queue (AEQ) of a function.

use crate::bus::Bus;
use crate::context::CONTEXT_BYTES;
use crate::context::distance;
use crate::context::next_index;
use crate::host::DmaFault;
use crate::silicon::Silicon;

/// Number of 32-bit words of EQC or AEQC; the last one is reserved and is not a migration register.
pub(crate) const WORDS: usize = CONTEXT_BYTES / 4;

const PHASE: u32 = 1 << 16;

/// Why an event could not be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventError {
    /// No context was set.
    Absent,
    /// The ring is full.
    Full,
    /// An access to the ring's memory was rejected.
    Fault,
}

/// A ring of 32-bit events, which the device fills.
///
/// Source: `struct qm_eqc`, `struct qm_aeqc` in `qm_common.h`. `dw0` holds head and tail, `dw1` and `dw2` the ring's
/// address, `dw6` depth - 1 in bits 15:0 and the phase of the next event in bit 16.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    words: [u32; WORDS],
    /// Whether the driver requested an interrupt for the next event.
    armed: bool,
    /// `*_INT_MASK`: whether the interrupt is masked.
    masked: bool,
    /// No interrupt is sent while the tail has this value, because the events before it no longer raise one.
    silent_tail: Option<u16>,
}

impl EventQueue {
    /// Returns a ring as it is after a reset.
    pub(crate) fn new() -> Self {
        Self {
            words: [0; WORDS],
            armed: false,
            masked: true,
            silent_tail: None,
        }
    }

    fn head(&self) -> u16 {
        (self.words[0] & 0xffff) as u16
    }

    fn tail(&self) -> u16 {
        (self.words[0] >> 16) as u16
    }

    fn base(&self) -> u64 {
        u64::from(self.words[1]) | u64::from(self.words[2]) << 32
    }

    /// Returns the depth of the ring. The field can encode 65536; a driver's ring never has more than 65535 entries.
    fn depth(&self) -> u16 {
        (self.words[6] as u16).saturating_add(1)
    }

    fn is_present(&self) -> bool {
        self.base() != 0 && self.head() < self.depth() && self.tail() < self.depth()
    }

    pub(crate) fn masked(&self) -> bool {
        self.masked
    }

    pub(crate) fn set_masked(&mut self, masked: bool) {
        self.masked = masked;
    }

    pub(crate) fn word(&self, index: usize) -> u32 {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// Writes one word through the migration registers. This arms the interrupt unless `silicon` says otherwise.
    pub(crate) fn restore_word(&mut self, index: usize, value: u32, silicon: Silicon) {
        let Some(word) = self.words.get_mut(index) else {
            return;
        };
        *word = value;
        if !silicon.contains(Silicon::RESTORE_DOES_NOT_ARM) {
            self.armed = true;
        }
        if silicon.contains(Silicon::RESTORE_TELLS_ONLY_LATER_EVENTS) {
            self.silence();
        }
    }

    /// Suppresses interrupts for the events that are in the ring now, unless a doorbell requests one.
    pub(crate) fn silence(&mut self) {
        self.silent_tail = Some(self.tail());
    }

    /// Sets a context read from memory (mailbox).
    pub(crate) fn load(&mut self, bytes: &[u8; CONTEXT_BYTES]) {
        for (word, bytes) in self.words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = bytes
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        self.armed = false;
        self.silent_tail = None;
    }

    pub(crate) fn to_bytes(&self) -> [u8; CONTEXT_BYTES] {
        let mut bytes = [0; CONTEXT_BYTES];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(self.words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Called when the driver has taken the events before `head` and requests an interrupt for the next one. Returns
    /// false if there is no such entry.
    pub(crate) fn acknowledge(&mut self, head: u16) -> bool {
        if self.base() != 0 && head >= self.depth() {
            return false;
        }
        self.words[0] = self.words[0] & 0xffff_0000 | u32::from(head);
        self.armed = true;
        self.silent_tail = None;
        true
    }

    /// Writes `event` (bits 15:0 and 20:17) and the phase.
    pub(crate) fn push(&mut self, bus: &mut Bus<'_>, event: u32) -> Result<(), EventError> {
        if !self.is_present() {
            return Err(EventError::Absent);
        }
        let (depth, tail) = (self.depth(), self.tail());
        if distance(self.head(), tail, depth) + 1 >= depth {
            return Err(EventError::Full);
        }
        let word = event & !PHASE | self.words[6] & PHASE;
        let address = self.base().wrapping_add(4 * u64::from(tail));
        bus.write(address, &word.to_le_bytes())
            .map_err(|DmaFault { .. }| EventError::Fault)?;
        let (tail, wrapped) = next_index(tail, depth);
        self.words[0] = self.words[0] & 0xffff | u32::from(tail) << 16;
        if wrapped {
            self.words[6] ^= PHASE;
        }
        Ok(())
    }

    /// Sends the interrupt, once, if there is an event to report and the driver waits for it.
    pub(crate) fn notify(&mut self, bus: &mut Bus<'_>, vector: u8) {
        let waiting = self.head() != self.tail() && self.silent_tail != Some(self.tail());
        if self.armed && !self.masked && self.is_present() && waiting {
            self.armed = false;
            bus.msi(vector);
        }
    }
}
