// SPDX-License-Identifier: GPL-2.0

//! Checks the HPRE engine against the test's own arithmetic, mathematical theorems, and the test vectors of the
//! standards.

mod common;

use common::Bench;
use common::Driver;
use common::hex::hex;
use kunpeng_accel::HPRE;
use kunpeng_accel::Revision;
use kunpeng_accel::Violation;
use proptest::prelude::*;

const RSA: u32 = 0x0;
const RSA_CRT: u32 = 0x1;
const DH_BASE_2: u32 = 0x4;
const DH: u32 = 0x5;
const CURVE: u32 = 0xd;

const MODULAR_QUEUE: usize = 0;
const CURVE_QUEUE: usize = 1;

const ALGORITHM: u32 = 1;
const LENGTH: u32 = 2;
const MEMORY: u32 = 3;
const NUMBER: u32 = 4;

struct Hpre {
    bench: Bench,
    driver: Driver,
}

impl Hpre {
    fn new() -> Self {
        let mut bench = Bench::with_profile(&HPRE, Revision::V3);
        let driver = Driver::with_queues(&mut bench, &[0, 1]);
        Self { bench, driver }
    }

    /// Returns a `struct hpre_sqe`.
    fn entry(&self, algorithm: u32, bytes: usize) -> [u8; 64] {
        let mut entry = [0; 64];
        entry[..4].copy_from_slice(&(algorithm | 1 << 30).to_le_bytes());
        entry[4] = (bytes / 8 - 1) as u8;
        for (offset, address) in [
            (8, self.driver.input(0)),
            (16, self.driver.input(1)),
            (24, self.driver.output(0)),
        ] {
            entry[offset..offset + 8].copy_from_slice(&address.to_le_bytes());
        }
        entry
    }

    /// Returns the error type of a request, which must have completed.
    fn submit(&mut self, queue: usize, entry: &[u8; 64]) -> u32 {
        let place = self.driver.queues[queue].tail;
        assert!(self.driver.submit(&mut self.bench, queue, entry));
        self.bench.settle();
        self.driver.poll(&mut self.bench);
        assert_eq!(self.driver.queues[queue].done.last(), Some(&place));
        let word = self.bench.machine.load_u32(self.driver.entry(queue, place));
        assert_eq!(word >> 30, 3);
        assert_eq!(word & 0x1f, u32::from(entry[0] & 0x1f));
        word >> 5 & 0x7ff
    }

    fn run(
        &mut self,
        algorithm: u32,
        bytes: usize,
        key: &[u8],
        input: &[u8],
        output_bytes: usize,
    ) -> Result<Vec<u8>, u32> {
        self.bench.machine.store(self.driver.input(0), key);
        self.bench.machine.store(self.driver.input(1), input);
        let queue = if algorithm == CURVE {
            CURVE_QUEUE
        } else {
            MODULAR_QUEUE
        };
        match self.submit(queue, &self.entry(algorithm, bytes)) {
            0 => Ok(self
                .bench
                .machine
                .load(self.driver.output(0), output_bytes)
                .to_vec()),
            error => Err(error),
        }
    }

    /// 64-bit numbers.
    fn run_u64(&mut self, algorithm: u32, key: &[u64], input: u64) -> Result<u64, u32> {
        let key: Vec<u8> = key.iter().flat_map(|number| number.to_be_bytes()).collect();
        self.run(algorithm, 8, &key, &input.to_be_bytes(), 8)
            .map(|output| u64::from_be_bytes(output.try_into().unwrap()))
    }
}

