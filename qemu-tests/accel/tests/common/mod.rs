// SPDX-License-Identifier: GPL-2.0

//! A machine made of a byte array, and a driver as small as can be.

#![allow(dead_code, reason = "each test file uses its own part of this one")]

use kunpeng_accel::Config;
use kunpeng_accel::Device;
use kunpeng_accel::DmaFault;
use kunpeng_accel::FunctionId;
use kunpeng_accel::Host;
use kunpeng_accel::Opcode;
use kunpeng_accel::Revision;
use kunpeng_accel::Violation;
use kunpeng_accel::ZIP;
use kunpeng_accel::regs::function as fb;
use kunpeng_accel::regs::pf;

pub const LATENCY_NS: u64 = 20_000;
pub const TOTAL_QPS: u16 = 32;
pub const TOTAL_VFS: u16 = 3;
pub const VF_QUEUES: u16 = 4;

const SQE: u64 = 128;
const CQE: u64 = 16;
const CONTEXT: u64 = 32;
const MEMORY: usize = 32 << 20;

/// Memory, clock and a record of what the device did.
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

/// A device in a machine.
pub struct Bench {
    pub device: Device,
    pub machine: Machine,
}

impl Bench {
    /// A V3 device with two VFs of `VF_QUEUES` queues each; the PF has the first 8.
    pub fn new() -> Self {
        Self::with_revision(Revision::V3)
    }

    pub fn with_revision(revision: Revision) -> Self {
        let device = Device::new(Config {
            profile: &ZIP,
            revision,
            total_qps: TOTAL_QPS,
            total_vfs: TOTAL_VFS,
            latency_ns: LATENCY_NS,
        })
        .unwrap();
        let mut bench = Self {
            device,
            machine: Machine::new(),
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

    /// Lets time pass, with the timer served on time.
    pub fn advance(&mut self, ns: u64) {
        let end = self.machine.now + ns;
        while let Some(deadline) = self.machine.timer.filter(|deadline| *deadline <= end) {
            self.machine.now = self.machine.now.max(deadline);
            self.machine.timer = None;
            self.device.timer(&mut self.machine);
        }
        self.machine.now = end;
    }

    /// Lets the device do all it will do by itself.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let Some(deadline) = self.machine.timer else {
                return;
            };
            let wait = deadline.saturating_sub(self.machine.now);
            self.advance(wait);
        }
        panic!("the device never comes to rest");
    }

    pub fn post(&mut self, function: FunctionId, code: u8, read: bool, queue: u16, data: u64) {
        let word0 =
            u64::from(code) | 1 << 13 | u64::from(read) << 14 | u64::from(queue) << 16 | data << 32;
        self.write64(function, fb::MAILBOX, word0);
        self.write64(function, fb::MAILBOX + 8, data >> 32);
    }

    /// The mailbox's status once it is not busy, `None` if it is.
    pub fn mailbox_status(&mut self, function: FunctionId) -> Option<u32> {
        let word = self.read(function, fb::MAILBOX);
        (word & 1 << 13 == 0).then_some(word >> 9 & 0xf)
    }

    /// A command that is waited for, at most a second; its data.
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

    /// No violation of any kind.
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

/// An SQC entry of the function table.
pub fn share(first: u16, number: u16) -> u64 {
    u64::from(first) << 28 | 1 << 44 | u64::from(number - 1) << 45
}

/// A driver's view of a queue.
#[derive(Debug, Clone)]
pub struct DriverQueue {
    pub number: u16,
    pub sq: u64,
    pub cq: u64,
    pub depth: u16,
    pub tail: u16,
    pub head: u16,
    pub phase: bool,
    /// Places of completed requests, in order of completion.
    pub done: Vec<u16>,
}

/// A driver of one function; its rings are where `base` says.
#[derive(Debug, Clone)]
pub struct Driver {
    pub function: FunctionId,
    pub base: u64,
    pub depth: u16,
    pub eq_depth: u16,
    pub eq_head: u16,
    pub eq_phase: bool,
    pub queues: Vec<DriverQueue>,
    /// Queues named by events, in order.
    pub events: Vec<u16>,
}

