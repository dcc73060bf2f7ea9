// SPDX-License-Identifier: GPL-2.0

//! Writers of a data file against what ends the session.

use interleavings::{
    explore::{every_interleaving, spawn, Preemptions},
    migration::State,
    user,
    vf::{full, plain},
};
use kernel::prelude::ENODEV;

/// S7: bytes of a write that has succeeded are not loaded.
#[test]
fn write_against_load() {
    every_interleaving(Preemptions::Any, || {
        let vfio = plain();
        let file = vfio.file(State::Resuming);
        assert_eq!(user::write(&file, &[1]), Ok(1));
        let other = file.clone();
        let writer = spawn("writer", move || user::write(&other, &[2]));
        vfio.set_state(State::Stop).unwrap();
        let expected = match writer.join().unwrap() {
            Ok(1) => vec![1, 2],
            Err(ENODEV) => vec![1],
            other => panic!("the write returns {other:?}"),
        };
        let record = vfio.record();
        assert_eq!(record.loaded.as_ref(), Some(&expected));
        assert_eq!(
            record.ended,
            [expected],
            "the record is not what was loaded"
        );
    });
}

/// A write that has succeeded is in the record of the session, or the session was over.
#[test]
fn write_against_close() {
    every_interleaving(Preemptions::Any, || {
        let vfio = full();
        let file = vfio.file(State::Resuming);
        let other = file.clone();
        let writer = spawn("writer", move || user::write(&other, &[1, 2]));
        vfio.close();
        let record = vfio.record();
        let expected = match writer.join().unwrap() {
            Ok(2) => vec![1, 2],
            Err(ENODEV) => vec![],
            other => panic!("the write returns {other:?}"),
        };
        assert_eq!(record.ended, [expected]);
        assert_eq!(vfio.record(), record);
        assert_eq!(user::write(&file, &[3]), Err(ENODEV));
    });
}

/// The bytes of two writes do not go missing.
#[test]
fn two_writers() {
    every_interleaving(Preemptions::Any, || {
        let vfio = plain();
        let file = vfio.file(State::Resuming);
        let other = file.clone();
        let writer = spawn("writer", move || user::write(&other, &[1]).unwrap());
        assert_eq!(user::write(&file, &[2]), Ok(1));
        assert_eq!(writer.join().unwrap(), 1);
        vfio.set_state(State::Stop).unwrap();
        let mut loaded = vfio.record().loaded.unwrap();
        loaded.sort();
        assert_eq!(loaded, [1, 2]);
    });
}

/// A stream without data is refused, and the session goes on.
#[test]
fn write_against_a_load_of_nothing() {
    every_interleaving(Preemptions::Any, || {
        let vfio = plain();
        let file = vfio.file(State::Resuming);
        let other = file.clone();
        let writer = spawn("writer", move || user::write(&other, &[1]));
        let stopped = vfio.set_state(State::Stop);
        let written = writer.join().unwrap();
        assert_eq!(written, Ok(1), "it came first, or the session goes on");
        match stopped {
            Ok(_) => assert_eq!(vfio.record().loaded, Some(vec![1])),
            Err(_) => {
                assert_eq!(vfio.state(), State::Resuming);
                vfio.set_state(State::Stop).unwrap();
                assert_eq!(vfio.record().loaded, Some(vec![1]));
            }
        }
        assert_eq!(user::write(&file, &[1]), Err(ENODEV));
    });
}
