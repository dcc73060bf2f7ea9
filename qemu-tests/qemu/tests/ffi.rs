// SPDX-License-Identifier: GPL-2.0

//! Calls the C interface as C does.
//!
//! SAFETY, for all of this file: A single thread uses the handle between its creation and its release, buffers are
//! passed with their own length, and the callbacks receive the machine for which they were registered.

use std::cell::Cell;
use std::ffi::c_char;
use std::ffi::c_void;
use std::ptr;

use kunpeng_accel_qemu::ffi;

const MAILBOX: u64 = 0x300;
const READ_EQC: u64 = 0x2 | 1 << 13 | 1 << 14;
const BUSY: u64 = 1 << 13;

/// A machine whose memory is the device's own registers.
struct Machine {
    accel: Cell<*mut ffi::Handle>,
    now_ns: Cell<u64>,
    deadline_ns: Cell<u64>,
    nested_read: Cell<u64>,
    writes: Cell<usize>,
}

unsafe extern "C" fn dma_read(_: *mut c_void, _: u16, _: u64, _: *mut u8, _: usize) -> bool {
    false
}

unsafe extern "C" fn dma_write(
    opaque: *mut c_void,
    function: u16,
    address: u64,
    _: *const u8,
    _: usize,
) -> bool {
    let machine = unsafe { &*opaque.cast::<Machine>() };
    let accel = machine.accel.get();
    machine
        .nested_read
        .set(unsafe { ffi::kunpeng_accel_read(accel, function, address, 4) });
    unsafe { ffi::kunpeng_accel_write(accel, function, address, 4, 1) };
    machine.writes.set(machine.writes.get() + 1);
    true
}

unsafe extern "C" fn msi(_: *mut c_void, _: u16, _: u8) {}

unsafe extern "C" fn now_ns(opaque: *mut c_void) -> u64 {
    unsafe { &*opaque.cast::<Machine>() }.now_ns.get()
}

unsafe extern "C" fn set_timer(opaque: *mut c_void, deadline_ns: u64) {
    unsafe { &*opaque.cast::<Machine>() }
        .deadline_ns
        .set(deadline_ns);
}

const CONFIG: ffi::RawConfig = ffi::RawConfig {
    engine: 0,
    revision: 0x30,
    total_qps: 16,
    total_vfs: 3,
    latency_ns: 1000,
    mailbox_ns: 2000,
};

const OPS: ffi::Ops = ffi::Ops {
    dma_read,
    dma_write,
    msi,
    now_ns,
    set_timer,
};

fn machine() -> Box<Machine> {
    machine_with(CONFIG)
}

fn machine_with(config: ffi::RawConfig) -> Box<Machine> {
    let machine = Box::new(Machine {
        accel: Cell::new(ptr::null_mut()),
        now_ns: Cell::new(0),
        deadline_ns: Cell::new(u64::MAX),
        nested_read: Cell::new(0),
        writes: Cell::new(0),
    });
    let opaque = ptr::from_ref(&*machine).cast_mut().cast();
    let accel = unsafe { ffi::kunpeng_accel_new(config, OPS, opaque, ptr::null_mut(), 0) };
    assert!(!accel.is_null());
    machine.accel.set(accel);
    machine
}

#[test]
fn an_access_from_inside_an_access_finds_the_device_taken() {
    let machine = machine();
    let accel = machine.accel.get();
    unsafe {
        ffi::kunpeng_accel_write(accel, 0, MAILBOX, 8, READ_EQC | 0x60 << 32);
        ffi::kunpeng_accel_write(accel, 0, MAILBOX + 8, 8, 0);
    }
    machine.now_ns.set(machine.deadline_ns.get());
    unsafe { ffi::kunpeng_accel_timer(accel) };
    assert_eq!(machine.writes.get(), 1);
    assert_eq!(machine.nested_read.get(), u64::MAX);
    unsafe {
        assert_eq!(ffi::kunpeng_accel_read(accel, 0, MAILBOX, 4) & BUSY, 0);
        assert_eq!(
            ffi::kunpeng_accel_read(accel, 0, 0x60, 4),
            1,
            "as after reset"
        );
        ffi::kunpeng_accel_free(accel);
    }
}

#[test]
fn the_engine_is_the_one_asked_for() {
    for (engine, algorithms) in [(0, 0x130), (1, 0x186_70cf), (2, 0x7)] {
        let config = ffi::RawConfig { engine, ..CONFIG };
        let machine = machine_with(config);
        let accel = machine.accel.get();
        unsafe {
            assert_eq!(ffi::kunpeng_accel_read(accel, 0, 0x3144, 4), algorithms);
            ffi::kunpeng_accel_free(accel);
        }
    }
}

#[test]
fn texts_are_cut_to_the_room_there_is_and_ended() {
    let machine = machine();
    let accel = machine.accel.get();
    let whole = unsafe { ffi::kunpeng_accel_text(accel, 0, ptr::null_mut(), 0) };
    let mut buffer = [0x55_u8 as c_char; 8];
    let length = unsafe { ffi::kunpeng_accel_text(accel, 0, buffer.as_mut_ptr(), 5) };
    assert_eq!(length, whole);
    assert_eq!(buffer[0], b'{' as c_char);
    assert_eq!(buffer[4..6], [0, 0x55]);
    unsafe { ffi::kunpeng_accel_free(accel) };
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    let mut reason = [0 as c_char; 128];
    let too_many = ffi::RawConfig {
        total_vfs: 64,
        ..CONFIG
    };
    let unknown = ffi::RawConfig {
        engine: 3,
        ..CONFIG
    };
    for config in [too_many, unknown] {
        reason[0] = 0;
        let accel = unsafe {
            ffi::kunpeng_accel_new(
                config,
                OPS,
                ptr::null_mut(),
                reason.as_mut_ptr(),
                reason.len(),
            )
        };
        assert!(accel.is_null());
        assert_ne!(reason[0], 0);
    }

    let machine = machine();
    let accel = machine.accel.get();
    reason[0] = 0;
    let refused = unsafe {
        ffi::kunpeng_accel_set_fault(
            accel,
            c"no-such-fault".as_ptr(),
            reason.as_mut_ptr(),
            reason.len(),
        )
    };
    assert!(!refused);
    assert_ne!(reason[0], 0);
    reason[0] = 0;
    let refused = unsafe {
        ffi::kunpeng_accel_set_silicon(
            accel,
            c"no-such-silicon".as_ptr(),
            reason.as_mut_ptr(),
            reason.len(),
        )
    };
    assert!(!refused);
    assert_ne!(reason[0], 0);
    unsafe { ffi::kunpeng_accel_free(accel) };
}

#[test]
fn silicon_can_be_read_back() {
    let machine = machine();
    let accel = machine.accel.get();
    let text = c"flr-keeps-vf-state;restore-does-not-arm";
    let taken = unsafe { ffi::kunpeng_accel_set_silicon(accel, text.as_ptr(), ptr::null_mut(), 0) };
    assert!(taken);
    let length = unsafe { ffi::kunpeng_accel_text(accel, 3, ptr::null_mut(), 0) };
    assert_eq!(length, text.count_bytes());
    unsafe { ffi::kunpeng_accel_free(accel) };
}
