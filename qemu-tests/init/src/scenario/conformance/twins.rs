// SPDX-License-Identifier: GPL-2.0

//! Two VFs, each of a PF of its own, one with the C driver and one with ours. Both do the same.

use anyhow::{Context, Result, ensure};

use super::differences::{Case, DIFFERENCES};
use super::observation::{Aspect, Observation};
use super::past::Past;
use super::side::Side;
use super::step::{Fault, Step};
use super::stream::Bases;
use crate::Options;
use crate::control;
use crate::engine::{Accelerator, Engine, HPRE, SEC, SMALL_ZIP, ZIP};
use crate::expect::equal;
use crate::host::{self, Driver};
use crate::scenario::transfer::{MATCH_SIZE, STREAM_SIZE};
use crate::sysfs;
use crate::vfio::Kind;

/// The taint of a kernel that has complained: an oops, or a warning.
const COMPLAINED: u64 = 1 << 7 | 1 << 9;

/// A difference that is not listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unlisted {
    /// The step after which it was seen, from 0.
    pub(super) step: usize,
    pub(super) kind: std::mem::Discriminant<Step>,
    pub(super) aspect: Aspect,
    pub(super) c: String,
    pub(super) ours: String,
}

impl Unlisted {
    /// Whether another sequence shows the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind && self.aspect == other.aspect
    }
}

/// How often each listed difference was met.
pub(super) type Met = [u64; DIFFERENCES.len()];

pub(super) struct Twins {
    /// The two accelerators, as the test host calls them.
    ids: [&'static str; 2],
    c: Side,
    ours: Side,
    bases: Bases,
    past: Past,
}

/// The machine's accelerators, of each kind two.
static PAIRS: [Pair; 3] = [
    Pair {
        accelerator: &ZIP,
        engine: SMALL_ZIP,
        ids: ["zip0", "zip1"],
    },
    Pair {
        accelerator: &SEC,
        engine: SEC.engine,
        ids: ["sec0", "sec1"],
    },
    Pair {
        accelerator: &HPRE,
        engine: HPRE.engine,
        ids: ["hpre0", "hpre1"],
    },
];

struct Pair {
    accelerator: &'static Accelerator,
    /// What the VMs have it do.
    engine: &'static dyn Engine,
    /// As the test host calls them.
    ids: [&'static str; 2],
}

/// Twins for each kind of accelerator.
pub(super) struct AllTwins([Twins; PAIRS.len()]);

impl AllTwins {
    pub(super) fn new(options: &Options) -> Result<Self> {
        let kind = Kind::chosen(options)?;
        let modules = host::modules(options)?;
        for pair in &PAIRS {
            host::load_driver(&modules, pair.accelerator, "")?;
            host::end_of_self_tests(pair.accelerator.module)?;
        }
        host::load_vfio(&modules)?;
        for driver in [Driver::C, Driver::Rust] {
            modules.load(driver.module())?;
        }
        let [zip, sec, hpre] = PAIRS
            .each_ref()
            .map(|pair| Twins::new(kind, pair).context(pair.accelerator.name));
        Ok(AllTwins([zip?, sec?, hpre?]))
    }

    /// Those that the sequence with this number is for.
    pub(super) fn of(&mut self, sequence: u64) -> &mut Twins {
        // The last bit is the hardware's revision.
        &mut self.0[(sequence / 2 % PAIRS.len() as u64) as usize]
    }
}

impl Twins {
    /// Those with these accelerators. All drivers are loaded.
    fn new(kind: Kind, pair: &Pair) -> Result<Self> {
        let pfs = host::pfs(pair.accelerator)?;
        ensure!(pfs.len() == 2, "{} accelerators instead of two", pfs.len());
        let mut c = Side::new(Driver::C, kind, &pfs[0], pair.engine)?;
        let mut ours = Side::new(Driver::Rust, kind, &pfs[1], pair.engine)?;
        for side in [&mut c, &mut ours] {
            side.try_out()?;
        }
        let (c_match, c_full) = c.streams().context("streams of the C driver")?;
        let (ours_match, ours_full) = ours.streams().context("streams of our driver")?;
        for (stream, size) in [
            (&c_match, MATCH_SIZE),
            (&c_full, STREAM_SIZE),
            (&ours_match, MATCH_SIZE),
            (&ours_full, STREAM_SIZE),
        ] {
            equal("size of a stream", stream.len(), size)?;
        }
        Ok(Twins {
            ids: pair.ids,
            c,
            ours,
            bases: Bases {
                c_full,
                c_match,
                ours_full,
                ours_match,
            },
            past: Past::default(),
        })
    }

