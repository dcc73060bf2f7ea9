// SPDX-License-Identifier: GPL-2.0

//! What a guest of the emulated host does: it has a VF, loads hisi_zip for it, and compresses,
//! restores and compares without pause until it is told to end. It knows nothing of migration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use timeline::Load;

use crate::Options;
use crate::control::{self, Report};
use crate::crypto_judge::ACOMP;
use crate::engine;
use crate::expect;
use crate::host;
use crate::sysfs::Function;

/// Requests at a time.
const WORKERS: usize = 4;
/// Buffers after which a worker gives its queues back and takes new ones.
const BUFFERS: u64 = 200;
/// Small ones, for many requests on an emulated CPU.
const MAX_LEN: usize = 16 << 10;
/// Between two reports.
const PERIOD: Duration = Duration::from_millis(50);
/// For what the workers have begun. A request that is not back by then is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// The workers, as others see them.
#[derive(Default)]
struct Workers {
    told_to_end: AtomicBool,
    ended: AtomicUsize,
}

impl Workers {
    fn start() -> Arc<Self> {
        let workers = Arc::new(Workers::default());
        for worker in 0..WORKERS {
            let workers = Arc::clone(&workers);
            std::thread::spawn(move || {
                let mut seed = worker as u64;
                while !workers.told_to_end.load(Ordering::Relaxed) {
                    if let Err(error) = ACOMP.run(BUFFERS, seed) {
                        // A worker without work is missed at the end.
                        println!("worker {worker}: {error:#}");
                        return;
                    }
                    seed += WORKERS as u64;
                }
                workers.ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        workers
    }

    fn at_work(&self) -> usize {
        WORKERS - self.ended.load(Ordering::Relaxed)
    }
}

fn load() -> Result<Load> {
    let results = ACOMP.results()?;
    Ok(Load {
        done: results.hardware,
        failed: results.errors,
        corrupted: results.mismatches,
        lost: 0,
    })
}

fn tell(load: &Load) -> Result<()> {
    control::line(&format!("@load {}", serde_json::to_string(load)?));
    Ok(())
}

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let modules = host::modules(options)?;
    for accelerator in engine::chosen(options)? {
        let module = accelerator.module;
        report.point(&format!("{module} has the VF"), || {
            host::load_driver(&modules, accelerator, "")?;
            let function = Function::find(host::HUAWEI, accelerator.vf)?;
            expect::equal("driver", function.driver().as_deref(), Some(module))
        });
        report.point(&format!("the self-tests of {module}"), || {
            host::end_of_self_tests(module)?;
            for (driver, result) in host::algorithms(module)? {
                ensure!(result == "passed", "{driver}: self-test {result}");
            }
            Ok(())
        });
    }
    modules.load_with("crypto_judge", &format!("max_len={MAX_LEN}"))?;

    let workers = Workers::start();
    std::thread::spawn({
        let workers = Arc::clone(&workers);
        move || match control::await_line() {
            Ok(_) => workers.told_to_end.store(true, Ordering::Relaxed),
            Err(error) => println!("no order will come: {error:#}"),
        }
    });
    while !workers.told_to_end.load(Ordering::Relaxed) {
        tell(&load()?)?;
        std::thread::sleep(PERIOD);
    }
    let ended = expect::eventually("the last requests", PATIENCE, || Ok(workers.at_work() == 0));
    let load = Load {
        lost: workers.at_work() as u64,
        ..load()?
    };
    tell(&load)?;
    report.point("every request came back, byte for byte", || {
        ended.context("a worker still waits for its request")?;
        ensure!(load.is_flawless(), "{load:?}");
        ensure!(load.done > 0, "the device has done nothing");
        Ok(())
    });
    Ok(())
}
