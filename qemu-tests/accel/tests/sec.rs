// SPDX-License-Identifier: GPL-2.0

//! The SEC engine's descriptors: location of data, rejected descriptors, and how errors are reported.

mod common;

use common::sec::AEAD_DONE;
use common::sec::AES;
use common::sec::CBC;
use common::sec::CCM;
use common::sec::CIPHER_DONE;
use common::sec::CTR;
use common::sec::ECB;
use common::sec::GCM;
use common::sec::HMAC_SHA256;
use common::sec::Hmac;
use common::sec::Outcome;
use common::sec::Request;
use common::sec::SM4;
use common::sec::Sec;
use common::sec::TRIPLE_DES;
use common::sec::XTS;
use common::sgl::lay_out;
use kunpeng_accel::Violation;
use proptest::prelude::*;

const DESCRIPTOR: u32 = 1;
const LENGTH: u32 = 2;
const MEMORY: u32 = 3;

const SOURCE_LIST: u32 = 1 << 11;
const DESTINATION_LIST: u32 = 1 << 14;

fn refused(error: u32) -> Outcome {
    Outcome {
        done: true,
        icv: 0,
        flag: 0,
        error,
    }
}

fn set_word(entry: &mut [u8; 128], index: usize, value: u32) {
    entry[4 * index..4 * index + 4].copy_from_slice(&value.to_le_bytes());
}

fn word(entry: &[u8; 128], index: usize) -> u32 {
    u32::from_le_bytes(entry[4 * index..4 * index + 4].try_into().unwrap())
}

/// Returns a request for any cipher, mode and key length.
fn request(cipher: u32, mode: u32, key_bytes: usize) -> Request {
    let mut request = Request::new(cipher, mode, vec![9; key_bytes], vec![1; 16], vec![7; 48]);
    request.first_block = vec![2; 16];
    if mode == CCM || mode == GCM {
        request.tag = vec![0; 16];
    }
    request
}

#[test]
fn what_the_capabilities_promise_is_done_and_nothing_else() {
    let mut sec = Sec::new();
    let offered = |cipher, mode, key_bytes| {
        matches!(
            (cipher, mode, key_bytes),
            (TRIPLE_DES, ECB | CBC, 24)
                | (AES, ECB | CBC | CTR | CCM | GCM, 16 | 24 | 32)
                | (SM4, CBC | CTR | CCM | GCM, 16)
                | (AES, XTS, 32 | 64)
                | (SM4, XTS, 32)
        )
    };
    for cipher in [TRIPLE_DES, AES, SM4] {
        for mode in [ECB, CBC, CTR, CCM, GCM, XTS] {
            for key_bytes in [16, 24, 32, 48, 64] {
                // The field cannot encode these.
                let said = match (cipher, mode) {
                    (TRIPLE_DES, _) => key_bytes == 24,
                    (_, XTS) => key_bytes != 16 && key_bytes != 24,
                    _ => key_bytes <= 32,
                };
                if !said {
                    continue;
                }
                let outcome = sec.run(&request(cipher, mode, key_bytes)).0;
                let expected = match (offered(cipher, mode, key_bytes), mode) {
                    (true, CCM | GCM) => AEAD_DONE,
                    (true, _) => CIPHER_DONE,
                    (false, _) => refused(DESCRIPTOR),
                };
                assert_eq!(outcome, expected, "{cipher} {mode} {key_bytes}");
            }
        }
    }
    sec.bench.assert_clean();
}

#[test]
fn descriptors_that_make_no_sense_are_refused() {
    let mut sec = Sec::new();
    let request = request(AES, CTR, 16);
    sec.store(&request);
    let good = sec.entry(&request);
    for (index, clear, set, what) in [
        (0, 0xf, 2, "type 2"),
        (0, 0, 1 << 4, "invalid"),
        (0, 0, 1 << 5, "scene"),
        (0, 0, 2 << 11, "source in pages"),
        (0, 0, 3 << 14, "destination unknown"),
        (0, 0, 1 << 17, "tag in a list"),
        (1, 3, 0, "no direction"),
        (1, 3, 3, "both directions"),
        (1, 0xf << 16, 2 << 16, "mode unknown"),
        (1, 0xf << 20, 4 << 20, "cipher unknown"),
        (1, 7 << 13, 3 << 13, "key of no length"),
        (14, 3 << 25, 0, "counter of another width"),
        (14, 0, 3, "tag neither written nor compared"),
        (14, 0, 1 | 0x12 << 15, "hash unknown"),
    ] {
        let mut entry = good;
        let value = word(&entry, index) & !clear | set;
        set_word(&mut entry, index, value);
        assert_eq!(sec.submit(&entry), refused(DESCRIPTOR), "{what}");
    }
    assert_eq!(sec.submit(&good), CIPHER_DONE);
    sec.bench.assert_clean();
}

#[test]
fn sm4_in_the_other_xts_is_refused() {
    let mut sec = Sec::new();
    let request = request(SM4, XTS, 32);
    sec.store(&request);
    let mut entry = sec.entry(&request);
    set_word(&mut entry, 14, 1 << 25);
    assert_eq!(sec.submit(&entry), refused(DESCRIPTOR));
}

