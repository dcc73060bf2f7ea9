// SPDX-License-Identifier: GPL-2.0

//! Fixtures and helpers of scenarios of several topics. There is no scenario here.

pub(super) mod command;
pub(super) mod crypto_load;
pub(super) mod debugfs;
pub(super) mod fault_injection;
pub(super) mod fixture;
pub(super) mod history;
pub(super) mod mtty;
pub(super) mod register_layout;
pub(super) mod stream_layout;
pub(super) mod stuck_thread;
pub(super) mod transfer;
