// SPDX-License-Identifier: GPL-2.0

//! The HPRE engine: arithmetic on large numbers for RSA, Diffie-Hellman and elliptic curves.
//!
//! Source: `struct hpre_sqe` in `hpre/hpre.h`, its use in `hpre/hpre_crypto.c`. All numbers are big endian and have the
//! length given as the task length. The driver considers a request successful if its error type is 0 and the two "done"
//! bits are set; the error types are defined by the model.

mod curve;
mod modular;

use num_bigint::BigUint;

use crate::bus::Bus;
use crate::engine::Engine;
use crate::engine::Sqe;
use crate::engine::double_word;
use crate::engine::field;
use crate::engine::set_word;
use crate::engine::word;
use crate::host::DmaFault;

/// Word with the algorithm in bits 4:0, the error type in bits 15:5 and "done" in bits 31:30.
const HEAD: usize = 0;
/// Word with `task_len1`, the length in units of 8 bytes minus one, in bits 7:0.
const LENGTH: usize = 1;
const KEY: usize = 2;
const INPUT: usize = 4;
const OUTPUT: usize = 6;

const ERROR_SHIFT: u32 = 5;
const ERROR_MASK: u32 = 0x7ff << ERROR_SHIFT;
/// `HPRE_HW_TASK_DONE`.
const DONE: u32 = 3 << 30;

/// Maximum length of RSA and Diffie-Hellman numbers in bytes, `HPRE_DH_MAX_P_SZ`.
const MAX_BYTES: usize = 512;
/// Lengths for curves of up to 256, 384 and 576 bits.
const CURVE_BYTES: [usize; 3] = [32, 48, 72];

/// Types of queue: `HPRE_V2_ALG_TYPE`, `HPRE_V3_ECC_ALG_TYPE`.
const QUEUE_MODULAR: u8 = 0;
const QUEUE_CURVES: u8 = 1;

/// Error type of a request that was not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Error {
    /// The engine does not support this operation, or not in this queue.
    Algorithm = 0x01,
    /// The operation does not support numbers of this length.
    Length = 0x02,
    /// A memory access was rejected.
    Memory = 0x03,
    /// The numbers do not form a key or a curve, or the point is not on the curve.
    Number = 0x04,
}

impl From<DmaFault> for Error {
    fn from(_: DmaFault) -> Self {
        Self::Memory
    }
}

/// `enum hpre_alg_type`, as far as it is modelled.
#[derive(Debug, Clone, Copy)]
enum Algorithm {
    /// RSA with exponent and modulus.
    Rsa,
    /// RSA using the Chinese remainder theorem.
    RsaCrt,
    /// Diffie-Hellman with base 2.
    DhBase2,
    /// Diffie-Hellman.
    Dh,
    /// Multiplication of a point by a scalar.
    Curve,
}

impl Algorithm {
    fn parse(sqe: &Sqe, queue: u8) -> Result<Self, Error> {
        match (field(word(sqe, HEAD), 0, 5), queue) {
            (0x0, QUEUE_MODULAR) => Ok(Self::Rsa),
            (0x1, QUEUE_MODULAR) => Ok(Self::RsaCrt),
            (0x4, QUEUE_MODULAR) => Ok(Self::DhBase2),
            (0x5, QUEUE_MODULAR) => Ok(Self::Dh),
            (0xd, QUEUE_CURVES) => Ok(Self::Curve),
            _ => Err(Error::Algorithm),
        }
    }
}

/// The engine; it keeps no state between requests.
#[derive(Debug)]
pub(crate) struct Hpre;

impl Engine for Hpre {
    fn entry_bytes(&self) -> usize {
        64
    }

    fn payload_bytes(&self, sqe: &Sqe) -> u32 {
        length(sqe) as u32
    }

    fn process(&self, bus: &mut Bus<'_>, sqe: &mut Sqe, algorithm: u8) {
        let outcome = match run(bus, sqe, algorithm) {
            Ok(()) => 0,
            Err(error) => u32::from(error as u8) << ERROR_SHIFT,
        };
        let kept = word(sqe, HEAD) & !ERROR_MASK;
        set_word(sqe, HEAD, kept | outcome | DONE);
    }
}

/// Returns the length of a number in bytes.
fn length(sqe: &Sqe) -> usize {
    (field(word(sqe, LENGTH), 0, 8) as usize + 1) * 8
}

/// Reads `N` consecutive numbers of `bytes` bytes each.
fn read<const N: usize>(
    bus: &mut Bus<'_>,
    address: u64,
    bytes: usize,
) -> Result<[BigUint; N], DmaFault> {
    let mut data = vec![0; N * bytes];
    bus.read(address, &mut data)?;
    let mut numbers = data.chunks_exact(bytes).map(BigUint::from_bytes_be);
    Ok([(); N].map(|()| numbers.next().unwrap_or_default()))
}

/// Returns `number`, padded with leading zeroes.
fn to_bytes(number: &BigUint, bytes: usize) -> Vec<u8> {
    let digits = number.to_bytes_be();
    let mut data = vec![0; bytes.saturating_sub(digits.len())];
    data.extend(digits);
    data
}

fn run(bus: &mut Bus<'_>, sqe: &Sqe, queue: u8) -> Result<(), Error> {
    let algorithm = Algorithm::parse(sqe, queue)?;
    let bytes = length(sqe);
    let fits = match algorithm {
        Algorithm::Curve => CURVE_BYTES.contains(&bytes),
        _ => bytes <= MAX_BYTES,
    };
    if !fits {
        return Err(Error::Length);
    }
    let (key, input) = (double_word(sqe, KEY), double_word(sqe, INPUT));
    let output = match algorithm {
        Algorithm::Rsa | Algorithm::Dh => {
            let [exponent, modulus] = read(bus, key, bytes)?;
            let [base] = read(bus, input, bytes)?;
            to_bytes(&modular::power(&base, &exponent, &modulus)?, bytes)
        }
        Algorithm::DhBase2 => {
            let [exponent, modulus] = read(bus, key, bytes)?;
            to_bytes(
                &modular::power(&BigUint::from(2_u8), &exponent, &modulus)?,
                bytes,
            )
        }
        Algorithm::RsaCrt => {
            let crt = modular::Crt::from_numbers(read(bus, key, bytes / 2)?);
            let [base] = read(bus, input, bytes)?;
            to_bytes(&crt.power(&base)?, bytes)
        }
        Algorithm::Curve => {
            let [p, a, factor, b] = read(bus, key, bytes)?;
            let [x, y] = read(bus, input, bytes)?;
            let curve = curve::Curve::new(p, a, &b).ok_or(Error::Number)?;
            let (x, y) = curve.multiply(&factor, x, y).ok_or(Error::Number)?;
            [to_bytes(&x, bytes), to_bytes(&y, bytes)].concat()
        }
    };
    bus.write(double_word(sqe, OUTPUT), &output)?;
    Ok(())
}
