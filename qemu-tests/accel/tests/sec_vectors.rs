// SPDX-License-Identifier: GPL-2.0

//! Checks the SEC engine against the test vectors of the standards, in both directions.

mod common;

use common::hex::hex;
use common::sec::AEAD_DONE;
use common::sec::AES;
use common::sec::CBC;
use common::sec::CCM;
use common::sec::CIPHER_DONE;
use common::sec::CTR;
use common::sec::ECB;
use common::sec::GCM;
use common::sec::HMAC_SHA1;
use common::sec::HMAC_SHA256;
use common::sec::HMAC_SHA512;
use common::sec::Hmac;
use common::sec::Request;
use common::sec::SM4;
use common::sec::Sec;
use common::sec::TAG_WRONG;
use common::sec::TRIPLE_DES;
use common::sec::XTS;

/// Checks both directions: the text encrypts to `expected`, which decrypts to the text.
fn both_ways(mut request: Request, expected: &str) {
    let mut sec = Sec::new();
    let expected = hex(expected);
    assert_eq!(sec.run(&request), (CIPHER_DONE, expected.clone(), vec![]));
    let text = std::mem::replace(&mut request.text, expected);
    request.encrypt = false;
    assert_eq!(sec.run(&request), (CIPHER_DONE, text, vec![]));
    sec.bench.assert_clean();
}

/// Like [`both_ways()`], with a tag. A tag with one flipped bit is detected.
fn both_ways_with_tag(mut request: Request, expected: &str, tag: &str) {
    let mut sec = Sec::new();
    let (expected, mut tag) = (hex(expected), hex(tag));
    request.tag = vec![0; tag.len()];
    assert_eq!(
        sec.run(&request),
        (AEAD_DONE, expected.clone(), tag.clone())
    );
    let text = std::mem::replace(&mut request.text, expected);
    request.encrypt = false;
    request.tag.clone_from(&tag);
    assert_eq!(sec.run(&request), (AEAD_DONE, text, tag.clone()));
    tag[0] ^= 1;
    request.tag = tag;
    assert_eq!(sec.run(&request).0, TAG_WRONG);
    sec.bench.assert_clean();
}

/// First blocks of the examples in SP 800-38A.
fn blocks(number: usize) -> Vec<u8> {
    hex(
        "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
         30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710",
    )[..16 * number]
        .to_vec()
}

/// SP 800-38A, F.1.1.
#[test]
fn aes_ecb() {
    let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    both_ways(
        Request::new(AES, ECB, key, vec![], blocks(2)),
        "3ad77bb40d7a3660a89ecaf32466ef97 f5d3d58503b9699de785895a96fdbaaf",
    );
}

/// SP 800-38A, F.2.3 and F.2.5.
#[test]
fn aes_cbc() {
    let iv = hex("000102030405060708090a0b0c0d0e0f");
    both_ways(
        Request::new(
            AES,
            CBC,
            hex("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"),
            iv.clone(),
            blocks(2),
        ),
        "4f021db243bc633d7178183a9fa071e8 b4d9ada9ad7dedf4e5e738763f69145a",
    );
    both_ways(
        Request::new(
            AES,
            CBC,
            hex("603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4"),
            iv,
            blocks(2),
        ),
        "f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d",
    );
}

/// SP 800-38A, F.5.1, and part of its last block.
#[test]
fn aes_ctr() {
    let expected = "874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff
        5ae4df3edbd5d35e5b4f09020db03eab 1e031dda2fbe03d1792170a0f3009cee";
    let request = |text| {
        Request::new(
            AES,
            CTR,
            hex("2b7e151628aed2a6abf7158809cf4f3c"),
            hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"),
            text,
        )
    };
    both_ways(request(blocks(4)), expected);
    both_ways(
        request(blocks(4)[..53].to_vec()),
        &expected.replace(char::is_whitespace, "")[..106],
    );
}

/// A 128-bit counter wraps to zero: the second block is the first block of a counter of zero.
#[test]
fn a_counter_wraps_at_128_bits() {
    let mut sec = Sec::new();
    let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    let mut run = |iv: Vec<u8>, text: Vec<u8>| {
        let request = Request::new(AES, CTR, key.clone(), iv, text);
        sec.run(&request).1
    };
    let wrapped = run(vec![0xff; 16], vec![0; 32]);
    assert_eq!(wrapped[16..], run(vec![0; 16], vec![0; 16]));
}

