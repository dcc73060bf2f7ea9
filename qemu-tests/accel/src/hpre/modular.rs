// SPDX-License-Identifier: GPL-2.0

//! Modular exponentiation.

use num_bigint::BigUint;

use super::Error;

/// Returns `base` to the power of `exponent` modulo `modulus`.
pub(super) fn power(
    base: &BigUint,
    exponent: &BigUint,
    modulus: &BigUint,
) -> Result<BigUint, Error> {
    if modulus.bits() == 0 {
        return Err(Error::Number);
    }
    Ok(base.modpow(exponent, modulus))
}

/// A private RSA key for the Chinese remainder theorem (RFC 8017, section 5.1.2).
#[derive(Debug)]
pub(super) struct Crt {
    dq: BigUint,
    dp: BigUint,
    q: BigUint,
    p: BigUint,
    /// The inverse of `q` modulo `p`.
    inverse: BigUint,
}

impl Crt {
    /// Creates a key from its numbers, in the order in which they are stored in memory.
    pub(super) fn from_numbers([dq, dp, q, p, inverse]: [BigUint; 5]) -> Self {
        Self {
            dq,
            dp,
            q,
            p,
            inverse,
        }
    }

    /// Returns `base` to the power of the key's exponent modulo `p * q`.
    pub(super) fn power(&self, base: &BigUint) -> Result<BigUint, Error> {
        let of_p = power(base, &self.dp, &self.p)?;
        let of_q = power(base, &self.dq, &self.q)?;
        let difference = of_p + &self.p - &of_q % &self.p;
        let quotient = difference * &self.inverse % &self.p;
        Ok(of_q + quotient * &self.q)
    }
}
