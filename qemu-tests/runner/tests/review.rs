// SPDX-License-Identifier: GPL-2.0

//! What reviewers have asked for, by the numbers of `Documentation/review-requirements.rst`: that
//! each has its test, and those tests that need no machine. The others are where their subject is.
//! The index of all tests, `Documentation/tests.rst`, is compared with the tests and files there are.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use runner::{Artifacts, modules};

const TABLE: &str = include_str!("../../../Documentation/review-requirements.rst");
const INDEX: &str = include_str!("../../../Documentation/tests.rst");

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The texts of all Rust files in a folder.
fn sources(folder: &Path) -> Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            text += &sources(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path)?;
        }
    }
    Ok(text)
}

/// The rows of the tables of a page, each with its cells.
fn cells(page: &'static str) -> Vec<Vec<&'static str>> {
    let rows = page.split("\n   * - ").skip(1);
    // What follows a table is no row.
    rows.filter_map(|row| row.split("\n\n").next())
        .map(|row| row.split("\n     - ").collect())
        .collect()
}

/// The literals of a text.
fn literals(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split("``").skip(1).step_by(2)
}

/// The rows of the table: the number, and the names of the tests.
fn rows() -> Vec<(String, Vec<&'static str>)> {
    cells(TABLE)
        .into_iter()
        .filter_map(|cells| {
            let number = cells.first()?.trim().to_owned();
            Some((number, literals(cells.last()?).collect()))
        })
        .filter(|(number, _)| number.starts_with('R'))
        .collect()
}

#[test]
fn every_requirement_has_a_test_that_is_there() -> Result<()> {
    let numbers: Vec<String> = rows().into_iter().map(|(number, _)| number).collect();
    let expected: Vec<String> = (1..=26).map(|n| format!("R{n}")).collect();
    ensure!(numbers == expected, "the table has {numbers:?}");

    let points = sources(&top().join("qemu-tests/init/src/scenario"))?;
    let tests = sources(&top().join("qemu-tests/runner/tests"))?;
    let units = sources(&top().join("drivers"))?;
    for (number, names) in rows() {
        ensure!(!names.is_empty(), "{number} has no test");
        for name in names {
            let function = format!("fn {name}(");
            let point = format!("\"{name}\"");
            ensure!(
                tests.contains(&function) || units.contains(&function) || points.contains(&point),
                "{number}: there is no test {name:?}"
            );
        }
    }
    Ok(())
}

/// Each test with a number of the table is in the table.
#[test]
fn every_test_with_a_number_is_in_the_table() -> Result<()> {
    let named: BTreeSet<&str> = rows().into_iter().flat_map(|(_, names)| names).collect();
    let points = sources(&top().join("qemu-tests/init/src/scenario"))?;
    for text in points.split('"') {
        let number = text.strip_prefix('R').and_then(|t| t.split_once(": "));
        if number.is_some_and(|(number, _)| number.parse::<u32>().is_ok()) {
            ensure!(named.contains(text), "{text:?} is not in the table");
        }
    }
    Ok(())
}

/// The names of the tests in a file, as nextest has them.
fn tests_of(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let (mut module, mut is_test) = (String::new(), false);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("mod ").and_then(|l| l.strip_suffix(" {")) {
            module = format!("{name}::");
        } else if line == "}" {
            module.clear();
        }
        let line = line.trim_start();
        is_test |= line == "#[test]";
        if let (true, Some(rest)) = (is_test, line.strip_prefix("fn ")) {
            let name = rest.split('(').next().unwrap_or_default();
            names.insert(format!("{module}{name}"));
            is_test = false;
        }
    }
    names
}

/// The tests of each binary of a package, which is called by its folder here.
fn binaries(package: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let folder = top().join("qemu-tests").join(package).join("tests");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_file() {
            let name = path.file_stem().context("no name")?;
            let tests = tests_of(&fs::read_to_string(&path)?);
            found.insert(name.to_string_lossy().into_owned(), tests);
        }
    }
    Ok(found)
}

/// Whether this is one test of another package than the runner.
fn is_in_another_package(name: &str) -> bool {
    let binary = name.split_once(' ').map(|(binary, _)| binary);
    binary.is_some_and(|binary| binary.contains("::"))
}

