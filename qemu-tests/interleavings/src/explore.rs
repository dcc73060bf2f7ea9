// SPDX-License-Identifier: GPL-2.0

//! Runs a test in every interleaving.

use kernel::{sync, trace};
use loom::{model::Builder, thread};
use std::{
    panic::{catch_unwind, resume_unwind, AssertUnwindSafe},
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
};

/// The number of preemptions that an execution may have: how often a thread that could continue is
/// interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preemptions {
    /// Any number: everything is explored.
    Any,
    /// At most this number.
    AtMost(usize),
}

/// Runs `test` in every interleaving within the bound.
///
/// If one fails, prints a failing one with the fewest preemptions, step by step, and panics.
pub fn every_interleaving(preemptions: Preemptions, test: impl Fn() + Send + Sync + 'static) {
    let test = Arc::new(test);
    let few = match preemptions {
        Preemptions::Any => 3,
        Preemptions::AtMost(most) => most.min(3),
    };
    let bounds = (0..few).map(Some).chain([match preemptions {
        Preemptions::Any => None,
        Preemptions::AtMost(most) => Some(most),
    }]);
    for bound in bounds {
        let executions = Arc::new(AtomicUsize::new(0));
        if let Err(failure) = explore(bound, executions.clone(), test.clone()) {
            trace::enable(true);
            let _ = explore(bound, executions.clone(), test.clone());
            println!("a failing execution with the fewest preemptions ({bound:?}):");
            for (number, step) in trace::take().iter().enumerate() {
                println!("{:3}. {step}", number + 1);
            }
            resume_unwind(failure);
        }
        let executions = executions.load(Ordering::Relaxed);
        println!("preemptions {bound:?}: {executions} executions");
    }
}

fn explore(
    bound: Option<usize>,
    executions: Arc<AtomicUsize>,
    test: Arc<impl Fn() + Send + Sync + 'static>,
) -> std::thread::Result<()> {
    catch_unwind(AssertUnwindSafe(|| {
        let mut builder = Builder::new();
        builder.preemption_bound = bound;
        builder.max_branches = 10_000;
        builder.check(move || {
            executions.fetch_add(1, Ordering::Relaxed);
            trace::begin();
            sync::prepare();
            test();
            assert!(!sync::watch::raced(), "accesses to memory are not ordered");
        });
    }))
}

/// Creates a thread of the test, with a name for its steps.
pub fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    trace::setup_ends();
    let thread = thread::Builder::new().name(name.into()).spawn(run);
    thread.expect("the model has room for the thread")
}
