// SPDX-License-Identifier: GPL-2.0

//! The engine's descriptor, type 3, which hardware from V3 on uses.
//!
//! Source: `struct sec_sqe3` in `sec2/sec_crypto.h`. Type 2 is for V2, which is not modelled.

use std::ops::Range;

use super::error::Error;
use super::mac::Hash;
use crate::engine::Sqe;
use crate::engine::double_word;
use crate::engine::field;
use crate::engine::word;

const PARAMETERS: usize = 0;
const CIPHER: usize = 1;
const SOURCE: usize = 4;
const MAC_KEY: usize = 6;
const AUTH_IV: usize = 8;
const CIPHER_KEY: usize = 12;
const AUTH: usize = 14;
const OFFSETS: usize = 16;
const AUTH_LENGTH: usize = 17;
const CIPHER_LENGTH: usize = 18;
const DESTINATION: usize = 19;
const TAG: usize = 21;
const CIPHER_IV: usize = 23;

const TYPE_3: u32 = 3;
/// `SEC_CTR_CNT_ROLLOVER`: the counter has 128 bits.
const COUNTER_128: u32 = 2;
/// XTS as defined by GB/T 17964, which is not modelled.
const SM4_XTS_GB: u32 = 1;
/// Maximum number of bytes of a request; `MAX_INPUT_DATA_LEN`.
const MAX_BYTES: u32 = 0xff_fe00;
/// `SEC_MAX_CCM_AAD_LEN`: longer data would require another encoding of the length.
const MAX_CCM_AAD: u32 = 65279;

/// How the location of data is encoded: `enum sec_addr_type`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Address {
    /// At an address.
    Flat(u64),
    /// In the pieces of a scatter-gather list.
    List(u64),
}

/// `enum sec_cmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Ecb,
    Cbc,
    Ctr,
    Ccm,
    Gcm,
    Xts,
}

/// `enum sec_calg` with `enum sec_ckey_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    Aes128,
    Aes192,
    Aes256,
    Sm4,
    TripleDes,
}

impl Cipher {
    pub(super) fn key_bytes(self, mode: Mode) -> usize {
        let one = match self {
            Self::Aes128 | Self::Sm4 => 16,
            Self::Aes192 | Self::TripleDes => 24,
            Self::Aes256 => 32,
        };
        if mode == Mode::Xts { 2 * one } else { one }
    }

    pub(super) fn iv_bytes(self, mode: Mode) -> usize {
        match (mode, self) {
            (Mode::Ecb, _) => 0,
            (Mode::Gcm, _) => 12,
            (_, Self::TripleDes) => 8,
            _ => 16,
        }
    }
}

/// How the data are authenticated.
#[derive(Debug, Clone, Copy)]
pub(super) enum Protection {
    /// Not at all.
    None,
    /// By a keyed hash over a separate range.
    Hmac {
        hash: Hash,
        key: u64,
        key_bytes: usize,
    },
    /// By the mode; the first block of its hash is in memory.
    Ccm { first_block: u64 },
    /// By the mode.
    Gcm,
}

/// How the tag is used.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verify {
    Write,
    Compare,
}

/// A valid descriptor.
#[derive(Debug)]
pub(super) struct Bd {
    pub(super) encrypt: bool,
    pub(super) cipher: Cipher,
    pub(super) mode: Mode,
    pub(super) protection: Protection,
    pub(super) verify: Verify,
    /// `seq`: the hash covers the input, not the output.
    pub(super) authenticate_first: bool,
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) key: u64,
    pub(super) iv: u64,
    pub(super) tag: u64,
    pub(super) tag_bytes: usize,
    pub(super) cipher_offset: u32,
    pub(super) cipher_length: u32,
    auth_offset: u32,
    auth_length: u32,
}

/// Returns the number of bytes that the request will process.
pub(super) fn length(sqe: &Sqe) -> u32 {
    field(word(sqe, CIPHER_LENGTH), 0, 24).max(field(word(sqe, AUTH_LENGTH), 0, 24))
}

fn address(kind: u32, address: u64) -> Result<Address, Error> {
    match kind {
        0 => Ok(Address::Flat(address)),
        1 => Ok(Address::List(address)),
        _ => Err(Error::Descriptor),
    }
}

fn cipher(algorithm: u32, key: u32) -> Result<Cipher, Error> {
    match (algorithm, key) {
        (1, 1) => Ok(Cipher::TripleDes),
        (2, 0) => Ok(Cipher::Aes128),
        (2, 1) => Ok(Cipher::Aes192),
        (2, 2) => Ok(Cipher::Aes256),
        (3, 0) => Ok(Cipher::Sm4),
        _ => Err(Error::Descriptor),
    }
}

fn mode(value: u32) -> Result<Mode, Error> {
    match value {
        0 => Ok(Mode::Ecb),
        1 => Ok(Mode::Cbc),
        4 => Ok(Mode::Ctr),
        5 => Ok(Mode::Ccm),
        6 => Ok(Mode::Gcm),
        7 => Ok(Mode::Xts),
        _ => Err(Error::Descriptor),
    }
}

