// SPDX-License-Identifier: GPL-2.0

//! Requests are made, and their completions noticed.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use linux::timeouts::Deadline;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::image::{Image, QUEUE_DEPTH, QUEUES};
use super::layout::{EQE_SIZE, Entry, Eqe};
use super::registers::{self, Bell};
use super::{Counts, EQ_VECTOR, Notice, Request, Vm};

/// How long no interrupt comes when all is done.
const QUIET: Duration = Duration::from_millis(50);

impl Vm {
    /// Makes `count` new requests, spread over all queues, with a doorbell for each.
    pub fn submit(&mut self, count: usize) -> Result<()> {
        for index in 0..count {
            let queue = (index % usize::from(QUEUES)) as u16;
            self.fill(queue)?;
            self.ring_tail(queue)?;
        }
        Ok(())
    }

    /// As [`Vm::submit`], with a doorbell for each queue when all are made: the device gets them
    /// faster than it can do them, however slow this machine is.
    pub fn submit_at_once(&mut self, count: usize) -> Result<()> {
        for index in 0..count {
            self.fill((index % usize::from(QUEUES)) as u16)?;
        }
        (0..QUEUES).try_for_each(|queue| self.ring_tail(queue))
    }

    fn ring_tail(&self, queue: u16) -> Result<()> {
        let tail = self.queues[usize::from(queue)].tail;
        registers::ring(self.registers()?, Bell::Sq, queue, tail, false);
        Ok(())
    }

    /// Fills the next SQE of a queue.
    fn fill(&mut self, queue: u16) -> Result<()> {
        let slot = self.free.pop().context("all request slots are in use")?;
        let state = self
            .queues
            .get_mut(usize::from(queue))
            .context("the queue is not started")?;
        ensure!(state.outstanding + 1 < QUEUE_DEPTH, "queue {queue} is full");
        let tag = self.next_tag;
        let place = Image::sq(queue) + usize::from(state.tail) * self.engine.entry_size();
        state.tail = (state.tail + 1) % QUEUE_DEPTH;
        state.outstanding += 1;
        self.next_tag += 1;

        let work = self.engine.work(queue, &mut self.random);
        let entry = work.submit(&self.image.slot(slot), tag, &mut self.random);
        self.image.memory.write(place, &entry);
        self.requests.insert(tag, Request { work, slot });
        self.counts.submitted += 1;
        Ok(())
    }

    /// Chooses how completions are noticed from now on.
    pub fn notice_by(&mut self, notice: Notice) -> Result<()> {
        self.notice = notice;
        if notice == Notice::Interrupt {
            // While polling, the completion queues were not armed and the event queue not read.
            for queue in 0..QUEUES {
                self.reap(queue)?;
            }
            self.handle_events()?;
        }
        Ok(())
    }

    /// Runs the VM until `left` requests or fewer are outstanding.
    pub fn run_until(&mut self, left: usize, timeout: Duration) -> Result<()> {
        let deadline = Deadline::after(timeout);
        while self.outstanding() > left {
            match self.notice {
                Notice::Polling => {
                    for queue in 0..QUEUES {
                        self.reap(queue)?;
                    }
                    std::thread::sleep(Duration::from_micros(200));
                }
                Notice::Interrupt => {
                    if self.wait_interrupt(Duration::from_millis(20))? {
                        self.counts.interrupts += 1;
                        self.handle_events()?;
                    }
                }
            }
            if deadline.is_over() {
                let limit = deadline.limit;
                let unseen: usize = (0..QUEUES).map(|queue| self.unseen(queue)).sum();
                bail!(
                    "{} of {} requests are outstanding after {limit:?} ({:?}); {unseen} of them \
                     are complete in memory without notice",
                    self.outstanding(),
                    self.counts.submitted,
                    self.notice,
                );
            }
        }
        Ok(())
    }

    /// Runs the VM until nothing is outstanding.
    pub fn finish(&mut self) -> Result<()> {
        self.run_until(0, Duration::from_secs(60))
    }