fn power(base: u64, exponent: u64, modulus: u64) -> u64 {
    let modulus = u128::from(modulus);
    let mut result = 1 % modulus;
    let mut square = u128::from(base) % modulus;
    for bit in 0..64 {
        if exponent >> bit & 1 != 0 {
            result = result * square % modulus;
        }
        square = square * square % modulus;
    }
    result as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn powers_are_those_of_plain_arithmetic(base: u64, exponent: u64, modulus in 1..=u64::MAX) {
        let mut hpre = Hpre::new();
        let expected = power(base, exponent, modulus);
        prop_assert_eq!(hpre.run_u64(RSA, &[exponent, modulus], base), Ok(expected));
        prop_assert_eq!(hpre.run_u64(DH, &[exponent, modulus], base), Ok(expected));
        let expected = power(2, exponent, modulus);
        prop_assert_eq!(hpre.run_u64(DH_BASE_2, &[exponent, modulus], base), Ok(expected));
        hpre.bench.assert_clean();
    }

    #[test]
    fn the_remainder_theorem_gives_the_same(base: u64, exponent: u32) {
        // The largest primes below 2^32 and 2^31.
        let (p, q) = (4_294_967_291_u64, 2_147_483_647_u64);
        let halves = [
            u64::from(exponent) % (q - 1),
            u64::from(exponent) % (p - 1),
            q,
            p,
            power(q, p - 2, p),
        ];
        let key: Vec<u8> = halves.iter().flat_map(|half| (*half as u32).to_be_bytes()).collect();
        let mut hpre = Hpre::new();
        let output = hpre.run(RSA_CRT, 8, &key, &base.to_be_bytes(), 8).unwrap();
        let expected = power(base, exponent.into(), p * q);
        // The theorem needs a base without common factor if an exponent was reduced to zero.
        if base % p != 0 && base % q != 0 {
            prop_assert_eq!(output, expected.to_be_bytes());
        }
        hpre.bench.assert_clean();
    }
}

/// Fermat: a number to the power of a prime, modulo that prime, is the number itself; here for the Mersenne prime of
/// 521 bits.
#[test]
fn large_numbers_obey_fermat() {
    let mut hpre = Hpre::new();
    let mut prime = vec![0xff; 72];
    prime[..6].fill(0);
    prime[6] = 0x01;
    let mut base = vec![0x5a; 72];
    base[..7].fill(0);
    let key = [prime.clone(), prime].concat();
    assert_eq!(hpre.run(DH, 72, &key, &base, 72), Ok(base));
}

struct Known {
    bytes: usize,
    p: &'static str,
    a: &'static str,
    b: &'static str,
    g: [&'static str; 2],
}

/// FIPS 186-4, D.1.2; laid out as the driver does, in 256 bits.
const P192: Known = Known {
    bytes: 32,
    p: "0000000000000000fffffffffffffffffffffffffffffffeffffffffffffffff",
    a: "0000000000000000fffffffffffffffffffffffffffffffefffffffffffffffc",
    b: "000000000000000064210519e59c80e70fa7e9ab72243049feb8deecc146b9b1",
    g: [
        "0000000000000000188da80eb03090f67cbf20eb43a18800f4ff0afd82ff1012",
        "000000000000000007192b95ffc8da78631011ed6b24cdd573f977a11e794811",
    ],
};

const P256: Known = Known {
    bytes: 32,
    p: "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
    a: "ffffffff00000001000000000000000000000000fffffffffffffffffffffffc",
    b: "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
    g: [
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    ],
};

const P384: Known = Known {
    bytes: 48,
    p: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
    a: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000fffffffc",
    b: "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    g: [
        "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
        "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
    ],
};

impl Known {
    fn multiply(&self, hpre: &mut Hpre, factor: &str, point: &[u8]) -> Result<Vec<u8>, u32> {
        let key = [self.p, self.a, factor, self.b].map(hex).concat();
        hpre.run(CURVE, self.bytes, &key, point, 2 * self.bytes)
    }

    fn generator(&self) -> Vec<u8> {
        self.g.map(hex).concat()
    }
}

/// The double of the generator (NIST, Mathematical routines for the NIST prime elliptic curves).
#[test]
fn p192_in_256_bits() {
    let mut hpre = Hpre::new();
    let two = "0000000000000000000000000000000000000000000000000000000000000002";
    assert_eq!(
        P192.multiply(&mut hpre, two, &P192.generator()),
        Ok(hex(
            "0000000000000000dafebf5828783f2ad35534631588a3f629a70fb16982a888
             0000000000000000dd6bda0d993da0fa46b27bbc141b868f59331afa5c7e93ab"
        ))
    );
    hpre.bench.assert_clean();
}

