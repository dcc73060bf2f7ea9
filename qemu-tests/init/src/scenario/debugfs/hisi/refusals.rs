// SPDX-License-Identifier: GPL-2.0

//! `attr`: why a stream was refused.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use vfio_client::State;

use super::Fixture;
use super::files::word;
use crate::expect::{equal, refused};
use crate::scenario::support::stream_layout::{self, MATCH_SIZE};

/// A field of the stream: its name, where it is, what it is changed to, and what is expected
/// there, unless that is what the stream had.
struct Field {
    name: &'static str,
    got: u64,
    bytes: Range<usize>,
    expected: Option<u64>,
}

const fn field(name: &'static str, bytes: Range<usize>, got: u64) -> Field {
    Field {
        name,
        got,
        bytes,
        expected: None,
    }
}

/// All fields that can be refused, but for the length.
const FIELDS: [Field; 9] = [
    field("magic", stream_layout::MAGIC, 0x1234_5678_9abc_def0),
    field("major_version", stream_layout::MAJOR_VERSION, 2),
    field("device", stream_layout::DEVICE, 0xa256),
    field("queue_count", stream_layout::QUEUE_COUNT, 0xffff_ffff),
    field("isolation", stream_layout::ISOLATION, 0x1_0000),
    field("hardware_version", stream_layout::HARDWARE_VERSION, 0x77),
    Field {
        expected: Some(1),
        ..field("vf_state", stream_layout::VF_STATE, 7)
    },
    Field {
        expected: Some(2),
        ..field("page_size", stream_layout::PAGE_SIZE, 3)
    },
    field("ifc_int_set", stream_layout::IFC_INT_SET, 1),
];

fn number(stream: &[u8], field: &Field) -> u64 {
    let mut word = [0; 8];
    word[..field.bytes.len()].copy_from_slice(&stream[field.bytes.clone()]);
    u64::from_le_bytes(word)
}

/// The stream is refused; userspace learns no more than EINVAL, `attr` says the rest.
fn refuse(fixture: &Fixture, stream: &[u8], name: &str, expected: u64, got: u64) -> Result<()> {
    let device = fixture.open()?;
    let file = device.set_state_with_file(State::Resuming)?;
    let written = file.write(stream);
    if written.is_err() {
        refused("writing it", written, Errno::INVAL)?;
        // Known before the session ends.
        ensure!(
            fixture.files().value("refused")?.contains(name),
            "attr does not say it while the session lasts"
        );
    }
    refused("loading it", device.set_state(State::Stop), Errno::INVAL)?;
    drop((file, device));

    let session = fixture.files().value("history")?;
    let id = word(&session, "session")?.to_owned();
    equal(
        "refused",
        fixture.files().value("refused")?,
        format!("session {id}, {name} expected {expected:#x} got {got:#x}"),
    )?;
    equal(
        "refused in history",
        word(&session, "refused")?,
        &format!("{name}:{expected:#x}:{got:#x}"),
    )?;
    let failure = fixture.files().value("failure")?;
    equal("session of the failure", word(&failure, "session")?, &id)?;
    equal(
        "arc of the failure",
        word(&failure, "arc")?,
        "RESUMING>STOP",
    )?;
    equal("errno of the failure", word(&failure, "errno")?, "22")
}

pub(super) fn each_field(fixture: &mut Fixture) -> Result<()> {
    let stream = fixture.full_stream()?;
    for field in &FIELDS {
        let expected = field.expected.unwrap_or(number(&stream, field));
        let mut wrong = stream.clone();
        wrong[field.bytes.clone()].copy_from_slice(&field.got.to_le_bytes()[..field.bytes.len()]);
        refuse(fixture, &wrong, field.name, expected, field.got)
            .with_context(|| format!("a wrong {}", field.name))?;
    }
    for (length, whole) in [(8, MATCH_SIZE), (100, stream.len())] {
        refuse(
            fixture,
            &stream[..length],
            "length",
            whole as u64,
            length as u64,
        )
        .with_context(|| format!("{length} bytes"))?;
    }
    // Until the next user comes.
    drop(fixture.open()?);
    fixture.files().attributes_are(&[("refused", "none")])
}
