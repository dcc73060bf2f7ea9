// SPDX-License-Identifier: GPL-2.0

//! The ZIP engine: raw deflate in both directions, and LZ4 blocks in one direction.
//!
//! Source: `struct hisi_zip_sqe` in `zip/zip.h`, its fields in `zip/zip_crypto.c`. The driver considers a request with
//! status 0 or 0x0d successful and one with any other status failed; user space also knows 0x01. The other statuses are
//! defined by the model.

use flate2::Compress;
use flate2::Compression;
use flate2::Decompress;
use flate2::FlushCompress;
use flate2::FlushDecompress;
use flate2::Status as Progress;

use crate::bus::Bus;
use crate::engine::Engine;
use crate::engine::Sqe;
use crate::engine::double_word;
use crate::engine::set_word;
use crate::engine::word;
use crate::host::DmaFault;
use crate::sgl::Pieces;

/// Maximum number of bytes of a request on either side; more is rejected or cut off.
const MAX_BYTES: u32 = 8 << 20;

const CONSUMED: usize = 0;
const PRODUCED: usize = 1;
const STATUS: usize = 3;
const INPUT_LENGTH: usize = 4;
const INPUT_OFFSET: usize = 7;
const OUTPUT_OFFSET: usize = 8;
const REQUEST: usize = 9;
const OUTPUT_ROOM: usize = 14;
const SOURCE: usize = 18;
const DESTINATION: usize = 20;

const OFFSET_MASK: u32 = 0xff_ffff;
const STATUS_MASK: u32 = 0xff;
const SQE_TYPE_3: u32 = 3;
const REQUEST_DEFLATE: u32 = 1;
const REQUEST_LZ4: u32 = 4;
const BUFFER_FLAT: u32 = 0;
const BUFFER_SGL: u32 = 1;
const COMPRESS: u8 = 0;
const DECOMPRESS: u8 = 1;

/// Result of a request; bits 7:0 of word 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    /// Success.
    Success = 0,
    /// The output does not fit the destination.
    NoSpace = 0x01,
    /// The input is not a deflate stream, or its end is missing.
    BadStream = 0x03,
    /// Success; the output is larger than the input. `HZIP_NC_ERR`.
    Grown = 0x0d,
    /// The entry requests an operation that the engine does not support.
    BadRequest = 0x20,
    /// A memory access was rejected.
    Dma = 0x21,
}

impl From<DmaFault> for Status {
    fn from(_: DmaFault) -> Self {
        Self::Dma
    }
}

/// The requested operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Deflate,
    Inflate,
    Lz4,
}

impl Work {
    fn parse(request: u32, algorithm: u8) -> Result<Self, Status> {
        match (request, algorithm) {
            (REQUEST_DEFLATE, COMPRESS) => Ok(Self::Deflate),
            (REQUEST_DEFLATE, DECOMPRESS) => Ok(Self::Inflate),
            (REQUEST_LZ4, COMPRESS) => Ok(Self::Lz4),
            _ => Err(Status::BadRequest),
        }
    }
}

/// The engine; it keeps no state between requests.
#[derive(Debug)]
pub(crate) struct Zip;

impl Engine for Zip {
    fn entry_bytes(&self) -> usize {
        128
    }

    fn payload_bytes(&self, sqe: &Sqe) -> u32 {
        word(sqe, INPUT_LENGTH).min(MAX_BYTES)
    }

    fn process(&self, bus: &mut Bus<'_>, sqe: &mut Sqe, algorithm: u8) {
        let (status, consumed, produced) = match run(bus, sqe, algorithm) {
            Ok(outcome) => outcome,
            Err(status) => (status, 0, 0),
        };
        let kept = word(sqe, STATUS) & !STATUS_MASK;
        set_word(sqe, STATUS, kept | status as u32);
        set_word(sqe, CONSUMED, consumed);
        set_word(sqe, PRODUCED, produced);
    }
}

