// SPDX-License-Identifier: GPL-2.0

//! Lays out the source files of the crate `vfio` that are compiled here, as links to the real ones.
//!
//! `VFIO_RUST=<folder>` names the `drivers/vfio/rust` of another checkout.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// What is compiled; a folder has the submodules of the file of the same name.
const FILES: [&str; 5] = [
    "data_file",
    "data_file.rs",
    "migration",
    "migration.rs",
    "reset.rs",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=VFIO_RUST");

    let source = match env::var_os("VFIO_RUST") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers/vfio/rust"),
    };
    let source = source
        .canonicalize()
        .unwrap_or_else(|e| panic!("VFIO_RUST={}: {e}", source.display()));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let tree = out.join("vfio");
    if tree.exists() {
        fs::remove_dir_all(&tree).expect("the old links can be removed");
    }
    fs::create_dir(&tree).expect("OUT_DIR can be written to");
    for file in FILES {
        symlink(source.join(file), tree.join(file)).expect("OUT_DIR can be written to");
    }
    // What older trees do not have.
    for (name, file, text) in [
        ("has_reset_announced", "migration.rs", "fn reset_announced("),
        (
            "callbacks_are_bound",
            "migration/migrate.rs",
            "CoreDevice<Bound>",
        ),
        (
            "expect_is_vtable",
            "migration/session.rs",
            "#[vtable]\npub trait StreamFormat",
        ),
    ] {
        println!("cargo::rustc-check-cfg=cfg({name})");
        let content = fs::read_to_string(source.join(file)).expect("the file is there");
        if content.contains(text) {
            println!("cargo::rustc-cfg={name}");
        }
    }

    let modules = "pub mod data_file;\npub mod migration;\npub mod reset;\n";
    fs::write(tree.join("mod.rs"), modules).expect("OUT_DIR can be written to");
    let root = tree.join("mod.rs");
    fs::write(
        out.join("vfio.rs"),
        format!("#[path = {root:?}]\npub mod vfio;\n"),
    )
    .expect("OUT_DIR can be written to");
}
