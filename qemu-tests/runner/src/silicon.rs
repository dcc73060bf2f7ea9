// SPDX-License-Identifier: GPL-2.0

//! `make silicon`: migrations on hardware that differs from the model's default
//! (`Documentation/accel-model.rst`), with the C driver and with ours.
//!
//! Each point in which hardware may differ is tried alone. Those points with which the C driver
//! does what it does without are admissible, and are tried together, each two of them, in few sets.

mod covering;
mod table;

use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use kunpeng_accel::Silicon;
use protocol::{Driver, Engine, List, Scenario};

use crate::{Artifacts, Machine, Outcome};
pub use table::{Comparison, DEFAULT, Table, Verdict, Verdicts};

/// PCI revisions of hardware V3, V4 and V5.
const V3: u8 = 0x30;
const V4: u8 = 0x50;
const V5: u8 = 0x51;

/// Points that are about registers which older hardware does not have.
const LATER: [(&str, u8); 4] = [
    ("pf-reset-keeps-mig-region-sel", V4),
    ("message-paths-are-separate", V4),
    ("window-ends-in-next-vf", V4),
    ("flr-keeps-db-drop", V5),
];

/// Points that show something only together: an event is signalled by the doorbell at the end of a
/// save, or never.
const TOGETHER: &str =
    "pause-suppresses-events+paused-doorbell-interrupts+restore-tells-only-later-events";

/// What both drivers fail at, by hardware and load. `make test` lets ours fail at nothing else, and
/// `make silicon` compares it with what the C driver fails at.
///
/// A VF that was only paused is started without the doorbells of its event queues, so that an event
/// which PAUSE has suppressed is not signalled. The C driver does not start it at all.
pub const BOTH_FAIL: [(&str, &str); 6] = [
    ("pause-outlasts-driver-start", "without-driver"),
    ("pause-outlasts-driver-start", "new-owner"),
    ("pause-outlasts-driver-start", "paused-after-reset"),
    ("pause-outlasts-driver-start", "saved-after-reset"),
    ("pause-outlasts-driver-start", "cancelled-after-reset"),
    ("message-paths-are-separate", "message-as-v3"),
];

/// Room for names on the kernel's command line, which has 2048 bytes.
const ROOM: usize = 1400;

/// Where loads run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    pub engine: Engine,
    /// PCI revision.
    pub revision: u8,
    /// A guest under QEMU migrates, and not the test program's own VM.
    pub guest: bool,
}

/// All engines on V3 and V4, one on V5.
const TRIALS: [Trial; 7] = [
    Trial::of(Engine::Zip, V3),
    Trial::of(Engine::Sec, V3),
    Trial::of(Engine::Hpre, V3),
    Trial::of(Engine::Zip, V4),
    Trial::of(Engine::Sec, V4),
    Trial::of(Engine::Hpre, V4),
    Trial::of(Engine::Zip, V5),
];

const GUESTS: [Trial; 3] = [
    Trial::of(Engine::Zip, V3).guest(),
    Trial::of(Engine::Sec, V4).guest(),
    Trial::of(Engine::Hpre, V4).guest(),
];

impl Trial {
    /// The test program's own VM on hardware of that revision.
    pub const fn of(engine: Engine, revision: u8) -> Self {
        Self {
            engine,
            revision,
            guest: false,
        }
    }

    const fn guest(self) -> Self {
        Self {
            guest: true,
            ..self
        }
    }

    fn name(self) -> String {
        let version = match self.revision {
            V3 => "V3",
            V4 => "V4",
            _ => "V5",
        };
        let what = if self.guest { ", guest" } else { "" };
        format!("{} {version}{what}", self.engine)
    }

    /// The points that are about registers which this hardware has.
    fn points(self) -> impl Iterator<Item = String> {
        Silicon::all().names().filter(move |name| {
            LATER
                .iter()
                .all(|(later, since)| later != name || *since <= self.revision)
        })
    }

    /// Hardware without any point, with each point alone, and with those that need one another.
    pub fn hardware(self) -> Vec<String> {
        std::iter::once(DEFAULT.to_owned())
            .chain(self.points())
            .chain([TOGETHER.to_owned()])
            .collect()
    }

