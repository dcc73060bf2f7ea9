// SPDX-License-Identifier: GPL-2.0

//! The pages that a function has written are those that were written in its name.

mod common;

use std::collections::BTreeSet;

use common::Bench;
use common::Driver;
use kunpeng_accel::FunctionId;
use serde_json::Value;

/// What the device tells of a function.
fn told(bench: &Bench, function: FunctionId) -> BTreeSet<u64> {
    let object: Value = serde_json::from_str(&bench.device.written_pages().to_json()).unwrap();
    let runs = object[format!("fn{function}")].as_array().unwrap();
    let runs = runs
        .iter()
        .map(|run| [0, 1].map(|index| run[index].as_u64().unwrap()));
    runs.flat_map(|[first, count]| first..first + count)
        .collect()
}

#[test]
fn each_page_that_was_written_is_told_until_the_reset() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    for slot in 0..3 {
        driver.submit_small(&mut bench, 0, slot);
        bench.settle();
        driver.poll(&mut bench);
    }
    driver.assert_done(&bench, &[3]);
    let writes = bench.machine.writes.iter();
    let written: BTreeSet<u64> = writes
        .filter(|(function, ..)| *function == 1)
        .flat_map(|(_, address, length)| address >> 12..=(address + *length as u64 - 1) >> 12)
        .collect();
    assert!(written.contains(&(driver.output(0) >> 12)));
    assert_eq!(told(&bench, 1), written);
    assert!(told(&bench, 2).is_empty());
    bench.device.flr(&mut bench.machine, 1);
    assert!(told(&bench, 1).is_empty());
}
