// SPDX-License-Identifier: GPL-2.0

//! Possible differences of real hardware: each flag by default, and when set.

mod common;

use common::Bench;
use common::Driver;
use common::LATENCY_NS;
use common::load;
use common::pause;
use common::read;
use common::restart;
use common::ring_event_queues;
use common::save;
use kunpeng_accel::Opcode;
use kunpeng_accel::Revision;
use kunpeng_accel::Silicon;
use kunpeng_accel::Violation;
use kunpeng_accel::regs::VECTOR_ABNORMAL;
use kunpeng_accel::regs::VECTOR_AEQ;
use kunpeng_accel::regs::VECTOR_EQ;
use kunpeng_accel::regs::VECTOR_MESSAGE;
use kunpeng_accel::regs::function as fb;
use kunpeng_accel::regs::migration;
use kunpeng_accel::regs::pf;

/// Returns the results of `steps` for both settings of a flag: by default, and with the flag named.
fn both<R>(revision: Revision, name: &str, steps: impl Fn(&mut Bench) -> R) -> (R, R) {
    let run = |silicon: &str| {
        let mut bench = Bench::with_revision(revision);
        bench.device.set_silicon(silicon).unwrap();
        steps(&mut bench)
    };
    (run(""), run(name))
}

fn both_on_v3<R>(name: &str, steps: impl Fn(&mut Bench) -> R) -> (R, R) {
    both(Revision::V3, name, steps)
}

fn eq_interrupts(bench: &mut Bench, function: u16) -> usize {
    let interrupts = std::mem::take(&mut bench.machine.interrupts);
    let of_eq = interrupts
        .iter()
        .filter(|one| **one == (function, VECTOR_EQ));
    of_eq.count()
}

/// Migrates function 1, which has an unacknowledged event, to function 2. Returns the number of EQ interrupts of
/// function 2 after the restart, and after another request there.
fn interrupts_at_destination(bench: &mut Bench) -> (usize, usize) {
    let mut driver = Driver::with_queues(bench, &[0, 0]);
    driver.submit_small(bench, 0, 0);
    bench.settle();
    pause(bench, 1).unwrap();
    let saved = save(bench, 1);
    pause(bench, 2).unwrap();
    load(bench, 2, &saved);
    bench.machine.forget();
    restart(bench, 2);
    bench.settle();
    let at_restart = eq_interrupts(bench, 2);
    driver.function = 2;
    driver.submit_small(bench, 1, 1);
    bench.settle();
    let later = eq_interrupts(bench, 2);
    bench.assert_clean();
    (at_restart, later)
}

#[test]
fn a_restored_ring_is_armed_or_not() {
    let found = both_on_v3("restore-does-not-arm", interrupts_at_destination);
    // The restart has sent the one interrupt that was requested.
    assert_eq!(found, ((1, 0), (0, 0)));
}

#[test]
fn a_doorbell_arms_a_restored_ring() {
    for name in ["restore-does-not-arm", "restore-tells-only-later-events"] {
        let (default, other) = both_on_v3(name, |bench| {
            interrupts_at_destination(bench);
            bench.doorbell(2, 0, 2, 0, 0);
            eq_interrupts(bench, 2)
        });
        assert_eq!((default, other), (1, 1), "{name}");
    }
}

#[test]
fn a_restored_ring_tells_of_earlier_events_or_not() {
    let found = both_on_v3("restore-tells-only-later-events", interrupts_at_destination);
    assert_eq!(found, ((1, 0), (0, 1)));
}

/// A request that completes while PAUSE waits for it.
fn event_in_pause(bench: &mut Bench) -> Driver {
    let mut driver = Driver::with_queues(bench, &[0]);
    driver.submit_small(bench, 0, 0);
    pause(bench, 1).unwrap();
    driver
}

#[test]
fn an_event_in_pause_interrupts_or_not() {
    let (default, other) = both_on_v3("pause-suppresses-events", |bench| {
        event_in_pause(bench);
        assert_eq!(bench.counter("requests_done"), 1);
        let paused = eq_interrupts(bench, 1);
        restart(bench, 1);
        let restarted = eq_interrupts(bench, 1);
        bench.doorbell(1, 0, 2, 0, 0);
        (paused, restarted, eq_interrupts(bench, 1))
    });
    assert_eq!(default, (1, 0, 1));
    assert_eq!(other, (0, 0, 1), "a doorbell makes up for it");
}

