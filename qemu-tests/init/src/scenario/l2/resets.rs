// SPDX-License-Identifier: GPL-2.0

//! A guest's VF is reset over and over while QEMU pauses the guest, migrates it, cancels its
//! migration, or quits.
//!
//! QEMU does not know of a reset that it has not asked for. It must not end because of one: a
//! change of state that fails makes QEMU reset the VF itself, and if that fails, QEMU calls
//! `hw_error()`. The guest loses the requests that its VF had, and works on when it has reset its
//! VF.
//!
//! Parameters of the scenario:
//!
//! - `reset=`: names of [`ResetBy`], separated by commas;
//! - `against=`: names of [`AgainstReset`], separated by commas;
//! - `seconds=`: how long each pair of the two takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use control::{Report, ZIP0};
use fastrand::Rng;
use linux::sysfs::Function;
use monitor::{Ended, Guest, Limits, Role, Vmm};
use protocol::channel::Order;
use protocol::{AgainstReset, Driver, List, ResetBy, Setup};
use rustix::io::Errno;
use serde_json::json;
use vfio_client::Kind;
use vm::engine::ZIP;

use super::fixture::GuestFixture;
use super::migrate_under_load::{LATENCY, WITHIN};
use crate::expect;
use crate::host::Host;
use crate::scenario::topology::OtherVf;

/// The longest time between two resets of a VF that migrates, in milliseconds. Without any, no
/// migration would get past its beginning.
const GAP_MS: u64 = 400;
/// The longest time between two resets of the PF, in milliseconds. Without any, QEMU's own reset of
/// the VF, which waits for the end of the PF's, could wait for more than the five minutes in which
/// QMP must answer.
const PF_GAP_MS: u64 = 20_000;
/// The longest time from the beginning of a migration to `migrate_cancel`, in milliseconds.
const CANCEL_AFTER_MS: u64 = 1500;
/// The longest time from the beginning of the resets to `quit`, in milliseconds.
const QUIT_AFTER_MS: u64 = 300;

/// How long each pair of a reset and a command takes if nothing else is asked for, in seconds.
const SECONDS: u64 = 20;

/// The values that a list names, or all.
fn all_or<T: Copy>(list: Option<&List<T>>, all: &[T]) -> Vec<T> {
    list.map_or(all, |List(chosen)| chosen).to_vec()
}

pub(crate) fn run(
    setup: &Setup,
    resets: Option<&List<ResetBy>>,
    commands: Option<&List<AgainstReset>>,
    seconds: Option<u64>,
    report: &mut Report,
) -> Result<()> {
    let resets = all_or(resets, ResetBy::ALL);
    let commands = all_or(commands, AgainstReset::ALL);
    let duration = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let host = Host::prepare(setup, 2)?;
    let driver = host.driver;
    ZIP0.set_latency(LATENCY)?;
    if resets.contains(&ResetBy::Hot) {
        report.point("hot reset is refused, as it takes the PF along", || {
            is_refused_hot_reset(&host)
        });
    }
    let mut fixture = GuestFixture::new(host, Guest::new(vec![ZIP.kind])?)?;
    fixture.goes_on()?;
    let mut random = Rng::with_seed(1);
    for reset in &resets {
        if *reset == ResetBy::Hot {
            continue;
        }
        for command in &commands {
            let name = format!("reset by {reset} against {command}");
            report.point(&name, || {
                let result = fixture.withstands(*reset, *command, duration, &mut random);
                let result = result.with_context(|| fixture.sessions());
                if result.is_err() {
                    // The next pair needs a guest that works.
                    fixture.boots()?;
                }
                result
            });
        }
    }
    report.point("the guest begins anew, and nothing is left of it", || {
        fixture.guest.reboots(&mut fixture.vmm, WITHIN)?;
        fixture.guest.is_up(WITHIN)?;
        fixture.goes_on()
    });
    fixture.end(report);
    report.point("no violations but by doorbells of the guest", || {
        only_doorbells(driver)
    });
    Ok(())
}

/// The kernel switches bus mastering off before it resets a VF. A guest that rings a doorbell in
/// that moment makes the VF read a context in vain, which is no fault.
///
/// The C driver does not start a VF that was stopped for a migration that is then cancelled (D-16b
/// in `Documentation/weaknesses.rst`), so that the guest rings doorbells of a paused VF.
fn only_doorbells(driver: Driver) -> Result<()> {
    let allowed: &[&str] = match driver {
        Driver::Rust => &["dma-fault"],
        Driver::C => &["dma-fault", "dma-after-pause"],
    };
    let found = ZIP0.violations()?;
    control::show(format!("violations: {found:?}"));
    ensure!(
        found
            .iter()
            .all(|(kind, _)| allowed.contains(&kind.as_str())),
        "expected {allowed:?} alone, got {found:?}"
    );
    Ok(())
}

