// SPDX-License-Identifier: GPL-2.0

//! SEC: AES and SM4, chained and as a stream. Names are those of the kernel's `sec2/sec_crypto.h`.

use aes::{Aes128, Aes256};
use anyhow::{Result, ensure};
use cipher::block_padding::NoPadding;
use cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, StreamCipher};
use fastrand::Rng;
use sm4::Sm4;

use super::{Accelerator, noise, same};
use crate::qm::{Buffer, Engine, Entry, Fields, Side, Slot, Work};

/// The SEC accelerator.
pub static SEC: Accelerator = Accelerator {
    kind: protocol::Engine::Sec,
    id: "sec0",
    pf: 0xa255,
    vf: 0xa256,
    module: "hisi_sec2",
    software: &[
        "aes",
        "des_generic",
        "sm4_generic",
        "ecb",
        "cbc",
        "ctr",
        "xts",
        "ccm",
        "gcm",
        "authenc",
        "hmac",
        "sha1",
        "sha256",
        "sha512",
    ],
    engine: &Sec,
};

/// Size of `struct sec_sqe3`, and offsets in it.
const ENTRY_SIZE: usize = 128;
const PARAMETERS: usize = 0;
const CIPHER: usize = 4;
const TAG: usize = 8;
const SOURCE: usize = 16;
const KEY: usize = 48;
const COUNTER_MODE: usize = 56;
const LENGTH: usize = 72;
const DESTINATION: usize = 76;
const IV: usize = 92;
const OUTCOME: usize = 112;

const TYPE_3: u32 = 3;
const OTHER_DESTINATION: u32 = 1 << 9;
const SOURCE_IS_SGL: u32 = 1 << 11;
const DESTINATION_IS_SGL: u32 = 1 << 14;
const COUNTER_128: u32 = 2 << 25;
/// `done`, no error of the ICV, the flag of a cipher request, no error type.
const CIPHER_DONE: u32 = 1 | 2 << 7;
const OUTCOME_MASK: u32 = 0x00ff_ffff;

const BLOCK: usize = 16;
/// Most blocks in a request.
const BLOCKS: usize = 512;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    Encrypt,
    Decrypt,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Cbc,
    Ctr,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cipher {
    Aes128,
    Aes256,
    Sm4,
}

impl Cipher {
    fn key_size(self) -> usize {
        match self {
            Cipher::Aes128 | Cipher::Sm4 => 16,
            Cipher::Aes256 => 32,
        }
    }

    /// `c_key_len` and `c_alg`.
    fn numbers(self) -> (u32, u32) {
        match self {
            Cipher::Aes128 => (0, 2),
            Cipher::Aes256 => (2, 2),
            Cipher::Sm4 => (0, 3),
        }
    }
}

struct Sec;

impl Engine for Sec {
    fn entry_size(&self) -> usize {
        ENTRY_SIZE
    }

    fn algorithm(&self, _queue: u16) -> u16 {
        0
    }

    fn work(&self, _queue: u16, random: &mut Rng) -> Box<dyn Work> {
        Box::new(Text::generate(random))
    }

    fn tag(&self, entry: &Entry) -> u64 {
        entry.double_word(TAG / 4)
    }
}

/// A text to encrypt or to decrypt.
struct Text {
    direction: Direction,
    mode: Mode,
    cipher: Cipher,
    key: Vec<u8>,
    iv: Vec<u8>,
    input: Vec<u8>,
    expected: Vec<u8>,
}

fn chained<C>(direction: Direction, key: &[u8], iv: &[u8], text: &[u8]) -> Vec<u8>
where
    C: cipher::BlockCipherEncrypt + cipher::BlockCipherDecrypt + cipher::KeyInit,
{
    let fits = "key, IV and text have the lengths that the cipher wants";
    match direction {
        Direction::Encrypt => cbc::Encryptor::<C>::new_from_slices(key, iv)
            .expect(fits)
            .encrypt_padded_vec::<NoPadding>(text),
        Direction::Decrypt => cbc::Decryptor::<C>::new_from_slices(key, iv)
            .expect(fits)
            .decrypt_padded_vec::<NoPadding>(text)
            .expect(fits),
    }
}

fn streamed<S: StreamCipher + KeyIvInit>(key: &[u8], iv: &[u8], text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    S::new_from_slices(key, iv)
        .expect("key and IV have the lengths that the cipher wants")
        .apply_keystream(&mut text);
    text
}