#[test]
fn a_suppressed_event_is_told_by_the_next_one() {
    let (_, other) = both_on_v3("pause-suppresses-events", |bench| {
        let mut driver = event_in_pause(bench);
        restart(bench, 1);
        driver.add_queue(bench, 0);
        driver.submit_small(bench, 1, 1);
        bench.settle();
        eq_interrupts(bench, 1)
    });
    assert_eq!(other, 1);
}

#[test]
fn a_doorbell_of_a_paused_function_interrupts_or_not() {
    let (default, other) = both_on_v3("paused-doorbell-interrupts", |bench| {
        event_in_pause(bench);
        bench.machine.forget();
        save(bench, 1);
        let at_save = bench.machine.interrupts.clone();
        bench.machine.forget();
        restart(bench, 1);
        (at_save, eq_interrupts(bench, 1))
    });
    assert_eq!(default, (vec![], 1));
    assert_eq!(other, (vec![(1, VECTOR_EQ)], 0));
}

#[test]
fn a_doorbell_of_a_paused_function_without_events_does_not_interrupt() {
    let (_, other) = both_on_v3("paused-doorbell-interrupts", |bench| {
        Driver::with_queues(bench, &[0]);
        pause(bench, 1).unwrap();
        save(bench, 1);
        bench.machine.interrupts.clone()
    });
    assert!(!other.contains(&(1, VECTOR_EQ)));
    assert!(!other.contains(&(1, VECTOR_AEQ)));
}

#[test]
fn a_guests_doorbell_ends_a_pause_or_not() {
    let (default, other) = both_on_v3("pause-ends-by-guest-doorbell", |bench| {
        let mut driver = Driver::with_queues(bench, &[0]);
        pause(bench, 1).unwrap();
        driver.submit_small(bench, 0, 0);
        bench.settle();
        let violations = bench.violations(Violation::DmaAfterPause);
        (bench.counter("requests_done"), violations)
    });
    assert_eq!((default, other), ((0, 1), (1, 0)));
}

#[test]
fn a_pause_that_waits_is_not_ended_by_a_guests_doorbell() {
    let (_, other) = both_on_v3("pause-ends-by-guest-doorbell", |bench| {
        let mut driver = Driver::with_queues(bench, &[0]);
        driver.submit_small(bench, 0, 0);
        bench.post(1, Opcode::Pause.code(), false, 0, 0);
        driver.submit_small(bench, 0, 1);
        bench.settle();
        (bench.mailbox_status(1), bench.counter("requests_done"))
    });
    assert_eq!(other, (Some(0), 1));
}

#[test]
fn a_pause_ends_with_a_driver_that_starts_or_not() {
    let (default, other) = both_on_v3("pause-outlasts-driver-start", |bench| {
        pause(bench, 1).unwrap();
        let mut driver = Driver::with_queues(bench, &[0]);
        driver.submit_small(bench, 0, 0);
        bench.settle();
        let started = bench.counter("requests_done");
        restart(bench, 1);
        bench.settle();
        (started, bench.counter("requests_done"))
    });
    assert_eq!((default, other), ((1, 1), (0, 1)));
}

#[test]
fn a_restart_doorbell_is_for_one_queue_or_for_all() {
    let (default, other) = both_on_v3("restart-resumes-all-queues", |bench| {
        let mut driver = Driver::with_queues(bench, &[0, 0]);
        pause(bench, 1).unwrap();
        driver.submit_small(bench, 1, 0);
        bench.doorbell(1, 0, 0, 0, 1);
        bench.settle();
        bench.counter("requests_done")
    });
    assert_eq!((default, other), (0, 1));
}

#[test]
fn a_restart_reads_cached_contexts_anew_or_not() {
    let (default, other) = both_on_v3("restart-reloads-contexts", |bench| {
        let mut driver = Driver::with_queues(bench, &[0]);
        pause(bench, 1).unwrap();
        // The contents of the table count, whatever the device has cached.
        bench.machine.store(driver.sqc_table(), &[0; 32]);
        restart(bench, 1);
        driver.submit_small(bench, 0, 0);
        bench.settle();
        bench.counter("requests_done")
    });
    assert_eq!((default, other), (1, 0));
}