#[test]
fn lengths_the_algorithm_cannot_have_are_refused() {
    let mut sec = Sec::new();
    for (cipher, mode, key_bytes, length) in [
        (AES, CBC, 16, 17),
        (AES, ECB, 32, 8),
        (TRIPLE_DES, ECB, 24, 12),
        (AES, XTS, 32, 15),
        (AES, CTR, 16, 0),
        (AES, CTR, 16, 0xff_fe01),
    ] {
        let request = request(cipher, mode, key_bytes);
        sec.store(&request);
        let mut entry = sec.entry(&request);
        set_word(&mut entry, 18, length);
        assert_eq!(sec.submit(&entry), refused(LENGTH), "{mode} {length}");
    }
    for (mode, tag_bytes) in [(CCM, 3), (CCM, 17), (GCM, 0), (GCM, 20)] {
        let mut request = request(AES, mode, 16);
        request.tag = vec![0; tag_bytes];
        assert_eq!(sec.run(&request).0, refused(LENGTH), "{mode} {tag_bytes}");
    }
    let mut request = request(AES, CBC, 16);
    request.hmac = Some(Hmac {
        hash: HMAC_SHA256,
        key: vec![1; 32],
    });
    for tag_bytes in [0, 36] {
        request.tag = vec![0; tag_bytes];
        assert_eq!(sec.run(&request).0, refused(LENGTH), "{tag_bytes}");
    }
    sec.bench.assert_clean();
}

#[test]
fn refused_memory_fails_the_request() {
    let mut sec = Sec::new();
    let request = request(AES, GCM, 16);
    sec.store(&request);
    let good = sec.entry(&request);
    for (index, what) in [
        (4, "source"),
        (12, "key"),
        (19, "destination"),
        (21, "tag"),
        (23, "iv"),
    ] {
        let before = sec.bench.violations(Violation::DmaFault);
        let mut entry = good;
        set_word(&mut entry, index, 0x10);
        set_word(&mut entry, index + 1, 0);
        assert_eq!(sec.submit(&entry), refused(MEMORY), "{what}");
        assert_eq!(sec.bench.violations(Violation::DmaFault), before + 1);
    }
    assert_eq!(sec.submit(&good), AEAD_DONE);
}

#[test]
fn a_list_shorter_than_the_data_fails_the_request() {
    let mut sec = Sec::new();
    let request = request(AES, CTR, 16);
    sec.store(&request);
    let (source, list) = (sec.places().source, sec.driver.output(200));
    lay_out(&mut sec.bench.machine, list, &[(source, 47)], 4);
    let mut entry = sec.entry(&request);
    let parameters = word(&entry, 0) | SOURCE_LIST;
    set_word(&mut entry, 0, parameters);
    set_word(&mut entry, 4, list as u32);
    assert_eq!(sec.submit(&entry), refused(MEMORY));
    sec.bench.assert_clean();
}

#[test]
fn without_a_destination_of_its_own_the_text_is_replaced() {
    let mut sec = Sec::new();
    let mut request = request(AES, CTR, 16);
    let (_, expected, _) = sec.run(&request);
    request.associated = vec![3; 5];
    sec.store(&request);
    let mut entry = sec.entry(&request);
    let parameters = word(&entry, 0) & !(3 << 9);
    set_word(&mut entry, 0, parameters);
    set_word(&mut entry, 19, 0);
    set_word(&mut entry, 20, 0);
    assert_eq!(sec.submit(&entry), CIPHER_DONE);
    let data = sec.bench.machine.load(sec.places().source, 53);
    assert_eq!(data[..5], [3; 5]);
    assert_eq!(data[5..], expected);
    sec.bench.assert_clean();
}

#[test]
fn what_is_only_authenticated_is_not_written() {
    let mut sec = Sec::new();
    let mut request = request(AES, GCM, 16);
    request.associated = vec![3; 20];
    let places = sec.places();
    sec.bench.machine.store(places.destination, &[0xee; 200]);
    assert_eq!(sec.run(&request).0, AEAD_DONE);
    assert_eq!(sec.bench.machine.load(places.destination, 20), [0xee; 20]);
    assert_eq!(
        sec.bench.machine.load(places.destination + 68, 132),
        [0xee; 132]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_are_as_good_as_one_buffer(
        mode in prop::sample::select(vec![CTR, GCM, XTS]),
        text in prop::collection::vec(any::<u8>(), 16..1500),
        associated in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(1_u32..90, 1..20),
        per_list in 2_usize..12,
    ) {
        let mut sec = Sec::new();
        let mut request = request(AES, mode, 32);
        request.text = text;
        request.associated = associated;
        let (outcome, expected, tag) = sec.run(&request);

        let places = sec.places();
        let whole = [request.associated.clone(), request.text.clone()].concat();
        let (input, output) = (sec.driver.input(10), sec.driver.output(10));
        let (mut sources, mut targets) = (Vec::new(), Vec::new());
        let (mut at, mut cut) = (0, cuts.iter().cycle());
        while at < whole.len() {
            let length = (whole.len() - at).min(*cut.next().unwrap() as usize);
            let gap = 2 * at as u64;
            sec.bench.machine.store(input + gap, &whole[at..at + length]);
            sources.push((input + gap, length as u32));
            targets.push((output + gap, length as u32));
            at += length;
        }
        let (first, second) = (sec.driver.input(200), sec.driver.output(200));
        lay_out(&mut sec.bench.machine, first, &sources, 128);
        lay_out(&mut sec.bench.machine, second, &targets, per_list.max(targets.len() / 20));
        let mut entry = sec.entry(&request);
        let parameters = word(&entry, 0) | SOURCE_LIST | DESTINATION_LIST;
        set_word(&mut entry, 0, parameters);
        set_word(&mut entry, 4, first as u32);
        set_word(&mut entry, 19, second as u32);
        prop_assert_eq!(sec.submit(&entry), outcome);
        let written: Vec<u8> = targets
            .iter()
            .flat_map(|(address, length)| sec.bench.machine.load(*address, *length as usize).to_vec())
            .collect();
        prop_assert_eq!(&written[request.associated.len()..], &expected);
        prop_assert_eq!(sec.bench.machine.load(places.tag, tag.len()), &tag);
        sec.bench.assert_clean();
    }
}
