// SPDX-License-Identifier: GPL-2.0

//! Modes that only encrypt.

use cbc::Decryptor;
use cbc::Encryptor;
use cipher::Array;
use cipher::BlockCipherDecrypt;
use cipher::BlockCipherEncrypt;
use cipher::BlockModeDecrypt;
use cipher::BlockModeEncrypt;
use cipher::BlockSizeUser;
use cipher::InnerIvInit;
use cipher::KeyInit;
use cipher::StreamCipher;
use cipher::array::ArraySize;
use cipher::consts::U16;
use ctr::Ctr128BE;
use xts_mode::Xts128;

use super::bd::Bd;
use super::bd::Cipher;
use super::bd::Mode;
use super::error::Error;

/// A block cipher that encrypts and decrypts.
pub(super) trait Block: BlockCipherEncrypt + BlockCipherDecrypt + KeyInit {}

impl<C: BlockCipherEncrypt + BlockCipherDecrypt + KeyInit> Block for C {}

/// Encrypts or decrypts `data` in place.
pub(super) fn apply(bd: &Bd, key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<(), Error> {
    match bd.cipher {
        Cipher::Aes128 => wide::<aes::Aes128>(bd, key, iv, data),
        Cipher::Aes192 => wide::<aes::Aes192>(bd, key, iv, data),
        Cipher::Aes256 => wide::<aes::Aes256>(bd, key, iv, data),
        Cipher::Sm4 => wide::<sm4::Sm4>(bd, key, iv, data),
        Cipher::TripleDes => chained::<des::TdesEde3>(bd, &new(key)?, iv, data),
    }
}

/// Returns the cipher with its key; the descriptor has been checked, so the length fits.
pub(super) fn new<C: KeyInit>(key: &[u8]) -> Result<C, Error> {
    C::new_from_slice(key).map_err(|_| Error::Descriptor)
}

/// Returns the bytes as an array of the length given by the type.
pub(super) fn array<N: ArraySize>(bytes: &[u8]) -> Result<Array<u8, N>, Error> {
    Array::try_from(bytes).map_err(|_| Error::Descriptor)
}

fn wide<C: Block + BlockSizeUser<BlockSize = U16>>(
    bd: &Bd,
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
) -> Result<(), Error> {
    match bd.mode {
        Mode::Ctr => count(&new::<C>(key)?, iv, data),
        Mode::Xts => {
            let (first, second) = key.split_at(key.len() / 2);
            let cipher = Xts128::new(new::<C>(first)?, new::<C>(second)?);
            if bd.encrypt {
                cipher.encrypt_sector(data, array(iv)?);
            } else {
                cipher.decrypt_sector(data, array(iv)?);
            }
            Ok(())
        }
        _ => chained(bd, &new::<C>(key)?, iv, data),
    }
}

/// Applies CTR with a 128-bit counter, starting at `counter`.
pub(super) fn count<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
    cipher: &C,
    counter: &[u8],
    data: &mut [u8],
) -> Result<(), Error> {
    let mut stream = Ctr128BE::from_core(ctr::CtrCore::inner_iv_init(cipher, &array(counter)?));
    stream.try_apply_keystream(data).map_err(|_| Error::Length)
}

/// Applies ECB or CBC. The descriptor has been checked, so there are only whole blocks.
fn chained<C: Block>(bd: &Bd, cipher: &C, iv: &[u8], data: &mut [u8]) -> Result<(), Error> {
    let (blocks, _) = Array::slice_as_chunks_mut(data);
    match (bd.mode, bd.encrypt) {
        (Mode::Ecb, true) => cipher.encrypt_blocks(blocks),
        (Mode::Ecb, false) => cipher.decrypt_blocks(blocks),
        (Mode::Cbc, true) => {
            Encryptor::inner_iv_init(cipher, &array(iv)?).encrypt_blocks(blocks);
        }
        (Mode::Cbc, false) => {
            Decryptor::inner_iv_init(cipher, &array(iv)?).decrypt_blocks(blocks);
        }
        _ => return Err(Error::Descriptor),
    }
    Ok(())
}
