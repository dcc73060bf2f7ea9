// SPDX-License-Identifier: GPL-2.0

//! Files with migration data, of whatever form.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;

use anyhow::{Result, bail};

use crate::hisi::hex_dump::HexDump;
use crate::hisi::image::{Decoded, decode_binary, decode_dump};

/// More bytes than a stream or a dump of one can have.
const LIMIT: u64 = 1 << 16;

/// The bytes of a file, or of standard input for `-`.
///
/// # Errors
///
/// If it cannot be read or is too large.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    let reader: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(stdin()),
        false => Box::new(File::open(file)?),
    };
    let mut bytes = Vec::new();
    reader.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        bail!("the file is too large for migration data");
    }
    Ok(bytes)
}

/// Decodes a dump or a binary stream, whichever it is.
///
/// # Errors
///
/// If a dump has a line that does not belong there, or if it is neither.
pub fn decode(bytes: &[u8]) -> Result<Decoded> {
    match std::str::from_utf8(bytes) {
        Ok(text) if HexDump::is_one(text) => Ok(decode_dump(&HexDump::parse(text)?)),
        Ok(text) if !text.is_empty() && text.chars().all(|c| c == '\n' || !c.is_control()) => {
            bail!("this is a text, but no `data`, `migf_data`, `dev_data` or `history`")
        }
        _ => Ok(decode_binary(bytes)),
    }
}