/// Returns whether the capability registers announce this combination; `variant` is `ctr_count_mode/sm4_xts`.
fn offered(cipher: Cipher, mode: Mode, variant: u32) -> bool {
    match (cipher, mode) {
        (Cipher::TripleDes, Mode::Ecb | Mode::Cbc) => true,
        (Cipher::TripleDes, _) | (Cipher::Sm4, Mode::Ecb) | (Cipher::Aes192, Mode::Xts) => false,
        (_, Mode::Ctr) => variant == COUNTER_128,
        (Cipher::Sm4, Mode::Xts) => variant != SM4_XTS_GB,
        _ => true,
    }
}

impl Bd {
    pub(super) fn parse(sqe: &Sqe) -> Result<Self, Error> {
        let parameters = word(sqe, PARAMETERS);
        let what = word(sqe, CIPHER);
        let auth = word(sqe, AUTH);
        let (encrypt, cipher, mode) = (
            match field(what, 0, 2) {
                1 => true,
                2 => false,
                _ => return Err(Error::Descriptor),
            },
            cipher(field(what, 20, 4), field(what, 13, 3))?,
            mode(field(what, 16, 4))?,
        );
        // Type, no "invalid" bit, the common scene, the tag at an address.
        if field(parameters, 0, 9) != TYPE_3
            || field(parameters, 17, 3) != 0
            || !offered(cipher, mode, field(auth, 25, 2))
        {
            return Err(Error::Descriptor);
        }
        let source = address(field(parameters, 11, 3), double_word(sqe, SOURCE))?;
        let destination = address(field(parameters, 14, 3), double_word(sqe, DESTINATION))?;
        let (protection, verify, tag_bytes) = Self::protection(sqe, mode, encrypt)?;
        let bd = Self {
            encrypt,
            cipher,
            mode,
            protection,
            verify,
            authenticate_first: field(what, 30, 1) != 0,
            source,
            destination: if field(parameters, 9, 2) == 0 {
                source
            } else {
                destination
            },
            key: double_word(sqe, CIPHER_KEY),
            iv: double_word(sqe, CIPHER_IV),
            tag: double_word(sqe, TAG),
            tag_bytes,
            cipher_offset: word(sqe, OFFSETS) >> 16,
            cipher_length: field(word(sqe, CIPHER_LENGTH), 0, 24),
            auth_offset: word(sqe, OFFSETS) & 0xffff,
            auth_length: field(word(sqe, AUTH_LENGTH), 0, 24),
        };
        if bd.lengths_fit() {
            Ok(bd)
        } else {
            Err(Error::Length)
        }
    }

    fn protection(
        sqe: &Sqe,
        mode: Mode,
        encrypt: bool,
    ) -> Result<(Protection, Verify, usize), Error> {
        let auth = word(sqe, AUTH);
        let with_mode = |protection| {
            let verify = if encrypt {
                Verify::Write
            } else {
                Verify::Compare
            };
            Ok((protection, verify, field(word(sqe, CIPHER), 4, 6) as usize))
        };
        match (mode, field(auth, 0, 2)) {
            (Mode::Ccm, 0) => with_mode(Protection::Ccm {
                first_block: double_word(sqe, AUTH_IV),
            }),
            (Mode::Gcm, 0) => with_mode(Protection::Gcm),
            (Mode::Ccm | Mode::Gcm, _) => Err(Error::Descriptor),
            (_, 0) => Ok((Protection::None, Verify::Write, 0)),
            (_, verify @ (1 | 2)) => Ok((
                Protection::Hmac {
                    hash: Hash::from_field(field(auth, 15, 6)).ok_or(Error::Descriptor)?,
                    key: double_word(sqe, MAC_KEY),
                    key_bytes: 4 * field(auth, 9, 6) as usize,
                },
                if verify == 1 {
                    Verify::Write
                } else {
                    Verify::Compare
                },
                4 * field(auth, 4, 5) as usize,
            )),
            _ => Err(Error::Descriptor),
        }
    }

    fn lengths_fit(&self) -> bool {
        let length = self.cipher_length;
        let text = match (self.mode, self.cipher) {
            (Mode::Ecb | Mode::Cbc, Cipher::TripleDes) => length % 8 == 0,
            (Mode::Ecb | Mode::Cbc, _) => length % 16 == 0,
            (Mode::Xts, _) => length >= 16,
            (Mode::Ccm, _) => self.auth_length <= MAX_CCM_AAD,
            (Mode::Ctr | Mode::Gcm, _) => true,
        };
        let tag = match self.protection {
            Protection::None => length != 0,
            Protection::Hmac { hash, .. } => {
                self.tag_bytes != 0 && self.tag_bytes <= hash.output_bytes()
            }
            Protection::Ccm { .. } | Protection::Gcm => (4..=16).contains(&self.tag_bytes),
        };
        text && tag && length <= MAX_BYTES && self.auth_length <= MAX_BYTES
    }

    /// Returns the number of bytes of the source that are used.
    pub(super) fn span(&self) -> u32 {
        self.auth_range().end.max(self.cipher_range().end) as u32
    }

    pub(super) fn cipher_range(&self) -> Range<usize> {
        range(self.cipher_offset, self.cipher_length)
    }

    pub(super) fn auth_range(&self) -> Range<usize> {
        match self.protection {
            Protection::None => 0..0,
            _ => range(self.auth_offset, self.auth_length),
        }
    }
}

fn range(offset: u32, length: u32) -> Range<usize> {
    offset as usize..(offset + length) as usize
}