#[test]
fn a_restart_without_messages_works_or_not() {
    let (default, other) = both_on_v3("restart-needs-messages-unmasked", |bench| {
        let mut driver = Driver::with_queues(bench, &[0]);
        let mut works = |masked: u32| {
            pause(bench, 1).unwrap();
            bench.write(1, fb::IFC_INT_MASK, masked);
            restart(bench, 1);
            driver.submit_small(bench, 0, 0);
            bench.settle();
            bench.counter("requests_done")
        };
        (works(1), works(0))
    });
    assert_eq!((default, other), ((1, 2), (0, 2)));
}

/// Returns the errors reported to the PF: bits, number of interrupts.
fn errors(bench: &mut Bench) -> (u32, usize) {
    let interrupts = bench.machine.interrupts.iter();
    let told = interrupts
        .filter(|one| **one == (0, VECTOR_ABNORMAL))
        .count();
    (bench.read(0, pf::ABNORMAL_INT_STATUS), told)
}

#[test]
fn a_restart_without_table_is_an_error_or_not() {
    let (default, other) = both_on_v3("restart-without-table-is-error", |bench| {
        bench.doorbell(1, 0, 0, 0, 1);
        (errors(bench), bench.counter("hardware_errors"))
    });
    assert_eq!(default, ((0, 0), 0));
    assert_eq!(other, ((pf::DB_TIMEOUT, 1), 1));
}

#[test]
fn a_context_that_is_refused_is_an_error_or_not() {
    let (default, other) = both_on_v3("refused-context-read-is-error", |bench| {
        for table in [Opcode::SqcTable, Opcode::CqcTable] {
            bench.mailbox(1, table, false, 0, 1 << 40).unwrap();
        }
        bench.doorbell(1, 0, 0, 0, 1);
        assert_eq!(bench.violations(Violation::DmaFault), 2);
        errors(bench)
    });
    assert_eq!(default, (0, 0));
    assert_eq!(other.0, pf::DB_TIMEOUT | pf::AXI_RRESP);
    assert_ne!(other.1, 0);
}

#[test]
fn the_pf_is_not_interrupted_by_errors_that_it_masks() {
    let (_, other) = both_on_v3("restart-without-table-is-error", |bench| {
        bench.write(0, pf::ABNORMAL_INT_MASK, u32::MAX);
        bench.doorbell(1, 0, 0, 0, 1);
        errors(bench)
    });
    assert_eq!(other, (pf::DB_TIMEOUT, 0));
}

#[test]
fn a_restart_with_tables_is_no_error() {
    let (_, other) = both_on_v3(
        "restart-without-table-is-error;refused-context-read-is-error",
        |bench| {
            interrupts_at_destination(bench);
            bench.counter("hardware_errors")
        },
    );
    assert_eq!(other, 0);
}

/// Returns a register of a VF that held `value` when the VF was reset, and one of the VF that was disabled and enabled.
fn after_resets(bench: &mut Bench, register: u64, value: u32) -> (u32, u32) {
    bench.write(1, register, value);
    bench.device.flr(&mut bench.machine, 1);
    let flr = bench.read(1, register);
    bench.write(1, register, value);
    bench.device.set_vfs(&mut bench.machine, 0);
    bench.device.set_vfs(&mut bench.machine, 2);
    (flr, bench.read(1, register))
}

#[test]
fn a_reset_keeps_the_drivers_state_or_not() {
    let (default, other) = both_on_v3("flr-keeps-vf-state", |bench| {
        after_resets(bench, fb::VF_STATE, 0)
    });
    assert_eq!((default, other), ((1, 1), (0, 1)));
}

#[test]
fn a_function_is_not_ready_after_a_reset_or_is() {
    let (default, other) = both_on_v3("vf-state-resets-to-ready", |bench| {
        after_resets(bench, fb::VF_STATE, 1)
    });
    assert_eq!((default, other), ((1, 1), (0, 0)));
}

#[test]
fn a_reset_keeps_the_doorbells_dropped_or_not() {
    let (default, other) = both(Revision::V5, "flr-keeps-db-drop", |bench| {
        after_resets(bench, fb::FUN_DB_DROP, 1)
    });
    assert_eq!((default, other), ((0, 0), (1, 0)));
}

