// SPDX-License-Identifier: GPL-2.0

//! The history of a device: which states users have requested of a device, and what came of it.
//!
//! The core records each request for a state that comes by ioctl, before and after it calls the
//! driver. A driver has no part in it: it may take several arcs for one request, and what it does
//! without a request, such as a reset, is not recorded. The state that the next request starts from
//! shows it.
//!
//! The lock of a history is held only while an entry is written or all are copied. No driver is called
//! and no text is printed with it, so the file can be read while a request hangs in the driver.

pub(crate) mod ffi;

use kernel::{
    fmt::{
        self,
        Write, //
    },
    prelude::*,
    sync::{
        new_spinlock,
        SpinLock, //
    }, //
};

use crate::{
    bindings::vfio_device_mig_state as MigState,
    recent_ring::RecentRing,
    state_names,
    timestamp::{
        micros,
        Timestamp, //
    }, //
};

/// Number of requests that are kept for each device.
const REQUESTS: usize = 32;

/// Length of the name of a thread, with the terminating null byte.
const COMM_LEN: usize = 16;

/// The thread that makes a request.
#[derive(Clone, Copy)]
pub(crate) struct Requester {
    /// The process, as counted in the initial namespace.
    pub(crate) pid: i32,
    /// The name of the thread.
    pub(crate) comm: [u8; COMM_LEN],
}

/// What came of a request.
#[derive(Clone, Copy)]
struct Answer {
    /// How long the request took, in microseconds.
    duration: u32,
    /// With what the driver has failed, or 0.
    errno: u16,
    /// With what the ioctl has failed, or 0.
    ioctl_errno: u16,
}

/// A request for a state.
#[derive(Clone, Copy)]
struct Request {
    begin: Timestamp,
    /// The state before, unless the driver could not report it.
    from: Option<MigState>,
    to: MigState,
    requester: Requester,
    /// `None` while the driver is busy with it.
    answer: Option<Answer>,
}

/// The last requests for states of one device.
#[pin_data]
pub(crate) struct History {
    #[pin]
    requests: SpinLock<RecentRing<Request, REQUESTS>>,
}

// A larger structure would take 4 KiB from kmalloc.
const _: () = assert!(size_of::<History>() <= 2048);

impl History {
    /// The history of a device that had no request.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            requests <- new_spinlock!(RecentRing::EMPTY),
        })
    }

    /// Records that `requester` has requested the state `to` at the time `begin`, of a device in the
    /// state `from`. Returns the number of the request, counted from 1.
    pub(crate) fn begin(
        &self,
        from: Option<MigState>,
        to: MigState,
        begin: Timestamp,
        requester: Requester,
    ) -> u64 {
        self.requests.lock().push(Request {
            begin,
            from,
            to,
            requester,
            answer: None,
        })
    }

    /// Records that the driver has answered a request. `errno` is 0 if the device is in the requested
    /// state. Returns `duration()`, how long the request took, in microseconds.
    pub(crate) fn end(&self, number: u64, errno: u16, duration: impl FnOnce() -> u32) -> u32 {
        let mut kept = self.requests.lock();
        // With the lock held, so that nobody has seen the request unanswered for longer.
        let duration = duration();

        if let Some(request) = kept.get_mut(number) {
            request.answer = Some(Answer {
                duration,
                errno,
                ioctl_errno: errno,
            });
        }
        duration
    }

    /// Records that the ioctl fails with `errno` though the driver has answered a request.
    pub(crate) fn fail_ioctl(&self, number: u64, errno: u16) {
        let mut kept = self.requests.lock();

        if let Some(answer) = kept.get_mut(number).and_then(|r| r.answer.as_mut()) {
            answer.ioctl_errno = errno;
        }
    }

    /// Returns a line for each request, oldest first, as they were at one moment. Fails with `ENOMEM`.
    pub(crate) fn lines(&self) -> Result<KVec<Line>> {
        // Nothing can be allocated while the lock is held.
        let mut lines = KVec::with_capacity(REQUESTS, GFP_KERNEL)?;
        let kept = self.requests.lock();
        let (oldest, newest) = kept.numbers();

        for (number, &request) in (oldest..=newest).zip(kept.iter()) {
            lines.push_within_capacity(Line {
                number,
                request,
                age: micros(request.begin.elapsed()),
            })?;
        }
        Ok(lines)
    }
}

/// Displays a state by its name, by its number if the uAPI does not define it, or as "-" if it is not
/// known.
struct Name(Option<MigState>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(state) = self.0 else {
            return f.write_str("-");
        };
        match state_names::name(state) {
            Some(name) => f.write_str(name),
            None => f.write_fmt(fmt!("{:#x}", state.0)),
        }
    }
}

/// Displays the name of a thread as one word: its users can give it any bytes.
struct Comm([u8; COMM_LEN]);

impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.into_iter().take_while(|&byte| byte != 0) {
            match byte {
                b'\\' => f.write_str("\\\\")?,
                byte if byte.is_ascii_graphic() => f.write_char(byte.into())?,
                byte => f.write_fmt(fmt!("\\x{byte:02x}"))?,
            }
        }
        Ok(())
    }
}

/// Displays a request.
pub(crate) struct Line {
    number: u64,
    request: Request,
    /// Time since the request was made, in microseconds.
    age: u32,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = &self.request;