/// IEEE 1619, vectors 2 and 15; the latter uses ciphertext stealing.
#[test]
fn aes_xts() {
    let key = [vec![0x11; 16], vec![0x22; 16]].concat();
    let tweak = hex("33333333330000000000000000000000");
    both_ways(
        Request::new(AES, XTS, key, tweak, vec![0x44; 32]),
        "c454185e6a16936e39334038acef838b fb186fff7480adc4289382ecd6d394f0",
    );
    both_ways(
        Request::new(
            AES,
            XTS,
            hex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0 bfbebdbcbbbab9b8b7b6b5b4b3b2b1b0"),
            hex("9a785634120000000000000000000000"),
            (0..=16).collect(),
        ),
        "6c1625db4671522d3d7599601de7ca09ed",
    );
}

/// SP 800-67, appendix B.
#[test]
fn triple_des_ecb() {
    both_ways(
        Request::new(
            TRIPLE_DES,
            ECB,
            hex("0123456789abcdef 23456789abcdef01 456789abcdef0123"),
            vec![],
            b"The qufck brown fox jump".to_vec(),
        ),
        "a826fd8ce53b855f cce21c8112256fe6 68d5c05dd9b6b900",
    );
}

/// CBC is ECB of the text combined with the previous ciphertext block, or with the IV.
#[test]
fn triple_des_cbc() {
    let (iv, text) = (hex("f69f2445df4f9b17"), blocks(1));
    let key = hex("0123456789abcdef 23456789abcdef01 456789abcdef0123");
    let mut sec = Sec::new();
    let mut before = iv.clone();
    let mut expected = String::new();
    for block in text.chunks(8) {
        let mixed = block.iter().zip(&before).map(|(a, b)| a ^ b).collect();
        let request = Request::new(TRIPLE_DES, ECB, key.clone(), vec![], mixed);
        before = sec.run(&request).1;
        expected.extend(before.iter().map(|byte| format!("{byte:02x}")));
    }
    both_ways(Request::new(TRIPLE_DES, CBC, key, iv, text), &expected);
}

/// GB/T 32907-2016, A.1: the block cipher, using CBC with a zero IV, and using CTR on zeroes.
#[test]
fn sm4_cbc_and_ctr() {
    let block = hex("0123456789abcdeffedcba9876543210");
    let expected = "681edf34d206965e86b3e94f536e4246";
    both_ways(
        Request::new(SM4, CBC, block.clone(), vec![0; 16], block.clone()),
        expected,
    );
    both_ways(
        Request::new(SM4, CTR, block.clone(), block.clone(), vec![0; 16]),
        expected,
    );
}

/// Computes XTS of one block from the block cipher, as defined by the standard.
#[test]
fn sm4_xts() {
    let mut sec = Sec::new();
    let (first, second) = (vec![0x5a; 16], vec![0xc3; 16]);
    let mut one_block = |key: &[u8], block: &[u8]| {
        let request = Request::new(SM4, CBC, key.to_vec(), vec![0; 16], block.to_vec());
        sec.run(&request).1
    };
    let mix = |left: &[u8], right: &[u8]| -> Vec<u8> {
        left.iter().zip(right).map(|(a, b)| a ^ b).collect()
    };
    let (tweak, text) = (blocks(2)[16..].to_vec(), blocks(1));
    let mask = one_block(&second, &tweak);
    let expected = mix(&one_block(&first, &mix(&text, &mask)), &mask);
    let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = [first, second].concat();
    both_ways(Request::new(SM4, XTS, key, tweak, text), &expected);
}

/// Test case 4 of the GCM specification.
#[test]
fn aes_gcm() {
    let mut request = Request::new(
        AES,
        GCM,
        hex("feffe9928665731c6d6a8f9467308308"),
        hex("cafebabefacedbaddecaf888"),
        hex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        ),
    );
    request.associated = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    both_ways_with_tag(
        request,
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
         21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
        "5bc94fbc3221a5db94fae95ae7121a47",
    );
}

/// Test case 1: only a tag; and a truncated one.
#[test]
fn aes_gcm_of_nothing() {
    let request = Request::new(AES, GCM, vec![0; 16], vec![0; 12], vec![]);
    both_ways_with_tag(request.clone(), "", "58e2fccefa7e3061367f1d57a4e7455a");
    both_ways_with_tag(request, "", "58e2fccefa7e3061");
}

/// Returns the first block and the first counter of CCM for a nonce, as `set_aead_auth_iv()` builds them.
fn ccm(mut request: Request, nonce: &str, tag_bytes: u8) -> Request {
    let nonce = hex(nonce);
    let counter_bytes = 15 - nonce.len();
    let flags = (counter_bytes - 1) as u8
        | ((tag_bytes - 2) / 2) << 3
        | u8::from(!request.associated.is_empty()) << 6;
    let length = (request.text.len() as u64).to_be_bytes();
    let mut counter = vec![0; counter_bytes];
    counter[counter_bytes - 1] = 1;
    request.iv = [&[(counter_bytes - 1) as u8], nonce.as_slice(), &counter].concat();
    request.first_block = [&[flags], nonce.as_slice(), &length[8 - counter_bytes..]].concat();
    request
}