    /// Lets the device do `count` requests, and checks all so far with [`Vm::verify`].
    pub fn work(&mut self, count: usize) -> Result<()> {
        self.submit(count)?;
        self.finish()?;
        self.verify()
    }

    /// Takes interrupts until none comes for a while: no event is left that the VM has not seen.
    pub fn settle(&mut self) -> Result<()> {
        while self.wait_interrupt(QUIET)? {
            self.counts.interrupts += 1;
            self.handle_events()?;
        }
        Ok(())
    }

    fn wait_interrupt(&mut self, timeout: Duration) -> Result<bool> {
        let device = self.device.as_ref().context("the VM has no device")?;
        if !std::mem::take(&mut self.pending) {
            let mut waiting = [PollFd::new(device.vector(EQ_VECTOR)?, PollFlags::IN)];
            poll(&mut waiting, Some(&Timespec::try_from(timeout)?))?;
            return device.take_signal(EQ_VECTOR);
        }
        device.take_signal(EQ_VECTOR)?;
        Ok(true)
    }

    /// Handles the event queue's interrupt.
    fn handle_events(&mut self) -> Result<()> {
        loop {
            let offset = Image::eq() + usize::from(self.events.head) * EQE_SIZE;
            let event = Eqe::read(&self.image.memory, offset);
            if event.phase != self.events.phase {
                break;
            }
            ensure!(
                event.queue < QUEUES,
                "event for queue {}, which was never started",
                event.queue
            );
            self.events.advance();
            self.reap(event.queue)?;
        }
        registers::ring(self.registers()?, Bell::Eq, 0, self.events.head, false);
        Ok(())
    }

    /// Takes all completions of a queue.
    fn reap(&mut self, queue: u16) -> Result<()> {
        let mut ring = match self.queues.get(usize::from(queue)) {
            Some(state) => state.completions,
            None => bail!("queue {queue} is not started"),
        };
        loop {
            let cqe = self.cqe(queue, ring);
            if cqe.phase != ring.phase {
                break;
            }
            ensure!(
                cqe.sq_num == queue,
                "queue {queue} got a completion of queue {}",
                cqe.sq_num
            );
            let size = self.engine.entry_size();
            let place = Image::sq(queue) + usize::from(cqe.sq_head % QUEUE_DEPTH) * size;
            let entry = Entry::new(self.image.memory.read(place, size));
            self.complete(queue, &entry);
            ring.advance();
            registers::ring(self.registers()?, Bell::Cq, queue, ring.head, false);
        }
        self.queues[usize::from(queue)].completions = ring;
        if self.notice == Notice::Interrupt {
            registers::ring(self.registers()?, Bell::Cq, queue, ring.head, true);
        }
        Ok(())
    }

    fn complete(&mut self, queue: u16, entry: &Entry) {
        let tag = self.engine.tag(entry);
        let Some(request) = self.requests.remove(&tag) else {
            self.counts.duplicates += 1;
            let text = format!("queue {queue}: tag {tag} completed, which is not outstanding");
            self.complaint.get_or_insert(text);
            return;
        };
        self.counts.completed += 1;
        self.queues[usize::from(queue)].outstanding -= 1;
        if let Err(error) = request.work.check(&self.image.slot(request.slot), entry) {
            self.counts.wrong += 1;
            self.complaint
                .get_or_insert(format!("queue {queue}: tag {tag}: {error:#}"));
        }
        self.free.push(request.slot);
    }

    /// All requests so far completed exactly once with the right bytes.
    pub fn verify(&self) -> Result<()> {
        let expected = Counts {
            submitted: self.counts.submitted,
            completed: self.counts.submitted,
            interrupts: self.counts.interrupts,
            ..Counts::default()
        };
        let complaint = self.complaint.as_deref().unwrap_or("none lost its bytes");
        ensure!(
            self.counts == expected,
            "expected {expected:?}, got {:?} ({complaint})",
            self.counts
        );
        Ok(())
    }
}
