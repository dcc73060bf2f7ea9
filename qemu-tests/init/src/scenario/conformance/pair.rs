// SPDX-License-Identifier: GPL-2.0

//! Two VFs, each of a PF of its own, one with the C driver and one with ours. Both do the same.

use anyhow::{Context, Result, ensure};
use linux::sysfs;
use protocol::Setup;
use vfio_client::Kind;
use vm::engine::{Accelerator, HPRE, SEC, SMALL_ZIP, ZIP};
use vm::qm::Engine;

use super::differences::{Case, DIFFERENCES};
use super::driver_under_test::DriverUnderTest;
use super::history::History;
use super::observation::{Aspect, Observation};
use super::step::{Fault, Step};
use super::stream::Bases;
use crate::expect::equal;
use crate::host::{self, Driver};
use crate::scenario::support::stream_layout::{MATCH_SIZE, STREAM_SIZE};

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
pub(super) type DifferenceCounts = [u64; DIFFERENCES.len()];

pub(super) struct Pair {
    /// The two accelerators, as the runner calls them.
    ids: [&'static str; 2],
    c: DriverUnderTest,
    ours: DriverUnderTest,
    bases: Bases,
    history: History,
}

/// The machine's accelerators, of each kind two.
static ACCELERATORS: [Accelerators; 3] = [
    Accelerators {
        accelerator: &ZIP,
        engine: SMALL_ZIP,
        ids: ["zip0", "zip1"],
    },
    Accelerators {
        accelerator: &SEC,
        engine: SEC.engine,
        ids: ["sec0", "sec1"],
    },
    Accelerators {
        accelerator: &HPRE,
        engine: HPRE.engine,
        ids: ["hpre0", "hpre1"],
    },
];

struct Accelerators {
    accelerator: &'static Accelerator,
    /// The engine that the VMs use.
    engine: &'static dyn Engine,
    /// As the runner calls them.
    ids: [&'static str; 2],
}

/// One for each kind of accelerator.
pub(super) struct DriverPairs([Pair; ACCELERATORS.len()]);

impl DriverPairs {
    pub(super) fn new(setup: &Setup) -> Result<Self> {
        let kind = host::container_of(setup);
        let modules = host::modules(setup)?;
        for accelerators in &ACCELERATORS {
            host::load_driver(&modules, accelerators.accelerator, "")?;
            host::end_of_self_tests(accelerators.accelerator.module)?;
        }
        host::load_vfio(&modules)?;
        for driver in [Driver::C, Driver::Rust] {
            modules.load(host::module_of(driver))?;
        }
        let [zip, sec, hpre] = ACCELERATORS.each_ref().map(|accelerators| {
            Pair::new(kind, accelerators).context(accelerators.accelerator.name())
        });
        Ok(DriverPairs([zip?, sec?, hpre?]))
    }

    /// Those that the sequence with this number is for.
    pub(super) fn of(&mut self, sequence: u64) -> &mut Pair {
        // The last bit is the hardware's revision.
        &mut self.0[(sequence / 2 % ACCELERATORS.len() as u64) as usize]
    }
}

impl Pair {
    /// Those with these accelerators. All drivers are loaded.
    fn new(kind: Kind, accelerators: &Accelerators) -> Result<Self> {
        let pfs = host::pfs(accelerators.accelerator)?;
        ensure!(pfs.len() == 2, "{} accelerators instead of two", pfs.len());
        let mut c = DriverUnderTest::new(Driver::C, kind, &pfs[0], accelerators.engine)?;
        let mut ours = DriverUnderTest::new(Driver::Rust, kind, &pfs[1], accelerators.engine)?;
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
        Ok(Pair {
            ids: accelerators.ids,
            c,
            ours,
            bases: Bases {
                c_full,
                c_match,
                ours_full,
                ours_match,
            },
            history: History::default(),
        })
    }

    fn set_fault(&mut self, fault: Fault) -> Result<()> {
        if self.history.fault != fault {
            control::set_of_each(&self.ids, "fault", fault.text())?;
            self.history.fault = fault;
        }
        Ok(())
    }

    /// Runs a sequence from the state in which all is closed, and counts the listed differences.
    /// The first that is not listed ends it.
    pub(super) fn run(
        &mut self,
        steps: &[Step],
        counts: &mut DifferenceCounts,
    ) -> Result<Option<Unlisted>> {
        self.history = History {
            fault: self.history.fault,
            ..History::default()
        };
        let mut unlisted = None;
        for (number, step) in steps.iter().enumerate() {
            unlisted = self.step(number, step, counts)?;
            if unlisted.is_some() {
                break;
            }
        }
        self.clear_faults()?;
        if unlisted.is_none() {
            unlisted = self.step(steps.len(), &Step::Tables, counts)?;
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
        if std::mem::take(&mut self.history.table_stuck) {
            self.c.finish_table();
            self.ours.finish_table();
        }
        Ok(())
    }

    fn step(
        &mut self,
        number: usize,
        step: &Step,
        counts: &mut DifferenceCounts,
    ) -> Result<Option<Unlisted>> {
        if let Step::Fault(fault) = step {
            self.set_fault(*fault)?;
        }
        // A VM's driver waits for long if its device does not answer.
        let idle = matches!(step, Step::BringUp | Step::ShutDown | Step::Tables)
            && self.history.fault != Fault::None;
        // The PF's driver would not come through it.
        let idle = idle || *step == Step::ResetPf && self.history.fault != Fault::None;
        // The C driver would not come back from it.
        let idle = idle || self.history.is_endless(step);
        if idle {
            return Ok(None);
        }
        let c = self.c.run(step, &self.bases);
        let ours = self.ours.run(step, &self.bases);
        for one in [&c, &ours] {
            if let Some((seen, stuck)) = self.history.fault.stuck_in(one) {
                equal("a register that is stuck", seen, stuck)?;
            }
        }
        let mut apart = self.c.is_up() != self.ours.is_up();
        for aspect in c.differs(&ours) {
            let case = Case {
                history: &self.history,
                step,
                aspect,
                c: &c,
                ours: &ours,
            };
            let listed = DIFFERENCES.iter().position(|listed| (listed.covers)(&case));
            let Some(listed) = listed else {
                return Ok(Some(unlisted(number, step, aspect, &c, &ours)));
            };
            counts[listed] += 1;
            // A command that does not end keeps the mailbox of the one that has given it.
            apart |= aspect != Aspect::Answer
                || matches!(step, Step::SetState(_))
                || matches!(self.history.fault, Fault::MailboxTimeout(_));
        }
        self.history.learn(step, &c, &ours, &self.bases);
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
        self.history.opened();
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
