// SPDX-License-Identifier: GPL-2.0

//! The scenarios, by topic, and which one the kernel command line asks for.
//!
//! A topic is a directory. What several topics share is in `support`.

mod benchmark;
mod conformance;
mod debugfs;
mod l2;
mod libvirt;
mod migration;
mod misc;
mod model;
mod silicon;
mod support;
mod topology;
mod uapi;
mod weakness;

use anyhow::{Result, bail};
use control::Report;
use protocol::{Scenario, Setup, Task, Weakness};

use crate::leaks;

/// Runs the scenario that the command line asks for.
pub(crate) fn run(task: &Task) -> Result<()> {
    let setup = &task.setup;
    match &task.scenario {
        Scenario::Shell => misc::shell::run(setup),
        Scenario::Weakness { item } => weaknesses(setup, &item.0),
        other => {
            let mut report = Report::new();
            test(other, setup, &mut report)?;
            leaks::check(setup, &mut report);
            report.end();
            Ok(())
        }
    }
}

/// Runs a scenario that reports test points, and after which the machine can be used.
fn test(scenario: &Scenario, setup: &Setup, report: &mut Report) -> Result<()> {
    match scenario {
        Scenario::Shell | Scenario::Weakness { .. } => bail!("they end in another way"),
        Scenario::Demo => misc::demo::run(setup, report),
        Scenario::Tool => misc::tool::run(setup, report),
        Scenario::Bench { measure } => benchmark::run(setup, measure.unwrap_or_default(), report),
        Scenario::BenchTogether { vfs, rush } => {
            benchmark::together(setup, *vfs, rush.unwrap_or_default(), report)
        }
        Scenario::CheckProbe => model::probe::run(setup, report),
        Scenario::CheckEngines => model::engines::run(setup, report),
        Scenario::CheckLoad { buffers } => model::load::run(setup, *buffers, report),
        Scenario::Violations => model::violations::run(setup, report),
        Scenario::Uapi => uapi::run(setup, report),
        Scenario::Parameter => uapi::parameter::run(setup, report),
        Scenario::Matching => uapi::matching::run(setup, report),
        Scenario::Faults => uapi::faults::run(setup, report),
        Scenario::Migrate { seed } => migration::ten_rounds::run(setup, seed.unwrap_or(1), report),
        Scenario::Together => migration::three_engines::run(setup, report),
        Scenario::Trace => migration::trace::run(setup, report),
        Scenario::DebugfsTree => debugfs::core_tree::run(setup, report),
        Scenario::DebugfsHisi { commands } => {
            debugfs::hisi::run(setup, commands.unwrap_or_default(), report)
        }
        Scenario::Topology { item } => topology::run(setup, *item, report),
        Scenario::Conformance {
            seed,
            first,
            count,
            stride,
            log,
            stall,
        } => {
            let sequences = conformance::Sequences {
                seed: seed.unwrap_or(1),
                first: first.unwrap_or(0),
                count: count.unwrap_or(100),
                stride: stride.unwrap_or(1),
                stall: *stall,
            };
            conformance::run(setup, &sequences, log.unwrap_or_default(), report)
        }
        Scenario::Silicon { silicon } => silicon::run(setup, &silicon.0, report),
        Scenario::SiliconGuest { silicon } => silicon::guest(setup, &silicon.0, report),
        Scenario::Kunit => misc::kunit::run(setup, report),
        Scenario::Libvirt => libvirt::one_host::run(setup, report),
        Scenario::LibvirtBetween { host } => libvirt::two_hosts::run(setup, *host, report),
        Scenario::Install => misc::install::run(setup, report),
        Scenario::Package => misc::package::run(setup, report),
        Scenario::Lockdown => misc::lockdown::run(setup, report),
        Scenario::Signatures => misc::signatures::run(setup, report),
        Scenario::Versions => misc::versions::run(setup, report),
        Scenario::Example => misc::example::run(setup, report),
        Scenario::DirtyTracking { further } => {
            misc::dirty_tracking::run(setup, further.unwrap_or_default(), report)
        }
        Scenario::AtWork { begin } => l2::payload::run(setup, begin.unwrap_or_default(), report),
        Scenario::GuestAtWork {
            rounds,
            cancel,
            switchover,
            stop_first,
            multifd,
        } => {
            let choices = l2::migrate_under_load::Choices {
                rounds: rounds.unwrap_or(l2::migrate_under_load::ROUNDS),
                cancel: cancel.unwrap_or_default(),
                switchover: switchover.unwrap_or_default(),
                stop_first: stop_first.unwrap_or_default(),
                multifd: multifd.unwrap_or_default(),
            };
            l2::migrate_under_load::run(setup, choices, report)
        }
        Scenario::GuestBetween {
            host,
            rounds,
            switchover,
        } => {
            let switchover = switchover.unwrap_or_default();
            l2::two_hosts::run(setup, *host, *rounds, switchover, report)
        }
        Scenario::GuestChanges => l2::guest_driver_events::run(setup, report),
        Scenario::GuestCutOff { host } => l2::network_failure::run(setup, *host, report),
        Scenario::GuestFails => l2::vf_failure::run(setup, report),
        Scenario::GuestPauses => l2::pause_and_restore::run(setup, report),
        Scenario::GuestPlain => l2::without_migration::run(setup, report),
        Scenario::GuestRefused => l2::no_p2p::run(setup, report),
        Scenario::GuestReported => l2::reported_cases::run(setup, report),
        Scenario::GuestResets {
            reset,
            against,
            seconds,
        } => l2::resets::run(setup, reset.as_ref(), against.as_ref(), *seconds, report),
        Scenario::GuestStays => l2::failed_migration::run(setup, report),
        Scenario::HostFails { host, fails } => {
            l2::two_hosts::one_fails(setup, *host, fails.unwrap_or_default(), report)
        }
    }
}

/// Some weaknesses leave a kernel that cannot be shut down.
fn weaknesses(setup: &Setup, items: &[Weakness]) -> Result<()> {
    let mut report = Report::new();
    let ending = weakness::run(setup, items, &mut report)?;
    report.end();
    match ending {
        weakness::Ending::Usual => Ok(()),
        weakness::Ending::Broken => weakness::cut_power(),
    }
}