    fn set_fault(&mut self, fault: Fault) -> Result<()> {
        if self.past.fault != fault {
            control::set_of_each(&self.ids, "fault", fault.text())?;
            self.past.fault = fault;
        }
        Ok(())
    }

    /// Runs a sequence from the state in which all is closed, and counts the listed differences.
    /// The first that is not listed ends it.
    pub(super) fn run(&mut self, steps: &[Step], met: &mut Met) -> Result<Option<Unlisted>> {
        self.past = Past {
            fault: self.past.fault,
            ..Past::default()
        };
        let mut unlisted = None;
        for (number, step) in steps.iter().enumerate() {
            unlisted = self.step(number, step, met)?;
            if unlisted.is_some() {
                break;
            }
        }
        self.clear_faults()?;
        if unlisted.is_none() {
            unlisted = self.step(steps.len(), &Step::Tables, met)?;
        }
        for side in [&mut self.c, &mut self.ours] {
            side.reopen()?;
            side.close_all();
        }
        let taint: u64 = sysfs::read("/proc/sys/kernel/tainted")?.trim().parse()?;
        ensure!(taint & COMPLAINED == 0, "the kernel complains: {taint:#x}");
        Ok(unlisted)
    }

    /// Takes faults back, and what they have left in the PF.
    fn clear_faults(&mut self) -> Result<()> {
        self.set_fault(Fault::None)?;
        if std::mem::take(&mut self.past.table_stuck) {
            self.c.finish_table();
            self.ours.finish_table();
        }
        Ok(())
    }

    fn step(&mut self, number: usize, step: &Step, met: &mut Met) -> Result<Option<Unlisted>> {
        if let Step::Fault(fault) = step {
            self.set_fault(*fault)?;
        }
        // A VM's driver waits for long if its device does not answer.
        let idle = matches!(step, Step::BringUp | Step::ShutDown | Step::Tables)
            && self.past.fault != Fault::None;
        // The PF's driver would not come through it.
        let idle = idle || *step == Step::ResetPf && self.past.fault != Fault::None;
        // The C driver would not come back from it.
        let idle = idle || self.past.is_endless(step);
        if idle {
            return Ok(None);
        }
        let c = self.c.run(step, &self.bases);
        let ours = self.ours.run(step, &self.bases);
        for one in [&c, &ours] {
            if let Some((seen, stuck)) = self.past.fault.stuck_in(one) {
                equal("a register that is stuck", seen, stuck)?;
            }
        }
        let mut apart = self.c.is_up() != self.ours.is_up();
        for aspect in c.differs(&ours) {
            let case = Case {
                past: &self.past,
                step,
                aspect,
                c: &c,
                ours: &ours,
            };
            let listed = DIFFERENCES.iter().position(|listed| (listed.covers)(&case));
            let Some(listed) = listed else {
                return Ok(Some(unlisted(number, step, aspect, &c, &ours)));
            };
            met[listed] += 1;
            // A command that does not end keeps the mailbox of the one that has given it.
            apart |= aspect != Aspect::Answer
                || matches!(step, Step::SetState(_))
                || matches!(self.past.fault, Fault::MailboxTimeout(_));
        }
        self.past.learn(step, &c, &ours, &self.bases);
        if apart {
            self.bring_together()?;
        }
        Ok(None)
    }

    /// The devices are no more in the same state: both are opened anew, so that the rest of the
    /// sequence can be compared.
    fn bring_together(&mut self) -> Result<()> {
        self.clear_faults()?;
        self.c.reopen()?;
        self.ours.reopen()?;
        self.past.opened();
        Ok(())
    }
}

fn unlisted(
    step: usize,
    what: &Step,
    aspect: Aspect,
    c: &Observation,
    ours: &Observation,
) -> Unlisted {
    let show = |one: &Observation| match aspect {
        Aspect::Answer => one.show(aspect),
        _ => format!("{} after {}", one.show(aspect), one.show(Aspect::Answer)),
    };
    Unlisted {
        step,
        kind: std::mem::discriminant(what),
        aspect,
        c: show(c),
        ours: show(ours),
    }
}
