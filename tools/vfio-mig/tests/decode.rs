// SPDX-License-Identifier: GPL-2.0

//! `decode` never panics, whatever the bytes, and finds each field that is damaged.

use proptest::prelude::*;
use vfio_mig::hisi::attr::Attr;
use vfio_mig::hisi::hex_dump::{HexDump, withhold};
use vfio_mig::hisi::image::{Decoded, is_guest_address};
use vfio_mig::hisi::match_data::MatchData;
use vfio_mig::migration_data::decode;

const STREAM: &[u8] = include_bytes!("recorded/rust-migrated/stream.bin");

macro_rules! recorded {
    ($moment:literal, $vf:literal, $file:literal) => {
        include_str!(concat!(
            "recorded/",
            $moment,
            "/sys/kernel/debug/vfio/0000:01:00.",
            $vf,
            "/migration/hisi_acc/",
            $file
        ))
    };
}

const DATA: &str = recorded!("rust-migrated", "1", "data");
const ATTR: &str = recorded!("rust-migrated", "3", "attr");
const MATCH: &str = recorded!("rust-migrated", "1", "match");

fn decoded(bytes: &[u8]) -> Decoded {
    decode(bytes).expect("neither a dump nor a stream")
}

/// `text` with one of its bytes changed, or cut, or with a byte more.
fn damaged(text: &'static str) -> impl Strategy<Value = String> {
    (0..text.len(), any::<u8>(), 0..3).prop_map(move |(at, byte, how)| {
        let mut bytes = text.as_bytes().to_vec();
        match how {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            _ => bytes.insert(at, byte),
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn any_text_after_a_prefix_is_decoded_or_refused(text in "(Mig Data:|Dev Data:|magic: ).{0,80}") {
        let _ = decode(text.as_bytes());
        let _ = MatchData::parse(&text);
        let _ = Attr::parse(&text);
        let _ = withhold(&text, is_guest_address);
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        data in damaged(DATA), attr in damaged(ATTR), found in damaged(MATCH)
    ) {
        let _ = decode(data.as_bytes());
        let _ = Attr::parse(&attr);
        let _ = MatchData::parse(&found);
        let _ = withhold(&data, is_guest_address);
    }

    #[test]
    fn a_stream_that_ends_early_is_wrong(length in 1usize..176) {
        // Of the match data alone it says that the rest was promised.
        let decoded = decoded(&STREAM[..length]);
        prop_assert!(!decoded.all_problems().is_empty());
        prop_assert!(decoded.fields.iter().all(|field| field.offset + field.size <= length));
    }
}

/// What is wrong in the stream after `value` was written at `offset`.
fn problems(offset: usize, value: &[u8]) -> Vec<String> {
    let mut bytes = STREAM.to_vec();
    bytes[offset..offset + value.len()].copy_from_slice(value);
    decoded(&bytes).all_problems()
}

#[test]
fn a_good_stream_has_nothing_wrong() {
    assert_eq!(problems(0, &[]), Vec::<String>::new());
}

/// Each value that the driver would refuse on any device.
#[test]
fn each_field_that_is_refused_is_named() {
    for (field, offset, value) in [
        ("magic", 0, &[1][..]),
        ("queue_count", 8, &[0xff, 0xff]),
        ("device", 12, &[0]),
        ("vf_state", 24, &[2]),
        ("major_version", 28, &[2]),
        ("promise", 32, &[9]),
        ("ifc_int_set", 56, &[1]),
        ("page_size", 60, &[3]),
        ("eqe_dma", 144, &[7]),
        ("aeqe_dma", 152, &[7]),
    ] {
        let found = problems(offset, value);
        assert_eq!(found.len(), 1, "{field}: {found:?}");
        assert!(found[0].starts_with(field), "{field}: {found:?}");
    }
}

#[test]
fn the_file_data_has_the_bytes_of_the_stream() {
    let dump = HexDump::parse(DATA).expect("the recorded file");
    let bytes: Vec<Option<u8>> = STREAM.iter().copied().map(Some).collect();
    assert_eq!(dump.bytes, bytes);
    assert_eq!(dump.length, Some(STREAM.len()));
}

#[test]
fn addresses_are_withheld_and_the_rest_is_decoded() {
    let text = withhold(DATA, is_guest_address);
    assert_eq!(text.matches("--").count(), 48);
    let (with, without) = (decoded(DATA.as_bytes()), decoded(text.as_bytes()));
    assert_eq!(without.all_problems(), Vec::<String>::new());
    for (with, without) in with.fields.iter().zip(&without.fields) {
        let is_withheld = without.value.is_none() && with.value.is_some();
        let is_address = with.name.ends_with("_dma")
            || ["[1]", "[2]"].iter().any(|word| with.name.ends_with(word));
        assert_eq!(is_withheld, is_address, "{}", with.name);
    }
}
