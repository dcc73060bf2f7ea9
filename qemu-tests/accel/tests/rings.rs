// SPDX-License-Identifier: GPL-2.0

//! Rings: order, wraparound, phase bits, free space, events and interrupts.

mod common;

use common::Bench;
use common::Driver;
use common::LATENCY_NS;
use kunpeng_accel::regs::VECTOR_AEQ;
use kunpeng_accel::regs::VECTOR_EQ;
use kunpeng_accel::regs::function as fb;
use proptest::prelude::*;

#[test]
fn a_request_takes_its_time() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    bench.machine.forget();

    driver.submit_small(&mut bench, 0, 0);
    bench.advance(LATENCY_NS / 2);
    assert!(bench.machine.writes.is_empty(), "nothing is done yet");
    assert_eq!(bench.counter("requests_in_flight"), 1);

    bench.advance(LATENCY_NS);
    assert_eq!(bench.machine.interrupts, [(1, VECTOR_EQ)]);
    driver.poll(&mut bench);
    assert_eq!(driver.queues[0].done, [0]);
    assert_eq!(bench.counter("requests_in_flight"), 0);
    bench.assert_clean();
}

#[test]
fn a_masked_interrupt_comes_with_the_unmasking_and_once() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    bench.write(1, fb::EQ_INT_MASK, 1);
    driver.submit_small(&mut bench, 0, 0);
    bench.settle();
    assert!(bench.machine.interrupts.is_empty());
    bench.write(1, fb::EQ_INT_MASK, 0);
    bench.write(1, fb::EQ_INT_MASK, 1);
    bench.write(1, fb::EQ_INT_MASK, 0);
    assert_eq!(bench.machine.interrupts, [(1, VECTOR_EQ)]);
}

#[test]
fn arming_a_queue_with_completions_left_brings_an_event_at_once() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    for slot in 0..2 {
        driver.submit_small(&mut bench, 0, slot);
    }
    bench.settle();
    driver.poll_events(&mut bench);
    assert_eq!(driver.events, [0], "one for both");
    bench.doorbell(1, 0, 1, 1, 1);
    driver.poll_events(&mut bench);
    assert_eq!(driver.events, [0, 0]);
    bench.doorbell(1, 0, 1, 2, 1);
    driver.poll_events(&mut bench);
    assert_eq!(driver.events, [0, 0], "nothing is left");
}

#[test]
fn each_queue_is_done_in_its_own_time() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0, 0]);
    for queue in 0..2 {
        driver.submit_small(&mut bench, queue as usize, queue);
        bench.advance(LATENCY_NS / 2);
    }
    bench.advance(LATENCY_NS / 4);
    driver.poll(&mut bench);
    assert_eq!(driver.queues[0].done, [0]);
    assert!(driver.queues[1].done.is_empty());
}

#[test]
fn an_event_queue_without_room_is_reported_on_the_other_one() {
    let mut bench = Bench::new();
    let mut driver = Driver::start(&mut bench, 1, 16, 4);
    for _ in 0..4 {
        driver.add_queue(&mut bench, 0);
    }
    for queue in 0..4 {
        driver.submit_small(&mut bench, queue as usize, queue);
    }
    bench.settle();
    assert_eq!(driver.asynchronous_event(&bench, 0), Some((1, 0)));
    assert!(bench.machine.interrupts.contains(&(1, VECTOR_AEQ)));
    bench.assert_clean();
}

#[test]
fn a_full_completion_queue_holds_requests_back_and_loses_none() {
    let mut bench = Bench::new();
    let mut driver = Driver::start(&mut bench, 1, 8, 64);
    driver.add_queue(&mut bench, 0);
    for slot in 0..7 {
        let entry = driver.small_request(&mut bench, slot);
        driver.prepare(&mut bench, 0, &entry);
    }
    driver.ring(&mut bench, 0);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 7);
    // The driver reuses the ring without acknowledging the completions.
    driver.queues[0].tail = 3;
    driver.ring(&mut bench, 0);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 7);
    bench.doorbell(1, 0, 1, 7, 0);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 11);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For all depths and bursts, each request is completed once and in order, the phase bits mark the ends of the
    /// rings, and every completion is announced.
    #[test]
    fn every_request_completes_once_and_in_order(
        depth in 2_u16..20,
        eq_depth in 4_u16..20,
        bursts in prop::collection::vec((0_usize..3, 1_u16..12), 1..40),
    ) {
        let mut bench = Bench::new();
        let mut driver = Driver::start(&mut bench, 1, depth, eq_depth);
        for _ in 0..3 {
            driver.add_queue(&mut bench, 0);
        }
        let mut submitted = [0_usize; 3];
        for (queue, burst) in bursts {
            for _ in 0..burst {
                let slot = driver.queues[queue].tail.into();
                submitted[queue] += usize::from(driver.submit_small(&mut bench, queue, slot));
            }
            bench.settle();
            driver.poll_events(&mut bench);
            prop_assert!(driver.events.contains(&(queue as u16)));
            driver.events.clear();
            driver.poll(&mut bench);
        }
        bench.assert_clean();
        driver.assert_done(&bench, &submitted);
    }
}