        f.write_fmt(fmt!(
            "request={} time={} from={} to={}",
            self.number,
            request.begin,
            Name(request.from),
            Name(Some(request.to))
        ))?;
        match request.answer {
            Some(answer) => f.write_fmt(fmt!(
                " duration={} errno={} ioctl={}",
                answer.duration,
                answer.errno,
                answer.ioctl_errno
            ))?,
            None => f.write_fmt(fmt!(" duration={} errno=- ioctl=-", self.age))?,
        }
        f.write_fmt(fmt!(
            " pid={} comm={}",
            request.requester.pid,
            Comm(request.requester.comm)
        ))
    }
}

#[kunit_tests(vfio_debugfs_history)]
mod tests {
    use super::*;
    use kernel::str::CString;

    const RUNNING: MigState = MigState::VFIO_DEVICE_STATE_RUNNING;
    const STOP: MigState = MigState::VFIO_DEVICE_STATE_STOP;

    const QEMU: Requester = Requester {
        pid: 42,
        comm: *b"qemu\0thread\0\0\0\0\0",
    };

    /// Returns the line of a request, from the state before on.
    fn line(history: &History, number: u64) -> Option<CString> {
        let lines = history.lines().ok()?;
        let line = lines.into_iter().find(|line| line.number == number)?;
        let text = text(Line { age: 7, ..line }).ok()?;
        let from = text
            .to_bytes()
            .windows(5)
            .position(|word| word == b"from=")?;
        let tail = core::str::from_utf8(text.to_bytes().get(from..)?).ok()?;
        CString::try_from_fmt(fmt!("{tail}")).ok()
    }

    fn text(value: impl fmt::Display) -> Result<CString> {
        CString::try_from_fmt(fmt!("{value}"))
    }

    #[test]
    fn a_request_is_recorded_step_by_step() -> Result {
        let history = KBox::pin_init(History::new(), GFP_KERNEL)?;
        assert!(history.lines()?.is_empty());
        let number = history.begin(Some(RUNNING), STOP, Timestamp::now(), QEMU);
        assert_eq!(number, 1);
        let begun = line(&history, number).ok_or(EINVAL)?;
        assert_eq!(
            begun.to_bytes(),
            b"from=RUNNING to=STOP duration=7 errno=- ioctl=- pid=42 comm=qemu"
        );
        assert_eq!(history.end(number, 0, || 1234), 1234);
        let ended = line(&history, number).ok_or(EINVAL)?;
        assert_eq!(
            ended.to_bytes(),
            b"from=RUNNING to=STOP duration=1234 errno=0 ioctl=0 pid=42 comm=qemu"
        );
        history.fail_ioctl(number, 14);
        let failed = line(&history, number).ok_or(EINVAL)?;
        assert_eq!(
            failed.to_bytes(),
            b"from=RUNNING to=STOP duration=1234 errno=0 ioctl=14 pid=42 comm=qemu"
        );
        Ok(())
    }

    #[test]
    fn a_request_that_the_driver_refuses_fails_the_ioctl() -> Result {
        let history = KBox::pin_init(History::new(), GFP_KERNEL)?;
        let number = history.begin(Some(RUNNING), STOP, Timestamp::now(), QEMU);
        history.end(number, 5, || 1);
        let line = line(&history, number).ok_or(EINVAL)?;
        assert_eq!(
            line.to_bytes(),
            b"from=RUNNING to=STOP duration=1 errno=5 ioctl=5 pid=42 comm=qemu"
        );
        Ok(())
    }

    #[test]
    fn answers_go_to_their_own_requests() -> Result {
        let history = KBox::pin_init(History::new(), GFP_KERNEL)?;
        let slow = history.begin(Some(RUNNING), STOP, Timestamp::now(), QEMU);
        let fast = history.begin(None, RUNNING, Timestamp::now(), QEMU);
        history.end(fast, 22, || 1);
        history.end(slow, 0, || 9);
        let lines = history.lines()?;
        let errnos = lines
            .iter()
            .map(|line| line.request.answer.map(|a| (a.duration, a.errno)));
        assert!(errnos.eq([Some((9, 0)), Some((1, 22))]));
        Ok(())
    }

    #[test]
    fn an_answer_to_an_overwritten_request_is_dropped() -> Result {
        let history = KBox::pin_init(History::new(), GFP_KERNEL)?;
        let lost = history.begin(Some(RUNNING), STOP, Timestamp::now(), QEMU);
        for _ in 0..REQUESTS {
            history.begin(None, RUNNING, Timestamp::now(), QEMU);
        }
        assert_eq!(history.end(lost, 5, || 1), 1);
        history.fail_ioctl(lost, 5);
        let lines = history.lines()?;
        assert_eq!(lines.len(), REQUESTS);
        assert!(lines.iter().all(|line| line.number > lost
            && line.request.to == RUNNING
            && line.request.answer.is_none()));
        Ok(())
    }

    #[test]
    fn states_that_the_uapi_does_not_define_are_numbers() -> Result {
        assert_eq!(text(Name(Some(RUNNING)))?.to_bytes(), b"RUNNING");
        assert_eq!(text(Name(Some(MigState(77))))?.to_bytes(), b"0x4d");
        assert_eq!(text(Name(None))?.to_bytes(), b"-");
        Ok(())
    }

    #[test]
    fn a_name_is_one_word() -> Result {
        assert_eq!(
            text(Comm(*b"CPU 0/KVM\0\0\0\0\0\0\0"))?.to_bytes(),
            b"CPU\\x200/KVM"
        );
        assert_eq!(
            text(Comm(*b"a\nb=\\\xff\0\0\0\0\0\0\0\0\0\0"))?.to_bytes(),
            b"a\\x0ab=\\\\\\xff"
        );
        assert_eq!(text(Comm([b'x'; COMM_LEN]))?.to_bytes(), &[b'x'; COMM_LEN]);
        Ok(())
    }
}