fn is_refused_hot_reset(host: &Host) -> Result<()> {
    let device = ZIP.vm(1)?.open(Kind::newest(), &host.vfs[0])?;
    expect::refused("hot reset", device.hot_reset(), Errno::INVAL)
}

/// Resets something over and over in a thread of its own, until [`Resets::end`].
struct Resets {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<u32>>,
}

impl Resets {
    /// Waits up to `gap_ms` milliseconds after each reset.
    fn start(gap_ms: u64, mut reset: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut random = Rng::with_seed(gap_ms);
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                reset()?;
                count += 1;
                std::thread::sleep(Duration::from_millis(random.u64(..=gap_ms)));
            }
            Ok(count)
        });
        Resets { over, thread }
    }

    /// Resets a function by its `reset` in sysfs.
    fn of(function: &Function, gap_ms: u64) -> Self {
        let function = function.clone();
        Self::start(gap_ms, move || function.reset())
    }

    /// Returns how many resets there were.
    fn end(self) -> Result<u32> {
        self.over.store(true, Ordering::Relaxed);
        let result = self.thread.join();
        result.map_err(|_| anyhow!("the thread that resets has panicked"))?
    }
}

impl GuestFixture {
    /// Boots the guest again where it was, whatever has become of its QEMU.
    fn boots(&mut self) -> Result<()> {
        self.vmm.kill()?;
        let boots = self.guest.boots();
        let vfs = std::slice::from_ref(self.vf());
        self.vmm = Vmm::start("again", Role::Boots, self.host.kind, vfs, &self.guest)?;
        self.guest.boots_again(boots, WITHIN)?;
        self.guest.is_up(WITHIN)?;
        self.goes_on()
    }

    /// Resets the guest's VF while QEMU gets one command after the other, for `duration`. QEMU
    /// lives afterwards, and the guest works on.
    fn withstands(
        &mut self,
        reset: ResetBy,
        command: AgainstReset,
        duration: Duration,
        random: &mut Rng,
    ) -> Result<()> {
        if reset == ResetBy::Guest {
            self.guest
                .obeys(&mut self.vmm, Order::KeepResetting, WITHIN)?;
        }
        let end = Instant::now() + duration;
        let (mut turns, mut resets) = (0, 0);
        while turns == 0 || Instant::now() < end {
            let (more_turns, more_resets) = match command {
                AgainstReset::Pause => self.pauses(reset, end)?,
                AgainstReset::Migrate => (1, self.migrates(reset, None, random)?),
                AgainstReset::Cancel => {
                    let after = Duration::from_millis(random.u64(..=CANCEL_AFTER_MS));
                    (1, self.migrates(reset, Some(after), random)?)
                }
                AgainstReset::Quit => (1, self.quits(reset, random)?),
            };
            turns += more_turns;
            resets += more_resets;
            if reset == ResetBy::Aer {
                break;
            }
        }
        control::show(format!("  {turns} turns, {resets} resets from outside"));
        match reset {
            ResetBy::Aer => self.works_after_system_reset(),
            ResetBy::Guest => {
                // Fails if it has not reset its VF once.
                self.guest
                    .obeys(&mut self.vmm, Order::EndResetting, WITHIN)?;
                self.works_after_reset().map(drop)
            }
            _ => {
                ensure!(resets > 0, "there was no reset");
                self.works_after_reset().map(drop)
            }
        }
    }

    /// Begins to reset `vf`, if the reset is one from outside of the guest.
    fn begin_resets(&self, reset: ResetBy, vf: usize, gap_ms: u64) -> Option<Resets> {
        match reset {
            ResetBy::Sysfs => Some(Resets::of(&self.host.vfs[vf], gap_ms)),
            ResetBy::Pf => Some(Resets::of(&self.host.pf, PF_GAP_MS)),
            ResetBy::Aer => Some(Resets::start(gap_ms, || ZIP0.bus_error("COMP_TIME"))),
            ResetBy::Guest | ResetBy::Hot => None,
        }
    }