#[test]
fn a_reset_masks_messages_or_not() {
    let (default, other) = both_on_v3("flr-masks-messages", |bench| {
        let masked = after_resets(bench, fb::IFC_INT_MASK, 0).0;
        bench.machine.forget();
        bench.device.flr(&mut bench.machine, 1);
        bench.write(0, pf::IFC_INT_CFG, 1);
        bench.write(0, pf::IFC_INT_SET_P, 1);
        let told = bench.machine.interrupts.contains(&(1, VECTOR_MESSAGE));
        (masked, told)
    });
    assert_eq!((default.0, other), (0, (1, false)));
}

#[test]
fn a_reset_of_the_pf_closes_the_windows_or_not() {
    let (default, other) = both(Revision::V4, "pf-reset-keeps-mig-region-sel", |bench| {
        bench.write(0, pf::MIG_REGION_SEL, 1);
        bench.device.flr(&mut bench.machine, 0);
        bench.read(0, pf::MIG_REGION_SEL)
    });
    assert_eq!((default, other), (0, 1));
}

#[test]
fn a_ring_is_restored_without_a_driver_or_not() {
    let (default, other) = both_on_v3("restore-needs-vf-ready", |bench| {
        bench.write(1, fb::VF_STATE, 1);
        bench.write(1, migration::V3_EQC, 5);
        let without = bench.read(1, migration::V3_EQC);
        bench.write(1, fb::VF_STATE, 0);
        bench.write(1, migration::V3_EQC, 6);
        (without, bench.read(1, migration::V3_EQC))
    });
    assert_eq!((default, other), ((5, 6), (0, 6)));
}

#[test]
fn messages_of_one_way_are_seen_on_the_other_or_not() {
    let (default, other) = both(Revision::V4, "message-paths-are-separate", |bench| {
        bench.write64(0, pf::PF2VF_PF_W, 7 | 8 << 32);
        bench.write(0, pf::IFC_INT_CFG, 1);
        bench.write(0, pf::IFC_INT_SET_P, 1);
        assert_eq!(bench.read(1, fb::PF2VF_VF_R), 7);
        let by_mailbox = bench.mailbox(1, Opcode::MessageFetch, true, 0, 0).unwrap();
        bench.mailbox(1, Opcode::MessageSend, false, 0, 4).unwrap();
        let fetched = bench.mailbox(0, Opcode::MessageFetch, true, 1, 0);
        assert_eq!(fetched, Ok(4));
        (by_mailbox, bench.read(0, pf::VF2PF_PF_R + 4))
    });
    assert_eq!((default, other), ((7 | 8 << 32, 4), (0, 0)));
}

#[test]
fn the_doorbell_behind_a_window_reaches_the_next_vf_or_not() {
    let (default, other) = both(Revision::V4, "window-ends-in-next-vf", |bench| {
        bench.write(0, pf::MIG_REGION_SEL, 1);
        let window = migration::V4_WINDOWS + migration::V4_WINDOW_BYTES;
        bench.write(2, fb::AEQ_INT_MASK, 0);
        bench.write64(0, window + fb::DOORBELL_EQ_AEQ, 3 << 12 | 5 << 32);
        let found = bench.violations(Violation::OutsideWindow);
        assert_eq!((found, bench.violations(Violation::AccessWidth)), (1, 0));
        bench.read(2, fb::AEQ_INT_MASK)
    });
    assert_eq!((default, other), (0, 1));
}

#[test]
fn a_write_back_takes_time_or_not() {
    let (default, other) = both_on_v3("write-back-takes-time", |bench| {
        let mut driver = Driver::with_queues(bench, &[0]);
        driver.submit_small(bench, 0, 0);
        bench.settle();
        bench.write(1, fb::CACHE_WB_START, 1);
        let done = |bench: &mut Bench| {
            let written = bench.machine.load(driver.sqc_table(), 32) != [0; 32];
            (bench.read(1, fb::CACHE_WB_DONE), written)
        };
        let at_once = done(bench);
        bench.advance(10 * LATENCY_NS);
        (at_once, done(bench))
    });
    assert_eq!(
        (default, other),
        (((1, true), (1, true)), ((0, false), (1, true)))
    );
}

