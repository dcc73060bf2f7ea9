// SPDX-License-Identifier: GPL-2.0

//! Time spans. No time passes here.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    nanos: i64,
}

impl Delta {
    pub const ZERO: Self = Self { nanos: 0 };

    pub const fn from_nanos(nanos: i64) -> Self {
        Self { nanos }
    }

    pub const fn from_micros(micros: i64) -> Self {
        Self::from_nanos(micros * 1_000)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self::from_micros(millis * 1_000)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self::from_millis(secs * 1_000)
    }

    pub const fn as_nanos(self) -> i64 {
        self.nanos
    }
}
