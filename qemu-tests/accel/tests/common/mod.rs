// SPDX-License-Identifier: GPL-2.0

//! A machine with a device, and drivers for the device and its engines.

#![allow(dead_code, reason = "each test file uses its own part of this one")]
#![allow(unused_imports, reason = "the same")]

mod bench;
mod driver;
pub mod hex;
mod machine;
mod migration;
pub mod sec;
pub mod sgl;
mod zip;

pub use bench::Bench;
pub use bench::LATENCY_NS;
pub use bench::MAILBOX_NS;
pub use bench::TOTAL_QPS;
pub use bench::TOTAL_VFS;
pub use bench::VF_QUEUES;
pub use bench::share;
pub use driver::Driver;
pub use driver::DriverQueue;
pub use machine::Machine;
pub use migration::Saved;
pub use migration::load;
pub use migration::pause;
pub use migration::read;
pub use migration::restart;
pub use migration::ring_event_queues;
pub use migration::save;
pub use zip::request;
