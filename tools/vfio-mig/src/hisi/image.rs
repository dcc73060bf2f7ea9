// SPDX-License-Identifier: GPL-2.0

//! The structure that a migration transfers, field by field, and what is wrong in it.
//!
//! The layout and the rules are those of `stream.rs` and `matching.rs` of the driver.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hex_dump::{HexDump, Kind};
use super::match_data::MatchData;
use super::names;

/// Bytes of the whole structure.
pub const SIZE: usize = 176;
/// Bytes of the match data.
pub const MATCH_SIZE: usize = 40;
/// Bytes before the addresses at the end.
pub const REGISTERS_SIZE: usize = 144;

const MAGIC_V1: u64 = 0xcdcd_cdcd_feed_aacc;
const MAGIC_V2: u64 = 0xaacc_feed_deca_dede;
const SIGNATURE: u64 = 0x8ac3_55e1;
const PROMISES_NOTHING: u64 = 1;
const PROMISES_STATE: u64 = 2;

/// Name, offset and size of each field. The words of the contexts follow from these.
const LAYOUT: [(&str, usize, usize); 38] = [
    ("magic", 0, 8),
    ("queue_count", 8, 4),
    ("device", 12, 4),
    ("isolation", 16, 4),
    ("queue_base", 20, 4),
    ("vf_state", 24, 4),
    ("major_version", 28, 2),
    ("minor_version", 30, 2),
    ("promise", 32, 2),
    ("hardware_version", 34, 2),
    ("signature", 36, 4),
    ("aeq_int_mask", 40, 4),
    ("eq_int_mask", 44, 4),
    ("ifc_int_source", 48, 4),
    ("ifc_int_mask", 52, 4),
    ("ifc_int_set", 56, 4),
    ("page_size", 60, 4),
    ("eqc[0]", 64, 4),
    ("eqc[1]", 68, 4),
    ("eqc[2]", 72, 4),
    ("eqc[3]", 76, 4),
    ("eqc[4]", 80, 4),
    ("eqc[5]", 84, 4),
    ("eqc[6]", 88, 4),
    ("aeqc[0]", 92, 4),
    ("aeqc[1]", 96, 4),
    ("aeqc[2]", 100, 4),
    ("aeqc[3]", 104, 4),
    ("aeqc[4]", 108, 4),
    ("aeqc[5]", 112, 4),
    ("aeqc[6]", 116, 4),
    ("reserved_regs", 120, 20),
    ("padding", 140, 4),
    ("eqe_dma", 144, 8),
    ("aeqe_dma", 152, 8),
    ("sqc_dma", 160, 8),
    ("cqc_dma", 168, 8),
    ("end", SIZE, 0),
];

/// Fields that have addresses of the guest's memory.
const ADDRESSES: [&str; 8] = [
    "eqc[1]", "eqc[2]", "aeqc[1]", "aeqc[2]", "eqe_dma", "aeqe_dma", "sqc_dma", "cqc_dma",
];

/// Whether the byte at this offset belongs to an address of the guest's memory.
pub fn is_guest_address(offset: usize) -> bool {
    let field = LAYOUT
        .iter()
        .find(|(_, at, size)| (*at..at + size).contains(&offset));
    // What is not known may be one.
    field.is_none_or(|(name, ..)| ADDRESSES.contains(name))
}

/// A field of the structure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// Its name; that of `match` and `refused` where they have it.
    pub name: String,
    /// Where it begins.
    pub offset: usize,
    /// Its bytes.
    pub size: usize,
    /// Its value with 0x in front; nothing if it was withheld, is not there or is a whole area.
    pub value: Option<String>,
    /// What the value says.
    pub meaning: Option<String>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// Where the bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A stream, byte for byte.
    Binary,
    /// `data` or `migf_data`.
    Session,
    /// `dev_data`.
    Device,
}

