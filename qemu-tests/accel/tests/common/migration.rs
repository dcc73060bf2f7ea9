// SPDX-License-Identifier: GPL-2.0

//! The steps of a host driver that migrates a function.

use super::Bench;
use super::VF_QUEUES;
use kunpeng_accel::FunctionId;
use kunpeng_accel::Opcode;
use kunpeng_accel::regs::function as fb;

/// State of a V3 function saved by `hisi_acc_vfio_pci`.
pub struct Saved {
    eqc: [u32; 7],
    aeqc: [u32; 7],
    sqc_table: u64,
    cqc_table: u64,
    masks: [u32; 3],
}

/// Stops a function like `hisi_acc_vf_stop_device()`: PAUSE and write-back.
pub fn pause(bench: &mut Bench, function: FunctionId) -> Result<(), u32> {
    bench.mailbox(function, Opcode::Pause, false, 0, 0)?;
    bench.write(function, fb::CACHE_WB_START, 1);
    assert_eq!(bench.read(function, fb::CACHE_WB_DONE), 1);
    Ok(())
}

/// Saves a function like `vf_qm_state_save()`.
pub fn save(bench: &mut Bench, function: FunctionId) -> Saved {
    let saved = read(bench, function);
    ring_event_queues(bench, function, &saved);
    saved
}

/// Rings the doorbells of both event queues like `vf_qm_xeqc_save()`.
pub fn ring_event_queues(bench: &mut Bench, function: FunctionId, saved: &Saved) {
    bench.doorbell(function, 0, 2, saved.eqc[0] as u16, 0);
    bench.doorbell(function, 0, 3, saved.aeqc[0] as u16, 0);
}

/// Saves the state without ringing a doorbell.
pub fn read(bench: &mut Bench, function: FunctionId) -> Saved {
    let mut saved = Saved {
        eqc: [0; 7],
        aeqc: [0; 7],
        sqc_table: 0,
        cqc_table: 0,
        masks: [fb::AEQ_INT_MASK, fb::EQ_INT_MASK, fb::IFC_INT_MASK]
            .map(|offset| bench.read(function, offset)),
    };
    for (word, offset) in (0x8000..).step_by(4).take(7).enumerate() {
        saved.eqc[word] = bench.read(function, offset);
        saved.aeqc[word] = bench.read(function, offset + 0x20);
    }
    saved.sqc_table = bench
        .mailbox(function, Opcode::SqcTable, true, 0, 0)
        .unwrap();
    saved.cqc_table = bench
        .mailbox(function, Opcode::CqcTable, true, 0, 0)
        .unwrap();
    saved
}

/// Loads a function like `vf_qm_load_data()`.
pub fn load(bench: &mut Bench, function: FunctionId, saved: &Saved) {
    bench.write(function, fb::VF_STATE, 0);
    bench.write(function, fb::AEQ_INT_MASK, saved.masks[0]);
    bench.write(function, fb::EQ_INT_MASK, saved.masks[1]);
    bench.write(function, fb::IFC_INT_MASK, saved.masks[2]);
    for (word, offset) in (0x8000..).step_by(4).take(7).enumerate() {
        bench.write(function, offset, saved.eqc[word]);
    }
    for (word, offset) in (0x8020..).step_by(4).take(7).enumerate() {
        bench.write(function, offset, saved.aeqc[word]);
    }
    bench
        .mailbox(function, Opcode::SqcTable, false, 0, saved.sqc_table)
        .unwrap();
    bench
        .mailbox(function, Opcode::CqcTable, false, 0, saved.cqc_table)
        .unwrap();
    bench.write(function, fb::IFC_INT_SOURCE_V, 1);
    bench.write(function, fb::IFC_INT_MASK, 0);
}

/// Restarts a function like `hisi_acc_vf_start_device()`.
pub fn restart(bench: &mut Bench, function: FunctionId) {
    for queue in 0..VF_QUEUES {
        bench.doorbell(function, queue, 0, 0, 1);
    }
}
