// SPDX-License-Identifier: GPL-2.0

//! Messages between PF and VF, in the same order as in `qm.c`.

mod common;

use common::Bench;
use kunpeng_accel::Opcode;
use kunpeng_accel::Revision;
use kunpeng_accel::regs::VECTOR_ABNORMAL;
use kunpeng_accel::regs::VECTOR_MESSAGE;
use kunpeng_accel::regs::function as fb;
use kunpeng_accel::regs::pf;

fn unmask(bench: &mut Bench) {
    for function in 0..3 {
        bench.write(function, fb::IFC_INT_MASK, 0);
    }
}

#[test]
fn the_pf_tells_all_vfs() {
    let mut bench = Bench::new();
    unmask(&mut bench);
    bench
        .mailbox(0, Opcode::MessageSend, false, 0xffff, 1 | 7 << 32)
        .unwrap();
    bench.write(0, pf::IFC_INT_CFG, 0x7f);
    bench.write(0, pf::IFC_INT_SET_P, 1);
    assert_eq!(
        bench.machine.interrupts,
        [(1, VECTOR_MESSAGE), (2, VECTOR_MESSAGE)]
    );
    assert_eq!(bench.read(0, pf::IFC_READY_STATUS), 0b110);
    assert_eq!(bench.read(1, fb::IFC_INT_STATUS), 1);
    assert_eq!(
        bench.mailbox(1, Opcode::MessageFetch, true, 0, 0),
        Ok(1 | 7 << 32)
    );
    bench.write(1, fb::IFC_INT_SOURCE_V, 1);
    assert_eq!(bench.read(1, fb::IFC_INT_STATUS), 0);
    assert_eq!(bench.read(0, pf::IFC_READY_STATUS), 0b100);
    bench.assert_clean();
}

#[test]
fn a_vf_tells_the_pf() {
    let mut bench = Bench::new();
    unmask(&mut bench);
    bench.mailbox(2, Opcode::MessageSend, false, 0, 4).unwrap();
    bench.write(2, fb::IFC_INT_SET_V, 1);
    assert_eq!(bench.machine.interrupts, [(0, VECTOR_MESSAGE)]);
    assert_eq!(bench.read(0, pf::IFC_INT_SOURCE_P), 0b100);
    assert_eq!(bench.read(2, fb::IFC_INT_SET_V), 1, "not acknowledged");
    assert_eq!(bench.mailbox(0, Opcode::MessageFetch, true, 2, 0), Ok(4));
    bench.write64(0, pf::IFC_INT_SOURCE_P, 0b100);
    assert_eq!(bench.read(2, fb::IFC_INT_SET_V), 0);
    assert_eq!(bench.read(0, fb::IFC_INT_STATUS), 0);
    bench.assert_clean();
}

#[test]
fn a_masked_message_waits() {
    let mut bench = Bench::new();
    bench.write(0, pf::IFC_INT_CFG, 1);
    bench.write(0, pf::IFC_INT_SET_P, 1);
    assert!(bench.machine.interrupts.is_empty());
    assert_eq!(bench.read(1, fb::IFC_INT_SOURCE_V), 1);
    assert_eq!(bench.read(1, fb::IFC_INT_STATUS), 0);
    bench.write(1, fb::IFC_INT_MASK, 0);
    assert_eq!(bench.machine.interrupts, [(1, VECTOR_MESSAGE)]);
}

#[test]
fn a_vf_hears_the_pf_after_its_reset() {
    let mut bench = Bench::new();
    unmask(&mut bench);
    bench.device.flr(&mut bench.machine, 1);
    bench.write(0, pf::IFC_INT_CFG, 1);
    bench.write(0, pf::IFC_INT_SET_P, 1);
    assert_eq!(bench.machine.interrupts, [(1, VECTOR_MESSAGE)]);
}

#[test]
fn messages_need_no_mailbox_from_v4_on() {
    for revision in [Revision::V4, Revision::V5] {
        messages_by_register(Bench::with_revision(revision));
    }
}

fn messages_by_register(mut bench: Bench) {
    unmask(&mut bench);
    bench.write64(0, pf::PF2VF_PF_W, 1 | 9 << 32);
    bench.write(0, pf::IFC_INT_CFG, 2);
    bench.write(0, pf::IFC_INT_SET_P, 1);
    assert_eq!(
        bench.device.read(&mut bench.machine, 2, fb::PF2VF_VF_R, 8),
        1 | 9 << 32
    );
    assert_eq!(bench.read(1, fb::PF2VF_VF_R), 0, "for VF 2 only");
    bench.write64(2, fb::VF2PF_VF_W, 6);
    assert_eq!(bench.read(0, pf::VF2PF_PF_R + 8), 6);
    bench.assert_clean();
}

#[test]
fn a_hardware_error_interrupts_the_pf_until_cleared() {
    let mut bench = Bench::new();
    bench.write(0, pf::ABNORMAL_INT_MASK, !0x40);
    bench.write(0, pf::ABNORMAL_INT_SET, 0x80);
    assert!(bench.machine.interrupts.is_empty());
    bench.write(0, pf::ABNORMAL_INT_SET, 0x40);
    assert_eq!(bench.machine.interrupts, [(0, VECTOR_ABNORMAL)]);
    assert_eq!(bench.read(0, pf::ABNORMAL_INT_STATUS), 0xc0);
    bench.write(0, pf::ABNORMAL_INT_SOURCE, 0xffff_ffff);
    assert_eq!(bench.read(0, pf::ABNORMAL_INT_STATUS), 0);
}