impl Driver {
    /// Addresses in the driver's memory: EQ, AEQ, tables, a scratch context, then 256 KiB for each queue.
    fn eq(&self) -> u64 {
        self.base
    }

    fn aeq(&self) -> u64 {
        self.base + 0x1_0000
    }

    pub fn sqc_table(&self) -> u64 {
        self.base + 0x1_2000
    }

    pub fn cqc_table(&self) -> u64 {
        self.base + 0x1_3000
    }

    pub fn scratch(&self) -> u64 {
        self.base + 0x1_4000
    }

    fn rings(&self, queue: u16) -> u64 {
        self.base + 0x2_0000 + 0x4_0000 * u64::from(queue)
    }

    pub fn input(&self, slot: u64) -> u64 {
        self.base + 0x20_0000 + 0x1000 * slot
    }

    pub fn output(&self, slot: u64) -> u64 {
        self.base + 0x40_0000 + 0x1000 * slot
    }

    /// Starts `function` the way `hisi_qm_start()` does.
    pub fn start(bench: &mut Bench, function: FunctionId, depth: u16, eq_depth: u16) -> Self {
        let driver = Self {
            function,
            base: 0x10_0000 + 0x80_0000 * u64::from(function % 3),
            depth,
            eq_depth,
            eq_head: 0,
            eq_phase: true,
            queues: Vec::new(),
            events: Vec::new(),
        };
        driver.give_xeqc(bench, Opcode::Eqc, driver.eq(), eq_depth);
        driver.give_xeqc(bench, Opcode::Aeqc, driver.aeq(), 16);
        bench
            .mailbox(function, Opcode::SqcTable, false, 0, driver.sqc_table())
            .unwrap();
        bench
            .mailbox(function, Opcode::CqcTable, false, 0, driver.cqc_table())
            .unwrap();
        bench.doorbell(function, 0, 3, 0, 0);
        bench.doorbell(function, 0, 2, 0, 0);
        bench.write(function, fb::EQ_INT_MASK, 0);
        bench.write(function, fb::AEQ_INT_MASK, 0);
        bench.write(function, fb::VF_STATE, 0);
        driver
    }

    fn give_xeqc(&self, bench: &mut Bench, opcode: Opcode, ring: u64, depth: u16) {
        let mut context = [0; CONTEXT as usize];
        context[4..12].copy_from_slice(&ring.to_le_bytes());
        context[24..28].copy_from_slice(&(u32::from(depth - 1) | 1 << 16).to_le_bytes());
        bench.machine.store(self.scratch(), &context);
        bench
            .mailbox(self.function, opcode, false, 0, self.scratch())
            .unwrap();
    }

    pub fn sqc(&self, number: u16, algorithm: u16) -> [u8; CONTEXT as usize] {
        let mut context = [0; CONTEXT as usize];
        context[4..12].copy_from_slice(&self.rings(number).to_le_bytes());
        context[12..16].copy_from_slice(&(u32::from(self.depth - 1) | 7 << 12).to_le_bytes());
        context[24..26].copy_from_slice(&number.to_le_bytes());
        context[26..28].copy_from_slice(&(1 << 4 | algorithm << 8).to_le_bytes());
        context
    }

    pub fn cqc(&self, number: u16) -> [u8; CONTEXT as usize] {
        let mut context = [0; CONTEXT as usize];
        let ring = self.rings(number) + SQE * u64::from(self.depth);
        context[4..12].copy_from_slice(&ring.to_le_bytes());
        context[12..16].copy_from_slice(&(u32::from(self.depth - 1) | 4 << 12).to_le_bytes());
        context[24] = 3;
        context
    }

