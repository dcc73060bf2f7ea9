// SPDX-License-Identifier: GPL-2.0

//! The scenarios, by topic, and which one the kernel command line asks for.
//!
//! A topic is a directory. What several topics share is in `support`.

mod benchmark;
mod conformance;
mod debugfs;
mod l2;
mod migration;
mod misc;
mod model;
mod silicon;
mod support;
mod topology;
mod uapi;
mod weakness;

use anyhow::{Context, Result, bail};

use crate::Options;
use crate::control::Report;
use crate::leaks;

/// Runs the scenario the command line names.
pub(crate) fn run(options: &Options) -> Result<()> {
    let name = options
        .get("scenario")
        .context("no scenario= on the kernel command line")?;
    let tested: fn(&Options, &mut Report) -> Result<()> = match name {
        "shell" => return misc::shell::run(options),
        "weakness" => return weaknesses(options),
        "demo" => misc::demo::run,
        "bench" => benchmark::run,
        "bench-together" => benchmark::together,
        "judge-probe" => model::probe::run,
        "judge-engines" => model::engines::run,
        "judge-load" => model::load::run,
        "uapi" => uapi::run,
        "matching" => uapi::matching::run,
        "migrate" => migration::ten_rounds::run,
        "example" => misc::example::run,
        "guest-at-work" => l2::migrate_under_load::run,
        "guest-between" => l2::two_hosts::run,
        "guest-changes" => l2::guest_driver_events::run,
        "guest-cut-off" => l2::network_failure::run,
        "guest-fails" => l2::vf_failure::run,
        "guest-pauses" => l2::pause_and_restore::run,
        "guest-refused" => l2::no_p2p::run,
        "guest-reported" => l2::reported_cases::run,
        "guest-resets" => l2::resets::run,
        "guest-stays" => l2::failed_migration::run,
        "host-fails" => l2::two_hosts::one_fails,
        "at-work" => l2::payload::run,
        "together" => migration::three_engines::run,
        "debugfs-tree" => debugfs::core_tree::run,
        "debugfs-hisi" => debugfs::hisi::run,
        "topology" => topology::run,
        "trace" => migration::trace::run,
        "faults" => uapi::faults::run,
        "violations" => model::violations::run,
        "conformance" => conformance::run,
        "kunit" => misc::kunit::run,
        "silicon" => silicon::run,
        "silicon-guest" => silicon::guest,
        "install" => misc::install::run,
        _ => bail!("there is no scenario {name}"),
    };
    let mut report = Report::new();
    tested(options, &mut report)?;
    leaks::judge(options, &mut report);
    report.end();
    Ok(())
}

/// Some weaknesses leave a kernel that cannot be shut down.
fn weaknesses(options: &Options) -> Result<()> {
    let mut report = Report::new();
    let ending = weakness::run(options, &mut report)?;
    report.end();
    match ending {
        weakness::Ending::Usual => Ok(()),
        weakness::Ending::Broken => weakness::cut_power(),
    }
}
