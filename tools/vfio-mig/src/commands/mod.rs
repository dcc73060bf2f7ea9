// SPDX-License-Identifier: GPL-2.0

//! The commands, a file for each.

pub mod check;
pub mod compare;
pub mod decode;
pub mod explain;
pub mod list;
mod prometheus;
pub mod report;
pub mod show;
pub mod watch;

use anyhow::Result;

use crate::answer::Answer;
use crate::cli::{Arguments, Command};
use crate::root::Root;

/// Runs the command.
///
/// # Errors
///
/// If there is no answer.
pub fn run(arguments: &Arguments) -> Result<Answer> {
    let root = Root::new(arguments.root.as_deref());
    let json = arguments.json;
    match &arguments.command {
        Command::List(options) if options.prometheus => {
            prometheus::run(&root, options.output.as_deref())
        }
        Command::List(_) => list::run(&root, json),
        Command::Show(one) => show::run(&root, &one.vf, json),
        Command::Compare(sides) => compare::run(&root, sides, json),
        Command::Decode(decode) => decode::run(&decode.file, json),
        Command::Check(options) => check::run(&root, options, json),
        Command::Explain(one) => explain::run(&root, &one.vf, json),
        Command::Report(options) => report::run(&root, options, json),
        Command::Watch(options) => watch::run(&root, options, json),
    }
}
