// SPDX-License-Identifier: GPL-2.0

//! A machine that consists of a byte array.

use kunpeng_accel::DmaFault;
use kunpeng_accel::FunctionId;
use kunpeng_accel::Host;

const MEMORY: usize = 32 << 20;

/// Memory, clock and a record of the device's actions.
pub struct Machine {
    pub memory: Vec<u8>,
    pub now: u64,
    pub timer: Option<u64>,
    pub interrupts: Vec<(FunctionId, u8)>,
    /// Every write: function, address, bytes.
    pub writes: Vec<(FunctionId, u64, usize)>,
    pub reads: Vec<(FunctionId, u64, usize)>,
}

impl Machine {
    pub fn new() -> Self {
        Self {
            memory: vec![0; MEMORY],
            now: 0,
            timer: None,
            interrupts: Vec::new(),
            writes: Vec::new(),
            reads: Vec::new(),
        }
    }

    fn range(address: u64, length: usize) -> Result<std::ops::Range<usize>, DmaFault> {
        let start = usize::try_from(address).map_err(|_| DmaFault { address })?;
        let end = start.checked_add(length).ok_or(DmaFault { address })?;
        // Page 0 is never mapped.
        if start < 4096 || end > MEMORY {
            return Err(DmaFault { address });
        }
        Ok(start..end)
    }

    pub fn load(&self, address: u64, length: usize) -> &[u8] {
        &self.memory[Self::range(address, length).unwrap()]
    }

    pub fn store(&mut self, address: u64, data: &[u8]) {
        let range = Self::range(address, data.len()).unwrap();
        self.memory[range].copy_from_slice(data);
    }

    pub fn load_u32(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.load(address, 4).try_into().unwrap())
    }

    pub fn load_u16(&self, address: u64) -> u16 {
        u16::from_le_bytes(self.load(address, 2).try_into().unwrap())
    }

    pub fn forget(&mut self) {
        self.interrupts.clear();
        self.writes.clear();
        self.reads.clear();
    }
}

impl Host for Machine {
    fn dma_read(
        &mut self,
        function: FunctionId,
        address: u64,
        data: &mut [u8],
    ) -> Result<(), DmaFault> {
        let range = Self::range(address, data.len())?;
        self.reads.push((function, address, data.len()));
        data.copy_from_slice(&self.memory[range]);
        Ok(())
    }

    fn dma_write(
        &mut self,
        function: FunctionId,
        address: u64,
        data: &[u8],
    ) -> Result<(), DmaFault> {
        let range = Self::range(address, data.len())?;
        self.writes.push((function, address, data.len()));
        self.memory[range].copy_from_slice(data);
        Ok(())
    }

    fn msi(&mut self, function: FunctionId, vector: u8) {
        self.interrupts.push((function, vector));
    }

    fn now_ns(&self) -> u64 {
        self.now
    }

    fn set_timer(&mut self, deadline_ns: Option<u64>) {
        self.timer = deadline_ns;
    }
}