    /// What comes of all loads with a driver on that hardware. A load may end a machine; then
    /// another one goes on with the hardware after it.
    pub fn run(
        self,
        artifacts: &Artifacts,
        driver: Driver,
        hardware: &[String],
    ) -> Result<Verdicts> {
        let mut verdicts = Verdicts::new();
        let mut left = hardware;
        while !left.is_empty() {
            let mut room = ROOM;
            let fits = left.iter().take_while(|name| {
                room = room.saturating_sub(name.len() + 1);
                room > 0
            });
            let now = &left[..fits.count().max(1)];
            let outcome = self.machine(artifacts, driver, hardware.len() - left.len(), now)?;
            let before = verdicts.len();
            for line in &outcome.dump {
                let (key, verdict) = parse(line).with_context(|| line.clone())?;
                verdicts.insert(key, verdict);
            }
            let is_there = |name: &String| verdicts.keys().any(|(known, _)| known == name);
            let done = now.iter().take_while(|name| is_there(name)).count();
            if outcome.ended && done == now.len() && driver.is_rust() {
                outcome.expect_passed()?;
            }
            if !outcome.ended {
                // The machine hangs in a load that did not come to its end.
                let hangs = now.get(done.saturating_sub(1)).context("no hardware")?;
                let key = (hangs.clone(), "machine".to_owned());
                verdicts.insert(key, Some("the machine stopped".to_owned()));
            }
            ensure!(
                verdicts.len() > before,
                "nothing was tried: {}",
                outcome.problems()?.join("; ")
            );
            left = &left[done.max(1)..];
        }
        Ok(verdicts)
    }

    fn machine(
        self,
        artifacts: &Artifacts,
        driver: Driver,
        number: usize,
        hardware: &[String],
    ) -> Result<Outcome> {
        let silicon = List(hardware.to_vec());
        let scenario = match self.guest {
            true => Scenario::SiliconGuest { silicon },
            false => Scenario::Silicon { silicon },
        };
        let machine = Machine::new(scenario)
            .engines([self.engine])
            .revision(self.revision)
            .driver(driver)
            .labelled(&format!("{number}"));
        let count = hardware.len() as u64;
        let machine = if self.guest {
            machine.hypervisor().within(600 + 240 * count)
        } else {
            machine.within(120 + 120 * count)
        };
        machine.run(artifacts, |line| println!("{line}"))
    }
}

/// `silicon <hardware> <load> ok`, or `failed: <reason>` instead of `ok`.
fn parse(line: &str) -> Option<((String, String), Verdict)> {
    let rest = line.strip_prefix("silicon ")?;
    let (hardware, rest) = rest.split_once(' ')?;
    let (load, told) = rest.split_once(' ')?;
    let verdict = match told {
        "ok" => None,
        _ => Some(told.strip_prefix("failed: ")?.to_owned()),
    };
    Some(((hardware.to_owned(), load.to_owned()), verdict))
}

/// Runs trials with both drivers, two machines at a time.
fn compare(
    artifacts: &Artifacts,
    trials: &[Trial],
    hardware: impl Fn(Trial) -> Vec<String> + Sync,
) -> Result<Vec<Comparison>> {
    let drivers = [Driver::C, Driver::Rust];
    let runs = trials
        .iter()
        .flat_map(|trial| drivers.map(|driver| (*trial, driver)));
    let runs = Mutex::new(runs.collect::<Vec<_>>().into_iter());
    let next = || runs.lock().ok()?.next();
    let results = std::thread::scope(|scope| {
        let workers = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut results = Vec::new();
                while let Some((trial, driver)) = next() {
                    let verdicts = trial.run(artifacts, driver, &hardware(trial));
                    println!("{}, {driver}: done", trial.name());
                    results.push((trial, driver, verdicts));
                }
                results
            })
        });
        workers.map(|worker| worker.join())
    });
    let mut all = Vec::new();
    for results in results {
        let Ok(results) = results else {
            bail!("a thread panicked");
        };
        all.extend(results);
    }
    let mut comparisons = Vec::new();
    for trial in trials {
        let mut both = drivers.map(|_| Verdicts::new());
        for (known, driver, verdicts) in &mut all {
            if known == trial {
                let verdicts = std::mem::replace(verdicts, Ok(Verdicts::new()));
                let name = trial.name();
                let index = usize::from(driver.is_rust());
                both[index] = verdicts.with_context(|| format!("{name}, {driver}"))?;
            }
        }
        let [c, rust] = both;
        comparisons.push(Comparison {
            trial: trial.name(),
            c,
            rust,
        });
    }
    Ok(comparisons)
}