/// RFC 3610, packet vector 1.
#[test]
fn aes_ccm() {
    let mut request = Request::new(
        AES,
        CCM,
        (0xc0..=0xcf).collect(),
        vec![],
        (0x08..=0x1e).collect(),
    );
    request.associated = (0..8).collect();
    both_ways_with_tag(
        ccm(request, "00000003020100a0a1a2a3a4a5", 8),
        "588c979a61c663d2f066d0c2c0f989806d5f6b61dac384",
        "17e8d12cfdf926e0",
    );
}

fn rfc_8998(mode: u32, iv: &str) -> Request {
    let text = [0xaa_u8, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0xee, 0xaa];
    let mut request = Request::new(
        SM4,
        mode,
        hex("0123456789abcdeffedcba9876543210"),
        hex(iv),
        text.iter().flat_map(|byte| [*byte; 8]).collect(),
    );
    request.associated = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    request
}

/// RFC 8998, A.1.
#[test]
fn sm4_gcm() {
    both_ways_with_tag(
        rfc_8998(GCM, "00001234567800000000abcd"),
        "17f399f08c67d5ee19d0dc9969c4bb7d 5fd46fd3756489069157b282bb200735
         d82710ca5c22f0ccfa7cbf93d496ac15 a56834cbcf98c397b4024a2691233b8d",
        "83de3541e4c2b58177e065a9bf7b62ec",
    );
}

/// RFC 8998, A.2.
#[test]
fn sm4_ccm() {
    both_ways_with_tag(
        ccm(rfc_8998(CCM, ""), "00001234567800000000abcd", 16),
        "48af93501fa62adbcd414cce6034d895 dda1bf8f132f042098661572e7483094
         fd12e518ce062c98acee28d95df4416b ed31a2f04476c18bb40c84a74b97dc5b",
        "16842d4fa186f56ab33256971fa110f4",
    );
}

/// Returns a tag over `length` bytes before the text, from a request that also encrypts the text.
fn tag_before_text(sec: &mut Sec, hash: u32, key: &[u8], data: &[u8], bytes: usize) -> Vec<u8> {
    let mut request = Request::new(AES, CBC, vec![0; 16], vec![0; 16], vec![0; 16]);
    request.hmac = Some(Hmac {
        hash,
        key: key.to_vec(),
    });
    request.associated = data.to_vec();
    request.tag = vec![0; bytes];
    sec.store(&request);
    let mut entry = sec.entry(&request);
    entry[68..72].copy_from_slice(&(data.len() as u32).to_le_bytes());
    assert_eq!(sec.submit(&entry), AEAD_DONE);
    sec.bench.machine.load(sec.places().tag, bytes).to_vec()
}

/// RFC 2202 and RFC 4231, test case 2.
#[test]
fn keyed_hashes() {
    let mut sec = Sec::new();
    for (hash, expected) in [
        (HMAC_SHA1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (
            HMAC_SHA256,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            HMAC_SHA512,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ] {
        let expected = hex(expected);
        let text = b"what do ya want for nothing?";
        let tag = tag_before_text(&mut sec, hash, b"Jefe", text, expected.len());
        assert_eq!(tag, expected);
    }
    sec.bench.assert_clean();
}

/// RFC 3602, case 1, with a hash over the data before the text and over the ciphertext.
#[test]
fn aes_cbc_with_keyed_hash() {
    let mut sec = Sec::new();
    let mut request = Request::new(
        AES,
        CBC,
        hex("06a9214036b8a15b512e03d534120006"),
        hex("3dafba429d9eb430b422da802c9fac41"),
        b"Single block msg".to_vec(),
    );
    request.associated = hex("0001020304050607");
    let enciphered = "e353779c1079aeb82708942dbe77181a";
    let hashed = [request.associated.clone(), hex(enciphered)].concat();
    for (hash, bytes) in [(HMAC_SHA1, 12), (HMAC_SHA256, 32), (HMAC_SHA512, 64)] {
        let key = vec![0x0b; 64];
        let tag = tag_before_text(&mut sec, hash, &key, &hashed, bytes);
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        request.hmac = Some(Hmac { hash, key });
        both_ways_with_tag(request.clone(), enciphered, &tag);
    }
}
