// SPDX-License-Identifier: GPL-2.0

//! Every line that `Documentation/ABI/testing/` allows is understood.

use std::collections::BTreeMap;

use vfio_mig::hisi::attr::Attr;
use vfio_mig::hisi::hex_dump::HexDump;
use vfio_mig::hisi::match_data::MatchData;
use vfio_mig::hisi::refusal;
use vfio_mig::knowledge::Knowledge;
use vfio_mig::request::Request;
use vfio_mig::state::{Feature, State};

const DRIVER: &str = include_str!("../../../Documentation/ABI/testing/debugfs-hisi-acc-vfio-rs");
const CORE: &str = include_str!("../../../Documentation/ABI/testing/debugfs-vfio");

/// The lines below "Format::" of a file, and the words that they define.
struct Format {
    lines: Vec<String>,
    words: BTreeMap<String, Vec<String>>,
}

impl Format {
    fn of(text: &str, file: &str) -> Self {
        let entries = text.split("What:").skip(1);
        let mut entries =
            entries.filter(|entry| entry.lines().next().is_some_and(|l| l.ends_with(file)));
        let entry = entries
            .next()
            .unwrap_or_else(|| panic!("no {file} in the ABI"));
        let (_, rest) = entry.split_once("Format::\n").expect("no format");
        let mut format = Format {
            lines: Vec::new(),
            words: BTreeMap::new(),
        };
        let indented = rest
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with("\t\t\t"));
        for line in indented.map(str::trim) {
            match line.split_once(" := ") {
                Some((name, values)) => {
                    let values = values.split(" | ").map(str::to_owned).collect();
                    format.words.insert(name.to_owned(), values);
                }
                None => format.lines.push(line.to_owned()),
            }
        }
        format
    }

    /// Every way to write `text`, each alternative of each word at least once.
    fn ways(&self, text: &str) -> Vec<String> {
        let fixed = [
            ("<decimal>", "7"),
            ("<hex>", "0x15"),
            ("<seconds>", "1763764942.120355"),
            ("<offset>", "00000000"),
            ("<bytes>", "de de"),
            ("<name>", "qm_axi_rresp"),
            ("<comm>", "CPU\\x200/KVM"),
        ];
        let first = text.find('<').and_then(|at| {
            let end = text[at..].find('>')? + at + 1;
            Some((at, end))
        });
        // The `>` of an arc is no end of a word.
        let Some((at, end)) = first else {
            return vec![text.to_owned()];
        };
        let word = &text[at..end];
        let values: Vec<String> = match fixed.iter().find(|(name, _)| *name == word) {
            Some((_, value)) => vec![(*value).to_owned()],
            None => self.alternatives(word),
        };
        let rests = self.ways(&text[end..]);
        let head = &text[..at];
        // Each value with the first rest, and each rest with the first value.
        let with_values = values
            .iter()
            .map(|value| format!("{head}{value}{}", rests[0]));
        let with_rests = rests
            .iter()
            .skip(1)
            .map(|rest| format!("{head}{}{rest}", values[0]));
        with_values.chain(with_rests).collect()
    }

    fn alternatives(&self, word: &str) -> Vec<String> {
        let values = self
            .words
            .get(word)
            .unwrap_or_else(|| panic!("no {word} in the ABI"));
        let is_itself = |value: &&String| value.contains(&format!(",{}", &word[..word.len() - 1]));
        let plain = values.iter().filter(|value| !is_itself(value));
        plain.flat_map(|value| self.ways(value)).collect()
    }

    /// The line as it is at first, and each other way to write it.
    fn line(&self, line: &str) -> (bool, Vec<String>) {
        let is_optional = line.starts_with('[') || line.starts_with('{');
        let line = line.trim_matches(['[', ']', '{', '}']);
        let (key, values) = line.split_once(": ").map_or(("", line), |(k, v)| (k, v));
        let texts = values.split(" | ").map(|value| match key.is_empty() {
            true => value.to_owned(),
            false => format!("{key}: {value}"),
        });
        let ways = texts.flat_map(|text| self.ways(&text));
        (is_optional, ways.collect())
    }

    /// Files with all lines, each of which differs from the first one in one line.
    fn files(&self) -> Vec<String> {
        let lines: Vec<(bool, Vec<String>)> = self.lines.iter().map(|l| self.line(l)).collect();
        let first: Vec<&str> = lines.iter().map(|(_, ways)| ways[0].as_str()).collect();
        let file =
            |lines: &[&str]| -> String { lines.iter().map(|line| format!("{line}\n")).collect() };
        let mut files = vec![file(&first)];
        for (at, (is_optional, ways)) in lines.iter().enumerate() {
            for way in &ways[1..] {
                let mut other = first.clone();
                other[at] = way;
                files.push(file(&other));
            }
            if *is_optional {
                let mut other = first.clone();
                other.remove(at);
                files.push(file(&other));
            }
        }
        files
    }
}

