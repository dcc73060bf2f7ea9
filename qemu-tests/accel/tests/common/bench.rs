// SPDX-License-Identifier: GPL-2.0

//! A device in a machine.

use super::Machine;
use kunpeng_accel::Config;
use kunpeng_accel::Device;
use kunpeng_accel::FunctionId;
use kunpeng_accel::HPRE;
use kunpeng_accel::Opcode;
use kunpeng_accel::Profile;
use kunpeng_accel::Revision;
use kunpeng_accel::Violation;
use kunpeng_accel::ZIP;
use kunpeng_accel::regs::function as fb;
use kunpeng_accel::regs::pf;

pub const LATENCY_NS: u64 = 20_000;
pub const MAILBOX_NS: u64 = 3_000;
pub const TOTAL_QPS: u16 = 32;
pub const TOTAL_VFS: u16 = 3;
pub const VF_QUEUES: u16 = 4;

/// A device in a machine.
pub struct Bench {
    pub device: Device,
    pub machine: Machine,
    pub revision: Revision,
    /// Binary logarithm of the size of a submission queue entry in bytes.
    pub entry_order: u32,
}

impl Bench {
    /// Returns a V3 device with two VFs of `VF_QUEUES` queues each; the PF has the first 8.
    pub fn new() -> Self {
        Self::with_revision(Revision::V3)
    }

    pub fn with_revision(revision: Revision) -> Self {
        Self::with_profile(&ZIP, revision)
    }

    pub fn with_profile(profile: &'static Profile, revision: Revision) -> Self {
        let device = Device::new(Config {
            profile,
            revision,
            total_qps: match revision {
                Revision::V2 => 1024,
                _ => TOTAL_QPS,
            },
            total_vfs: TOTAL_VFS,
            latency_ns: LATENCY_NS,
            mailbox_ns: MAILBOX_NS,
        })
        .unwrap();
        let mut bench = Self {
            device,
            machine: Machine::new(),
            revision,
            entry_order: if profile.pf_device_id == HPRE.pf_device_id {
                6
            } else {
                7
            },
        };
        bench.device.set_vfs(&mut bench.machine, 2);
        bench.write_vft(0, 0, share(0, 8));
        bench.write_vft(0, 1, share(8, VF_QUEUES));
        bench.write_vft(0, 2, share(8 + VF_QUEUES, VF_QUEUES));
        bench.machine.forget();
        bench
    }

    pub fn read(&mut self, function: FunctionId, offset: u64) -> u32 {
        self.device.read(&mut self.machine, function, offset, 4) as u32
    }

    pub fn write(&mut self, function: FunctionId, offset: u64, value: u32) {
        self.device
            .write(&mut self.machine, function, offset, 4, value.into());
    }

    pub fn write64(&mut self, function: FunctionId, offset: u64, value: u64) {
        self.device
            .write(&mut self.machine, function, offset, 8, value);
    }

    /// Advances the time, and runs the timer whenever it is due.
    pub fn advance(&mut self, ns: u64) {
        let end = self.machine.now + ns;
        while let Some(deadline) = self.machine.timer.filter(|deadline| *deadline <= end) {
            self.machine.now = self.machine.now.max(deadline);
            self.machine.timer = None;
            self.device.timer(&mut self.machine);
        }
        self.machine.now = end;
    }

    /// Runs the timer until the device has nothing left to do.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let Some(deadline) = self.machine.timer else {
                return;
            };
            let wait = deadline.saturating_sub(self.machine.now);
            self.advance(wait);
        }
        panic!("the device does not become idle");
    }

    pub fn post(&mut self, function: FunctionId, code: u8, read: bool, queue: u16, data: u64) {
        let word0 =
            u64::from(code) | 1 << 13 | u64::from(read) << 14 | u64::from(queue) << 16 | data << 32;
        self.write64(function, fb::MAILBOX, word0);
        self.write64(function, fb::MAILBOX + 8, data >> 32);
    }

    /// Returns the mailbox's status, or `None` while it is busy.
    pub fn mailbox_status(&mut self, function: FunctionId) -> Option<u32> {
        let word = self.read(function, fb::MAILBOX);
        (word & 1 << 13 == 0).then_some(word >> 9 & 0xf)
    }

    /// Executes a command, waits at most a second for it, and returns its data.
    pub fn mailbox(
        &mut self,
        function: FunctionId,
        opcode: Opcode,
        read: bool,
        queue: u16,
        data: u64,
    ) -> Result<u64, u32> {
        self.post(function, opcode.code(), read, queue, data);
        for _ in 0..100_000 {
            self.advance(10_000);
            match self.mailbox_status(function) {
                Some(0) => {
                    let low = self.read(function, fb::MAILBOX + 4);
                    let high = self.read(function, fb::MAILBOX + 8);
                    return Ok(u64::from(low) | u64::from(high) << 32);
                }
                Some(status) => return Err(status),
                None => {}
            }
        }
        Err(u32::MAX)
    }

    pub fn write_vft(&mut self, kind: u32, function: u32, data: u64) {
        self.write(0, pf::VFT_CFG_OP_WR, 0);
        self.write(0, pf::VFT_CFG_TYPE, kind);
        self.write(0, pf::VFT_CFG, function);
        self.write(0, pf::VFT_CFG_DATA_L, data as u32);
        self.write(0, pf::VFT_CFG_DATA_H, (data >> 32) as u32);
        self.write(0, pf::VFT_CFG_RDY, 0);
        self.write(0, pf::VFT_CFG_OP_ENABLE, 1);
    }

    pub fn read_vft(&mut self, kind: u32, function: u32) -> u64 {
        self.write(0, pf::VFT_CFG_OP_WR, 1);
        self.write(0, pf::VFT_CFG_TYPE, kind);
        self.write(0, pf::VFT_CFG, function);
        self.write(0, pf::VFT_CFG_RDY, 0);
        self.write(0, pf::VFT_CFG_OP_ENABLE, 1);
        assert_eq!(self.read(0, pf::VFT_CFG_RDY), 1);
        let low = self.read(0, pf::VFT_CFG_DATA_L);
        u64::from(low) | u64::from(self.read(0, pf::VFT_CFG_DATA_H)) << 32
    }

    pub fn doorbell(
        &mut self,
        function: FunctionId,
        queue: u16,
        command: u8,
        index: u16,
        priority: u16,
    ) {
        let offset = if command < 2 {
            fb::DOORBELL_SQ_CQ
        } else {
            fb::DOORBELL_EQ_AEQ
        };
        let value = u64::from(queue)
            | u64::from(command) << 12
            | u64::from(index) << 32
            | u64::from(priority) << 48;
        self.write64(function, offset, value);
    }

    pub fn violations(&self, kind: Violation) -> u64 {
        self.device.violations().count(kind)
    }

    /// Asserts that there is no violation of any kind.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert_eq!(
            self.device.violations().total(),
            0,
            "{}",
            self.device.violations().log()
        );
    }

    pub fn counter(&self, name: &str) -> u64 {
        let counters: serde_json::Value =
            serde_json::from_str(&self.device.counters().to_json()).unwrap();
        counters[name].as_u64().unwrap()
    }
}

/// Returns an SQC entry of the function table.
pub fn share(first: u16, number: u16) -> u64 {
    u64::from(first) << 28 | 1 << 44 | u64::from(number - 1) << 45
}