/// The bytes with their meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decoded {
    /// Where they come from.
    pub source: Source,
    /// How many bytes the session had, as the file says.
    pub length: usize,
    /// How many of them are in the file.
    pub shown: usize,
    /// What they are, in a sentence.
    pub summary: String,
    /// All fields that are there.
    pub fields: Vec<Field>,
    /// What is wrong and belongs to no field.
    pub problems: Vec<String>,
}

impl Decoded {
    /// Everything that is wrong.
    pub fn all_problems(&self) -> Vec<String> {
        let of_fields = self.fields.iter().filter_map(|field| {
            let problem = field.problem.as_ref()?;
            Some(format!("{}: {problem}", field.name))
        });
        of_fields.chain(self.problems.iter().cloned()).collect()
    }
}

/// Bytes of which some may have been withheld.
struct Bytes<'b>(&'b [Option<u8>]);

impl Bytes<'_> {
    /// The value of a field, if all of its bytes are there.
    fn get(&self, name: &str) -> Option<u64> {
        let (_, offset, size) = LAYOUT.iter().find(|(known, ..)| *known == name)?;
        self.at(*offset, *size)
    }

    fn at(&self, offset: usize, size: usize) -> Option<u64> {
        let bytes = self.0.get(offset..offset.checked_add(size)?)?;
        if size > 8 {
            return None;
        }
        let mut value = 0;
        for byte in bytes.iter().rev() {
            value = value << 8 | u64::from((*byte)?);
        }
        Some(value)
    }

    fn is_v1(&self) -> bool {
        self.get("magic") == Some(MAGIC_V1)
    }

    fn has_extension(&self) -> bool {
        !self.is_v1() && self.get("signature") == Some(SIGNATURE)
    }

    fn promises_state(&self) -> bool {
        self.has_extension() && self.get("promise") == Some(PROMISES_STATE)
    }

    /// The address in words 1 and 2 of a context.
    fn context_address(&self, context: &str) -> Option<u64> {
        let word = |n: u32| self.get(&format!("{context}[{n}]"));
        Some(word(2)? << 32 | word(1)?)
    }
}

/// The match data in the first bytes of a stream.
pub fn match_data(bytes: &[Option<u8>]) -> MatchData {
    let bytes = Bytes(bytes);
    let extension = bytes.has_extension();
    MatchData {
        magic: bytes.get("magic"),
        // Version 1 has no version number.
        major_version: bytes.get("major_version").filter(|_| !bytes.is_v1()),
        device: bytes.get("device"),
        queue_count: bytes.get("queue_count"),
        isolation: bytes.get("isolation"),
        hardware_version: bytes.get("hardware_version").filter(|_| extension),
    }
}

/// Whether this is the magic of version 1, which has no version number and which this driver
/// accepts.
pub fn is_v1(magic: u64) -> bool {
    magic == MAGIC_V1
}

/// Whether a stream can begin with this.
pub fn is_known_magic(magic: u64) -> bool {
    magic == MAGIC_V1 || magic == MAGIC_V2
}

/// Decodes a dump.
pub fn decode_dump(dump: &HexDump) -> Decoded {
    let source = match dump.kind {
        Kind::Session => Source::Session,
        Kind::Device => Source::Device,
    };
    let mut decoded = decode(&dump.bytes, source, dump.length);
    if dump.length.is_none() {
        let end = "the last line, with the length, is missing".to_owned();
        decoded.problems.push(end);
    }
    decoded
}

/// Decodes a binary stream.
pub fn decode_binary(bytes: &[u8]) -> Decoded {
    let bytes: Vec<Option<u8>> = bytes.iter().copied().map(Some).collect();
    decode(&bytes, Source::Binary, Some(bytes.len()))
}

