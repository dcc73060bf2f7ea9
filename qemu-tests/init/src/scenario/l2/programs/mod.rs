// SPDX-License-Identifier: GPL-2.0

//! Users of the kernel's crypto in a guest with Debian's kernel, from Debian and unmodified, that
//! keep the VFs at work: dm-crypt and IPsec with SEC's, zswap with ZIP's. Each has a program
//! that runs over and over, and whose runs must all succeed.
//!
//! How much of it the VFs have done is known from the counts of their drivers, which do not count
//! what falls back to software.

mod counts;
mod dm_crypt;
mod ipsec;
mod priority;
mod zswap;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Display;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::Report;
use protocol::{Engine, Load, Loads};
use vm::engine::Accelerator;

use self::counts::Counts;
use crate::expect;
use crate::modules::Modules;

/// For the last run of each program.
const PATIENCE: Duration = Duration::from_secs(300);

/// A user of the kernel's crypto.
trait User: Send + Sync {
    /// Runs its program once. All that the program finds wrong is an error.
    fn run(&self) -> Result<()>;

    /// How many requests the accelerator has had of it, if none fell back to software.
    fn requests(&self) -> Result<u64>;
}

/// Makes a user ready; it uses the VF from then on.
type Setup = fn(&Modules) -> Result<Box<dyn User>>;

/// The users of an accelerator, by name.
fn of(accelerator: &Accelerator) -> &'static [(&'static str, Setup)] {
    match accelerator.kind {
        Engine::Sec => &[("dm-crypt", dm_crypt::set_up), ("ipsec", ipsec::set_up)],
        Engine::Zip => &[("zswap", zswap::set_up)],
        Engine::Hpre => &[],
    }
}

/// A user at work.
struct Running {
    name: &'static str,
    accelerator: &'static Accelerator,
    user: Arc<dyn User>,
    failed: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(
        (name, accelerator, user): (&'static str, &'static Accelerator, Box<dyn User>),
        told_to_end: Arc<AtomicBool>,
    ) -> Self {
        let user: Arc<dyn User> = user.into();
        let failed = Arc::new(AtomicU64::new(0));
        let (running, failures) = (Arc::clone(&user), Arc::clone(&failed));
        let thread = std::thread::spawn(move || {
            while !told_to_end.load(Ordering::Relaxed) {
                if let Err(error) = running.run() {
                    println!("{name}: {error:#}");
                    failures.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        });
        Running {
            name,
            accelerator,
            user,
            failed,
            thread,
        }
    }

    fn load(&self) -> Result<Load> {
        Ok(Load {
            done: self.user.requests().context(self.name)?,
            failed: self.failed.load(Ordering::Relaxed),
            ..Load::default()
        })
    }
}

/// All users at work.
pub(super) struct Programs {
    told_to_end: Arc<AtomicBool>,
    running: Vec<Running>,
    /// Of each accelerator, its driver's counts before the work began.
    before: BTreeMap<&'static str, Counts>,
}

impl Programs {
    /// Starts the users of these accelerators, whose drivers are loaded. None if a user cannot be
    /// made ready.
    pub(super) fn start(
        modules: &Modules,
        accelerators: &[&'static Accelerator],
        report: &mut Report,
    ) -> Option<Self> {
        let mut programs = Programs {
            told_to_end: Arc::default(),
            running: Vec::new(),
            before: BTreeMap::new(),
        };
        let mut ready = Vec::new();
        for accelerator in accelerators {
            for (name, set_up) in of(accelerator) {
                report.point(&format!("{name} has its work done by the VF"), || {
                    let before = Counts::of(accelerator)?;
                    let user = set_up(modules)?;
                    user.run()?;
                    all_by_vf(
                        Counts::of(accelerator)?.since(&before).done,
                        user.requests()?,
                    )?;
                    programs.before.entry(accelerator.name()).or_insert(before);
                    ready.push((*name, *accelerator, user));
                    Ok(())
                });
            }
        }
        let wanted: usize = accelerators.iter().map(|one| of(one).len()).sum();
        if ready.len() < wanted {
            return None;
        }
        let start = |user| Running::start(user, Arc::clone(&programs.told_to_end));
        programs.running = ready.into_iter().map(start).collect();
        Some(programs)
    }

    /// The users of an accelerator.
    fn users(&self, accelerator: &str) -> impl Iterator<Item = &Running> {
        let name = accelerator.to_owned();
        let running = self.running.iter();
        running.filter(move |running| running.accelerator.name() == name)
    }

    /// How far the work is: of each accelerator by its driver's counts, and of each user.
    pub(super) fn loads(&self) -> Result<Loads> {
        let mut loads = Loads::new();
        for running in &self.running {
            loads.insert(running.name.to_owned(), running.load()?);
        }
        for running in &self.running {
            let accelerator = running.accelerator;
            let before = self.before.get(accelerator.name());
            let before = before.context("an accelerator without counts")?;
            let mut load = Counts::of(accelerator)?.since(before);
            for user in self.users(accelerator.name()) {
                load.failed += user.failed.load(Ordering::Relaxed);
            }
            loads.insert(accelerator.name().to_owned(), load);
        }
        Ok(loads)
    }

    /// Lets the programs end, and compares what they have asked for with what the VFs have done.
    pub(super) fn end(self, report: &mut Report) -> Result<Loads> {
        self.told_to_end.store(true, Ordering::Relaxed);
        let at_work = || self.running.iter().any(|one| !one.thread.is_finished());
        // A program that does not end has lost a request.
        let _ = expect::eventually("the last runs", PATIENCE, || Ok(!at_work()));
        let mut loads = self.loads()?;
        for running in &self.running {
            if !running.thread.is_finished() {
                let load = loads.entry(running.name.to_owned()).or_default();
                load.lost += 1;
            }
        }
        for accelerator in self.before.keys() {
            let point = format!("{accelerator}: nothing fell back to software");
            report.point(&point, || {
                let done = loads.get(*accelerator).context("no counts")?.done;
                let users = self.users(accelerator).map(|one| one.user.requests());
                let wanted: u64 = users.sum::<Result<u64>>()?;
                all_by_vf(done, wanted)
            });
        }
        Ok(loads)
    }
}

/// Each request of users was done by the VF, and none fell back to software.
fn all_by_vf(done: u64, requests: u64) -> Result<()> {
    println!("{requests} requests, of which the VF has done {done}");
    ensure!(requests > 0, "there was no request");
    expect::equal("requests that the VF has done", done, requests)
}

/// Runs a program that has to succeed.
fn run<W: AsRef<OsStr> + Display>(words: &[W]) -> Result<()> {
    let (program, arguments) = words.split_first().context("no program")?;
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/bin")
        // There is no udev, so the library makes the device files.
        .env("DM_DISABLE_UDEV", "1")
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    let said = [output.stdout, output.stderr].concat();
    let words: Vec<String> = words.iter().map(W::to_string).collect();
    ensure!(
        output.status.success(),
        "{}: {}: {}",
        words.join(" "),
        output.status,
        String::from_utf8_lossy(&said)
    );
    Ok(())
}
