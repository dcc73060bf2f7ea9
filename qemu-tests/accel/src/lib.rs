// SPDX-License-Identifier: GPL-2.0

//! A model of the HiSilicon Kunpeng accelerators ZIP, SEC and HPRE, as far as it is visible to their drivers.
//!
//! The crate implements a physical function and its virtual functions: registers, mailbox, doorbells, queue assignment,
//! interrupts, messages between the functions, context caches and the engine that executes requests. It does not depend
//! on QEMU. [`Host`] provides everything that the model needs from the surrounding machine (memory, interrupts, time);
//! the machine acts on the model through the methods of [`Device`].
//!
//! Three properties make it a test for drivers and not only a working device:
//!
//! * Queue contexts live in the device. They reach memory only when a driver requests it with a cache write-back or a
//!   mailbox command, so a driver that forgets the request migrates stale queues.
//! * Requests take time. Some are in flight when a driver pauses the function.
//! * Forbidden driver actions are counted, by kind of [`Violation`]. Nothing that a driver cannot avoid is counted.
//!
//! The word "source" in the documentation of a register refers to the Linux header or file that uses it, since no
//! public data sheet exists. `Documentation/accel-model.rst` describes which behavior of the hardware is known and
//! which is assumed.

#![forbid(unsafe_code)]

mod address_target;
mod bus;
mod config;
mod context;
mod counters;
mod device;
mod engine;
mod event;
mod fault;
mod function;
mod host;
mod hpre;
mod mailbox;
mod message;
mod pf;
mod profile;
mod queue;
mod register;
pub mod regs;
mod revision;
mod sec;
mod sgl;
mod silicon;
mod vft;
mod violation;
mod written_pages;
mod zip;

pub use config::Config;
pub use config::ConfigError;
pub use context::CONTEXT_BYTES;
pub use context::Cqc;
pub use context::Sqc;
pub use counters::Counters;
pub use device::Device;
pub use fault::FaultError;
pub use host::DmaFault;
pub use host::FunctionId;
pub use host::Host;
pub use mailbox::Opcode;
pub use profile::HPRE;
pub use profile::Profile;
pub use profile::SEC;
pub use profile::ZIP;
pub use revision::Revision;
pub use revision::UnknownRevision;
pub use silicon::Silicon;
pub use silicon::SiliconError;
pub use violation::Violation;
pub use violation::Violations;
pub use written_pages::WrittenPages;
