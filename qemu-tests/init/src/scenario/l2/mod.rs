// SPDX-License-Identifier: GPL-2.0

//! Guests under QEMU and KVM on the emulated host ("L2"; the emulated host is L1) migrate with VFs.

mod fixture;
mod hot_plug;
mod local_host;
mod programs;

pub(super) mod failed_migration;
pub(super) mod guest_driver_events;
pub(super) mod migrate_under_load;
pub(super) mod network_failure;
pub(super) mod no_p2p;
pub(super) mod pause_and_restore;
pub(super) mod payload;
pub(super) mod reported_cases;
pub(super) mod resets;
pub(super) mod two_hosts;
pub(super) mod vf_failure;
pub(super) mod without_migration;

pub(super) use fixture::GuestFixture;