fn decode(bytes: &[Option<u8>], source: Source, length: Option<usize>) -> Decoded {
    let length = length.unwrap_or(bytes.len());
    // migf_data has nine lines whatever the session had; the rest is filled up with zeroes.
    let is_padded = source == Source::Session && bytes.len() == REGISTERS_SIZE;
    let there = if is_padded && length < bytes.len() {
        &bytes[..length]
    } else {
        bytes
    };
    let view = Bytes(there);
    let fields = LAYOUT[..LAYOUT.len() - 1]
        .iter()
        .filter(|(_, offset, size)| offset + size <= there.len())
        .map(|&(name, offset, size)| field(&view, source, length, name, offset, size))
        .collect();
    Decoded {
        source,
        length,
        shown: there.len(),
        summary: summary(&view, source, length),
        fields,
        problems: problems(&view, source, length),
    }
}

/// Whether these are the zeroes of the C driver, whose `dev_data` has no match data.
fn lacks_match_data(bytes: &Bytes<'_>, source: Source) -> bool {
    source == Source::Device && bytes.get("magic") == Some(0)
}

fn field(
    bytes: &Bytes<'_>,
    source: Source,
    length: usize,
    name: &str,
    offset: usize,
    size: usize,
) -> Field {
    let value = bytes.at(offset, size);
    let is_area = size > 8;
    let withheld = bytes.0[offset..offset + size].iter().any(Option::is_none);
    let (meaning, problem) = match value {
        Some(_) if lacks_match_data(bytes, source) && offset < MATCH_SIZE && name != "vf_state" => {
            (Some("the C driver does not fill it here".to_owned()), None)
        }
        Some(value) => about(bytes, name, value, length),
        None if withheld => (Some("withheld from the report".to_owned()), None),
        None => (None, None),
    };
    let reserved = (is_area || name == "padding") && meaning.is_none();
    Field {
        name: name.to_owned(),
        offset,
        size,
        value: value.map(|value| format!("{value:#x}")),
        meaning: meaning.or_else(|| reserved.then(|| "not used".to_owned())),
        problem,
    }
}

type About = (Option<String>, Option<String>);

fn says(meaning: impl Into<String>) -> About {
    (Some(meaning.into()), None)
}

fn wrong(problem: impl Into<String>) -> About {
    (None, Some(problem.into()))
}

/// What a value means, and what is wrong with it.
fn about(bytes: &Bytes<'_>, name: &str, value: u64, length: usize) -> About {
    let has_state = length > MATCH_SIZE;
    match name {
        "magic" => match value {
            MAGIC_V2 => says("stream of version 2"),
            MAGIC_V1 => says("stream of version 1, of the C driver before Linux 6.16"),
            _ => wrong(format!("neither {MAGIC_V2:#x} nor {MAGIC_V1:#x}")),
        },
        "queue_count" => match value {
            1..=1024 => says(format!("{value} queue pairs")),
            _ => wrong("not 1 to 1024"),
        },
        "device" => match names::engine(value) {
            Some(engine) => says(format!("a VF of {engine}")),
            None => wrong("no VF of zip, sec or hpre"),
        },
        "isolation" => says("doorbell isolation of the PF"),
        "queue_base" => says("first queue pair, as the source's PF counts; not compared"),
        "vf_state" if !has_state => says("of no meaning: only the match data were sent"),
        "vf_state" => match value {
            0 => says("the guest's driver has set the VF up"),
            1 => says("the guest has no driver for the VF"),
            _ => wrong("neither 0 (set up) nor 1"),
        },
        "major_version" | "minor_version" if bytes.is_v1() => says("version 1 has none"),
        "major_version" if value != 1 => wrong("not 1"),
        "promise" | "hardware_version" if !bytes.has_extension() => {
            says("no extension of the Rust driver")
        }
        "signature" if !bytes.has_extension() => says("none: the stream is of the C driver"),
        "signature" => says("extension of the Rust driver"),
        "promise" => match value {
            PROMISES_NOTHING => says("nothing follows the match data"),
            PROMISES_STATE => says("the state follows the match data"),
            _ => wrong("neither 1 nor 2"),
        },
        "hardware_version" => match names::hardware(value) {
            Some(name) => says(name),
            None => says("a hardware version without a name"),
        },
        "ifc_int_set" if value != 0 => wrong("not 0: loading it would send a message to the PF"),
        "page_size" => match value {
            0 => says("pages of 4 KiB"),
            1 => says("pages of 16 KiB"),
            2 => says("pages of 64 KiB"),
            _ => wrong("neither 0, 1 nor 2"),
        },
        "eqe_dma" => address(bytes, "eqc", "the event queue", value),
        "aeqe_dma" => address(bytes, "aeqc", "the asynchronous event queue", value),
        "sqc_dma" => table("the contexts of submission queues", value),
        "cqc_dma" => table("the contexts of completion queues", value),
        _ => (None, None),
    }
}

