// SPDX-License-Identifier: GPL-2.0

//! Runs machines with emulated Kunpeng accelerators and collects what they report.
//!
//! A machine is QEMU with our kernel, the crate `init` as its /init, and one
//! scenario. The scenario's results come as KTAP over the machine's second
//! serial port, the kernel's log over the first; see [`machine`] for both.

#![forbid(unsafe_code)]

pub mod abi;
pub mod artifacts;
pub mod bench;
pub mod conformance;
pub mod kcsan;
pub mod kernel_log;
pub mod ktap;
pub mod libvirt;
pub mod machine;
pub mod migrate;
pub mod modules;
pub mod options;
pub mod record;
pub mod silicon;
pub mod soak;
pub mod symbols;
pub mod timeline_svg;
pub mod two_hosts;
pub mod workloads;

pub use artifacts::{Artifacts, Suite};
pub use machine::{Machine, Outcome};
pub use symbols::Symbols;
pub use two_hosts::Pair;
