// SPDX-License-Identifier: GPL-2.0

//! PAUSE, context write-back and reload, restart: the building blocks of a migration.

mod common;

use common::Bench;
use common::Driver;
use common::LATENCY_NS;
use common::load;
use common::pause;
use common::restart;
use common::save;
use kunpeng_accel::Cqc;
use kunpeng_accel::Opcode;
use kunpeng_accel::Sqc;
use kunpeng_accel::Violation;
use kunpeng_accel::regs::VECTOR_EQ;
use kunpeng_accel::regs::function as fb;
use proptest::prelude::*;

fn submit(bench: &mut Bench, driver: &mut Driver, queue: usize, count: u64) {
    for _ in 0..count {
        let slot = u64::from(driver.queues[queue].tail) + 64 * queue as u64;
        let entry = driver.small_request(bench, slot);
        assert!(driver.prepare(bench, queue, &entry));
    }
    driver.ring(bench, queue);
}

fn table_entry(bench: &Bench, table: u64, queue: u64) -> [u8; 32] {
    bench
        .machine
        .load(table + 32 * queue, 32)
        .try_into()
        .unwrap()
}

#[test]
fn contexts_reach_memory_by_write_back_only() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    submit(&mut bench, &mut driver, 0, 5);
    bench.settle();
    let (sqcs, cqcs) = (driver.sqc_table(), driver.cqc_table());
    assert_eq!(table_entry(&bench, sqcs, 0), [0; 32]);

    bench.write(1, fb::CACHE_WB_START, 1);
    assert_eq!(bench.read(1, fb::CACHE_WB_DONE), 1);
    let sqc = Sqc::from_bytes(&table_entry(&bench, sqcs, 0));
    let cqc = Cqc::from_bytes(&table_entry(&bench, cqcs, 0));
    assert_eq!((sqc.head(), sqc.tail()), (5, 5));
    assert_eq!((cqc.head(), cqc.tail()), (0, 5));
    assert_eq!(table_entry(&bench, sqcs, 1), [0; 32], "no such queue");

    // The mailbox reads the live context; the table keeps the contents of the write-back.
    submit(&mut bench, &mut driver, 0, 2);
    bench.settle();
    bench
        .mailbox(1, Opcode::Sqc, true, 0, driver.scratch())
        .unwrap();
    assert_eq!(
        Sqc::from_bytes(&table_entry(&bench, driver.scratch(), 0)).tail(),
        7
    );
    assert_eq!(Sqc::from_bytes(&table_entry(&bench, sqcs, 0)).tail(), 5);
    bench.assert_clean();
}

#[test]
fn pause_waits_for_what_is_in_flight_and_fetches_no_more() {
    let mut bench = Bench::new();
    let mut driver = Driver::start(&mut bench, 1, 32, 32);
    driver.add_queue(&mut bench, 0);
    submit(&mut bench, &mut driver, 0, 20);
    let in_flight = bench.counter("requests_in_flight");
    assert!((1..20).contains(&in_flight));
    bench.machine.forget();
    bench.post(1, Opcode::Pause.code(), false, 0, 0);
    bench.advance(LATENCY_NS / 2);
    assert_eq!(bench.mailbox_status(1), None, "requests are in flight");
    bench.advance(LATENCY_NS);
    assert_eq!(bench.mailbox_status(1), Some(0));
    assert!(bench.machine.reads.iter().all(|read| read.2 != 128));
    assert_eq!(bench.counter("requests_done"), in_flight);

    // Nothing happens any more, no matter how much time passes.
    bench.machine.forget();
    bench.advance(100 * LATENCY_NS);
    assert!(bench.machine.writes.is_empty());
    assert!(bench.machine.reads.is_empty());
    assert!(bench.machine.interrupts.is_empty());

    restart(&mut bench, 1);
    bench.settle();
    driver.poll(&mut bench);
    assert_eq!(driver.queues[0].done, (0..20).collect::<Vec<_>>());
    bench.assert_clean();
}

#[test]
fn the_tables_are_not_read_before_the_restart() {
    let mut bench = Bench::new();
    Driver::with_queues(&mut bench, &[0]);
    pause(&mut bench, 1).unwrap();
    let saved = save(&mut bench, 1);
    pause(&mut bench, 2).unwrap();
    bench.machine.forget();
    load(&mut bench, 2, &saved);
    bench.settle();
    assert!(bench.machine.reads.is_empty());
    restart(&mut bench, 2);
    assert!(bench.machine.reads.iter().all(|read| read.0 == 2));
    assert!(!bench.machine.reads.is_empty());
    bench.assert_clean();
}