/// The address of an event queue, which is also in its context.
fn address(bytes: &Bytes<'_>, context: &str, what: &str, value: u64) -> About {
    let same = bytes.context_address(context);
    if bytes.is_v1() {
        says("version 1 has it from the wrong words; it is taken from the context")
    } else if same.is_some_and(|same| same != value) {
        wrong(format!("not the address in {context}[1] and {context}[2]"))
    } else {
        table(what, value)
    }
}

fn table(what: &str, value: u64) -> About {
    match value {
        0 => says(format!("no address of {what}: the VF is not set up")),
        _ => says(format!("address of {what}")),
    }
}

fn summary(bytes: &Bytes<'_>, source: Source, length: usize) -> String {
    let engine = bytes.get("device").and_then(names::engine);
    let engine = engine.map_or(String::new(), |engine| format!(" of a {engine} VF"));
    if source == Source::Device {
        return match bytes.get("vf_state") {
            Some(0) => format!("registers{engine}, whose guest has a driver"),
            Some(1) => format!("registers{engine}, whose guest has no driver"),
            _ => format!("registers{engine}"),
        };
    }
    match length {
        0 => "no data".to_owned(),
        SIZE => format!("complete data{engine}"),
        MATCH_SIZE if bytes.promises_state() => format!("match data{engine}, without the rest"),
        MATCH_SIZE => format!("match data{engine}, whose guest had no driver, or had not stopped"),
        _ => format!("incomplete data{engine}"),
    }
}

/// What is wrong with the bytes as a whole.
fn problems(bytes: &Bytes<'_>, source: Source, length: usize) -> Vec<String> {
    let mut found = Vec::new();
    let shown = bytes.0.len();
    match (source, length) {
        (Source::Device, _) if shown != REGISTERS_SIZE => {
            found.push(format!("{shown} bytes instead of {REGISTERS_SIZE}"));
        }
        (Source::Device, MATCH_SIZE | SIZE) | (_, SIZE) => {}
        (_, MATCH_SIZE) if bytes.promises_state() => found.push(format!(
            "length: {length} bytes, although the source has promised {SIZE}: the migration was \
             given up before the guest had stopped"
        )),
        (_, MATCH_SIZE) => {}
        _ => found.push(format!(
            "length: {length} bytes; a session has {MATCH_SIZE} or {SIZE}"
        )),
    }
    let is_cut = source == Source::Session && shown == REGISTERS_SIZE && length > shown;
    if source != Source::Device && !is_cut && shown != length {
        found.push(format!("the file has {shown} bytes, and says {length}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_follow_one_another() {
        for pair in LAYOUT.windows(2) {
            assert_eq!(pair[0].1 + pair[0].2, pair[1].1, "{}", pair[0].0);
        }
    }

    #[test]
    fn addresses_are_withheld_and_nothing_else() {
        let secret = (0..SIZE).filter(|&at| is_guest_address(at)).count();
        assert_eq!(secret, 4 * 4 + 4 * 8);
        assert!(is_guest_address(68) && is_guest_address(SIZE));
        assert!(!is_guest_address(0) && !is_guest_address(64) && !is_guest_address(143));
    }
}
