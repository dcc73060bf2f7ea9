// SPDX-License-Identifier: GPL-2.0

//! The C interface, as declared by `shim/kunpeng_accel.h`.
//!
//! # Safety
//!
//! All functions except [`kunpeng_accel_new`] require a handle that was returned by it and has not been passed to
//! [`kunpeng_accel_free`] yet, and must be called by one thread at a time (QEMU's big lock). Calls may nest: a memory
//! access by the device may be an access to the device's own registers. The nested call finds the device in use; it
//! reads all ones and ignores writes.

use std::cell::RefCell;
use std::ffi::CStr;
use std::ffi::c_char;
use std::ffi::c_void;
use std::slice;

use kunpeng_accel::Config;
use kunpeng_accel::ConfigError;
use kunpeng_accel::Device;
use kunpeng_accel::DmaFault;
use kunpeng_accel::FunctionId;
use kunpeng_accel::HPRE;
use kunpeng_accel::Host;
use kunpeng_accel::Profile;
use kunpeng_accel::Revision;
use kunpeng_accel::SEC;
use kunpeng_accel::ZIP;

/// `KunpengAccelOps`: the device's access to the machine.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ops {
    /// Reads `length` bytes at `address` into `data` as `function`; returns false if the access is rejected.
    pub dma_read: unsafe extern "C" fn(
        opaque: *mut c_void,
        function: u16,
        address: u64,
        data: *mut u8,
        length: usize,
    ) -> bool,
    /// Writes `length` bytes of `data` at `address` as `function`; returns false if the access is rejected.
    pub dma_write: unsafe extern "C" fn(
        opaque: *mut c_void,
        function: u16,
        address: u64,
        data: *const u8,
        length: usize,
    ) -> bool,
    /// Sends an MSI.
    pub msi: unsafe extern "C" fn(opaque: *mut c_void, function: u16, vector: u8),
    /// Returns the virtual time in nanoseconds.
    pub now_ns: unsafe extern "C" fn(opaque: *mut c_void) -> u64,
    /// Requests a call of `kunpeng_accel_timer()` at this time; `UINT64_MAX` cancels the request.
    pub set_timer: unsafe extern "C" fn(opaque: *mut c_void, deadline_ns: u64),
}

/// `KunpengAccelConfig`: see [`Config`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawConfig {
    /// The engine behind the queues: `KUNPENG_ACCEL_ZIP`, .. in the header.
    pub engine: u8,
    /// PCI revision.
    pub revision: u8,
    /// Number of queue pairs.
    pub total_qps: u16,
    /// Number of VFs.
    pub total_vfs: u16,
    /// Duration of a request in nanoseconds.
    pub latency_ns: u64,
    /// Duration of a mailbox command in nanoseconds.
    pub mailbox_ns: u64,
}

/// Engines: `KUNPENG_ACCEL_ZIP`, .. in the header.
const ENGINES: [&Profile; 3] = [&ZIP, &SEC, &HPRE];

/// Selectors of `kunpeng_accel_text()`: `KUNPENG_ACCEL_VIOLATIONS`, .. in the header.
const TEXT_VIOLATIONS: u32 = 0;
const TEXT_COUNTERS: u32 = 1;
const TEXT_VIOLATION_LOG: u32 = 2;
const TEXT_SILICON: u32 = 3;
const TEXT_WRITTEN_PAGES: u32 = 4;

/// The machine, accessed through the callbacks.
struct Machine {
    ops: Ops,
    opaque: *mut c_void,
}

impl Host for Machine {
    fn dma_read(
        &mut self,
        function: FunctionId,
        address: u64,
        data: &mut [u8],
    ) -> Result<(), DmaFault> {
        // SAFETY: `data` is writable for its length; the shim's callbacks accept any function and address.
        let done = unsafe {
            (self.ops.dma_read)(
                self.opaque,
                function,
                address,
                data.as_mut_ptr(),
                data.len(),
            )
        };
        done.then_some(()).ok_or(DmaFault { address })
    }

    fn dma_write(
        &mut self,
        function: FunctionId,
        address: u64,
        data: &[u8],
    ) -> Result<(), DmaFault> {
        // SAFETY: `data` is readable for its length; the shim's callbacks accept any function and address.
        let done = unsafe {
            (self.ops.dma_write)(self.opaque, function, address, data.as_ptr(), data.len())
        };
        done.then_some(()).ok_or(DmaFault { address })
    }

    fn msi(&mut self, function: FunctionId, vector: u8) {
        // SAFETY: The callback accepts any function; the vector is one of the four that a function has.
        unsafe { (self.ops.msi)(self.opaque, function, vector) }
    }

