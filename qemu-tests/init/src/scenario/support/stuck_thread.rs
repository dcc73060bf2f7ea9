// SPDX-License-Identifier: GPL-2.0

//! Threads that may not come back from the kernel.

use std::fs;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often one looks.
const INTERVAL: Duration = Duration::from_millis(2);

/// A thread, which is not joined when this is dropped.
pub(crate) struct Task<T> {
    id: String,
    result: Receiver<T>,
}

/// The fate of a thread.
pub(crate) enum Fate<T> {
    Done(T),
    /// The kernel has killed it.
    Killed,
    /// It is still in the kernel.
    StuckInKernel,
}

impl<T: Send + 'static> Task<T> {
    pub(crate) fn start(work: impl FnOnce() -> T + Send + 'static) -> Result<Self> {
        let (tell_id, id) = mpsc::channel();
        let (tell, result) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = tell_id.send(fs::read_link("/proc/thread-self"));
            // The receiver may be gone.
            let _ = tell.send(work());
        });
        let link = id.recv().context("a thread did not start")??;
        let id = link.file_name().context("a thread without number")?;
        Ok(Task {
            id: id.to_string_lossy().into_owned(),
            result,
        })
    }

    /// A field of `/proc/<pid>/task/<tid>/stat`, by its number in proc(5); none if the thread is
    /// gone.
    fn field(&self, number: usize) -> Option<String> {
        let text = fs::read_to_string(format!("/proc/self/task/{}/stat", self.id)).ok()?;
        // The name, which is the second, may have spaces in it.
        let (_, rest) = text.rsplit_once(") ")?;
        rest.split(' ').nth(number - 3).map(str::to_owned)
    }

    /// Whether the thread sleeps in the kernel and cannot be interrupted.
    pub(crate) fn sleeps(&self) -> bool {
        self.field(3).as_deref() == Some("D")
    }

    /// Whether the thread has ended.
    fn gone(&self) -> bool {
        self.field(3)
            .is_none_or(|state| state == "Z" || state == "X")
    }

    /// Ticks that the thread has spent in the kernel.
    pub(crate) fn ticks(&self) -> u64 {
        self.field(15)
            .and_then(|ticks| ticks.parse().ok())
            .unwrap_or(0)
    }

    /// Waits for the thread, or until `enough` says not to.
    pub(crate) fn wait(&self, timeout: Duration, enough: impl Fn(&Self) -> bool) -> Fate<T> {
        let deadline = Instant::now() + timeout;
        loop {
            let gone = self.gone();
            // A thread that has ended has sent its result before.
            if let Ok(result) = self.result.recv_timeout(INTERVAL) {
                return Fate::Done(result);
            }
            if gone {
                return Fate::Killed;
            }
            if enough(self) || Instant::now() >= deadline {
                return Fate::StuckInKernel;
            }
        }
    }

    /// Waits until the thread is done, or sleeps in the kernel and waits itself.
    pub(crate) fn settle(&self) {
        while !self.gone() && !self.sleeps() {
            std::thread::sleep(INTERVAL);
        }
    }
}