    /// Makes the next queue; `algorithm` 0 compresses, 1 restores.
    pub fn add_queue(&mut self, bench: &mut Bench, algorithm: u16) {
        let number = self.queues.len() as u16;
        for (opcode, context) in [
            (Opcode::Sqc, self.sqc(number, algorithm)),
            (Opcode::Cqc, self.cqc(number)),
        ] {
            bench.machine.store(self.scratch(), &context);
            bench
                .mailbox(self.function, opcode, false, number, self.scratch())
                .unwrap();
        }
        self.queues.push(DriverQueue {
            number,
            sq: self.rings(number),
            cq: self.rings(number) + SQE * u64::from(self.depth),
            depth: self.depth,
            tail: 0,
            head: 0,
            phase: true,
            done: Vec::new(),
        });
    }

    /// Requests submitted and not yet seen done.
    pub fn outstanding(&self, queue: usize) -> u16 {
        let queue = &self.queues[queue];
        (queue.tail + queue.depth - queue.head) % queue.depth
    }

    /// Puts a request into the ring, without doorbell; false if the ring is full.
    pub fn prepare(&mut self, bench: &mut Bench, queue: usize, entry: &[u8; SQE as usize]) -> bool {
        if self.outstanding(queue) == self.queues[queue].depth - 1 {
            return false;
        }
        let queue = &mut self.queues[queue];
        bench
            .machine
            .store(queue.sq + SQE * u64::from(queue.tail), entry);
        queue.tail = (queue.tail + 1) % queue.depth;
        true
    }

    pub fn ring(&self, bench: &mut Bench, queue: usize) {
        let queue = &self.queues[queue];
        bench.doorbell(self.function, queue.number, 0, queue.tail, 0);
    }

    pub fn submit(&mut self, bench: &mut Bench, queue: usize, entry: &[u8; SQE as usize]) -> bool {
        let fits = self.prepare(bench, queue, entry);
        if fits {
            self.ring(bench, queue);
        }
        fits
    }

    /// A request of a few bytes on flat buffers; `slot` chooses the buffers and tags it.
    pub fn small_request(&self, bench: &mut Bench, slot: u64) -> [u8; SQE as usize] {
        let data = [slot as u8; 24];
        bench.machine.store(self.input(slot), &data);
        request(
            self.input(slot),
            data.len() as u32,
            self.output(slot),
            256,
            slot,
        )
    }

    /// Takes completions of all queues by their phase bits, as far as they go, and acknowledges them.
    pub fn poll(&mut self, bench: &mut Bench) {
        for index in 0..self.queues.len() {
            let function = self.function;
            let queue = &mut self.queues[index];
            loop {
                let entry = queue.cq + CQE * u64::from(queue.head);
                if bench.machine.load_u16(entry + 14) & 1 != u16::from(queue.phase) {
                    break;
                }
                assert_eq!(bench.machine.load_u16(entry + 10), queue.number);
                queue.done.push(bench.machine.load_u16(entry + 8));
                queue.head += 1;
                if queue.head == queue.depth {
                    queue.head = 0;
                    queue.phase = !queue.phase;
                }
                bench.doorbell(function, queue.number, 1, queue.head, 0);
            }
            bench.doorbell(function, queue.number, 1, queue.head, 1);
        }
    }

    /// Takes events by their phase bits and acknowledges them.
    pub fn poll_events(&mut self, bench: &mut Bench) {
        loop {
            let event = bench
                .machine
                .load_u32(self.eq() + 4 * u64::from(self.eq_head));
            if event >> 16 & 1 != u32::from(self.eq_phase) {
                break;
            }
            self.events.push(event as u16);
            self.eq_head += 1;
            if self.eq_head == self.eq_depth {
                self.eq_head = 0;
                self.eq_phase = !self.eq_phase;
            }
        }
        bench.doorbell(self.function, 0, 2, self.eq_head, 0);
    }

    /// Asynchronous event `index`: its type and queue.
    pub fn asynchronous_event(&self, bench: &Bench, index: u64) -> Option<(u32, u16)> {
        let event = bench.machine.load_u32(self.aeq() + 4 * index);
        (event >> 16 & 1 == 1).then_some((event >> 17 & 0xf, event as u16))
    }
}

