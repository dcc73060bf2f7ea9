// SPDX-License-Identifier: GPL-2.0

//! A minimal driver.

use super::Bench;
use super::request;
use kunpeng_accel::FunctionId;
use kunpeng_accel::Opcode;
use kunpeng_accel::Revision;
use kunpeng_accel::regs::function as fb;

const CQE: u64 = 16;
const CONTEXT: u64 = 32;

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
    /// Indices of completed requests, in order of completion.
    pub done: Vec<u16>,
}

/// A driver of one function; its rings start at `base`.
#[derive(Debug, Clone)]
pub struct Driver {
    pub function: FunctionId,
    pub base: u64,
    entry_order: u32,
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

    /// Returns the address of the completion ring, which follows the submission ring.
    fn completions(&self, queue: u16) -> u64 {
        self.rings(queue) + (u64::from(self.depth) << self.entry_order)
    }

    pub fn entry_bytes(&self) -> usize {
        1 << self.entry_order
    }

    /// Returns the address of entry `place` of a submission ring.
    pub fn entry(&self, queue: usize, place: u16) -> u64 {
        self.queues[queue].sq + (u64::from(place) << self.entry_order)
    }

    pub fn input(&self, slot: u64) -> u64 {
        self.base + 0x20_0000 + 0x1000 * slot
    }

    pub fn output(&self, slot: u64) -> u64 {
        self.base + 0x40_0000 + 0x1000 * slot
    }

    /// Starts `function` as `hisi_qm_start()` does.
    pub fn start(bench: &mut Bench, function: FunctionId, depth: u16, eq_depth: u16) -> Self {
        let driver = Self {
            function,
            base: 0x10_0000 + 0x80_0000 * u64::from(function % 3),
            entry_order: bench.entry_order,
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
        if bench.revision > Revision::V2 {
            bench.write(function, fb::VF_STATE, 0);
        }
        driver
    }

    /// Starts function 1, with rings of 16 entries and a queue for each of `algorithms`.
    pub fn with_queues(bench: &mut Bench, algorithms: &[u16]) -> Self {
        let mut driver = Self::start(bench, 1, 16, 16);
        for algorithm in algorithms {
            driver.add_queue(bench, *algorithm);
        }
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
        context[12..16]
            .copy_from_slice(&(u32::from(self.depth - 1) | self.entry_order << 12).to_le_bytes());
        context[24..26].copy_from_slice(&number.to_le_bytes());
        context[26..28].copy_from_slice(&(1 << 4 | algorithm << 8).to_le_bytes());
        context
    }

    pub fn cqc(&self, number: u16) -> [u8; CONTEXT as usize] {
        let mut context = [0; CONTEXT as usize];
        let ring = self.completions(number);
        context[4..12].copy_from_slice(&ring.to_le_bytes());
        context[12..16].copy_from_slice(&(u32::from(self.depth - 1) | 4 << 12).to_le_bytes());
        context[24] = 3;
        context
    }

    /// Creates the next queue; `algorithm` 0 compresses, 1 decompresses.
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
            cq: self.completions(number),
            depth: self.depth,
            tail: 0,
            head: 0,
            phase: true,
            done: Vec::new(),
        });
    }

    /// Returns the number of requests that are submitted and not yet seen as completed.
    pub fn outstanding(&self, queue: usize) -> u16 {
        let queue = &self.queues[queue];
        (queue.tail + queue.depth - queue.head) % queue.depth
    }

    /// Puts a request into the ring without ringing the doorbell; returns false if the ring is full.
    pub fn prepare(&mut self, bench: &mut Bench, queue: usize, entry: &[u8]) -> bool {
        if self.outstanding(queue) == self.queues[queue].depth - 1 {
            return false;
        }
        assert_eq!(entry.len(), self.entry_bytes());
        let address = self.entry(queue, self.queues[queue].tail);
        bench.machine.store(address, entry);
        let queue = &mut self.queues[queue];
        queue.tail = (queue.tail + 1) % queue.depth;
        true
    }

    pub fn ring(&self, bench: &mut Bench, queue: usize) {
        let queue = &self.queues[queue];
        bench.doorbell(self.function, queue.number, 0, queue.tail, 0);
    }

    pub fn submit(&mut self, bench: &mut Bench, queue: usize, entry: &[u8]) -> bool {
        let fits = self.prepare(bench, queue, entry);
        if fits {
            self.ring(bench, queue);
        }
        fits
    }

    /// Returns a request of a few bytes on flat buffers; `slot` selects the buffers and is the tag.
    pub fn small_request(&self, bench: &mut Bench, slot: u64) -> [u8; 128] {
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

    pub fn submit_small(&mut self, bench: &mut Bench, queue: usize, slot: u64) -> bool {
        let entry = self.small_request(bench, slot);
        self.submit(bench, queue, &entry)
    }

    /// Asserts that the `submitted` requests of each queue have been completed, once and in order.
    #[track_caller]
    pub fn assert_done(&self, bench: &Bench, submitted: &[usize]) {
        for (queue, submitted) in self.queues.iter().zip(submitted) {
            let expected: Vec<u16> = (0..*submitted)
                .map(|request| (request % usize::from(queue.depth)) as u16)
                .collect();
            assert_eq!(queue.done, expected);
        }
        let all = submitted.iter().sum::<usize>();
        assert_eq!(bench.counter("requests_done"), all as u64);
    }

    /// Takes all completions of all queues, as indicated by their phase bits, and acknowledges them.
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

    /// Takes all events, as indicated by their phase bits, and acknowledges them.
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

    /// Returns the type and the queue of asynchronous event `index`.
    pub fn asynchronous_event(&self, bench: &Bench, index: u64) -> Option<(u32, u16)> {
        let event = bench.machine.load_u32(self.aeq() + 4 * index);
        (event >> 16 & 1 == 1).then_some((event >> 17 & 0xf, event as u16))
    }
}