    fn now_ns(&self) -> u64 {
        // SAFETY: The callback only reads a clock.
        unsafe { (self.ops.now_ns)(self.opaque) }
    }

    fn set_timer(&mut self, deadline_ns: Option<u64>) {
        // SAFETY: The callback accepts any time.
        unsafe { (self.ops.set_timer)(self.opaque, deadline_ns.unwrap_or(u64::MAX)) }
    }
}

/// `KunpengAccel`: a device and its machine.
pub struct Handle(RefCell<(Device, Machine)>);

impl Handle {
    /// Calls `work` for the device, or returns `taken` if another call is in progress.
    fn with<R>(&self, taken: R, work: impl FnOnce(&mut Device, &mut Machine) -> R) -> R {
        match self.0.try_borrow_mut() {
            Ok(mut both) => {
                let (device, machine) = &mut *both;
                work(device, machine)
            }
            Err(_) => taken,
        }
    }
}

/// Copies as much of `text` as fits and appends a zero byte. Returns the length of the whole text in bytes.
///
/// # Safety
///
/// `buffer` must be writable for `room` bytes, or `room` must be 0.
unsafe fn copy_out(text: &str, buffer: *mut c_char, room: usize) -> usize {
    if room != 0 {
        // SAFETY: The caller guarantees that `buffer` is writable for `room` bytes.
        let buffer = unsafe { slice::from_raw_parts_mut(buffer.cast::<u8>(), room) };
        let length = text.len().min(room - 1);
        buffer[..length].copy_from_slice(&text.as_bytes()[..length]);
        buffer[length] = 0;
    }
    text.len()
}

/// Returns whether `outcome` is a success; writes the reason of a failure to `error`.
///
/// # Safety
///
/// `error` must be writable for `room` bytes, or `room` must be 0.
unsafe fn tell<E: ToString>(outcome: Result<(), E>, error: *mut c_char, room: usize) -> bool {
    match outcome {
        Ok(()) => true,
        Err(reason) => {
            // SAFETY: The caller guarantees that `error` is writable for `room` bytes.
            unsafe { copy_out(&reason.to_string(), error, room) };
            false
        }
    }
}

fn make(config: RawConfig) -> Result<Device, String> {
    let engine = ENGINES.get(usize::from(config.engine));
    let profile = engine.ok_or_else(|| format!("there is no engine {}", config.engine))?;
    Revision::from_pci(config.revision)
        .map_err(ConfigError::from)
        .and_then(|revision| {
            Device::new(Config {
                profile,
                revision,
                total_qps: config.total_qps,
                total_vfs: config.total_vfs,
                latency_ns: config.latency_ns,
                mailbox_ns: config.mailbox_ns,
            })
        })
        .map_err(|reason| reason.to_string())
}

/// Creates an accelerator. On failure returns NULL and writes the reason to `error`.
///
/// # Safety
///
/// The callbacks in `ops` must be callable with `opaque` until the device is freed; `error` must be writable for `room`
/// bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_new(
    config: RawConfig,
    ops: Ops,
    opaque: *mut c_void,
    error: *mut c_char,
    room: usize,
) -> *mut Handle {
    match make(config) {
        Ok(device) => Box::into_raw(Box::new(Handle(RefCell::new((
            device,
            Machine { ops, opaque },
        ))))),
        Err(reason) => {
            // SAFETY: The caller guarantees that `error` is writable for `room` bytes.
            unsafe { copy_out(&reason, error, room) };
            std::ptr::null_mut()
        }
    }
}

/// Frees a device.
///
/// # Safety
///
/// See the module; the handle is invalid afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_free(handle: *mut Handle) {
    // SAFETY: The handle was returned by `Box::into_raw()`, and the caller frees it only once.
    drop(unsafe { Box::from_raw(handle) });
}

/// Reads a register of BAR 2.
///
/// # Safety
///
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_read(
    handle: *const Handle,
    function: u16,
    offset: u64,
    size: u8,
) -> u64 {
    // SAFETY: The handle is valid, as required by the module documentation.
    let handle = unsafe { &*handle };
    handle.with(u64::MAX, |device, machine| {
        device.read(machine, function, offset, size)
    })
}

/// Writes a register of BAR 2.
///
/// # Safety
///
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_write(
    handle: *const Handle,
    function: u16,
    offset: u64,
    size: u8,
    value: u64,
) {
    // SAFETY: The handle is valid, as required by the module documentation.
    let handle = unsafe { &*handle };
    handle.with((), |device, machine| {
        device.write(machine, function, offset, size, value);
    });
}

