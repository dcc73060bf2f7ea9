// SPDX-License-Identifier: GPL-2.0

//! The machine as seen by one function; counts everything that the function does.

use crate::counters::Counters;
use crate::host::DmaFault;
use crate::host::FunctionId;
use crate::host::Host;
use crate::violation::Violation;
use crate::violation::Violations;
use crate::written_pages::WrittenPages;

/// One function's access to memory, interrupts, time and the counters.
pub(crate) struct Bus<'a> {
    pub(crate) host: &'a mut dyn Host,
    pub(crate) violations: &'a mut Violations,
    pub(crate) counters: &'a mut Counters,
    pub(crate) written: &'a mut WrittenPages,
    pub(crate) function: FunctionId,
    /// Hardware errors caused by the function: bits of `QM_ABNORMAL_INT_STATUS`.
    pub(crate) errors: u32,
}

impl Bus<'_> {
    pub(crate) fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), DmaFault> {
        self.counters.dma_reads += 1;
        let result = self.host.dma_read(self.function, address, data);
        self.note(result, "read", data.len())
    }

    pub(crate) fn write(&mut self, address: u64, data: &[u8]) -> Result<(), DmaFault> {
        self.counters.dma_writes += 1;
        let result = self.host.dma_write(self.function, address, data);
        if result.is_ok() {
            self.written.record(self.function, address, data.len());
        }
        self.note(result, "write", data.len())
    }

    fn note(
        &mut self,
        result: Result<(), DmaFault>,
        what: &str,
        length: usize,
    ) -> Result<(), DmaFault> {
        if let Err(fault) = result {
            self.violation(
                Violation::DmaFault,
                &format!("{what} of {length} bytes at {:#x}", fault.address),
            );
        }
        result
    }

    pub(crate) fn msi(&mut self, vector: u8) {
        self.host.msi(self.function, vector);
    }

    /// Reports a hardware error to the PF.
    pub(crate) fn error(&mut self, bits: u32) {
        self.errors |= bits;
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.host.now_ns()
    }

    pub(crate) fn violation(&mut self, kind: Violation, detail: &str) {
        self.violations.record(kind, self.function, detail);
    }
}