fn pieces(
    bus: &mut Bus<'_>,
    sqe: &Sqe,
    address: usize,
    offset: usize,
    wanted: u32,
) -> Result<Pieces, Status> {
    let address = double_word(sqe, address);
    let skip = word(sqe, offset) & OFFSET_MASK;
    match word(sqe, REQUEST) >> 8 & 0xf {
        BUFFER_FLAT => Ok(Pieces::flat(address.wrapping_add(u64::from(skip)), wanted)),
        BUFFER_SGL => Ok(Pieces::gather(bus, address, skip, wanted)?),
        _ => Err(Status::BadRequest),
    }
}

fn run(bus: &mut Bus<'_>, sqe: &Sqe, algorithm: u8) -> Result<(Status, u32, u32), Status> {
    let input_length = word(sqe, INPUT_LENGTH);
    let room = word(sqe, OUTPUT_ROOM).min(MAX_BYTES);
    let work = Work::parse(word(sqe, REQUEST) & 0xff, algorithm)?;
    if word(sqe, INPUT_OFFSET) >> 28 != SQE_TYPE_3 || input_length > MAX_BYTES {
        return Err(Status::BadRequest);
    }
    let input = pieces(bus, sqe, SOURCE, INPUT_OFFSET, input_length)?;
    if input.length() != u64::from(input_length) {
        return Err(Status::BadRequest);
    }
    let output = pieces(bus, sqe, DESTINATION, OUTPUT_OFFSET, room)?;
    let room = u32::try_from(output.length()).unwrap_or(room).min(room);
    let input = input.read(bus)?;
    let (data, consumed) = match work {
        Work::Inflate => decompress(&input, room)?,
        Work::Deflate => compress(&input, room, word(sqe, REQUEST) >> 12 & 0xf)?,
        Work::Lz4 => compress_lz4(&input, room)?,
    };
    output.write(bus, &data)?;
    let status = if data.len() > input.len() && work != Work::Inflate {
        Status::Grown
    } else {
        Status::Success
    };
    // CAST: Both are at most MAX_BYTES.
    Ok((status, consumed as u32, data.len() as u32))
}

/// Returns the window bits for the request's window field: 4, 8, 16, 24, 32 KiB; a window of 24 KiB uses 16 of them.
fn window_bits(field: u32) -> Result<u8, Status> {
    match field {
        0 => Ok(12),
        1 => Ok(13),
        2 | 3 => Ok(14),
        4 => Ok(15),
        _ => Err(Status::BadRequest),
    }
}

fn compress(input: &[u8], room: u32, window: u32) -> Result<(Vec<u8>, u64), Status> {
    let mut engine =
        Compress::new_with_window_bits(Compression::fast(), false, window_bits(window)?);
    let mut output = vec![0; room as usize];
    match engine.compress(input, &mut output, FlushCompress::Finish) {
        Ok(Progress::StreamEnd) => {
            output.truncate(usize::try_from(engine.total_out()).unwrap_or(0));
            Ok((output, engine.total_in()))
        }
        Ok(Progress::Ok | Progress::BufError) => Err(Status::NoSpace),
        Err(_) => Err(Status::BadRequest),
    }
}

/// Compresses to a block without frame. The format has no selectable window: it reaches 64 KiB back.
fn compress_lz4(input: &[u8], room: u32) -> Result<(Vec<u8>, u64), Status> {
    let output = lz4_flex::block::compress(input);
    if output.len() > room as usize {
        return Err(Status::NoSpace);
    }
    Ok((output, input.len() as u64))
}

fn decompress(input: &[u8], room: u32) -> Result<(Vec<u8>, u64), Status> {
    let mut engine = Decompress::new(false);
    let mut output = vec![0; room as usize];
    match engine.decompress(input, &mut output, FlushDecompress::Finish) {
        Ok(Progress::StreamEnd) => {
            output.truncate(usize::try_from(engine.total_out()).unwrap_or(0));
            Ok((output, engine.total_in()))
        }
        Ok(Progress::Ok | Progress::BufError) if engine.total_out() >= u64::from(room) => {
            Err(Status::NoSpace)
        }
        Ok(Progress::Ok | Progress::BufError) | Err(_) => Err(Status::BadStream),
    }
}
