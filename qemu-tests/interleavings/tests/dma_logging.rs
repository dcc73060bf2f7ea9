// SPDX-License-Identifier: GPL-2.0

//! Reports of dirty pages against whatever lets the function write to memory.

use interleavings::{
    explore::{every_interleaving, spawn, Preemptions},
    migration::{Migrate, State},
    vf::{plain, Plain, Vfio},
};
use std::sync::{
    atomic::{AtomicBool, Ordering},
    Arc,
};

/// What a VMM has sent of the page: whether the last copy has what the function has written.
#[derive(Default)]
struct Copy(AtomicBool);

impl Copy {
    /// Sends the page again if it is reported as dirty.
    fn sync<D: Migrate>(&self, vfio: &Vfio<D>) {
        if vfio.is_dirty() {
            self.0.store(vfio.hardware.has_written(), Ordering::Relaxed);
        }
    }

    /// Sends the page for the last time, and checks that nothing is missing.
    fn finish<D: Migrate>(&self, vfio: &Vfio<D>) {
        self.sync(vfio);
        assert_eq!(
            self.0.load(Ordering::Relaxed),
            vfio.hardware.has_written(),
            "what the function has written is not at the destination"
        );
    }
}

/// Runs `user` while the function writes to memory, if it runs, and a VMM asks for dirty pages.
fn against_a_report(vfio: &Arc<Vfio<Plain>>, copy: Arc<Copy>, user: impl FnOnce(&Vfio<Plain>)) {
    let device = vfio.clone();
    let device = spawn("device", move || device.hardware.dma());
    let (other, others_copy) = (vfio.clone(), copy.clone());
    let report = spawn("report", move || others_copy.sync(&other));
    user(vfio);
    device.join().unwrap();
    report.join().unwrap();
    copy.finish(vfio);
}

/// The function is stopped.
#[test]
fn report_against_stop() {
    every_interleaving(Preemptions::AtMost(4), || {
        let vfio = plain();
        vfio.start_dma_logging();
        against_a_report(&vfio, Arc::default(), |vfio| {
            vfio.set_state(State::Stop).unwrap();
        });
    });
}

/// The function is started and stopped again between two reports.
#[test]
fn report_against_start_and_stop() {
    every_interleaving(Preemptions::AtMost(3), || {
        let vfio = plain();
        vfio.start_dma_logging();
        vfio.set_state(State::Stop).unwrap();
        let copy = Arc::<Copy>::default();
        copy.sync(&vfio);
        against_a_report(&vfio, copy, |vfio| {
            vfio.set_state(State::Running).unwrap();
            vfio.set_state(State::Stop).unwrap();
        });
    });
}

/// A reset starts the function, behind the back of the VMM that has stopped it.
#[test]
fn report_against_reset() {
    every_interleaving(Preemptions::AtMost(3), || {
        let vfio = plain();
        vfio.start_dma_logging();
        vfio.set_state(State::Stop).unwrap();
        let copy = Arc::new(Copy::default());
        copy.sync(&vfio);
        let other = vfio.clone();
        let reset = spawn("reset", move || {
            other.reset();
            other.hardware.dma();
        });
        copy.sync(&vfio);
        reset.join().unwrap();
        copy.finish(&vfio);
    });
}
