// SPDX-License-Identifier: GPL-2.0

//! `poll()`: wait queues, and the table of a waiting thread.
//!
//! Rust source in the kernel: `rust/kernel/sync/poll.rs`. C: `include/linux/poll.h`,
//! `fs/select.c`, `kernel/sched/wait.c`

use super::{lock::Mutex, LockClassKey};
use crate::{bindings, error::AllocError, ffi::CStr, fs::File, trace};
use core::{marker::PhantomData, ops::Deref, pin::Pin};
use loom::{
    sync::atomic::{fence, AtomicBool, Ordering},
    thread::{self, Thread},
};
use pinned_init::{pin_data, pin_init, PinInit};
use std::rc::Rc;

/// A `wait_queue_head_t`.
type Queue = Mutex<Vec<Rc<Waiter>>>;

/// A `struct poll_wqueues`: the thread that waits.
struct Waiter {
    thread: Thread,
    triggered: AtomicBool,
}

/// The `poll_table` of one call of `poll()` by one thread.
pub struct Wait {
    waiter: Rc<Waiter>,
    queues: Vec<*const Queue>,
}

impl Wait {
    /// C: `poll_initwait()`
    pub fn new() -> Self {
        Self {
            waiter: Rc::new(Waiter {
                thread: thread::current(),
                triggered: AtomicBool::new(false),
            }),
            queues: Vec::new(),
        }
    }

    /// Sleeps until a queue of the table wakes this thread. loom reports a deadlock if none does.
    ///
    /// C: `poll_schedule_timeout()`
    pub fn sleep(&self) {
        trace::note("sleeps until it is woken");
        while !self.waiter.triggered.swap(false, Ordering::AcqRel) {
            thread::park();
        }
    }

    /// Returns the table that is passed to the `poll` operation of a file.
    pub fn table(&mut self) -> *mut bindings::poll_table_struct {
        core::ptr::from_mut(self).cast()
    }
}

impl Default for Wait {
    fn default() -> Self {
        Self::new()
    }
}

/// C: `poll_freewait()`
impl Drop for Wait {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for queue in self.queues.drain(..) {
            // SAFETY: The caller of `poll()` holds a reference to the file, which keeps the queue
            // alive.
            let queue = unsafe { &*queue };
            queue
                .lock()
                .retain(|other| !Rc::ptr_eq(other, &self.waiter));
        }
    }
}

pub struct PollTable<'a>(*mut Wait, PhantomData<&'a Wait>);

impl PollTable<'_> {
    /// # Safety
    ///
    /// `table` must be null or come from [`Wait::table`], and be valid for the lifetime.
    pub unsafe fn from_raw(table: *mut bindings::poll_table_struct) -> Self {
        Self(table.cast(), PhantomData)
    }

    /// C: `poll_wait()`
    #[track_caller]
    pub fn register_wait(&self, _file: &File, cv: &PollCondVar) {
        // SAFETY: By the safety requirements of `from_raw()`.
        let Some(wait) = (unsafe { self.0.as_mut() }) else {
            return;
        };
        cv.queue.lock().push(wait.waiter.clone());
        wait.queues.push(&cv.queue);
        fence(Ordering::SeqCst);
        trace::step(|| "waits in the queue".into());
    }
}

#[pin_data]
pub struct PollCondVar {
    #[pin]
    queue: Queue,
}

// SAFETY: All threads of a loom model run on one thread of the machine.
unsafe impl Send for PollCondVar {}
// SAFETY: As for `Send`.
unsafe impl Sync for PollCondVar {}

impl PollCondVar {
    #[track_caller]
    pub fn new(name: &'static CStr, class: LockClassKey) -> impl PinInit<Self> {
        pin_init!(Self {
            queue <- Mutex::new(Vec::new(), name, class),
        })
    }

    /// Wakes all waiting threads. Takes the queue's lock even if no thread waits.
    ///
    /// C: `__wake_up()`
    #[track_caller]
    pub fn notify_all(&self) {
        for waiter in self.queue.lock().iter() {
            trace::step(|| "wakes a waiting thread".into());
            // This is not a store, because loom could order a store before the last exchange of
            // `sleep()`.
            waiter.triggered.swap(true, Ordering::AcqRel);
            waiter.thread.unpark();
        }
    }
}

pub struct PollCondVarBox(Pin<Box<PollCondVar>>);

impl PollCondVarBox {
    #[track_caller]
    pub fn new(name: &'static CStr, class: LockClassKey) -> Result<Self, AllocError> {
        match crate::init::pinned(PollCondVar::new(name, class)) {
            Ok(inner) => Ok(Self(inner)),
            Err(never) => match never {},
        }
    }
}

impl Deref for PollCondVarBox {
    type Target = PollCondVar;

    fn deref(&self) -> &PollCondVar {
        &self.0
    }
}
