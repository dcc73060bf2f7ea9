// SPDX-License-Identifier: GPL-2.0

//! What reviewers have asked for, by the numbers of `Documentation/review-requirements.rst`: that
//! each has its test, and those tests that need no machine. The others are where their subject is.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use runner::{Artifacts, modules};

const TABLE: &str = include_str!("../../../Documentation/review-requirements.rst");

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

/// The rows of the table: the number, and the names of the tests.
fn rows() -> Vec<(String, Vec<&'static str>)> {
    let rows = TABLE.split("\n   * - ").skip(1);
    rows.filter_map(|row| {
        let (number, rest) = row.split_once('\n')?;
        let number = number.trim().to_owned();
        // What follows the table is no row.
        let rest = rest.split("\n\n").next()?;
        let tests = rest.rsplit("\n     - ").next()?;
        let names = tests.split("``").skip(1).step_by(2).collect();
        Some((number, names))
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
    for place in ["core_debugfs/state.rs", "rust/migration.rs"] {
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
