// SPDX-License-Identifier: GPL-2.0

//! Lays out the source files of the crate `vfio` that are compiled here, as links to the real ones.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// The files to compile; a directory holds the submodules of the file of the same name.
const FILES: [&str; 7] = [
    "data_file",
    "data_file.rs",
    "dma_logging",
    "dma_logging.rs",
    "migration",
    "migration.rs",
    "reset.rs",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers/vfio/rust");
    let source = source.canonicalize().expect("the crate is in the tree");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let tree = out.join("vfio");
    if tree.exists() {
        fs::remove_dir_all(&tree).expect("the old links can be removed");
    }
    fs::create_dir(&tree).expect("OUT_DIR can be written to");
    for file in FILES {
        symlink(source.join(file), tree.join(file)).expect("OUT_DIR can be written to");
    }

    let modules = "pub mod data_file;\npub mod dma_logging;\npub mod migration;\npub mod reset;\n";
    fs::write(tree.join("mod.rs"), modules).expect("OUT_DIR can be written to");
    let root = tree.join("mod.rs");
    fs::write(
        out.join("vfio.rs"),
        format!("#[path = {root:?}]\npub mod vfio;\n"),
    )
    .expect("OUT_DIR can be written to");
}
