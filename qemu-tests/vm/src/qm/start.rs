// SPDX-License-Identifier: GPL-2.0

//! The VM's driver comes and goes.

use anyhow::{Context, Result, ensure};

use super::image::{AEQ_DEPTH, EQ_DEPTH, Image, QUEUE_DEPTH, QUEUES};
use super::layout::{self, CQE_SIZE, EQE_SIZE, Submission};
use super::registers::{self, Bell, Command};
use super::{Consumer, Queue, Vm};

impl Vm {
    /// Brings the queue manager up and starts the queues, in the order `hisi_qm` does it. Returns
    /// how many queues the function has.
    pub fn bring_up(&mut self) -> Result<u16> {
        let device = self.device.as_mut().context("the VM has no device")?;
        device.enable()?;
        let registers = self.registers()?;

        let depths = (
            registers.read32(registers::EQ_AEQ_DEPTH),
            registers.read32(registers::QUEUE_DEPTH),
        );
        let pair = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
        let wanted = (pair(EQ_DEPTH, AEQ_DEPTH), pair(QUEUE_DEPTH, QUEUE_DEPTH));
        ensure!(
            depths == wanted,
            "expected ring depths {wanted:#x?}, the device has {depths:#x?}"
        );
        ensure!(
            registers.read32(registers::QUEUE_ISOLATION) & 1 == 0,
            "doorbells are isolated in another BAR, which this VM does not support",
        );
        let vft = registers::mailbox_read(registers, Command::Vft, 0)?;
        let queues = (vft >> 45 & 0x3ff) as u16 + 1;
        ensure!(
            queues >= QUEUES,
            "expected at least {QUEUES} queues, the function has {queues}"
        );

        // Messages of the PF.
        registers.write32(
            registers::IFC_INT_SOURCE,
            registers.read32(registers::IFC_INT_SOURCE) | 1,
        );
        registers.write32(
            registers::IFC_INT_MASK,
            registers.read32(registers::IFC_INT_MASK) & !1,
        );

        let memory = self.image.memory.clone();
        memory.write(Image::eq(), &vec![0; usize::from(EQ_DEPTH) * EQE_SIZE]);
        memory.write(Image::aeq(), &vec![0; usize::from(AEQ_DEPTH) * EQE_SIZE]);
        let eqc = layout::eqc(self.image.address(Image::eq()), EQ_DEPTH);
        self.hand_over(Command::Eqc, 0, &eqc)?;
        let aeqc = layout::eqc(self.image.address(Image::aeq()), AEQ_DEPTH);
        self.hand_over(Command::Aeqc, 0, &aeqc)?;
        let table = self.image.address(Image::sqc_table());
        registers::mailbox_write(registers, Command::SqcTable, 0, table)?;
        let table = self.image.address(Image::cqc_table());
        registers::mailbox_write(registers, Command::CqcTable, 0, table)?;
        registers.write32(registers::PAGE_SIZE, 0);
        registers::ring(registers, Bell::Aeq, 0, 0, false);
        registers::ring(registers, Bell::Eq, 0, 0, false);
        registers.write32(registers::EQ_INT_MASK, 0);
        registers.write32(registers::AEQ_INT_MASK, 0);
        registers.write32(registers::VF_STATE, registers::READY);

        self.events = Consumer::new(EQ_DEPTH);
        self.queues.clear();
        for queue in 0..QUEUES {
            self.start_queue(queue)?;
        }
        Ok(queues)
    }

    fn start_queue(&mut self, queue: u16) -> Result<()> {
        self.image.memory.write(
            Image::cq(queue),
            &vec![0; usize::from(QUEUE_DEPTH) * CQE_SIZE],
        );
        let submission = Submission {
            base: self.image.address(Image::sq(queue)),
            depth: QUEUE_DEPTH,
            entry_size: self.engine.entry_size(),
            algorithm: self.engine.algorithm(queue),
        };
        self.hand_over(Command::Sqc, queue, &layout::sqc(queue, &submission))?;
        let base = self.image.address(Image::cq(queue));
        self.hand_over(Command::Cqc, queue, &layout::cqc(base, QUEUE_DEPTH))?;
        self.queues.push(Queue {
            tail: 0,
            outstanding: 0,
            completions: Consumer::new(QUEUE_DEPTH),
        });
        Ok(())
    }

    /// Makes the device read a context.
    fn hand_over(&self, command: Command, queue: u16, context: &[u8]) -> Result<()> {
        self.image.memory.write(Image::scratch(), context);
        let address = self.image.address(Image::scratch());
        registers::mailbox_write(self.registers()?, command, queue, address)
    }

    /// Stops the queues and takes the driver's readiness back, as unbinding it would.
    pub fn shut_down(&mut self) -> Result<()> {
        let registers = self.registers()?;
        for queue in 0..QUEUES {
            registers::mailbox_write(registers, Command::StopQueue, queue, 0)?;
        }
        registers.write32(registers::EQ_INT_MASK, 1);
        registers.write32(registers::AEQ_INT_MASK, 1);
        registers.write32(registers::VF_STATE, registers::NOT_READY);
        self.queues.clear();
        Ok(())
    }

    /// Forgets all requests, as a driver does whose device was reset. Those that the reset cut off
    /// count as never made.
    pub fn forget(&mut self) {
        self.counts.submitted -= self.outstanding() as u64;
        for (_, request) in self.requests.drain() {
            self.free.push(request.slot);
        }
        self.queues.clear();
        self.pending = false;
    }

    /// Brings everything up again after a reset.
    pub fn start_over(&mut self) -> Result<()> {
        self.forget();
        self.bring_up().map(drop)
    }
}