/// A ZIP request on flat buffers.
pub fn request(source: u64, length: u32, destination: u64, room: u32, tag: u64) -> [u8; 128] {
    let mut entry = [0; 128];
    let mut set = |word: usize, value: u32| {
        entry[4 * word..4 * word + 4].copy_from_slice(&value.to_le_bytes());
    };
    set(4, length);
    set(7, 3 << 28);
    set(9, 1 | 2 << 12);
    set(14, room);
    set(18, source as u32);
    set(19, (source >> 32) as u32);
    set(20, destination as u32);
    set(21, (destination >> 32) as u32);
    set(26, tag as u32);
    set(27, (tag >> 32) as u32);
    entry
}

/// What `hisi_acc_vfio_pci` saves of a V3 function.
pub struct Saved {
    eqc: [u32; 7],
    aeqc: [u32; 7],
    sqc_table: u64,
    cqc_table: u64,
    masks: [u32; 3],
}

/// `hisi_acc_vf_stop_device()`: PAUSE and write-back.
pub fn pause(bench: &mut Bench, function: FunctionId) -> Result<(), u32> {
    bench.mailbox(function, Opcode::Pause, false, 0, 0)?;
    bench.write(function, fb::CACHE_WB_START, 1);
    assert_eq!(bench.read(function, fb::CACHE_WB_DONE), 1);
    Ok(())
}

/// `vf_qm_state_save()`.
pub fn save(bench: &mut Bench, function: FunctionId) -> Saved {
    let mut saved = Saved {
        eqc: [0; 7],
        aeqc: [0; 7],
        sqc_table: 0,
        cqc_table: 0,
        masks: [fb::AEQ_INT_MASK, fb::EQ_INT_MASK, fb::IFC_INT_MASK]
            .map(|offset| bench.read(function, offset)),
    };
    for (word, offset) in (0x8000..).step_by(4).take(7).enumerate() {
        saved.eqc[word] = bench.read(function, offset);
        saved.aeqc[word] = bench.read(function, offset + 0x20);
    }
    saved.sqc_table = bench
        .mailbox(function, Opcode::SqcTable, true, 0, 0)
        .unwrap();
    saved.cqc_table = bench
        .mailbox(function, Opcode::CqcTable, true, 0, 0)
        .unwrap();
    bench.doorbell(function, 0, 2, saved.eqc[0] as u16, 0);
    bench.doorbell(function, 0, 3, saved.aeqc[0] as u16, 0);
    saved
}

/// `vf_qm_load_data()`.
pub fn load(bench: &mut Bench, function: FunctionId, saved: &Saved) {
    bench.write(function, fb::VF_STATE, 0);
    bench.write(function, fb::AEQ_INT_MASK, saved.masks[0]);
    bench.write(function, fb::EQ_INT_MASK, saved.masks[1]);
    bench.write(function, fb::IFC_INT_MASK, saved.masks[2]);
    for (word, offset) in (0x8000..).step_by(4).take(7).enumerate() {
        bench.write(function, offset, saved.eqc[word]);
    }
    for (word, offset) in (0x8020..).step_by(4).take(7).enumerate() {
        bench.write(function, offset, saved.aeqc[word]);
    }
    bench
        .mailbox(function, Opcode::SqcTable, false, 0, saved.sqc_table)
        .unwrap();
    bench
        .mailbox(function, Opcode::CqcTable, false, 0, saved.cqc_table)
        .unwrap();
    bench.write(function, fb::IFC_INT_SOURCE_V, 1);
    bench.write(function, fb::IFC_INT_MASK, 0);
}

/// `hisi_acc_vf_start_device()`.
pub fn restart(bench: &mut Bench, function: FunctionId) {
    for queue in 0..VF_QUEUES {
        bench.doorbell(function, queue, 0, 0, 1);
    }
}
