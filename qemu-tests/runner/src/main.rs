// SPDX-License-Identifier: GPL-2.0

//! `runner`: boots a machine with emulated Kunpeng accelerators and runs one scenario in it.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use protocol::{Container, Engine, List, Scenario, Task};
use runner::options::Options;
use runner::silicon::Wanted;
use runner::soak::Soak;
use runner::{Artifacts, Machine, Suite};

/// Boots the emulated Kunpeng host.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Steps a VF through migration, command by command.
    Demo,
    /// Boots with everything loaded and gives a prompt; `exit` powers off.
    Shell,
    /// Compares what the C driver's and our driver's migrations cost.
    Bench,
    /// Migrates a guest at work from one QEMU to another and back.
    Migrate {
        /// Only checks the parameters, for which nothing need be built.
        #[arg(long)]
        check: bool,
        /// What it migrates with, `key=value`.
        parameters: Vec<String>,
    },
    /// Lets libvirt have guests, on emulated hosts with a root of Debian.
    Libvirt {
        /// Only what takes so many hosts, 1 or 2.
        #[arg(long)]
        hosts: Option<u8>,
        /// The engine of the guest's VF.
        #[arg(long, default_value_t = Engine::Zip)]
        engine: Engine,
        /// How libvirt opens it.
        #[arg(long, default_value_t)]
        container: Container,
    },
    /// Lets programs of Debian in guests use VFs while the guests migrate.
    Workloads {
        /// The VFs that the guests have, `zip`, `sec` or both.
        #[arg(long)]
        engines: Option<List<Engine>>,
    },
    /// Migrates guests at work with whatever is drawn.
    Soak {
        /// Seed of all that is drawn.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Number of the first machine.
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// After so many hours no other machine begins.
        #[arg(long, required_unless_present = "count")]
        hours: Option<f64>,
        /// After so many migrations no other machine begins.
        #[arg(long)]
        count: Option<u64>,
    },
    /// Migrates on hardware that differs from the model's default, with both drivers.
    Silicon {
        /// Also guests under QEMU, which takes hours.
        #[arg(long)]
        guests: bool,
        /// No positions together, only each by itself.
        #[arg(long)]
        singles: bool,
        /// Only on this, such as "zip V3".
        #[arg(long)]
        on: Option<String>,
        /// Of the positions by themselves only these, with `,` between them, and the default.
        #[arg(long, value_delimiter = ',')]
        hardware: Vec<String>,
    },
    /// Runs random sequences on the C driver and on ours and compares what comes of them.
    Conformance {
        /// Seed of all sequences.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Number of the first sequence.
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// How many sequences.
        #[arg(long, default_value_t = 2000)]
        count: u64,
    },
    /// Records the files of emulated hosts for the tests of vfio-mig.
    Record {
        /// Where they are kept.
        #[arg(long, default_value = "../tools/vfio-mig/tests/recorded")]
        folder: PathBuf,
    },
    /// Runs a scenario of the guest program and prints its report.
    Run {
        /// Puts one accelerator of each engine into the machine, not only ZIP.
        #[arg(long)]
        all_engines: bool,
        /// The accelerators' PCI revision: 48 is hardware V3, 80 V4.
        #[arg(long)]
        revision: Option<u8>,
        /// Lets the machine have guests, by QEMU of this suite of Debian.
        #[arg(long)]
        qemu: Option<Suite>,
        /// How many seconds the machine may take.
        #[arg(long, default_value_t = 240)]
        within: u64,
        /// Name of the scenario.
        scenario: String,
        /// Its parameters, `key=value`.
        parameters: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    if let Command::Migrate {
        check: true,
        parameters,
    } = &command
    {
        return Options::of(parameters).map(drop);
    }
    let artifacts = Artifacts::load()?;
    match command {
        Command::Demo => {
            let outcome =
                Machine::new(Scenario::Demo).run(&artifacts, |line| println!("{line}"))?;
            outcome
                .expect_clean()
                .inspect_err(|_| println!("demo: failed"))?;
            println!("demo: ok");
            Ok(())
        }
        Command::Bench => {
            print!("{}", runner::bench::run(&artifacts)?);
            Ok(())
        }
        Command::Conformance { seed, first, count } => {
            let all = runner::conformance::Sequences { seed, first, count };
            print!("{}", all.run(&artifacts)?);
            Ok(())
        }
        Command::Silicon {
            guests,
            singles,
            on,
            hardware,
        } => {
            let wanted = Wanted {
                guests,
                singles,
                on,
                hardware,
            };
            let table = runner::silicon::run(&artifacts, &wanted)?;
            print!("{table}");
            let problems = table.problems();
            ensure!(problems.is_empty(), "{}", problems.join("\n"));
            println!("silicon: ok, ours passes wherever the C driver does");
            Ok(())
        }
        Command::Record { folder } => runner::record::run(&artifacts, &folder),
        Command::Shell => Machine::new(Scenario::Shell)
            .run_interactive(&artifacts)
            .map(drop),
        Command::Migrate { parameters, .. } => {
            runner::migrate::run(&artifacts, &Options::of(&parameters)?)
        }
        Command::Libvirt {
            hosts,
            engine,
            container,
        } => runner::libvirt::run(&artifacts, hosts, engine, container),
        Command::Workloads { engines } => runner::workloads::run(&artifacts, engines),
        Command::Soak {
            seed,
            first,
            hours,
            count,
        } => {
            let hours = hours.map(|hours| Duration::try_from_secs_f64(hours * 3600.0));
            let soak = Soak {
                seed,
                first,
                within: hours.transpose()?,
                count,
            };
            let endured = soak.run(&artifacts)?;
            println!("soak: ok, {endured}");
            Ok(())
        }
        Command::Run {
            all_engines,
            revision,
            qemu,
            within,
            scenario,
            parameters,
        } => {
            let task = Task::parse(&scenario, parameters.iter().map(String::as_str))?;
            let mut machine = Machine::new(task).within(within);
            if all_engines {
                machine = machine.all_engines();
            }
            if let Some(revision) = revision {
                machine = machine.revision(revision);
            }
            if let Some(suite) = qemu {
                machine = machine.monitor(suite);
            }
            let outcome = machine.run(&artifacts, |line| println!("{line}"))?;
            for point in outcome.report.points() {
                for diagnostic in &point.diagnostics {
                    println!("# {diagnostic}");
                }
                println!(
                    "{} {}",
                    if point.passed { "ok" } else { "not ok" },
                    point.name
                );
            }
            println!(
                "violations: {}",
                match outcome.violated() {
                    none if none.is_empty() => "none".to_string(),
                    some => some.join(", "),
                }
            );
            println!("kernel log: {}", outcome.console.display());
            outcome.expect_passed()
        }
    }
}
