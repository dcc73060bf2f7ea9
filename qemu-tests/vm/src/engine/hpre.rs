// SPDX-License-Identifier: GPL-2.0

//! HPRE: RSA, Diffie-Hellman and points of a curve. Names are those of the kernel's `hpre/hpre.h`.

use std::sync::LazyLock;

use anyhow::{Result, ensure};
use fastrand::Rng;
use num_bigint::BigUint;
use p256::elliptic_curve::ff::PrimeField;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{ProjectivePoint, Scalar};

use super::{Accelerator, noise, same};
use crate::qm::{Engine, Entry, Fields, Slot, Work};

/// The HPRE accelerator.
pub static HPRE: Accelerator = Accelerator {
    kind: protocol::Engine::Hpre,
    id: "hpre0",
    pf: 0xa258,
    vf: 0xa259,
    module: "hisi_hpre",
    software: &["rsa_generic", "dh_generic", "ecdh_generic"],
    engine: &Hpre,
};

/// Size of `struct hpre_sqe`, and offsets in it.
const ENTRY_SIZE: usize = 64;
const HEAD: usize = 0;
const LENGTH: usize = 4;
const KEY: usize = 8;
const INPUT: usize = 16;
const OUTPUT: usize = 24;
const TAG: usize = 32;

const DONE_SHIFT: u32 = 30;
/// `HPRE_HW_TASK_DONE`.
const DONE: u32 = 3;
const ERROR_SHIFT: u32 = 5;
const ERROR: u32 = 0x7ff;

/// `enum hpre_alg_type`, as far as it is used here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
enum Algorithm {
    Rsa = 0x0,
    RsaCrt = 0x1,
    DiffieHellman = 0x5,
    CurveMultiply = 0xd,
}

/// Types of queue: half of them multiply points.
const QUEUE_MODULAR: u16 = 0;
const QUEUE_CURVES: u16 = 1;

struct Hpre;

impl Engine for Hpre {
    fn entry_size(&self) -> usize {
        ENTRY_SIZE
    }

    fn algorithm(&self, queue: u16) -> u16 {
        match queue % 2 {
            0 => QUEUE_MODULAR,
            _ => QUEUE_CURVES,
        }
    }

    fn work(&self, queue: u16, random: &mut Rng) -> Box<dyn Work> {
        Box::new(match (self.algorithm(queue), random.usize(..4)) {
            (QUEUE_CURVES, _) => Task::curve(random),
            (_, 0) => Task::public(random),
            (_, 1) => Task::private(random),
            (_, 2) => Task::private_crt(random),
            _ => Task::diffie_hellman(random),
        })
    }

    fn tag(&self, entry: &Entry) -> u64 {
        entry.double_word(TAG / 4)
    }
}

/// Bytes of a number of RSA and of Diffie-Hellman; of half as many those of a prime factor.
const MODULAR: usize = 152;
/// Bytes of a coordinate.
const COORDINATE: usize = 32;

/// An RSA key of two Mersenne primes: it needs no list of digits.
struct Key {
    p: BigUint,
    q: BigUint,
    modulus: BigUint,
    public: BigUint,
    private: BigUint,
}

static RSA: LazyLock<Key> = LazyLock::new(|| {
    let one = BigUint::from(1_u8);
    let (p, q) = ((&one << 521_u32) - &one, (&one << 607_u32) - &one);
    let public = BigUint::from(65537_u32);
    let private = public
        .modinv(&((&p - &one) * (&q - &one)))
        .expect("65537 divides neither prime less one");
    Key {
        modulus: &p * &q,
        p,
        q,
        public,
        private,
    }
});

/// The curve P-256 (FIPS 186-4, D.1.2.3).
const P: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
const A: &str = "ffffffff00000001000000000000000000000000fffffffffffffffffffffffc";
const B: &str = "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b";

fn number(digits: &str) -> BigUint {
    BigUint::parse_bytes(digits.as_bytes(), 16).expect("these are hexadecimal digits")
}

/// Big endian, with zeroes before it.
fn bytes(number: &BigUint, length: usize) -> Vec<u8> {
    let digits = number.to_bytes_be();
    let mut bytes = vec![0; length - digits.len()];
    bytes.extend(digits);
    bytes
}

/// Both coordinates, one after the other.
fn coordinates(point: &ProjectivePoint) -> Vec<u8> {
    let encoded = point.to_affine().to_sec1_point(false);
    // Behind the byte that says how the point is encoded.
    encoded.as_bytes()[1..].to_vec()
}

/// A request: numbers in, numbers out.
struct Task {
    algorithm: Algorithm,
    /// Bytes of one number.
    length: usize,
    key: Vec<u8>,
    input: Vec<u8>,
    expected: Vec<u8>,
}

impl Task {
    fn modular(algorithm: Algorithm, key: Vec<u8>, input: &BigUint, expected: &BigUint) -> Self {
        Task {
            algorithm,
            length: MODULAR,
            key,
            input: bytes(input, MODULAR),
            expected: bytes(expected, MODULAR),
        }
    }

    /// A number below the modulus of the RSA key.
    fn message(random: &mut Rng) -> BigUint {
        BigUint::from_bytes_be(&noise(random, MODULAR)) % &RSA.modulus
    }

