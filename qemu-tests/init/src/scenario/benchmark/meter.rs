// SPDX-License-Identifier: GPL-2.0

//! Meters: quantities by which a step can be measured.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use control::ZIP0;
use linux::sysfs::{self, TRACING};
use serde_json::Value;

/// A measurement under way. The quantities are reported by name, each with a median of its own.
pub(super) trait Meter: Sized {
    fn begin() -> Result<Self>;
    fn end(self) -> Result<Vec<(&'static str, u64)>>;
}

/// What the device has seen, and time. The host runs the machine with one nanosecond for each
/// instruction, so that time is instructions, plus what is waited.
pub(super) struct Accesses {
    before: Counts,
    start: Instant,
}

/// The device's counters so far.
struct Counts {
    reads: u64,
    writes: u64,
    doorbells: u64,
    mailbox: u64,
}

impl Counts {
    /// Sums over all functions: a driver may reach a VF through its PF.
    fn so_far() -> Result<Self> {
        let counters = ZIP0.get("counters")?;
        let functions = counters.as_object().context("counters is no object")?;
        let mut sum = Self {
            reads: 0,
            writes: 0,
            doorbells: 0,
            mailbox: 0,
        };
        for (_, function) in functions.iter().filter(|(name, _)| name.starts_with("fn")) {
            let number = |key: &str| function.get(key).and_then(Value::as_u64).unwrap_or(0);
            sum.reads += number("reads");
            sum.writes += number("writes");
            sum.doorbells += number("doorbells");
            let commands = function.get("mailbox").and_then(Value::as_object);
            let commands = commands.context("counters without mailbox")?;
            sum.mailbox += commands.values().filter_map(Value::as_u64).sum::<u64>();
        }
        Ok(sum)
    }
}

impl Meter for Accesses {
    fn begin() -> Result<Self> {
        Ok(Self {
            before: Counts::so_far()?,
            start: Instant::now(),
        })
    }

    fn end(self) -> Result<Vec<(&'static str, u64)>> {
        let time = u64::try_from(self.start.elapsed().as_nanos())?;
        let after = Counts::so_far()?;
        Ok(vec![
            ("reads", after.reads - self.before.reads),
            ("writes", after.writes - self.before.writes),
            ("doorbells", after.doorbells - self.before.doorbells),
            ("mailbox", after.mailbox - self.before.mailbox),
            ("time", time),
        ])
    }
}

/// The kernel's allocations for this process, by trace events.
pub(super) struct Allocations;

impl Allocations {
    const ALLOCATING: [&'static str; 2] = ["kmalloc", "kmem_cache_alloc"];
    const FREEING: [&'static str; 2] = ["kfree", "kmem_cache_free"];

    /// Gets the events ready.
    pub(super) fn prepare() -> Result<()> {
        control_file("tracing_on", "0")?;
        control_file("set_event_pid", &std::process::id().to_string())?;
        for event in Self::ALLOCATING.iter().chain(&Self::FREEING) {
            control_file(&format!("events/kmem/{event}/enable"), "1")?;
        }
        Ok(())
    }
}

fn control_file(name: &str, text: &str) -> Result<()> {
    sysfs::write(format!("{TRACING}/{name}"), text)
}

/// The value of `key` in a line of `key=value` words.
fn word<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    line.split_whitespace()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// What the lines of a trace say: how often was allocated, how many bytes, and how many of these
/// were not given back.
fn count(trace: &str) -> Result<(u64, u64, u64)> {
    let (mut times, mut bytes) = (0, 0);
    let mut alive = HashMap::new();
    for line in trace.lines().filter(|line| !line.starts_with('#')) {
        ensure!(!line.contains("LOST"), "the trace is not complete: {line}");
        let named = |names: &[&str]| {
            names
                .iter()
                .any(|name| line.contains(&format!(" {name}: ")))
        };
        let pointer = || word(line, "ptr").with_context(|| format!("no pointer: {line}"));
        if named(&Allocations::ALLOCATING) {
            let size = word(line, "bytes_alloc").and_then(|size| size.parse::<u64>().ok());
            let size = size.with_context(|| format!("no size: {line}"))?;
            times += 1;
            bytes += size;
            alive.insert(pointer()?, size);
        } else if named(&Allocations::FREEING) {
            alive.remove(pointer()?);
        }
    }
    Ok((times, bytes, alive.values().sum()))
}

impl Meter for Allocations {
    fn begin() -> Result<Self> {
        control_file("trace", "")?;
        control_file("tracing_on", "1")?;
        Ok(Self)
    }

    fn end(self) -> Result<Vec<(&'static str, u64)>> {
        control_file("tracing_on", "0")?;
        let (times, bytes, kept) = count(&sysfs::read(format!("{TRACING}/trace"))?)?;
        Ok(vec![
            ("allocations", times),
            ("bytes", bytes),
            ("kept", kept),
        ])
    }
}

/// All measurements, by step in the order in which they came.
#[derive(Default)]
pub(super) struct Steps {
    order: Vec<String>,
    costs: HashMap<String, BTreeMap<&'static str, Vec<u64>>>,
}

impl Steps {
    /// Measures `step`.
    pub(super) fn step<M: Meter, T>(
        &mut self,
        name: &str,
        step: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let meter = M::begin()?;
        let result = step().with_context(|| name.to_owned())?;
        self.add(name, meter.end()?);
        Ok(result)
    }

    /// Adds what was measured at a step.
    pub(super) fn add(&mut self, name: &str, cost: impl IntoIterator<Item = (&'static str, u64)>) {
        if !self.costs.contains_key(name) {
            self.order.push(name.to_owned());
        }
        let costs = self.costs.entry(name.to_owned()).or_default();
        for (quantity, value) in cost {
            costs.entry(quantity).or_default().push(value);
        }
    }

    /// Reports the median of each, as a line `<step> <quantity>=<number>..`.
    pub(super) fn tell(self) {
        let Self { order, mut costs } = self;
        for name in order {
            let mut line = name.clone();
            for (quantity, values) in costs.remove(&name).unwrap_or_default() {
                line += &format!(" {quantity}={}", median(values));
            }
            control::dump(line);
        }
    }
}

/// The middle one.
fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_counted_and_those_that_stay() {
        let trace = "# tracer: nop\n\
            init-1 [000] ..... 1.0: kmalloc: call_site=a+0x1/0x2 ptr=00000000aa bytes_req=248 bytes_alloc=256 gfp_flags=X\n\
            init-1 [000] ..... 1.1: kmem_cache_alloc: call_site=b ptr=00000000bb name=dentry bytes_req=192 bytes_alloc=192 gfp_flags=X\n\
            init-1 [000] ..... 1.2: kfree: call_site=c ptr=00000000aa\n\
            init-1 [000] ..... 1.3: kfree: call_site=c ptr=00000000cc\n";
        assert_eq!(count(trace).unwrap(), (2, 448, 192));
        assert!(count("CPU:0 [LOST 12 EVENTS]\n").is_err());
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(Vec::new()), 0);
    }
}