#[test]
fn every_attr_is_understood() {
    let files = Format::of(DRIVER, "/attr").files();
    assert!(files.len() > 60, "only {} files", files.len());
    for file in files {
        let attr = Attr::parse(&file).unwrap_or_else(|error| panic!("{error} in {file}"));
        assert_eq!(attr.other, Vec::<String>::new(), "{file}");
    }
}

#[test]
fn every_match_and_dump_is_understood() {
    let files = Format::of(DRIVER, "/match").files();
    assert_eq!(files.len(), 3, "one for each engine");
    for file in files {
        let found = MatchData::parse(&file).unwrap_or_else(|error| panic!("{error} in {file}"));
        let lines = file.lines().map(|line| line.split(':').next());
        assert!(lines.eq(MatchData::FIELDS.into_iter().map(Some)));
        assert!(found.values().iter().all(Option::is_some));
    }
    for name in ["/data", "/migf_data", "/dev_data"] {
        for file in Format::of(DRIVER, name).files() {
            HexDump::parse(&file).unwrap_or_else(|error| panic!("{error} in {file}"));
        }
    }
}

#[test]
fn every_state_and_feature_is_known() {
    let states = Format::of(CORE, "/state");
    let names: Vec<&str> = states.lines[0].split(" | ").collect();
    assert_eq!(names, State::ALL.map(State::name));
    let features = Format::of(CORE, "/features").lines;
    let known = [
        Feature::STOP_COPY,
        Feature::P2P,
        Feature::PRE_COPY,
        Feature::DIRTY_TRACKING,
    ];
    assert_eq!(features, known.map(|name| format!("[{name}]")));
}

/// Each line of `history` is understood, and is shown with all that it has.
#[test]
fn every_request_is_understood() {
    let format = Format::of(CORE, "/history");
    let files = format.files();
    assert!(files.len() > 15, "only {} files", files.len());
    for file in files {
        let requests = Request::parse_all(&file);
        let requests = requests.unwrap_or_else(|error| panic!("{error} in {file}"));
        for (request, line) in requests.iter().zip(file.lines()) {
            let change = request.change.to_string().replace(" -> ", " to=");
            let change = change.replace("unknown", "-");
            assert!(
                line.contains(&format!("from={change} ")),
                "{change}: {line}"
            );
        }
    }
}

/// The table of fields has those that `attr` can name, and no others.
#[test]
fn every_field_that_is_refused_is_explained() {
    let attr = Format::of(DRIVER, "/attr");
    let mut documented = attr.words["<field>"].clone();
    let rows = Knowledge::load().expect("the tables").fields;
    let mut known: Vec<String> = rows.into_iter().map(|row| row.name).collect();
    documented.sort();
    known.sort();
    assert_eq!(known, documented);
    let shown = refusal::Refusal {
        field: "device".to_owned(),
        expected: 0xa251,
        got: 0xa256,
    };
    assert!(
        shown
            .to_string()
            .contains("zip (0xa251), the stream had sec (0xa256)")
    );
}
