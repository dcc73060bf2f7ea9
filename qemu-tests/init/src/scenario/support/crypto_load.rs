// SPDX-License-Identifier: GPL-2.0

//! Keeps a guest's accelerators at work: the kernel sends requests to each without pause, and
//! compares the results with those of software.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use protocol::{Load, Loads};
use vm::engine::Accelerator;

use crate::crypto_check::{self, Check, Results};
use crate::expect;

/// Requests at a time, of each accelerator.
const WORKERS: usize = 4;
/// Buffers after which a worker gives its queues back and takes new ones.
const BUFFERS: u64 = 40;
/// For what the workers have begun. A request that is not back by then is lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// Results so far, of an accelerator's workers that have ended and of those that have not.
fn load(accelerator: &Accelerator) -> Result<Load> {
    let checks = crypto_check::of(accelerator).iter();
    let results: Result<Vec<Results>> = checks.map(|check| check.results()).collect();
    let results: Results = results?.into_iter().sum();
    Ok(Load {
        done: results.hardware,
        failed: results.errors,
        corrupted: results.mismatches,
        lost: 0,
    })
}

/// How far the work of accelerators is, of all workers.
pub(crate) fn loads(accelerators: &[&Accelerator]) -> Result<Loads> {
    let of = |one: &&Accelerator| Ok((one.name().to_owned(), load(one)?));
    accelerators.iter().map(of).collect()
}

/// Those of one accelerator.
struct Crew {
    accelerator: &'static Accelerator,
    ended: Arc<AtomicUsize>,
}

impl Crew {
    fn at_work(&self) -> usize {
        WORKERS - self.ended.load(Ordering::Relaxed)
    }
}

/// The workers of all accelerators.
pub(crate) struct Workers {
    told_to_end: Arc<AtomicBool>,
    crews: Vec<Crew>,
}

impl Workers {
    pub(crate) fn start(accelerators: &[&'static Accelerator]) -> Self {
        let told_to_end = Arc::new(AtomicBool::new(false));
        let start = |accelerator: &&'static Accelerator| {
            let ended = Arc::new(AtomicUsize::new(0));
            // Each kind of algorithm has its share of them.
            for (number, check) in crypto_check::of(accelerator)
                .iter()
                .cycle()
                .take(WORKERS)
                .enumerate()
            {
                let (told, ended) = (Arc::clone(&told_to_end), Arc::clone(&ended));
                let name = format!("{}, worker {number}", accelerator.name());
                std::thread::spawn(move || match work(*check, number, &told) {
                    Ok(()) => drop(ended.fetch_add(1, Ordering::Relaxed)),
                    // A worker without work is missed at the end.
                    Err(error) => println!("{name}: {error:#}"),
                });
            }
            Crew { accelerator, ended }
        };
        Workers {
            crews: accelerators.iter().map(start).collect(),
            told_to_end,
        }
    }

    /// Lets the workers end what they have begun. In the results, each worker that has not ended
    /// has lost a request.
    pub(crate) fn end(self) -> Result<Loads> {
        self.told_to_end.store(true, Ordering::Relaxed);
        let at_work = || self.crews.iter().map(Crew::at_work).sum::<usize>();
        // Workers that do not end are counted.
        let _ = expect::eventually("the last requests", PATIENCE, || Ok(at_work() == 0));
        let of_crew = |crew: &Crew| {
            let lost = crew.at_work() as u64;
            let load = load(crew.accelerator).context("what the workers have done")?;
            Ok((crew.accelerator.name().to_owned(), Load { lost, ..load }))
        };
        self.crews.iter().map(of_crew).collect()
    }
}

fn work(check: Check, number: usize, told_to_end: &AtomicBool) -> Result<()> {
    let mut seed = number as u64;
    while !told_to_end.load(Ordering::Relaxed) {
        check.run(BUFFERS, seed)?;
        seed += WORKERS as u64;
    }
    Ok(())
}
