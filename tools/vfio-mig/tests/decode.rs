// SPDX-License-Identifier: GPL-2.0

//! No parser panics or takes what is no file for one, whatever the bytes, and `decode` finds each field
//! that is damaged.

use proptest::prelude::*;
use vfio_mig::hisi::attr::Attr;
use vfio_mig::hisi::hex_dump::{HexDump, withhold};
use vfio_mig::hisi::image::{Decoded, is_guest_address};
use vfio_mig::hisi::match_data::MatchData;
use vfio_mig::migration_data::decode;
use vfio_mig::request::Request;
use vfio_mig::state::{Feature, State};

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
const HISTORY: &str = recorded!("c-migrated", "1", "../history");

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

/// Lines that look like those of a file, with any words in them.
const ALMOST: &str =
    "((Mig Data:|Dev Data:|magic: |request=|engine: |history: session=)[ -~]{0,40}\n){1,4}";

/// What takes a text for a file of the host.
fn taken(text: &str) -> Vec<&'static str> {
    let is_dump = |text: &str| HexDump::parse(text).is_ok_and(|dump| dump.length.is_some());
    let has_feature = |text: &str| {
        let known = [Feature::STOP_COPY, Feature::P2P, Feature::PRE_COPY];
        let found = Feature::parse_all(text);
        found
            .iter()
            .any(|feature| known.contains(&feature.0.as_str()))
    };
    let found = [
        ("attr", Attr::parse(text).is_ok()),
        ("match", MatchData::parse(text).is_ok()),
        ("data", is_dump(text)),
        ("features", has_feature(text)),
        ("state", text.trim().parse::<State>().is_ok()),
        // An empty file is that of a device without requests.
        (
            "history",
            !text.is_empty() && Request::parse_all(text).is_ok(),
        ),
    ];
    let taken = found.into_iter().filter(|(_, is_taken)| *is_taken);
    taken.map(|(name, _)| name).collect()
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_wrong(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(decoded) = decode(&bytes) {
            prop_assert!(!decoded.all_problems().is_empty());
        }
        let text = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(taken(&text), Vec::<&str>::new());
        let _ = withhold(&text, is_guest_address);
    }

    /// Bytes with the right beginning are no stream either, whatever their number.
    #[test]
    fn any_bytes_after_the_magic_are_wrong(
        bytes in prop::collection::vec(any::<u8>(), 0..400), length in 8usize..400
    ) {
        let all: Vec<u8> = STREAM[..8].iter().copied().chain(bytes).take(length).collect();
        prop_assert!(!decoded(&all).all_problems().is_empty());
    }

    #[test]
    fn any_text_is_refused_or_wrong(text in prop_oneof![ALMOST, "\\PC{0,80}"]) {
        if let Ok(decoded) = decode(text.as_bytes()) {
            prop_assert!(!decoded.all_problems().is_empty());
        }
        prop_assert_eq!(taken(&text), Vec::<&str>::new());
        let _ = withhold(&text, is_guest_address);
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        data in damaged(DATA),
        attr in damaged(ATTR),
        found in damaged(MATCH),
        history in damaged(HISTORY)
    ) {
        let _ = decode(data.as_bytes());
        let _ = Attr::parse(&attr);
        let _ = MatchData::parse(&found);
        for request in Request::parse_all(&history).unwrap_or_default() {
            let _ = request.to_string();
        }
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
