// SPDX-License-Identifier: GPL-2.0

//! Readers and pollers of a data file against one another and against the end of the session.

use interleavings::{
    bindings::{VFIO_RUST_POLL_OVER, VFIO_RUST_POLL_READABLE},
    explore::{every_interleaving, spawn, Preemptions},
    migration::State,
    user,
    vf::{full, pre_copy, IMAGE},
};
use kernel::prelude::{ENODEV, ENOMSG};

/// S5: a thread in `poll()` is not woken when the migration is given up.
#[test]
fn poll_against_the_end_of_the_session() {
    every_interleaving(Preemptions::Any, || {
        let (vfio, file) = pre_copy();
        let other = file.clone();
        let poller = spawn("poller", move || user::poll(&other));
        vfio.set_state(State::Running).unwrap();
        let events = poller.join().unwrap();
        assert_eq!(events, VFIO_RUST_POLL_READABLE | VFIO_RUST_POLL_OVER);
    });
}

/// S5: a thread in `poll()` is not woken when the rest of the data is there.
#[test]
fn poll_against_stop_copy() {
    every_interleaving(Preemptions::Any, || {
        let (vfio, file) = pre_copy();
        let other = file.clone();
        let poller = spawn("poller", move || user::poll(&other));
        vfio.set_state(State::StopCopy).unwrap();
        assert_eq!(poller.join().unwrap(), VFIO_RUST_POLL_READABLE);
    });
}

/// S5: a thread in `poll()` is not woken when the device is closed.
#[test]
fn poll_against_close() {
    every_interleaving(Preemptions::Any, || {
        let (vfio, file) = pre_copy();
        let other = file.clone();
        let poller = spawn("poller", move || user::poll(&other));
        vfio.close();
        let events = poller.join().unwrap();
        assert_eq!(events, VFIO_RUST_POLL_READABLE | VFIO_RUST_POLL_OVER);
    });
}

/// S5: a thread in `poll()` is not woken by a reset.
#[test]
fn poll_against_reset() {
    every_interleaving(Preemptions::Any, || {
        let (vfio, file) = pre_copy();
        let other = file.clone();
        let poller = spawn("poller", move || user::poll(&other));
        vfio.reset();
        let events = poller.join().unwrap();
        assert_eq!(events, VFIO_RUST_POLL_READABLE | VFIO_RUST_POLL_OVER);
    });
}

/// S6: of two threads that call `poll()` for the first time, one gets an error.
#[test]
fn two_first_polls() {
    every_interleaving(Preemptions::Any, || {
        let (_vfio, file) = pre_copy();
        let other = file.clone();
        let poller = spawn("poller", move || user::poll_now(&other));
        assert_eq!(user::poll_now(&file), 0);
        assert_eq!(poller.join().unwrap(), 0);
    });
}

/// Reads until the end of the data, over what is not there yet.
fn read_all(file: &kernel::fs::File, at_a_time: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match user::read(file, at_a_time) {
            Ok(bytes) if bytes.is_empty() => return all,
            Ok(bytes) => all.extend(bytes),
            Err(e) => {
                assert_eq!(e, ENOMSG);
                loom::thread::yield_now();
            }
        }
    }
}

/// The end of the data is not seen before all of them.
#[test]
fn read_against_stop_copy() {
    every_interleaving(Preemptions::AtMost(3), || {
        let vfio = full();
        let file = vfio.file(State::PreCopyP2p);
        let other = file.clone();
        let reader = spawn("reader", move || read_all(&other, 8));
        vfio.set_state(State::StopCopy).unwrap();
        assert_eq!(reader.join().unwrap(), IMAGE);
    });
}

/// Each byte goes to one reader.
#[test]
fn two_readers() {
    every_interleaving(Preemptions::Any, || {
        let vfio = full();
        let _ = vfio.set_state(State::Stop);
        let file = vfio.file(State::StopCopy);
        let other = file.clone();
        let reader = spawn("reader", move || user::read(&other, 1).unwrap());
        let first = user::read(&file, 1).unwrap();
        let mut both = [first, reader.join().unwrap()].concat();
        both.sort();
        assert_eq!(both, IMAGE);
        assert_eq!(user::read(&file, 1), Ok(Vec::new()));
    });
}

/// A reader gets data or learns that the session is over, and nothing after that.
#[test]
fn read_against_close() {
    every_interleaving(Preemptions::Any, || {
        let vfio = full();
        let _ = vfio.set_state(State::Stop);
        let file = vfio.file(State::StopCopy);
        let other = file.clone();
        let reader = spawn("reader", move || {
            let results = [(); 3].map(|()| user::read(&other, 1));
            let over = results.iter().position(|result| *result == Err(ENODEV));
            let (before, after) = results.split_at(over.unwrap_or(results.len()));
            let read = before.iter().flat_map(|result| result.clone().unwrap());
            assert!(IMAGE.starts_with(&read.collect::<Vec<_>>()));
            assert!(after.iter().all(|result| *result == Err(ENODEV)));
        });
        vfio.close();
        drop(vfio);
        reader.join().unwrap();
        assert_eq!(user::read(&file, 1), Err(ENODEV));
    });
}

/// The last of the file and the device frees the session.
#[test]
fn last_reference_to_a_file_against_close() {
    every_interleaving(Preemptions::Any, || {
        let (vfio, file) = pre_copy();
        let closer = spawn("closer", move || drop(file));
        vfio.close();
        drop(vfio);
        closer.join().unwrap();
    });
}
