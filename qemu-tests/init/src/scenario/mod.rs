// SPDX-License-Identifier: GPL-2.0

//! The scenarios, one file each.

mod at_work;
mod bench;
mod conformance;
mod debugfs_hisi;
mod debugfs_tree;
mod demo;
mod engines;
mod example;
mod failing;
mod faults;
mod fixture;
mod guest_at_work;
mod guest_between;
mod guest_changes;
mod guest_cut_off;
mod guest_fails;
mod guest_pauses;
mod guest_refused;
mod guest_reported;
mod guest_resets;
mod guest_stage;
mod guest_stays;
mod host_fails;
mod install;
mod judge;
mod kunit;
mod matching;
mod migrate;
mod shell;
mod silicon;
mod task;
mod together;
mod topology;
mod trace;
mod transfer;
mod tree;
mod two_hosts;
mod uapi;
mod violations;
mod weakness;
mod workers;

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
        "shell" => return shell::run(options),
        "weakness" => return weaknesses(options),
        "demo" => demo::run,
        "bench" => bench::run,
        "bench-together" => bench::together,
        "judge-probe" => judge::probe,
        "judge-engines" => engines::run,
        "judge-load" => judge::load,
        "uapi" => uapi::run,
        "matching" => matching::run,
        "migrate" => migrate::run,
        "example" => example::run,
        "guest-at-work" => guest_at_work::run,
        "guest-between" => guest_between::run,
        "guest-changes" => guest_changes::run,
        "guest-cut-off" => guest_cut_off::run,
        "guest-fails" => guest_fails::run,
        "guest-pauses" => guest_pauses::run,
        "guest-refused" => guest_refused::run,
        "guest-reported" => guest_reported::run,
        "guest-resets" => guest_resets::run,
        "guest-stays" => guest_stays::run,
        "host-fails" => host_fails::run,
        "at-work" => at_work::run,
        "together" => together::run,
        "debugfs-tree" => debugfs_tree::run,
        "debugfs-hisi" => debugfs_hisi::run,
        "topology" => topology::run,
        "trace" => trace::run,
        "faults" => faults::run,
        "violations" => violations::run,
        "conformance" => conformance::run,
        "kunit" => kunit::run,
        "silicon" => silicon::run,
        "silicon-guest" => silicon::guest,
        "install" => install::run,
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