#[test]
fn an_event_nobody_took_interrupts_again_after_the_restart() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    submit(&mut bench, &mut driver, 0, 1);
    bench.settle();
    assert_eq!(bench.machine.interrupts, [(1, VECTOR_EQ)]);
    pause(&mut bench, 1).unwrap();
    bench.machine.forget();
    let saved = save(&mut bench, 1);
    assert!(bench.machine.interrupts.is_empty(), "paused");
    pause(&mut bench, 2).unwrap();
    load(&mut bench, 2, &saved);
    assert!(bench.machine.interrupts.is_empty(), "not restarted");
    restart(&mut bench, 2);
    assert_eq!(bench.machine.interrupts, [(2, VECTOR_EQ)]);
    restart(&mut bench, 1);
    assert!(bench.machine.interrupts.contains(&(1, VECTOR_EQ)));
    bench.assert_clean();
}

#[test]
fn a_queue_that_is_not_restarted_stays_paused() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0, 0]);
    pause(&mut bench, 1).unwrap();
    bench.doorbell(1, 0, 0, 0, 1);
    submit(&mut bench, &mut driver, 0, 1);
    bench.assert_clean();
    submit(&mut bench, &mut driver, 1, 1);
    assert_eq!(bench.violations(Violation::DmaAfterPause), 1);
    bench.settle();
    driver.poll(&mut bench);
    assert_eq!(driver.queues[0].done, [0]);
    assert!(driver.queues[1].done.is_empty());
}

#[test]
fn a_queue_made_anew_needs_no_restart_unless_the_function_is_paused() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    pause(&mut bench, 1).unwrap();
    driver.add_queue(&mut bench, 0);
    bench.doorbell(1, 0, 0, 0, 1);
    submit(&mut bench, &mut driver, 1, 1);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 0, "made while paused");
    driver.queues.truncate(1);
    driver.add_queue(&mut bench, 0);
    submit(&mut bench, &mut driver, 1, 1);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 1, "made while running");
}

#[test]
fn a_restart_does_not_overtake_a_pause() {
    let mut bench = Bench::new();
    let mut driver = Driver::start(&mut bench, 1, 32, 32);
    driver.add_queue(&mut bench, 0);
    submit(&mut bench, &mut driver, 0, 1);
    bench.post(1, Opcode::Pause.code(), false, 0, 0);
    submit(&mut bench, &mut driver, 0, 3);
    assert_eq!(bench.violations(Violation::DmaAfterPause), 1);
    restart(&mut bench, 1);
    bench.settle();
    assert_eq!(bench.mailbox_status(1), Some(0));
    assert_eq!(bench.counter("requests_done"), 1);
    restart(&mut bench, 1);
    bench.settle();
    assert_eq!(bench.counter("requests_done"), 4);
}

#[test]
fn setting_the_tables_drops_the_cached_contexts() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    pause(&mut bench, 1).unwrap();
    let saved = save(&mut bench, 1);
    bench.machine.store(driver.sqc_table(), &[0; 32]);
    load(&mut bench, 1, &saved);
    restart(&mut bench, 1);
    submit(&mut bench, &mut driver, 0, 1);
    assert_eq!(bench.counter("doorbells_dropped"), 1, "no context is left");
    bench.assert_clean();
}

#[test]
fn a_vf_that_was_away_is_as_after_a_reset() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    submit(&mut bench, &mut driver, 0, 1);
    bench.device.set_vfs(&mut bench.machine, 2);
    assert_eq!(bench.counter("requests_in_flight"), 1, "nothing changed");
    bench.device.set_vfs(&mut bench.machine, 0);
    assert_eq!(bench.counter("requests_in_flight"), 0);
    bench.device.set_vfs(&mut bench.machine, 1);
    assert_eq!(bench.read(1, fb::VF_STATE), 1);
}

#[test]
fn a_driver_that_starts_a_paused_function_afresh_needs_no_restart() {
    let mut bench = Bench::new();
    pause(&mut bench, 1).unwrap();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    submit(&mut bench, &mut driver, 0, 3);
    bench.settle();
    driver.poll(&mut bench);
    assert_eq!(driver.queues[0].done, [0, 1, 2]);
    bench.assert_clean();
}