/// The wanted part of all trials.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Also guests under QEMU, which takes hours.
    pub guests: bool,
    /// Each point alone, and none together.
    pub singles: bool,
    /// The name of the only trial, such as `zip V3`.
    pub on: Option<String>,
    /// The wanted hardware besides the default; all if there is none here.
    pub hardware: Vec<String>,
}

impl Wanted {
    fn among(&self, trials: &[Trial]) -> Vec<Trial> {
        let wanted = |trial: &&Trial| self.on.as_ref().is_none_or(|on| *on == trial.name());
        trials.iter().filter(wanted).copied().collect()
    }

    fn hardware_of(&self, trial: Trial) -> Vec<String> {
        let mut all = trial.hardware();
        all.retain(|name| {
            self.hardware.is_empty() || name == DEFAULT || self.hardware.contains(name)
        });
        all
    }
}

/// Tries hardware with both drivers.
pub fn run(artifacts: &Artifacts, wanted: &Wanted) -> Result<Table> {
    let trials = wanted.among(&TRIALS);
    let guests = match wanted.guests {
        true => wanted.among(&GUESTS),
        false => Vec::new(),
    };
    ensure!(
        !(trials.is_empty() && guests.is_empty()),
        "there is no {}",
        wanted.on.as_deref().unwrap_or("trial")
    );
    let hardware = |trial: Trial| wanted.hardware_of(trial);
    let singles = compare(artifacts, &trials, hardware)?;
    let rows = |trial: Trial| {
        let of_trial = singles.iter().find(|one| one.trial == trial.name());
        let admissible = |name: &String| of_trial.is_some_and(|one| one.is_admissible(name));
        let names: Vec<String> = trial.points().filter(admissible).collect();
        let row = |set: u32| {
            let members = names.iter().enumerate();
            let members = members.filter(|(bit, _)| set >> bit & 1 != 0);
            let members = members.map(|(_, name)| name.as_str());
            members.collect::<Vec<_>>().join("+")
        };
        // What comes of the default is what a row is compared with.
        std::iter::once(DEFAULT.to_owned())
            .chain(covering::pairs(names.len()).into_iter().map(row))
            .collect()
    };
    let paired = match wanted.singles {
        true => Vec::new(),
        false => compare(artifacts, &trials, rows)?,
    };
    let mut all = singles;
    all.extend(paired);
    all.extend(compare(artifacts, &guests, hardware)?);
    Ok(Table(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read() {
        let key = |hardware: &str, load: &str| (hardware.to_owned(), load.to_owned());
        assert_eq!(
            parse("silicon a+b at-work ok"),
            Some((key("a+b", "at-work"), None))
        );
        assert_eq!(
            parse("silicon default paused failed: 1 of 9: x"),
            Some((key("default", "paused"), Some("1 of 9: x".to_owned())))
        );
        assert_eq!(parse("silicon default paused maybe"), None);
    }

    #[test]
    fn points_are_those_of_the_hardware() {
        let count = Silicon::all().names().count();
        for (revision, missing) in [(V3, 4), (V4, 1), (V5, 0)] {
            let points = Trial::of(Engine::Zip, revision).points();
            assert_eq!(points.count(), count - missing);
        }
        let named = LATER.iter().map(|(name, _)| name);
        for name in named.chain(BOTH_FAIL.iter().map(|(name, _)| name)) {
            let text = name.replace('+', ";").replace(DEFAULT, "");
            assert!(Silicon::parse(&text).is_ok(), "{name}");
        }
    }
}
