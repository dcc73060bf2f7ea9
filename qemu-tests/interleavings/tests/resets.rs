// SPDX-License-Identifier: GPL-2.0

//! Resets of the function against what the user asks for.
//!
//! In every execution a callback must not be called in a reset that was known, see
//! [`interleavings::hardware`], and at the end the device's state must be that of the function.

use interleavings::{
    explore::{every_interleaving, spawn, Preemptions},
    migration::{Migrate, State},
    vf::{full, never_stops, plain, Vfio},
};
use std::sync::Arc;

/// Runs `user` against a reset.
fn against_a_reset<D: Migrate>(vfio: &Arc<Vfio<D>>, user: impl FnOnce(&Vfio<D>)) {
    let other = vfio.clone();
    let reset = spawn("reset", move || other.reset());
    user(vfio);
    reset.join().unwrap();
    vfio.assert_consistent();
}

/// S3(a): a state that is asked for in a reset is refused.
#[test]
fn reset_is_waited_for() {
    every_interleaving(Preemptions::AtMost(3), || {
        let vfio = full();
        let other = vfio.clone();
        let reset = spawn("reset", move || other.reset());
        let result = vfio.set_state(State::Stop);
        reset.join().unwrap();
        if vfio.hardware.is_realistic() {
            result.unwrap();
        }
    });
}

/// S3(c): a device that was stopped after a reset is reported as running.
#[test]
fn reset_against_one_arc() {
    every_interleaving(Preemptions::AtMost(5), || {
        against_a_reset(&plain(), |vfio| {
            let _ = vfio.set_state(State::Stop);
        });
    });
}

/// S3(d): a reset that begins and ends within one arc is not seen by the next.
#[test]
fn reset_against_two_arcs() {
    every_interleaving(Preemptions::AtMost(4), || {
        against_a_reset(&full(), |vfio| {
            let _ = vfio.set_state(State::Stop);
        });
    });
}

/// S3(b): a device that was stopped in vain is started in the reset because of which it was.
#[test]
fn reset_against_the_end_of_pre_copy() {
    every_interleaving(Preemptions::AtMost(3), || {
        let vfio = full();
        let _file = vfio.file(State::PreCopyP2p);
        against_a_reset(&vfio, |vfio| {
            let _ = vfio.set_state(State::StopCopy);
        });
    });
}

/// S3(b): the driver is called in a reset because an arc has failed.
#[test]
fn reset_against_an_arc_that_fails() {
    every_interleaving(Preemptions::AtMost(3), || {
        against_a_reset(&never_stops(), |vfio| {
            let _ = vfio.set_state(State::Stop);
        });
    });
}

#[test]
fn reset_against_load() {
    every_interleaving(Preemptions::AtMost(4), || {
        let vfio = plain();
        let file = vfio.file(State::Resuming);
        interleavings::user::write(&file, &[1]).unwrap();
        against_a_reset(&vfio, |vfio| {
            let _ = vfio.set_state(State::Stop);
        });
    });
}

#[test]
fn reset_against_close() {
    every_interleaving(Preemptions::AtMost(4), || {
        let vfio = plain();
        let other = vfio.clone();
        let reset = spawn("reset", move || other.reset());
        let _ = vfio.set_state(State::Stop);
        vfio.close();
        reset.join().unwrap();
        assert_eq!(vfio.state(), State::Running);
    });
}

/// A reset is applied by the time that no thread does anything any more, without a further call.
#[test]
fn no_reset_is_left_behind() {
    every_interleaving(Preemptions::AtMost(4), || {
        let vfio = plain();
        let other = vfio.clone();
        let reset = spawn("reset", move || {
            other.reset();
            other.reset();
        });
        vfio.state();
        reset.join().unwrap();
        let applied = vfio.record().resets;
        assert!((1..=2).contains(&applied), "{applied} resets were applied");
        vfio.state();
        assert_eq!(
            vfio.record().resets,
            applied,
            "one was left for the next call"
        );
    });
}

#[test]
fn two_resets_against_one_arc() {
    every_interleaving(Preemptions::AtMost(3), || {
        let vfio = plain();
        let other = vfio.clone();
        let reset = spawn("reset", move || {
            other.reset();
            other.reset();
        });
        let _ = vfio.set_state(State::Stop);
        reset.join().unwrap();
        vfio.assert_consistent();
    });
}

/// A look at the state, as by debugfs, changes nothing of the above.
#[test]
fn reset_against_an_arc_and_a_look() {
    every_interleaving(Preemptions::AtMost(2), || {
        let vfio = plain();
        let other = vfio.clone();
        let look = spawn("look", move || other.state());
        against_a_reset(&vfio, |vfio| {
            let _ = vfio.set_state(State::Stop);
        });
        look.join().unwrap();
    });
}