#[test]
fn a_reset_forgets_requests_and_touches_no_memory() {
    let mut bench = Bench::new();
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    submit(&mut bench, &mut driver, 0, 5);
    bench.machine.forget();
    bench.device.flr(&mut bench.machine, 1);
    bench.settle();
    assert!(bench.machine.writes.is_empty());
    assert!(bench.machine.reads.is_empty());
    assert_eq!(bench.counter("requests_in_flight"), 0);
    assert_eq!(bench.read(1, fb::VF_STATE), 1);
    assert_eq!(bench.read(1, fb::EQ_INT_MASK), 1);
    assert_eq!(
        bench.read_vft(0, 1),
        common::share(8, 4),
        "the share is the PF's affair"
    );
    bench.device.flr(&mut bench.machine, 0);
    assert_eq!(bench.read_vft(0, 1), 0);
    bench.assert_clean();
}

#[test]
fn stopping_a_queue_finishes_its_requests_first() {
    let mut bench = Bench::new();
    let mut driver = Driver::start(&mut bench, 1, 32, 32);
    driver.add_queue(&mut bench, 0);
    submit(&mut bench, &mut driver, 0, 20);
    bench.mailbox(1, Opcode::StopQueue, false, 0, 0).unwrap();
    assert_eq!(bench.counter("requests_done"), 20);
    driver.ring(&mut bench, 0);
    assert_eq!(bench.counter("doorbells_dropped"), 1);
    bench.assert_clean();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A function that is paused at any time and continued in another function, or in the same one, completes each
    /// request exactly once and in order.
    #[test]
    fn every_request_completes_once_across_migrations(
        depth in 3_u16..24,
        steps in prop::collection::vec((0_u64..12, 0_u64..3 * LATENCY_NS, any::<bool>()), 1..8),
    ) {
        let mut bench = Bench::new();
        let mut driver = Driver::start(&mut bench, 1, depth, 64);
        driver.add_queue(&mut bench, 0);
        driver.add_queue(&mut bench, 0);
        let mut submitted = [0_usize; 2];
        for (count, wait, elsewhere) in steps {
            for (queue, submitted) in submitted.iter_mut().enumerate() {
                let room = u64::from(depth - 1 - driver.outstanding(queue));
                let count = count.min(room);
                submit(&mut bench, &mut driver, queue, count);
                *submitted += count as usize;
            }
            bench.advance(wait);
            pause(&mut bench, driver.function).unwrap();
            if elsewhere {
                let saved = save(&mut bench, driver.function);
                let target = 3 - driver.function;
                pause(&mut bench, target).unwrap();
                bench.machine.forget();
                load(&mut bench, target, &saved);
                bench.device.flr(&mut bench.machine, driver.function);
                driver.function = target;
            }
            restart(&mut bench, driver.function);
            bench.advance(wait / 2);
            driver.poll_events(&mut bench);
            driver.poll(&mut bench);
        }
        bench.settle();
        driver.poll_events(&mut bench);
        driver.poll(&mut bench);
        bench.assert_clean();
        driver.assert_done(&bench, &submitted);
    }

    /// A reload reads from memory exactly what the write-back stored there.
    #[test]
    fn a_reloaded_context_is_the_one_written_back(depth in 3_u16..24, count in 0_u64..60) {
        let mut bench = Bench::new();
        let mut driver = Driver::start(&mut bench, 1, depth, 64);
        driver.add_queue(&mut bench, 0);
        for _ in 0..count {
            submit(&mut bench, &mut driver, 0, 1);
            bench.settle();
            driver.poll_events(&mut bench);
            driver.poll(&mut bench);
        }
        pause(&mut bench, 1).unwrap();
        let before = (
            table_entry(&bench, driver.sqc_table(), 0),
            table_entry(&bench, driver.cqc_table(), 0),
        );
        let cqc = Cqc::from_bytes(&before.1);
        prop_assert_eq!(u64::from(cqc.tail()), count % u64::from(depth));
        let wraps = count / u64::from(depth) % 2;
        prop_assert_eq!(cqc.phase(), wraps == 0);
        // Bit 6 of w11, with which a driver distinguishes an empty ring from a full one.
        prop_assert_eq!(u64::from(before.0[22] >> 6 & 1), wraps);
        prop_assert_eq!(u64::from(before.1[22] >> 6 & 1), wraps);
        let saved = save(&mut bench, 1);
        pause(&mut bench, 2).unwrap();
        load(&mut bench, 2, &saved);
        restart(&mut bench, 2);
        pause(&mut bench, 2).unwrap();
        let after = (
            table_entry(&bench, driver.sqc_table(), 0),
            table_entry(&bench, driver.cqc_table(), 0),
        );
        prop_assert_eq!(before, after);
        bench.assert_clean();
    }
}
