// SPDX-License-Identifier: GPL-2.0

//! The kernel's own driver puts load on the emulated device, also while functions are reset.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use control::{Report, ZIP0};
use linux::sysfs::{self, Function};
use protocol::Setup;

use super::{Log, self_test_passed};
use crate::crypto_check::{ACOMP, Results};
use crate::expect;
use crate::host;

const BUFFERS: u64 = 1000;
/// Of a request while a reset comes: far longer than it takes to begin the reset.
const LATENCY: Duration = Duration::from_secs(1);
/// Whether a warning is about a reset, of which there must be none. Requests that fail because of a
/// reset are expected, and so are other warnings, such as those about these requests.
fn complains_about_reset(line: &str) -> bool {
    [
        "FLR",
        "PF reset",
        "ping",
        "response",
        "reset prepare",
        "reset done",
        "timeout",
    ]
    .iter()
    .any(|word| line.contains(word))
}

/// Runs the load generator in a thread, since a write to it returns only when it is done.
struct Load {
    ended: mpsc::Receiver<Result<()>>,
    before: Results,
}

impl Load {
    fn start(buffers: u64, seed: u64) -> Result<Self> {
        let before = ACOMP.results()?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let result = ACOMP.run(buffers, seed);
            // The receiver is gone if the load took too long.
            let _ = sender.send(result);
        });
        Ok(Load {
            ended: receiver,
            before,
        })
    }

    /// The results so far.
    fn results(&self) -> Result<Results> {
        Ok(ACOMP.results()? - self.before)
    }

    fn wait(&self, timeout: Duration) -> Result<Results> {
        match self.ended.recv_timeout(timeout) {
            Ok(result) => result.and_then(|()| self.results()),
            Err(RecvTimeoutError::Timeout) => bail!("the load is not done after {timeout:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the load ended without a result"),
        }
    }
}

/// The load went through the device, and nothing is wrong with it.
pub(crate) fn flawless(results: &Results, buffers: u64) -> Result<()> {
    expect::equal("buffers", results.buffers, buffers)?;
    ensure!(
        results.mismatches == 0 && results.errors == 0,
        "{results:?}"
    );
    let wanted = 2 * buffers;
    ensure!(
        results.hardware == wanted,
        "expected {wanted} requests done by the device, not by its fallback: {results:?}",
    );
    Ok(())
}

/// Requests a function has been sent by hisi_zip.
fn sent(function: &Function) -> Result<u64> {
    let path = format!("/sys/kernel/debug/hisi_zip/{function}/zip_dfx/send_cnt");
    sysfs::read(path)?
        .trim()
        .parse()
        .context("send_cnt is no number")
}

/// Resets a function when the device has a request, not when one is just being sent.
/// `hisi_qp_send()` counts a request only after its doorbell, and without a lock that
/// `hisi_qm_stop()` takes, which calls back what is counted: one in between never completes, and
/// its sender waits forever (weaknesses.rst).
fn reset_with_a_request_in_flight(function: &Function) -> Result<()> {
    let usual = ZIP0.get("latency-ns")?;
    ZIP0.set_latency(LATENCY)?;
    expect::eventually("a request to stay", Duration::from_secs(120), || {
        let done = ZIP0.counter("requests_done")?;
        std::thread::sleep(LATENCY / 10);
        Ok(ZIP0.counter("requests_in_flight")? > 0 && ZIP0.counter("requests_done")? == done)
    })?;
    function.reset()?;
    ZIP0.set("latency-ns", usual)
}

pub(crate) fn run(setup: &Setup, buffers: Option<u64>, report: &mut Report) -> Result<()> {
    let modules = host::modules(setup)?;
    // With two queues the PF is full as soon as one context is held. The load generator holds one
    // idle, so that the one it works with is on the VF.
    let pf = host::load_zip(&modules, "pf_q_num=2")?;
    report.point("the self-test passes", self_test_passed);
    pf.enable_vfs(1, true)?;
    let vf = pf.virtual_function(0)?;
    modules.load_with("crypto_check", "pass_over=1")?;
    let buffers = buffers.unwrap_or(BUFFERS);

    report.point(&format!("{buffers} buffers"), || {
        let results = Load::start(buffers, 1)?.wait(Duration::from_secs(600))?;
        flawless(&results, buffers)
    });
    control::note(format!("{:?}", ACOMP.results()?));
    report.point("the VF did them", || {
        let (by_pf, by_vf) = (sent(&pf)?, sent(&vf)?);
        let wanted = 2 * buffers;
        ensure!(
            by_vf >= wanted,
            "expected {wanted} requests or more, VF {by_vf}, PF {by_pf}"
        );
        Ok(())
    });

    // Each reset has to leave the functions able to go through the other one.
    for (name, function) in [("VF", &vf), ("PF", &pf), ("VF", &vf)] {
        let mut log = Log::follow()?;
        report.point(&format!("{name} reset under load"), || {
            let load = Load::start(buffers / 4, 2)?;
            expect::eventually("the load to begin", Duration::from_secs(120), || {
                Ok(load.results()?.buffers > 4)
            })?;
            reset_with_a_request_in_flight(function)?;
            let results = load.wait(Duration::from_secs(300))?;
            // A request that was under way may fail; it must not come back with wrong bytes.
            expect::equal("mismatches", results.mismatches, 0)?;
            // PF and VFs tell each other about a reset of the PF.
            let complaints = log.complaints()?;
            let about_reset: Vec<&String> = complaints
                .iter()
                .filter(|line| complains_about_reset(line))
                .collect();
            ensure!(
                about_reset.is_empty(),
                "the kernel complained: {about_reset:#?}"
            );
            Ok(())
        });
        control::note(format!("{:?}", ACOMP.results()?));
        report.point(&format!("{name} works after its reset"), || {
            let results = Load::start(20, 3)?.wait(Duration::from_secs(120))?;
            flawless(&results, 20)
        });
    }
    ZIP0.report_violations(report, true);
    Ok(())
}
