// SPDX-License-Identifier: GPL-2.0

//! Guests of libvirt, on an emulated host with a root of Debian: an operator's commands, and what
//! comes of them.

mod domain;
mod host;
mod virsh;

pub(super) mod one_host;
pub(super) mod tie;
pub(super) mod two_hosts;
