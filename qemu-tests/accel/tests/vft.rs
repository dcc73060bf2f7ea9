// SPDX-License-Identifier: GPL-2.0

//! The function table, through the PF's registers and through a function's mailbox.

mod common;

use common::Bench;
use common::TOTAL_QPS;
use common::share;
use kunpeng_accel::Opcode;
use proptest::prelude::*;

/// Decodes an entry as `qm_get_vft_v2()` does.
fn decode(entry: u64) -> (u64, u64) {
    (entry >> 28 & 0xffff, (entry >> 45 & 0x3ff) + 1)
}

#[test]
fn shaper_entries_have_a_place_for_each_algorithm_type() {
    let mut bench = Bench::new();
    bench.write_vft(2, 1, 0x98_8696);
    bench.write_vft(2, 1 | 1 << 6, 0x12_3456);
    assert_eq!(bench.read_vft(2, 1), 0x98_8696);
    assert_eq!(bench.read_vft(2, 1 | 1 << 6), 0x12_3456);
    assert_eq!(bench.read_vft(2, 2), 0);
    bench.assert_clean();
}

#[test]
fn a_cleared_entry_leaves_the_function_without_queues() {
    let mut bench = Bench::new();
    bench.write_vft(0, 1, 0);
    assert_eq!(bench.mailbox(1, Opcode::Vft, true, 0, 0), Ok(0));
    assert!(bench.mailbox(1, Opcode::StopQueue, false, 0, 0).is_err());
}

proptest! {
    /// The PF and the function both read back what the PF assigned, and the function has that many queues.
    #[test]
    fn both_ways_to_the_table_agree(first in 0..TOTAL_QPS, number in 1..TOTAL_QPS, function in 1_u16..3) {
        prop_assume!(first + number <= TOTAL_QPS);
        let mut bench = Bench::new();
        let entry = share(first, number);
        bench.write_vft(0, function.into(), entry);
        prop_assert_eq!(decode(entry), (u64::from(first), u64::from(number)));
        prop_assert_eq!(bench.read_vft(0, function.into()), entry);
        prop_assert_eq!(bench.mailbox(function, Opcode::Vft, true, 0, 0), Ok(entry));
        bench.assert_clean();
        prop_assert!(bench.mailbox(function, Opcode::StopQueue, false, number - 1, 0).is_ok());
        prop_assert!(bench.mailbox(function, Opcode::StopQueue, false, number, 0).is_err());
    }
}
