// SPDX-License-Identifier: GPL-2.0

//! The tables of `migrating-a-guest.rst` are those of the program, and the schemas that are
//! documented are those of its types.

use std::fs;
use std::path::{Path, PathBuf};

use vfio_mig::knowledge::Knowledge;
use vfio_mig::schema;

const PAGE: &str = include_str!("../../../Documentation/admin-guide/migrating-a-guest.rst");

/// The rows of the list-table after a heading, with the white space of each cell made uniform.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, rest) = PAGE
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("there is no {heading:?}"));
    let (_, table) = rest.split_once(".. list-table::").expect("no table");
    let rows = table.split("\n   * - ").skip(1);
    let cell = |text: &str| {
        let (text, _) = text.split_once("\n\n").unwrap_or((text, ""));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mut found = Vec::new();
    for row in rows {
        found.push(row.split("\n     - ").map(cell).collect());
        if row.contains("\n\n") {
            break;
        }
    }
    found
}

fn expect(heading: &str, header: &[&str], rows: Vec<Vec<&String>>) {
    let mut found = table(heading).into_iter();
    assert_eq!(
        found.next().as_deref(),
        Some(&header.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()[..])
    );
    let found: Vec<Vec<String>> = found.collect();
    assert_eq!(found.len(), rows.len(), "rows of {heading:?}");
    for (found, row) in found.iter().zip(rows) {
        assert_eq!(found.iter().collect::<Vec<_>>(), row, "in {heading:?}");
    }
}

#[test]
fn the_page_has_the_tables_of_the_program() {
    let knowledge = Knowledge::load().expect("the tables");
    let rows = knowledge.symptoms.iter();
    let rows = rows.map(|row| vec![&row.qemu, &row.file, &row.cause, &row.remedy]);
    let header = ["QEMU", "file, and line in it", "cause", "remedy"];
    expect("When it fails", &header, rows.collect());

    let names: Vec<String> = knowledge
        .fields
        .iter()
        .map(|f| format!("``{}``", f.name))
        .collect();
    let rows = knowledge.fields.iter().zip(&names);
    let rows = rows.map(|(row, name)| vec![name, &row.cause, &row.remedy]);
    expect(
        "What the refused field says",
        &["field", "cause", "remedy"],
        rows.collect(),
    );

    let rows = knowledge.registers.iter();
    let rows = rows.map(|row| vec![&row.shows, &row.cause, &row.remedy]);
    expect(
        "What the registers say",
        &["registers", "cause", "remedy"],
        rows.collect(),
    );
}

/// `UPDATE_SCHEMA=1` writes it.
#[test]
fn the_schema_is_that_of_the_types() {
    let file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("vfio-mig.schema.json");
    let expected = format!("{:#}\n", schema::all());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&file, &expected).expect("the schema");
    }
    let found = fs::read_to_string(&file).expect("the schema");
    assert!(found == expected, "write it again with UPDATE_SCHEMA=1");
}
