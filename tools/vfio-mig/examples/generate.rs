// SPDX-License-Identifier: GPL-2.0

//! Writes man pages, shell completions and the schemas of the JSON answers into a folder.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use vfio_mig::cli::Arguments;
use vfio_mig::schema;

fn main() -> Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .context("usage: generate FOLDER")?;
    let folder = Path::new(&folder);
    let made = |name: &str| {
        let path = folder.join(name);
        fs::create_dir_all(&path).map(|()| path)
    };
    let command = Arguments::command();
    clap_mangen::generate_to(command.clone(), made("man")?)?;
    let completions = made("completions")?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command.clone(), "vfio-mig", &completions)?;
    }
    let schema = format!("{:#}\n", schema::all());
    fs::write(folder.join("vfio-mig.schema.json"), schema)?;
    Ok(())
}
