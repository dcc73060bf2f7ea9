// SPDX-License-Identifier: GPL-2.0

//! Scenarios of no other topic.

pub(super) mod demo;
pub(super) mod dirty_tracking;
pub(super) mod example;
pub(super) mod install;
pub(super) mod kunit;
pub(super) mod lockdown;
pub(super) mod package;
mod refused_modules;
pub(super) mod shell;
pub(super) mod signatures;
pub(super) mod tool;
pub(super) mod versions;
