// SPDX-License-Identifier: GPL-2.0

//! Error numbers.

use crate::ffi::c_int;

/// A negative errno.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(c_int);

pub type Result<T = (), E = Error> = core::result::Result<T, E>;

macro_rules! errnos {
    ($($name:ident = $number:literal,)*) => {
        pub mod code {
            $(pub const $name: super::Error = super::Error(-$number);)*
        }

        impl core::fmt::Debug for Error {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match -self.0 {
                    $($number => f.write_str(stringify!($name)),)*
                    other => write!(f, "errno {other}"),
                }
            }
        }
    };
}

errnos! {
    EPERM = 1,
    EINTR = 4,
    EIO = 5,
    EAGAIN = 11,
    ENOMEM = 12,
    EFAULT = 14,
    EBUSY = 16,
    ENODEV = 19,
    EINVAL = 22,
    ENOTTY = 25,
    ENOSPC = 28,
    ENOMSG = 42,
    ENODATA = 61,
    EOVERFLOW = 75,
    EOPNOTSUPP = 95,
    ETIMEDOUT = 110,
}

impl Error {
    pub const fn to_errno(self) -> c_int {
        self.0
    }

    pub fn to_ptr<T>(self) -> *mut T {
        (self.0 as isize) as *mut T
    }

    /// Returns the error for a negative return value.
    pub fn from_errno(errno: c_int) -> Self {
        assert!((-4095..0).contains(&errno), "no errno: {errno}");
        Self(errno)
    }
}

impl From<core::convert::Infallible> for Error {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}

/// Memory could not be allocated, which does not happen here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocError;

impl From<AllocError> for Error {
    fn from(_: AllocError) -> Self {
        code::ENOMEM
    }
}

pub fn to_result(ret: c_int) -> Result {
    if ret < 0 {
        Err(Error::from_errno(ret))
    } else {
        Ok(())
    }
}

pub fn from_err_ptr<T>(ptr: *mut T) -> Result<*mut T> {
    let value = ptr as isize;
    if (-4095..0).contains(&value) {
        Err(Error::from_errno(value as c_int))
    } else {
        Ok(ptr)
    }
}
