// SPDX-License-Identifier: GPL-2.0

//! Keyed hashes.

use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;

/// `enum sec_hash_alg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    HmacSha1,
    HmacSha256,
    HmacSha512,
}

impl Hash {
    pub(super) fn from_field(value: u32) -> Option<Self> {
        match value {
            0x10 => Some(Self::HmacSha1),
            0x11 => Some(Self::HmacSha256),
            0x15 => Some(Self::HmacSha512),
            _ => None,
        }
    }

    pub(super) fn output_bytes(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha512 => 64,
        }
    }
}

pub(super) fn hmac(hash: Hash, key: &[u8], data: &[u8]) -> Vec<u8> {
    match hash {
        Hash::HmacSha1 => run::<Hmac<sha1::Sha1>>(key, data),
        Hash::HmacSha256 => run::<Hmac<sha2::Sha256>>(key, data),
        Hash::HmacSha512 => run::<Hmac<sha2::Sha512>>(key, data),
    }
}

/// Computes an HMAC, which accepts keys of any length.
fn run<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
    <M as KeyInit>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mac| mac.chain_update(data).finalize().into_bytes().to_vec(),
    )
}
