// SPDX-License-Identifier: GPL-2.0

//! The VM that the program of the emulated host plays: its memory, and its drivers of a queue
//! manager and of the engines behind one, as the guest's kernel has them.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod engine;
pub mod qm;