impl Text {
    /// 1 byte to 8 KiB of noise with a key of its own.
    fn generate(random: &mut Rng) -> Self {
        let direction = [Direction::Encrypt, Direction::Decrypt][random.usize(..2)];
        let mode = [Mode::Cbc, Mode::Ctr][random.usize(..2)];
        let cipher = [Cipher::Aes128, Cipher::Aes256, Cipher::Sm4][random.usize(..3)];
        let length = match mode {
            Mode::Cbc => BLOCK * random.usize(1..=BLOCKS),
            Mode::Ctr => random.usize(1..=BLOCK * BLOCKS),
        };
        let key = noise(random, cipher.key_size());
        let iv = noise(random, BLOCK);
        let input = noise(random, length);
        let expected = match (mode, cipher) {
            (Mode::Cbc, Cipher::Aes128) => chained::<Aes128>(direction, &key, &iv, &input),
            (Mode::Cbc, Cipher::Aes256) => chained::<Aes256>(direction, &key, &iv, &input),
            (Mode::Cbc, Cipher::Sm4) => chained::<Sm4>(direction, &key, &iv, &input),
            (Mode::Ctr, Cipher::Aes128) => streamed::<ctr::Ctr128BE<Aes128>>(&key, &iv, &input),
            (Mode::Ctr, Cipher::Aes256) => streamed::<ctr::Ctr128BE<Aes256>>(&key, &iv, &input),
            (Mode::Ctr, Cipher::Sm4) => streamed::<ctr::Ctr128BE<Sm4>>(&key, &iv, &input),
        };
        Text {
            direction,
            mode,
            cipher,
            key,
            iv,
            input,
            expected,
        }
    }

    /// `struct sec_sqe3`, the way `sec_skcipher_bd_fill_v3()` fills it.
    fn sqe(&self, key: u64, iv: u64, source: Buffer, destination: Buffer, tag: u64) -> Vec<u8> {
        let direction = match self.direction {
            Direction::Encrypt => 1,
            Direction::Decrypt => 2,
        };
        let mode = match self.mode {
            Mode::Cbc => 1,
            Mode::Ctr => 4,
        };
        let (key_length, algorithm) = self.cipher.numbers();
        let fields: Fields<ENTRY_SIZE> = Fields::new()
            .u32(
                PARAMETERS,
                TYPE_3 | OTHER_DESTINATION | SOURCE_IS_SGL | DESTINATION_IS_SGL,
            )
            .u32(
                CIPHER,
                direction | key_length << 13 | mode << 16 | algorithm << 20,
            )
            .u64(TAG, tag)
            .u64(SOURCE, source.address)
            .u64(KEY, key)
            .u32(COUNTER_MODE, COUNTER_128)
            .u32(LENGTH, source.length)
            .u64(DESTINATION, destination.address)
            .u64(IV, iv);
        fields.finish().to_vec()
    }
}

impl Work for Text {
    fn submit(&self, slot: &Slot<'_>, tag: u64, random: &mut Rng) -> Vec<u8> {
        let source = slot.scatter(Side::Source, slot.source(&self.input), random);
        let room = slot.destination(self.expected.len());
        let destination = slot.scatter(Side::Destination, room, random);
        let iv = slot.parameters(&[&self.iv[..], &self.key].concat());
        self.sqe(iv + BLOCK as u64, iv, source, destination, tag)
    }

    fn check(&self, slot: &Slot<'_>, entry: &Entry) -> Result<()> {
        let outcome = entry.word(OUTCOME / 4) & OUTCOME_MASK;
        ensure!(
            outcome == CIPHER_DONE,
            "expected outcome {CIPHER_DONE:#x}, got {outcome:#x}"
        );
        same(&slot.output(self.expected.len()), &self.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SP 800-38A, F.2.1, F.2.2 and F.5.1; their key and IV.
    const KEY: u128 = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c;
    const CHAINED_IV: u128 = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f;
    const COUNTER: u128 = 0xf0f1_f2f3_f4f5_f6f7_f8f9_fafb_fcfd_feff;
    const PLAIN: u128 = 0x6bc1_bee2_2e40_9f96_e93d_7e11_7393_172a;
    const CHAINED: u128 = 0x7649_abac_8119_b246_cee9_8e9b_12e9_197d;
    const STREAMED: u128 = 0x874d_6191_b620_e326_1bef_6864_990d_b6ce;

    #[test]
    fn one_wrong_bit_is_noticed() {
        let mut random = Rng::with_seed(1);
        for _ in 0..50 {
            let work = Text::generate(&mut random);
            super::super::tests::notices(&work, (OUTCOME / 4, CIPHER_DONE), &work.expected);
        }
    }

    #[test]
    fn expectations_are_those_of_the_standard() {
        let key = KEY.to_be_bytes();
        let iv = CHAINED_IV.to_be_bytes();
        assert_eq!(
            chained::<Aes128>(Direction::Encrypt, &key, &iv, &PLAIN.to_be_bytes()),
            CHAINED.to_be_bytes()
        );
        assert_eq!(
            chained::<Aes128>(Direction::Decrypt, &key, &iv, &CHAINED.to_be_bytes()),
            PLAIN.to_be_bytes()
        );
        assert_eq!(
            streamed::<ctr::Ctr128BE<Aes128>>(&key, &COUNTER.to_be_bytes(), &PLAIN.to_be_bytes()),
            STREAMED.to_be_bytes()
        );
    }

    /// GB/T 32907, appendix A.1: one block, which chaining with an IV of zeroes leaves as it is.
    #[test]
    fn sm4_is_that_of_the_standard() {
        let block = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes();
        assert_eq!(
            chained::<Sm4>(Direction::Encrypt, &block, &[0; BLOCK], &block),
            0x681e_df34_d206_965e_86b3_e94f_536e_4246_u128.to_be_bytes()
        );
    }
}