#[test]
fn a_choice_replaces_the_one_before_and_an_unknown_one_changes_nothing() {
    let mut bench = Bench::new();
    bench.device.set_silicon("flr-keeps-vf-state").unwrap();
    bench.device.set_silicon("flr-keeps").unwrap_err();
    assert_eq!(bench.device.silicon().to_string(), "flr-keeps-vf-state");
    bench.device.set_silicon("").unwrap();
    assert!(bench.device.silicon().is_empty());
}

/// When a driver rings the doorbells of the event queues.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rings {
    Never,
    /// At the end of a save, like the C driver.
    AtSave,
    /// Also after the loaded state has been restarted.
    AtBoth,
}

/// Migrates a VM that relies on interrupts alone for its events, with or without a request in flight. Returns whether
/// it has seen the completion of that request, and of another one that it then submits to the same queue.
fn moves(silicon: &str, rings: Rings, in_flight: bool) -> (bool, bool) {
    let mut bench = Bench::new();
    bench.device.set_silicon(silicon).unwrap();
    bench.write(1, fb::IFC_INT_MASK, 0);
    let mut driver = Driver::with_queues(&mut bench, &[0]);
    bench.machine.forget();
    if in_flight {
        driver.submit_small(&mut bench, 0, 0);
    }
    pause(&mut bench, 1).unwrap();
    let saved = read(&mut bench, 1);
    if rings != Rings::Never {
        ring_event_queues(&mut bench, 1, &saved);
    }
    pause(&mut bench, 2).unwrap();
    load(&mut bench, 2, &saved);
    restart(&mut bench, 2);
    driver.function = 2;
    if rings == Rings::AtBoth {
        ring_event_queues(&mut bench, 2, &saved);
    }
    let take_interrupts = |bench: &mut Bench, driver: &mut Driver| {
        bench.settle();
        // An interrupt raised on the source is pending in the VM's interrupt controller.
        while std::mem::take(&mut bench.machine.interrupts)
            .iter()
            .any(|(_, vector)| *vector == VECTOR_EQ)
        {
            driver.poll_events(bench);
            driver.poll(bench);
            bench.settle();
        }
        driver.queues[0].done.len()
    };
    let before = usize::from(in_flight);
    let last = take_interrupts(&mut bench, &mut driver) == before;
    driver.submit_small(&mut bench, 0, 1);
    let next = take_interrupts(&mut bench, &mut driver) == before + 1;
    bench.assert_clean();
    (last, next)
}

#[test]
fn an_event_that_pause_has_suppressed_takes_a_doorbell() {
    let told_by_doorbells =
        "pause-suppresses-events;paused-doorbell-interrupts;restore-tells-only-later-events";
    assert_eq!(moves(told_by_doorbells, Rings::Never, true), (false, false));
    assert_eq!(moves(told_by_doorbells, Rings::AtSave, true), (true, true));
    // If a paused function raises no interrupt at all, only a doorbell after the restart helps.
    let lost = "pause-suppresses-events;restore-tells-only-later-events";
    assert_eq!(moves(lost, Rings::AtSave, true), (false, false));
    assert_eq!(moves(lost, Rings::AtBoth, true), (true, true));
}

#[test]
fn a_ring_that_is_not_armed_takes_a_doorbell() {
    let unarmed = "restore-does-not-arm";
    assert_eq!(moves(unarmed, Rings::AtSave, false), (true, false));
    assert_eq!(moves(unarmed, Rings::AtBoth, false), (true, true));
}

#[test]
fn a_driver_that_rings_is_right_with_any_event_queues() {
    let names: Vec<String> = Silicon::all().names().take(4).collect();
    for set in 0..1 << names.len() {
        let chosen = names.iter().enumerate();
        let chosen = chosen.filter(|(bit, _)| set >> bit & 1 != 0);
        let silicon: Vec<&str> = chosen.map(|(_, name)| name.as_str()).collect();
        let silicon = silicon.join(";");
        for in_flight in [false, true] {
            let found = moves(&silicon, Rings::AtBoth, in_flight);
            assert_eq!(found, (true, true), "{silicon}, {in_flight}");
        }
    }
}
