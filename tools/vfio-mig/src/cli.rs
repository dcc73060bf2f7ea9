// SPDX-License-Identifier: GPL-2.0

//! The arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::memory_size;

const EXIT_CODES: &str = "\
Exit codes:
  0  there is an answer, and it is a good one
  1  there is an answer, and it is a bad one: a check fails, a guest would not load, data are wrong,
     a migration has failed
  2  the arguments are wrong
  3  there is no answer: a device or a file is missing or cannot be read";

/// Shows, checks, compares and explains the live migration of VFIO devices.
///
/// The files of debugfs can be read by root only. Saved copies can be read by everybody.
#[derive(Debug, Parser)]
#[command(name = "vfio-mig", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Arguments {
    /// Prints the answer as JSON.
    #[arg(short, long, global = true)]
    pub json: bool,

    /// Reads the files of a host from this folder, such as one that `report` has written.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub root: Option<PathBuf>,

    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Command,
}

#[allow(missing_docs)]
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists every VFIO device with its driver, state, features and last session.
    List(List),
    /// Shows everything about a VFIO device, in words.
    Show(One),
    /// Checks what a migration needs, and says what to do about what is missing.
    Check(Check),
    /// Compares two VFs: would the guest of the first load on the second?
    ///
    /// Each side is the name of a VF on this host, HOST:VF for a VF on another host that ssh
    /// reaches, FOLDER:VF or FOLDER for one in the saved files of a host, or a file with `match`
    /// or with a session's data.
    Compare(Compare),
    /// Decodes migration data field by field, or the requests in `history`, and says what is wrong.
    Decode(Decode),
    /// Prints each change of a VF's state as it happens.
    Watch(Watch),
    /// Says why the last migrations of a VF have failed, and what to do.
    Explain(One),
    /// Copies the files that matter into a folder, to attach it to a bug report.
    ///
    /// The folder can be given to `--root`.
    Report(Report),
}

/// One device.
#[derive(Debug, Args)]
pub struct One {
    /// Name of the device on its bus, such as 0000:01:00.1.
    pub vf: String,
}

#[allow(missing_docs)]
#[derive(Debug, Args)]
pub struct List {
    /// Prints metrics for the textfile collector of Prometheus' node_exporter.
    #[arg(long, conflicts_with = "json")]
    pub prometheus: bool,

    /// Writes the metrics to this file, which is replaced at once.
    #[arg(long, requires = "prometheus", value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[allow(missing_docs)]
#[derive(Debug, Args)]
pub struct Check {
    /// Name of the VF, such as 0000:01:00.1.
    pub vf: String,

    /// Memory of the guest, such as 4G, which must not exceed what may be locked.
    #[arg(long, value_name = "SIZE", value_parser = memory_size::parse)]
    pub memory: Option<u64>,

    /// Process whose limits count, such as that of QEMU; otherwise those of this program.
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
}

#[allow(missing_docs)]
#[derive(Debug, Args)]
pub struct Compare {
    /// Where the guest is.
    #[arg(value_name = "A")]
    pub source: String,

    /// Where it is to go.
    #[arg(value_name = "B")]
    pub destination: String,
}

#[allow(missing_docs)]
#[derive(Debug, Args)]
pub struct Decode {
    /// `data`, `migf_data`, `dev_data`, a binary stream or `history`; `-` for standard input.
    pub file: PathBuf,
}

#[allow(missing_docs)]
#[derive(Debug, Args)]
pub struct Watch {
    /// Name of the device on its bus, such as 0000:01:00.1.
    pub vf: String,

    /// Milliseconds between two looks.
    #[arg(long, default_value = "10", value_name = "MS", value_parser = milliseconds)]
    pub interval: Duration,

    /// Ends after so many seconds.
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
}

#[allow(missing_docs)]
#[derive(Debug, Args)]
pub struct Report {
    /// Name of the VF; without it, of all VFIO devices.
    pub vf: Option<String>,

    /// The folder that is written, which must not exist. It is named after the VF if left out.
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,

    /// Leaves the addresses of the guest's memory in the migration data.
    #[arg(long)]
    pub with_guest_addresses: bool,
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(number @ 1..=60_000) => Ok(Duration::from_millis(number)),
        _ => Err("a number from 1 to 60000".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: Option<f64> = text.parse().ok();
    let duration = number.and_then(|number| Duration::try_from_secs_f64(number).ok());
    duration.ok_or_else(|| "a number of seconds".to_owned())
}
