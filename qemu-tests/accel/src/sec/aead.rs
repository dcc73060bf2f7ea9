// SPDX-License-Identifier: GPL-2.0

//! Modes that encrypt and authenticate.
//!
//! The engine receives the blocks that these modes derive from a nonce: for CCM (RFC 3610) the first block of the hash
//! and the counter of the first block of text, for GCM the 12 bytes before the counter.

use cbc::Encryptor;
use cipher::Array;
use cipher::BlockCipherEncrypt;
use cipher::BlockModeEncrypt;
use cipher::BlockSizeUser;
use cipher::InnerIvInit;
use cipher::consts::U16;
use ghash::GHash;
use ghash::universal_hash::UniversalHash;

use super::bd::Bd;
use super::bd::Cipher;
use super::bd::Mode;
use super::block::count;
use super::block::new;
use super::error::Error;

/// Size of a block and of a whole tag in bytes.
pub(super) const BLOCK_BYTES: usize = 16;

/// Encrypts or decrypts the text in `data` in place and returns the full-length tag.
pub(super) fn apply(
    bd: &Bd,
    key: &[u8],
    iv: &[u8],
    first_block: &[u8],
    data: &mut [u8],
) -> Result<Vec<u8>, Error> {
    match bd.cipher {
        Cipher::Aes128 => run(bd, &new::<aes::Aes128>(key)?, iv, first_block, data),
        Cipher::Aes192 => run(bd, &new::<aes::Aes192>(key)?, iv, first_block, data),
        Cipher::Aes256 => run(bd, &new::<aes::Aes256>(key)?, iv, first_block, data),
        Cipher::Sm4 => run(bd, &new::<sm4::Sm4>(key)?, iv, first_block, data),
        Cipher::TripleDes => Err(Error::Descriptor),
    }
}

fn run<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
    bd: &Bd,
    cipher: &C,
    iv: &[u8],
    first_block: &[u8],
    data: &mut [u8],
) -> Result<Vec<u8>, Error> {
    let text = bd.cipher_range();
    let hash = |data: &[u8]| {
        let (associated, text) = (&data[bd.auth_range()], &data[text.clone()]);
        if bd.mode == Mode::Ccm {
            ccm_hash(cipher, first_block, associated, text)
        } else {
            Ok(gcm_hash(cipher, associated, text))
        }
    };
    let (tag_counter, text_counter) = if bd.mode == Mode::Ccm {
        (ccm_tag_counter(iv)?, iv.to_vec())
    } else {
        let counter = |number: u8| [iv, &[0, 0, 0, number]].concat();
        (counter(1), counter(2))
    };
    // CCM hashes the plaintext, GCM the ciphertext.
    let before = bd.encrypt == (bd.mode == Mode::Ccm);
    let mut tag = if before { hash(data)? } else { Vec::new() };
    count(cipher, &text_counter, &mut data[text.clone()])?;
    if !before {
        tag = hash(data)?;
    }
    count(cipher, &tag_counter, &mut tag)?;
    Ok(tag)
}

/// Returns the counter block of the tag: that of the text with a counter of zero. Bits 2:0 of its first byte hold the
/// size of the counter in bytes, minus one.
fn ccm_tag_counter(counter: &[u8]) -> Result<Vec<u8>, Error> {
    let mut block = counter.to_vec();
    let counter_bytes = usize::from(block.first().ok_or(Error::Descriptor)? & 7) + 1;
    let nonce_bytes = block.len().saturating_sub(counter_bytes);
    block[nonce_bytes..].fill(0);
    Ok(block)
}

/// Computes the CBC-MAC over the first block, the length of the associated data, these data and the text, each padded
/// with zeroes to whole blocks.
fn ccm_hash<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
    cipher: &C,
    first_block: &[u8],
    associated: &[u8],
    text: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut message = first_block.to_vec();
    if !associated.is_empty() {
        let length = u16::try_from(associated.len()).map_err(|_| Error::Length)?;
        message.extend(length.to_be_bytes());
        message.extend(associated);
        message.resize(message.len().next_multiple_of(BLOCK_BYTES), 0);
    }
    message.extend(text);
    message.resize(message.len().next_multiple_of(BLOCK_BYTES), 0);
    let (blocks, _) = Array::slice_as_chunks_mut(&mut message);
    Encryptor::inner_iv_init(cipher, &Array::default()).encrypt_blocks(blocks);
    Ok(message.split_off(message.len() - BLOCK_BYTES))
}

fn gcm_hash<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
    cipher: &C,
    associated: &[u8],
    text: &[u8],
) -> Vec<u8> {
    let mut key = Array::default();
    cipher.encrypt_block(&mut key);
    let mut hash = GHash::new(&key);
    hash.update_padded(associated);
    hash.update_padded(text);
    let bits = |data: &[u8]| (8 * data.len() as u64).to_be_bytes();
    hash.update_padded(&[bits(associated), bits(text)].concat());
    hash.finalize().to_vec()
}
