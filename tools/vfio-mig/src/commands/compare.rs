// SPDX-License-Identifier: GPL-2.0

//! `compare`: would the guest of one VF load on another?

use std::fmt::Display;

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};
use crate::cli::Compare as Sides;
use crate::device::{CanMigrate, Device};
use crate::hisi::match_data::{self, MatchData};
use crate::hisi::{image, names};
use crate::knowledge::{Knowledge, plain};
use crate::place::{Place, Side};
use crate::root::Root;
use crate::{style, table};

/// How the values of a field compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// They fit.
    Fits,
    /// They do not.
    Differs,
    /// One of them is not known.
    Unknown,
}

/// A field of both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// Its name; that of `match` and `refused` where they have it.
    pub name: String,
    /// Its value at the source.
    pub source: Option<String>,
    /// Its value at the destination.
    pub destination: Option<String>,
    /// How they compare.
    pub relation: Relation,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Compare {
    /// Where the guest is.
    pub source: String,
    /// Where it is to go.
    pub destination: String,
    /// Whether it would load there; nothing if that cannot be said.
    pub fits: Option<bool>,
    /// All fields that were compared.
    pub fields: Vec<Field>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// Runs the command.
///
/// # Errors
///
/// If a side is missing or cannot be read.
pub fn run(root: &Root, sides: &Sides, json: bool) -> Result<Answer> {
    let read = |text: &String| {
        let place = Place::parse(text)?;
        place.read(root).with_context(|| format!("reading {text}"))
    };
    let (source, destination) = (read(&sides.source)?, read(&sides.destination)?);
    let mut fields = compare(&source, &destination);
    let knowledge = Knowledge::load()?;
    for field in fields
        .iter_mut()
        .filter(|f| f.relation == Relation::Differs)
    {
        let known = knowledge.field(&field.name);
        field.remedy = known
            .map(|known| plain(&known.remedy))
            .or(field.remedy.take());
    }
    let any = |relation| fields.iter().any(|field| field.relation == relation);
    let fits = match (
        any(Relation::Differs),
        any(Relation::Unknown) || fields.is_empty(),
    ) {
        (true, _) => Some(false),
        (false, true) => None,
        (false, false) => Some(true),
    };
    let compare = Compare {
        source: sides.source.clone(),
        destination: sides.destination.clone(),
        fits,
        fields,
        notes: [&source, &destination]
            .into_iter()
            .flat_map(notes)
            .collect(),
    };
    let exit = match fits {
        Some(true) => Exit::Good,
        Some(false) => Exit::Bad,
        None => Exit::NoAnswer,
    };
    Answer::new(json, "compare", &compare, text, exit)
}

fn notes(side: &Side) -> Vec<String> {
    match side {
        Side::Device(device) => device.notes.clone(),
        Side::Match(_) => Vec::new(),
    }
}

fn compare(source: &Side, destination: &Side) -> Vec<Field> {
    let mut fields = Vec::new();
    if let (Side::Device(source), Side::Device(destination)) = (source, destination) {
        fields.extend(compare_devices(source, destination));
    }
    if is_hisi(source) || is_hisi(destination) {
        fields.extend(compare_match(match_of(source), match_of(destination)));
    }
    fields
}

fn match_of(side: &Side) -> Option<&MatchData> {
    match side {
        Side::Device(device) => device.match_data.as_ref(),
        Side::Match(found) => Some(found),
    }
}

/// Whether a stream for this side has the form of hisi_acc_vfio_pci.
fn is_hisi(side: &Side) -> bool {
    match side {
        Side::Match(_) => true,
        Side::Device(device) => {
            let engine = |device: u64| names::engine(device).is_some();
            device.match_data.is_some()
                || device
                    .pci
                    .as_ref()
                    .is_some_and(|p| p.vendor == 0x19e5 && engine(p.device))
        }
    }
}

/// What has to be equal, whatever the driver: the rest of the guest sees it, and QEMU compares it.
fn compare_devices(source: &Device, destination: &Device) -> Vec<Field> {
    let mut fields = vec![migration(source, destination)];
    if let (Some(a), Some(b)) = (&source.pci, &destination.pci) {
        let hex = |value: u64| format!("{value:#x}");
        let sizes = |sizes: &[u64]| {
            let sizes: Vec<String> = sizes.iter().map(|size| format!("{size:#x}")).collect();
            (!sizes.is_empty()).then(|| sizes.join(" "))
        };
        fields.extend([
            equal("vendor", Some(hex(a.vendor)), Some(hex(b.vendor))),
            equal("PCI device", Some(hex(a.device)), Some(hex(b.device))),
            equal("revision", a.revision.map(hex), b.revision.map(hex)),
            equal("class", a.class.map(hex), b.class.map(hex)),
            equal("BAR sizes", sizes(&a.bar_sizes), sizes(&b.bar_sizes)),
        ]);
    }
    fields
}

fn migration(source: &Device, destination: &Device) -> Field {
    let value = |device: &Device| match device.can_migrate {
        CanMigrate::Yes => Some("yes".to_owned()),
        CanMigrate::No => Some("no".to_owned()),
        CanMigrate::Unknown => None,
    };
    let mut field = equal("can migrate", value(source), value(destination));
    for device in [source, destination] {
        if device.can_migrate == CanMigrate::No {
            field.relation = Relation::Differs;
            field.remedy = Some(format!("`vfio-mig check {}` on its host", device.name));
        }
    }
    field
}

fn equal<T: Display + PartialEq>(name: &str, source: Option<T>, destination: Option<T>) -> Field {
    let relation = match (&source, &destination) {
        (Some(a), Some(b)) if a == b => Relation::Fits,
        (Some(_), Some(_)) => Relation::Differs,
        _ => Relation::Unknown,
    };
    Field {
        name: name.to_owned(),
        source: source.map(|value| value.to_string()),
        destination: destination.map(|value| value.to_string()),
        relation,
        remedy: None,
    }
}

/// The rules of the driver's `matching.rs`.
fn compare_match(source: Option<&MatchData>, destination: Option<&MatchData>) -> Vec<Field> {
    let values = |side: Option<&MatchData>| side.map_or([None; 6], MatchData::values);
    let is_v1 = source.and_then(|s| s.magic).is_some_and(image::is_v1);
    let pairs = values(source).into_iter().zip(values(destination));
    MatchData::FIELDS
        .into_iter()
        .zip(pairs)
        .map(|(name, (a, b))| {
            let text = |value: Option<u64>| value.map(|value| match_data::text(name, value));
            let mut field = equal(name, text(a), text(b));
            // Version 1 is accepted, and has no version number. The C driver sends no hardware
            // version.
            let is_skipped = match name {
                "magic" => is_v1,
                "major_version" => is_v1,
                "hardware_version" => source.is_some() && a.is_none(),
                _ => false,
            };
            if is_skipped && destination.is_some() {
                field.relation = Relation::Fits;
            }
            field
        })
        .collect()
}

fn text(compare: &Compare) -> String {
    let header = ["FIELD", "SOURCE", "DESTINATION", ""].map(str::to_owned);
    let rows = compare.fields.iter().map(|field| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let verdict = match field.relation {
            Relation::Fits => "fits",
            Relation::Differs => "DIFFERS",
            Relation::Unknown => "unknown",
        };
        [
            field.name.clone(),
            value(&field.source),
            value(&field.destination),
            verdict.to_owned(),
        ]
    });
    let rows = table::lines([header].into_iter().chain(rows));
    let rows: String = rows
        .iter()
        .enumerate()
        .map(|(number, row)| match row {
            _ if number == 0 => style::heading(row) + "\n",
            _ if row.ends_with("DIFFERS") => style::bad(row) + "\n",
            _ if row.ends_with("unknown") => style::doubtful(row) + "\n",
            _ => format!("{row}\n"),
        })
        .collect();
    let notes: String = compare
        .notes
        .iter()
        .map(|note| format!("note: {note}\n"))
        .collect();
    format!("{rows}{notes}{}", verdict(compare))
}

fn verdict(compare: &Compare) -> String {
    let of = |relation| -> Vec<&Field> {
        let fields = compare.fields.iter();
        fields.filter(|field| field.relation == relation).collect()
    };
    let names = |fields: &[&Field]| {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        names.join(", ")
    };
    let (source, destination) = (&compare.source, &compare.destination);
    match compare.fits {
        Some(true) => {
            style::good(format!("a guest of {source} would load on {destination}")) + "\n"
        }
        Some(false) => {
            let differing = of(Relation::Differs);
            let fields = names(&differing);
            let line = format!("a guest of {source} would not load on {destination}: {fields}");
            let remedies = differing.iter().filter_map(|field| {
                let remedy = field.remedy.as_ref()?;
                Some(format!("{}: {remedy}\n", field.name))
            });
            style::bad(line) + "\n" + &remedies.collect::<String>()
        }
        None => {
            let fields = names(&of(Relation::Unknown));
            let line = format!(
                "it cannot be said whether a guest of {source} would load on \
                                {destination}; unknown: {fields}"
            );
            style::doubtful(line) + "\n"
        }
    }
}