/// Called when the requested time has been reached.
///
/// # Safety
///
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_timer(handle: *const Handle) {
    // SAFETY: The handle is valid, as required by the module documentation.
    let handle = unsafe { &*handle };
    handle.with((), |device, machine| device.timer(machine));
}

/// Performs a function level reset.
///
/// # Safety
///
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_flr(handle: *const Handle, function: u16) {
    // SAFETY: The handle is valid, as required by the module documentation.
    let handle = unsafe { &*handle };
    handle.with((), |device, machine| device.flr(machine, function));
}

/// Sets the number of enabled VFs.
///
/// # Safety
///
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_set_vfs(handle: *const Handle, vfs: u16) {
    // SAFETY: The handle is valid, as required by the module documentation.
    let handle = unsafe { &*handle };
    handle.with((), |device, machine| device.set_vfs(machine, vfs));
}

/// Returns the latency of a request in nanoseconds.
///
/// # Safety
///
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_latency(handle: *const Handle) -> u64 {
    // SAFETY: The handle is valid, as required by the module documentation.
    let handle = unsafe { &*handle };
    handle.with(0, |device, _| device.latency_ns())
}

/// Sets the latency of a request in nanoseconds.
///
/// # Safety
///
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_set_latency(handle: *const Handle, latency_ns: u64) {
    // SAFETY: The handle is valid, as required by the module documentation.
    let handle = unsafe { &*handle };
    handle.with((), |device, _| device.set_latency_ns(latency_ns));
}

/// Resets the violations.
///
/// # Safety
///
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_reset_violations(handle: *const Handle) {
    // SAFETY: The handle is valid, as required by the module documentation.
    let handle = unsafe { &*handle };
    handle.with((), |device, _| device.reset_violations());
}

/// Copies as much of a text as fits. Returns the length of the whole text in bytes, without the zero byte.
///
/// # Safety
///
/// See the module; `buffer` must be writable for `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_text(
    handle: *const Handle,
    which: u32,
    buffer: *mut c_char,
    room: usize,
) -> usize {
    // SAFETY: The handle is valid, as required by the module documentation.
    let handle = unsafe { &*handle };
    let text = handle.with(String::new(), |device, _| match which {
        TEXT_VIOLATIONS => device.violations().to_json(),
        TEXT_COUNTERS => device.counters().to_json(),
        TEXT_VIOLATION_LOG => device.violations().log(),
        TEXT_SILICON => device.silicon().to_string(),
        TEXT_WRITTEN_PAGES => device.written_pages().to_json(),
        _ => String::new(),
    });
    // SAFETY: The caller guarantees that `buffer` is writable for `room` bytes.
    unsafe { copy_out(&text, buffer, room) }
}

/// Calls `set` with `text`. On failure returns false and writes the reason to `error`.
///
/// # Safety
///
/// See the module; `text` must be a C string, `error` must be writable for `room` bytes.
unsafe fn set_text<E: ToString>(
    handle: *const Handle,
    text: *const c_char,
    error: *mut c_char,
    room: usize,
    set: impl FnOnce(&mut Device, &mut Machine, &str) -> Result<(), E>,
) -> bool {
    // SAFETY: The handle is valid, as required by the module documentation.
    let handle = unsafe { &*handle };
    // SAFETY: The caller guarantees that `text` is a C string.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let outcome = handle.with(Ok(()), |device, machine| set(device, machine, &text));
    // SAFETY: The caller guarantees that `error` is writable for `room` bytes.
    unsafe { tell(outcome, error, room) }
}

/// Injects faults. On failure returns false and writes the reason to `error`.
///
/// # Safety
///
/// See the module; `text` must be a C string, `error` must be writable for `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_set_fault(
    handle: *const Handle,
    text: *const c_char,
    error: *mut c_char,
    room: usize,
) -> bool {
    // SAFETY: The requirements of `set_text()` are those of this function.
    unsafe {
        set_text(handle, text, error, room, |device, machine, text| {
            device.set_fault(machine, text)
        })
    }
}

/// Selects the points in which the device differs from the default. On failure returns false and writes the reason to
/// `error`.
///
/// # Safety
///
/// See the module; `text` must be a C string, `error` must be writable for `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kunpeng_accel_set_silicon(
    handle: *const Handle,
    text: *const c_char,
    error: *mut c_char,
    room: usize,
) -> bool {
    // SAFETY: The requirements of `set_text()` are those of this function.
    unsafe {
        set_text(handle, text, error, room, |device, _, text| {
            device.set_silicon(text)
        })
    }
}
