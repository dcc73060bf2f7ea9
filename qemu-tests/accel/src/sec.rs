// SPDX-License-Identifier: GPL-2.0

//! The SEC engine: ciphers, and ciphers with authentication.
//!
//! Source: `sec2/sec_crypto.c`. The driver considers a request successful if its error type is 0, `done` is 1 and the
//! flag matches the kind of request; an `icv` of 2 indicates a wrong tag. The error types are defined by the model.

mod aead;
mod bd;
mod block;
mod error;
mod mac;

use crate::bus::Bus;
use crate::engine::Engine;
use crate::engine::Sqe;
use crate::engine::set_word;
use crate::engine::word;
use crate::host::DmaFault;
use crate::sgl::Pieces;
use bd::Address;
use bd::Bd;
use bd::Protection;
use bd::Verify;
use error::Error;

/// Word with `done_flag` in bits 15:0 and the error type in bits 23:16.
const OUTCOME: usize = 28;
const DONE: u32 = 1;
/// `SEC_ICV_ERR` in the `icv` field.
const ICV_ERROR: u32 = 2 << 1;
/// `SEC_SQE_CFLAG` in the flag field.
const FLAG_CIPHER: u32 = 2 << 7;
/// `SEC_SQE_AEAD_FLAG` in the flag field.
const FLAG_AEAD: u32 = 3 << 7;

/// The engine; it keeps no state between requests.
#[derive(Debug)]
pub(crate) struct Sec;

impl Engine for Sec {
    fn entry_bytes(&self) -> usize {
        128
    }

    fn payload_bytes(&self, sqe: &Sqe) -> u32 {
        bd::length(sqe)
    }

    fn process(&self, bus: &mut Bus<'_>, sqe: &mut Sqe, _algorithm: u8) {
        let outcome = match Bd::parse(sqe).and_then(|bd| run(bus, &bd)) {
            Ok(flags) => DONE | flags,
            Err(error) => DONE | u32::from(error as u8) << 16,
        };
        let kept = word(sqe, OUTCOME) & 0xff00_0000;
        set_word(sqe, OUTCOME, kept | outcome);
    }
}

fn pieces(bus: &mut Bus<'_>, address: Address, skip: u32, length: u32) -> Result<Pieces, Error> {
    if length == 0 {
        return Ok(Pieces::default());
    }
    let pieces = match address {
        Address::Flat(address) => Pieces::flat(address.wrapping_add(u64::from(skip)), length),
        Address::List(address) => Pieces::gather(bus, address, skip, length)?,
    };
    if pieces.length() != u64::from(length) {
        return Err(Error::Memory);
    }
    Ok(pieces)
}

fn read_flat(bus: &mut Bus<'_>, address: u64, length: usize) -> Result<Vec<u8>, DmaFault> {
    let mut data = vec![0; length];
    if length != 0 {
        bus.read(address, &mut data)?;
    }
    Ok(data)
}

/// Executes a request and returns its flags. The decrypted text is written even if its tag is wrong, because a stream
/// cannot be undone.
fn run(bus: &mut Bus<'_>, bd: &Bd) -> Result<u32, Error> {
    let mut data = pieces(bus, bd.source, 0, bd.span())?.read(bus)?;
    let key = read_flat(bus, bd.key, bd.cipher.key_bytes(bd.mode))?;
    let iv = read_flat(bus, bd.iv, bd.cipher.iv_bytes(bd.mode))?;
    let text = bd.cipher_range();
    let computed = match bd.protection {
        Protection::None => {
            block::apply(bd, &key, &iv, &mut data[text.clone()])?;
            None
        }
        Protection::Hmac {
            hash,
            key: address,
            key_bytes,
        } => {
            let mac_key = read_flat(bus, address, key_bytes)?;
            let hash = |data: &[u8]| mac::hmac(hash, &mac_key, &data[bd.auth_range()]);
            let before = bd.authenticate_first.then(|| hash(&data));
            block::apply(bd, &key, &iv, &mut data[text.clone()])?;
            Some(before.unwrap_or_else(|| hash(&data)))
        }
        Protection::Ccm { first_block } => {
            let first_block = read_flat(bus, first_block, aead::BLOCK_BYTES)?;
            Some(aead::apply(bd, &key, &iv, &first_block, &mut data)?)
        }
        Protection::Gcm => Some(aead::apply(bd, &key, &iv, &[], &mut data)?),
    };
    let room = pieces(bus, bd.destination, bd.cipher_offset, bd.cipher_length)?;
    room.write(bus, &data[text])?;
    let Some(computed) = computed else {
        return Ok(FLAG_CIPHER);
    };
    let Some(tag) = computed.get(..bd.tag_bytes) else {
        return Err(Error::Length);
    };
    match bd.verify {
        Verify::Write => bus.write(bd.tag, tag)?,
        Verify::Compare => {
            if read_flat(bus, bd.tag, bd.tag_bytes)? != tag {
                return Ok(FLAG_AEAD | ICV_ERROR);
            }
        }
    }
    Ok(FLAG_AEAD)
}