    /// Pauses and continues the guest until `end`. Returns how often, and how many resets there
    /// were.
    fn pauses(&mut self, reset: ResetBy, end: Instant) -> Result<(u32, u32)> {
        // The other VF would keep the PF waiting.
        let other = &self.host.vfs[1 - self.place];
        let other_vf = match reset {
            ResetBy::Pf => Some(OtherVf::new(self.host.kind, other)?),
            _ => None,
        };
        let resets = self.begin_resets(reset, self.place, 0);
        let turns = self.pauses_until(reset, end);
        let resets = resets.map_or(Ok(0), Resets::end);
        drop(other_vf);
        Ok((turns?, resets?))
    }

    fn pauses_until(&mut self, reset: ResetBy, end: Instant) -> Result<u32> {
        let mut turns = 0;
        while Instant::now() < end {
            self.vmm.execute("stop", json!({}))?;
            let continued = self.vmm.execute("cont", json!({}));
            turns += 1;
            match continued {
                // QEMU has stopped the guest for good.
                Err(_) if reset == ResetBy::Aer && self.vmm.status()? == "internal-error" => break,
                continued => drop(continued?),
            }
        }
        Ok(turns)
    }

    /// Migrates the guest to the other VF, and cancels that after some time if it is given. Whether
    /// the guest gets there depends on the resets. Returns how many there were.
    fn migrates(
        &mut self,
        reset: ResetBy,
        cancel: Option<Duration>,
        random: &mut Rng,
    ) -> Result<u32> {
        let name = format!("resets{}", random.u32(..));
        // A VF that is being reset cannot be opened.
        let (place, mut other) = self.other_place(&name)?;
        let resets = [self.place, place].map(|vf| match (reset, vf) {
            (ResetBy::Sysfs, _) => self.begin_resets(reset, vf, GAP_MS),
            (_, vf) if vf == self.place => self.begin_resets(reset, vf, GAP_MS),
            _ => None,
        });
        let ended = self.migration_ends(&mut other, cancel);
        let resets: Result<Vec<u32>> = resets.into_iter().flatten().map(Resets::end).collect();
        let resets = resets?.iter().sum();
        match ended? {
            Ended::Completed(_) => {
                if reset != ResetBy::Aer {
                    monitor::go_on(&mut other, WITHIN)?;
                }
                self.takes_over(other, place)?;
            }
            _ => other.has_not_aborted()?,
        }
        if reset != ResetBy::Guest && reset != ResetBy::Aer {
            self.works_after_reset()?;
        }
        Ok(resets)
    }

    fn migration_ends(&mut self, other: &mut Vmm, cancel: Option<Duration>) -> Result<Ended> {
        monitor::begin(&mut self.vmm, other, Limits::GENEROUS)?;
        if let Some(after) = cancel {
            std::thread::sleep(after);
            self.vmm.execute("migrate_cancel", json!({}))?;
        }
        monitor::end(&mut self.vmm, WITHIN)
    }

    /// Quits QEMU while a guest boots with the other VF. Returns how many resets there were.
    fn quits(&mut self, reset: ResetBy, random: &mut Rng) -> Result<u32> {
        if reset == ResetBy::Guest {
            return self.quits_and_boots();
        }
        let place = 1 - self.place;
        let name = format!("quits{}", random.u32(..));
        let vfs = std::slice::from_ref(&self.host.vfs[place]);
        let mut vmm = Vmm::start(&name, Role::Boots, self.host.kind, vfs, &self.guest)?;
        vmm.reaches("running", WITHIN)?;
        let resets = self.begin_resets(reset, place, 0);
        std::thread::sleep(Duration::from_millis(random.u64(..=QUIT_AFTER_MS)));
        let quit = vmm.quit();
        let resets = resets.map_or(Ok(0), Resets::end);
        quit?;
        resets
    }

    /// Quits QEMU while its guest resets the VF, and boots the guest again.
    fn quits_and_boots(&mut self) -> Result<u32> {
        self.vmm.execute("quit", json!({}))?;
        self.vmm.wait(WITHIN)?;
        self.boots()?;
        self.guest
            .obeys(&mut self.vmm, Order::KeepResetting, WITHIN)?;
        Ok(0)
    }

    /// QEMU has stopped the guest because of an error on the bus. A reset of the whole guest lets
    /// it work again.
    fn works_after_system_reset(&mut self) -> Result<()> {
        self.vmm.reaches("internal-error", WITHIN)?;
        let boots = self.guest.boots();
        self.vmm.execute("system_reset", json!({}))?;
        self.vmm.reaches("prelaunch", WITHIN)?;
        self.vmm.execute("cont", json!({}))?;
        self.guest.boots_again(boots, WITHIN)?;
        self.guest.is_up(WITHIN)?;
        self.goes_on()
    }
}