/// RFC 5903, section 8.1: both public keys, and the secret as computed by either side.
#[test]
fn p256_agrees_on_a_secret() {
    let mut hpre = Hpre::new();
    let i = "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433";
    let r = "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53";
    let gi = hex(
        "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180
         5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
    );
    let gr = hex(
        "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63
         56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
    );
    let secret = hex(
        "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de
         522bde0af0d8585b8def9c183b5ae38f50235206a8674ecb5d98edb20eb153a2",
    );
    assert_eq!(
        P256.multiply(&mut hpre, i, &P256.generator()),
        Ok(gi.clone())
    );
    assert_eq!(
        P256.multiply(&mut hpre, r, &P256.generator()),
        Ok(gr.clone())
    );
    assert_eq!(P256.multiply(&mut hpre, i, &gr), Ok(secret.clone()));
    assert_eq!(P256.multiply(&mut hpre, r, &gi), Ok(secret));
    hpre.bench.assert_clean();
}

/// RFC 5903, section 8.2: the first public key.
#[test]
fn p384_public_key() {
    let mut hpre = Hpre::new();
    let i = "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194";
    assert_eq!(
        P384.multiply(&mut hpre, i, &P384.generator()),
        Ok(hex(
            "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa
             9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c"
        ))
    );
    hpre.bench.assert_clean();
}

#[test]
fn points_that_are_none_are_refused() {
    let mut hpre = Hpre::new();
    let one = "0000000000000000000000000000000000000000000000000000000000000001";
    let mut point = P256.generator();
    assert_eq!(P256.multiply(&mut hpre, one, &point), Ok(point.clone()));
    point[63] ^= 1;
    assert_eq!(P256.multiply(&mut hpre, one, &point), Err(NUMBER));
    assert_eq!(P256.multiply(&mut hpre, one, &[0xff; 64]), Err(NUMBER));
    // Infinity has no coordinates: zero times a point, and the order of the group times a point.
    for factor in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    ] {
        let outcome = P256.multiply(&mut hpre, factor, &P256.generator());
        assert_eq!(outcome, Err(NUMBER));
    }
    for p in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000010",
    ] {
        let known = Known { p, ..P256 };
        let outcome = known.multiply(&mut hpre, one, &P256.generator());
        assert_eq!(outcome, Err(NUMBER));
    }
    hpre.bench.assert_clean();
}

#[test]
fn numbers_without_meaning_are_refused() {
    let mut hpre = Hpre::new();
    assert_eq!(hpre.run_u64(RSA, &[3, 0], 5), Err(NUMBER));
    assert_eq!(hpre.run_u64(DH_BASE_2, &[3, 0], 5), Err(NUMBER));
    assert_eq!(hpre.run_u64(RSA_CRT, &[3, 0, 0], 5), Err(NUMBER));
}

#[test]
fn what_the_engine_does_not_do_is_refused() {
    let mut hpre = Hpre::new();
    let done = [RSA, RSA_CRT, DH_BASE_2, DH, CURVE];
    for algorithm in 0..32 {
        for queue in [MODULAR_QUEUE, CURVE_QUEUE] {
            let entry = hpre.entry(algorithm, 32);
            let known = done.contains(&algorithm);
            let in_its_queue = (queue == CURVE_QUEUE) == (algorithm == CURVE);
            // Memory is all zeroes.
            let expected = if known && in_its_queue {
                NUMBER
            } else {
                ALGORITHM
            };
            assert_eq!(hpre.submit(queue, &entry), expected, "{algorithm:#x}");
        }
    }
    for (algorithm, bytes) in [(RSA, 520), (DH, 2048), (CURVE, 24), (CURVE, 56)] {
        let queue = usize::from(algorithm == CURVE);
        let entry = hpre.entry(algorithm, bytes);
        assert_eq!(hpre.submit(queue, &entry), LENGTH, "{algorithm:#x} {bytes}");
    }
    hpre.bench.assert_clean();
}

#[test]
fn refused_memory_fails_the_request() {
    let mut hpre = Hpre::new();
    hpre.run_u64(RSA, &[3, 1000], 7).unwrap();
    for offset in [8, 16, 24] {
        let mut entry = hpre.entry(RSA, 8);
        entry[offset..offset + 8].copy_from_slice(&0x10_u64.to_le_bytes());
        assert_eq!(hpre.submit(MODULAR_QUEUE, &entry), MEMORY);
    }
    assert_eq!(hpre.bench.violations(Violation::DmaFault), 3);
}
