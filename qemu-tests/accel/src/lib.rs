// SPDX-License-Identifier: GPL-2.0

//! A model of the HiSilicon Kunpeng accelerators ZIP, SEC and HPRE, as far as their drivers can see them.
//!
//! The crate holds a physical function and its virtual functions: registers, mailbox, doorbells, queue
//! assignment, interrupts, messages between the functions, context caches and the engine that does the work.
//! It knows nothing of QEMU. Whatever it needs from the machine around it (memory, interrupts, time) comes
//! through [`Host`]; whatever the machine does to it comes in through the methods of [`Device`].
//!
//! Three properties make it a judge of drivers and not only a device that answers:
//!
//! * Queue contexts live in the device. Memory sees them only when a driver asks for it, by a cache write-back
//!   or by a mailbox command, so a driver that forgets to ask migrates stale queues.
//! * Requests take time. Some are in flight when a driver pauses the function.
//! * What a driver must not do is counted, by [`Violation`] kind. Nothing is counted that a driver cannot avoid.
//!
//! The word "source" in the documentation of a register names the Linux header or file that uses it, since no
//! public data sheet exists. `Documentation/accel-model.rst` tells what is known of silicon and what is assumed.

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