/// `Documentation/tests.rst` names all tests of the runner, the binaries of the other packages and
/// the KUnit suites, and no test or file that does not exist.
#[test]
fn every_test_is_in_the_index() -> Result<()> {
    let mut tests = BTreeSet::new();
    for (prefix, package) in [
        ("", "runner"),
        ("kunpeng-accel::", "accel"),
        ("interleavings::", "interleavings"),
        ("vfio-mig::", "../tools/vfio-mig"),
    ] {
        for (binary, names) in binaries(package)? {
            ensure!(!names.is_empty(), "{package}: no test in {binary}");
            let names = names.iter().map(|name| format!("{prefix}{binary} {name}"));
            tests.extend(names);
            if !prefix.is_empty() {
                tests.insert(format!("{prefix}{binary}"));
            }
        }
    }
    let drivers = sources(&top().join("drivers"))?;
    let suites = drivers.split("kunit_tests(").skip(1);
    tests.extend(suites.filter_map(|rest| Some(rest.split_once(")]")?.0.to_owned())));

    let mut named = BTreeSet::new();
    let mut paths: BTreeSet<&str> = literals(INDEX)
        .filter(|word| word.contains('/') || word.ends_with(".rs"))
        .filter(|word| !word.starts_with("build/") && !word.starts_with('<'))
        .collect();
    for cells in cells(INDEX) {
        let [behaviour, test, code] = cells[..] else {
            bail!("not three cells: {cells:?}");
        };
        if behaviour != "behaviour" {
            ensure!(literals(code).next().is_some(), "{behaviour}: no path");
            paths.extend(literals(code));
            named.extend(literals(test).map(str::to_owned));
        }
    }
    let unknown: Vec<_> = named.difference(&tests).collect();
    ensure!(unknown.is_empty(), "there is no test {unknown:?}");
    // Of other packages, the binary is enough.
    let missing: Vec<_> = tests
        .difference(&named)
        .filter(|name| !is_in_another_package(name))
        .collect();
    ensure!(missing.is_empty(), "not in the index: {missing:?}");

    let folders = [
        "",
        "qemu-tests/init/src/scenario",
        "qemu-tests/runner/tests",
    ];
    for path in paths {
        let exists = |folder: &&str| top().join(folder).join(path).exists();
        ensure!(folders.iter().any(exists), "there is no {path}");
    }
    Ok(())
}

/// The names of the states in a file, in its order: upper-case texts in lines that have a constant of
/// the uAPI, or in arms of a `match`.
fn state_names(path: &str) -> Result<Vec<String>> {
    let path = top().join(path);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines = text
        .lines()
        .filter(|line| line.contains("VFIO_DEVICE_STATE_") || line.contains("=> \""));
    let names = lines.filter_map(|line| line.split('"').nth(1));
    let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    Ok(names
        .filter(|name| !name.is_empty() && name.chars().all(is_upper))
        .map(str::to_owned)
        .collect())
}

/// The states have the same names wherever the names have to stand. The first table is compared with
/// the uAPI when it is compiled.
#[test]
fn states_have_the_same_names_everywhere() -> Result<()> {
    let expected = state_names("drivers/vfio/rust/migration/state_names.rs")?;
    ensure!(expected.len() >= 8, "the states are {expected:?}");
    for path in [
        "drivers/vfio/core_debugfs/vfio_events.h",
        "drivers/vfio/pci/hisi_acc_rs/hisi_acc_rs_events.h",
        "tools/vfio-mig/src/state.rs",
        "qemu-tests/vfio-client/src/migration.rs",
    ] {
        let found = state_names(path)?;
        ensure!(found == expected, "{path} has {found:?}");
    }
    Ok(())
}

/// A kernel with one state more: what has a name for each state does not compile any more.
#[test]
fn r02_a_state_that_is_added_does_not_compile() -> Result<()> {
    let artifacts = Artifacts::load()?;
    let folder = tempfile::tempdir()?;
    let bindgen = folder.path().join("bindgen");
    // The bindings of a kernel whose enum has grown.
    let script = "#!/bin/sh\n\
         case $1 in --version) exec bindgen --version;; esac\n\
         bindgen \"$@\" || exit\n\
         while [ \"$1\" != -o ]; do shift; done\n\
         sed -i '/const VFIO_DEVICE_STATE_NR/,/;/s/vfio_device_mig_state(8)/vfio_device_mig_state(9)/' \"$2\"\n";
    fs::write(&bindgen, script)?;
    fs::set_permissions(&bindgen, PermissionsExt::from_mode(0o755))?;
    let option = format!("BINDGEN={}", bindgen.display());
    let result = modules::build(&artifacts, &folder.path().join("modules"), &[&option, "-k"]);
    let error = result.err().context("it compiles")?.to_string();
    for place in [
        "core_debugfs/../rust/migration/state_names.rs",
        "rust/migration.rs",
    ] {
        ensure!(error.contains(place), "{place} compiles:\n{error}");
    }
    // "Mismatched types", of which the array's length is one.
    ensure!(error.contains("error[E0308]"), "another error:\n{error}");
    Ok(())
}

/// The order in which the core calls us is its own; what we do in these calls is done when they
/// return, which the scenarios see.
#[test]
fn r06_the_core_makes_its_root_last_and_removes_it_first() -> Result<()> {
    let core = Artifacts::load()?
        .kernel
        .join("source/drivers/vfio/vfio_main.c");
    let core = fs::read_to_string(&core).with_context(|| core.display().to_string())?;
    let body = |function: &str| -> Result<&str> {
        let (_, rest) = core.split_once(function).context("no such function")?;
        let (body, _) = rest.split_once("\n}").context("no end")?;
        Ok(body)
    };
    let at = |body: &str, text: &str| body.find(text).with_context(|| format!("no {text}"));
    let init = body("static int __init vfio_init(void)")?;
    ensure!(
        at(init, "vfio_debugfs_create_root()")? < at(init, "pr_info(")?,
        "the root is made after the module says that it is there"
    );
    let cleanup = body("static void __exit vfio_cleanup(void)")?;
    ensure!(
        cleanup
            .trim_start_matches(['\n', '{', '\t'])
            .starts_with("vfio_debugfs_remove_root();"),
        "something goes before the root"
    );
    let unregister = body("void vfio_unregister_group_dev(struct vfio_device *device)")?;
    ensure!(
        at(unregister, "vfio_device_debugfs_exit(")? < at(unregister, "vfio_device_del(")?,
        "the files go after the device"
    );
    Ok(())
}