    fn power(exponent: &BigUint, modulus: &BigUint) -> Vec<u8> {
        [bytes(exponent, MODULAR), bytes(modulus, MODULAR)].concat()
    }

    fn public(random: &mut Rng) -> Self {
        let message = Self::message(random);
        let secret = message.modpow(&RSA.public, &RSA.modulus);
        let key = Self::power(&RSA.public, &RSA.modulus);
        Self::modular(Algorithm::Rsa, key, &message, &secret)
    }

    /// What comes out of the private key is known without any arithmetic.
    fn private(random: &mut Rng) -> Self {
        let message = Self::message(random);
        let secret = message.modpow(&RSA.public, &RSA.modulus);
        let key = Self::power(&RSA.private, &RSA.modulus);
        Self::modular(Algorithm::Rsa, key, &secret, &message)
    }

    fn private_crt(random: &mut Rng) -> Self {
        let Key { p, q, .. } = &*RSA;
        let one = BigUint::from(1_u8);
        let inverse = q.modinv(p).expect("one prime does not divide the other");
        let key = [
            &(&RSA.private % (q - &one)),
            &(&RSA.private % (p - &one)),
            q,
            p,
            &inverse,
        ]
        .map(|number| bytes(number, MODULAR / 2));
        Task {
            algorithm: Algorithm::RsaCrt,
            key: key.concat(),
            ..Self::private(random)
        }
    }

    fn diffie_hellman(random: &mut Rng) -> Self {
        let base = BigUint::from_bytes_be(&noise(random, 64));
        let exponent = BigUint::from_bytes_be(&noise(random, 16));
        let shared = base.modpow(&exponent, &RSA.q);
        let key = Self::power(&exponent, &RSA.q);
        Self::modular(Algorithm::DiffieHellman, key, &base, &shared)
    }

    /// The generator of P-256 times a number.
    fn curve(random: &mut Rng) -> Self {
        // Below the order of the group, whose first 32 bits are all ones, and not 0.
        let mut digits = [0; COORDINATE];
        digits[4..].copy_from_slice(&noise(random, COORDINATE - 4));
        digits[COORDINATE - 1] |= 1;
        let factor = Option::from(Scalar::from_repr(digits.into()));
        let factor: Scalar = factor.expect("it is below the order");
        let key = [
            number(P),
            number(A),
            BigUint::from_bytes_be(&digits),
            number(B),
        ]
        .map(|number| bytes(&number, COORDINATE));
        Task {
            algorithm: Algorithm::CurveMultiply,
            length: COORDINATE,
            key: key.concat(),
            input: coordinates(&ProjectivePoint::GENERATOR),
            expected: coordinates(&(ProjectivePoint::GENERATOR * factor)),
        }
    }
}

impl Work for Task {
    fn submit(&self, slot: &Slot<'_>, tag: u64, _random: &mut Rng) -> Vec<u8> {
        let fields: Fields<ENTRY_SIZE> = Fields::new()
            .u32(HEAD, self.algorithm as u32 | 1 << DONE_SHIFT)
            .u32(LENGTH, self.length as u32 / 8 - 1)
            .u64(KEY, slot.parameters(&self.key))
            .u64(INPUT, slot.source(&self.input).address)
            .u64(OUTPUT, slot.destination(self.expected.len()).address)
            .u64(TAG, tag);
        fields.finish().to_vec()
    }

    fn check(&self, slot: &Slot<'_>, entry: &Entry) -> Result<()> {
        let head = entry.word(HEAD / 4);
        let (done, error) = (head >> DONE_SHIFT, head >> ERROR_SHIFT & ERROR);
        ensure!(
            done == DONE && error == 0,
            "{:?}: done {done}, error {error:#x}",
            self.algorithm
        );
        same(&slot.output(self.expected.len()), &self.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_bit_is_noticed() {
        let mut random = Rng::with_seed(1);
        let makes = [
            Task::public,
            Task::private,
            Task::private_crt,
            Task::diffie_hellman,
            Task::curve,
        ];
        for make in makes {
            let work = make(&mut random);
            let done = work.algorithm as u32 | DONE << DONE_SHIFT;
            super::super::tests::notices(&work, (HEAD / 4, done), &work.expected);
        }
    }

    #[test]
    fn the_key_is_a_key() {
        let message = BigUint::from(0x1234_5678_9abc_def0_u64);
        let secret = message.modpow(&RSA.public, &RSA.modulus);
        assert_ne!(secret, message);
        assert_eq!(secret.modpow(&RSA.private, &RSA.modulus), message);
    }

    /// RFC 5903, section 8.1.
    #[test]
    fn points_are_those_of_the_standard() {
        let digits = number("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433");
        let factor: [u8; COORDINATE] = bytes(&digits, COORDINATE).try_into().unwrap();
        let factor = Scalar::from_repr(factor.into()).unwrap();
        let x = number("dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180");
        let y = number("5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3");
        assert_eq!(
            coordinates(&(ProjectivePoint::GENERATOR * factor)),
            [bytes(&x, COORDINATE), bytes(&y, COORDINATE)].concat()
        );
    }
}
