// SPDX-License-Identifier: GPL-2.0

//! What the program of an emulated host is to do: a scenario with its parameters, which the runner
//! builds, which is passed on the kernel command line, and which init reads there.
//!
//! The words on the command line are `scenario=<name>`, and `key=value` for each parameter.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::parameters::{
    AgainstReset, Begin, Cancel, Commands, Container, DmaLogging, Driver, Engine, Failure,
    FurtherWrites, HostName, Kmemleak, List, Log, Measure, Multifd, Parameter, ParseError, Peer,
    ResetBy, Rush, StopFirst, Switchover, TopologyItem, Weakness, Workload,
};

/// Keys and values of parameters that are not left out.
type Written = Vec<(&'static str, String)>;

/// Words of a command line that nothing has taken yet.
struct Words<'l>(BTreeMap<&'l str, &'l str>);

impl Words<'_> {
    fn take<T: Parameter>(&mut self, key: &str) -> Result<T, ParseError> {
        T::read(key, self.0.remove(key))
    }
}

/// The scenarios, by the names that they have on the command line, and their parameters.
macro_rules! scenarios {
    ($($(#[$attribute:meta])* $name:literal => $scenario:ident $({
        $($(#[$of_key:meta])* $key:ident: $type:ty,)*
    })?)*) => {
        /// A scenario, with the parameters that are its own.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Scenario {
            $($(#[$attribute])* $scenario $({ $($(#[$of_key])* $key: $type,)* })?,)*
        }

        impl Scenario {
            /// The names of all.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// Its name.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$scenario { .. } => $name,)*
                }
            }

            /// The parameters that are not left out.
            pub fn parameters(&self) -> Vec<(&'static str, String)> {
                let all: Vec<(&'static str, Option<String>)> = match self {
                    $(Self::$scenario $({ $($key,)* })? => {
                        vec![$($((stringify!($key), $key.write()),)*)?]
                    })*
                };
                given(all)
            }

            fn read(name: &str, words: &mut Words<'_>) -> Result<Self, ParseError> {
                match name {
                    $($name => Ok(Self::$scenario $({
                        $($key: words.take(stringify!($key))?,)*
                    })?),)*
                    _ => Err(ParseError(format!(
                        "there is no scenario {name}; there are: {}",
                        Self::NAMES.join(", ")
                    ))),
                }
            }
        }
    };
}

fn given(all: Vec<(&'static str, Option<String>)>) -> Written {
    all.into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

scenarios! {
    /// Everything is loaded, and there is a prompt.
    "shell" => Shell
    /// A VF goes through a migration, command by command.
    "demo" => Demo
    /// The operator's tool sees what the VFs do, and its reports are sent to the runner.
    "tool" => Tool
    /// Counts what each step of a migration costs.
    "bench" => Bench {
        measure: Option<Measure>,
    }
    /// Measures how long it takes that several VFs are saved at once.
    "bench-together" => BenchTogether {
        vfs: u32,
        rush: Option<Rush>,
    }
    /// ZIP's own driver probes the model.
    "check-probe" => CheckProbe
    /// The accelerators' own drivers test all algorithms on the model.
    "check-engines" => CheckEngines
    /// ZIP's own driver puts load on the model, also while functions are reset.
    "check-load" => CheckLoad {
        /// How many; 1000 if left out.
        buffers: Option<u64>,
    }
    /// Every kind of violation is provoked.
    "violations" => Violations
    /// The migration uAPI.
    "uapi" => Uapi
    /// The parameter of the driver's module.
    "parameter" => Parameter
    /// Which streams fit which VFs.
    "matching" => Matching
    /// Each allocation and each access to user memory fails once.
    "faults" => Faults
    /// A VM of each engine migrates ten times.
    "migrate" => Migrate {
        /// 1 if left out.
        seed: Option<u64>,
    }
    /// A VM with VFs of three engines migrates.
    "together" => Together
    /// Trace events of a migration.
    "trace" => Trace
    /// VFIO core's debugfs.
    "debugfs-tree" => DebugfsTree
    /// The driver's debugfs.
    "debugfs-hisi" => DebugfsHisi {
        commands: Option<Commands>,
    }
    /// Hosts unlike the usual one.
    "topology" => Topology {
        item: TopologyItem,
    }
    /// Weaknesses of the C driver.
    "weakness" => Weakness {
        item: List<Weakness>,
    }
    /// Random sequences on both drivers.
    "conformance" => Conformance {
        /// 1 if left out.
        seed: Option<u64>,
        /// Number of the first sequence; 0 if left out.
        first: Option<u64>,
        /// How many sequences; 100 if left out.
        count: Option<u64>,
        /// From each number to the next; 1 if left out.
        stride: Option<u64>,
        log: Option<Log>,
        /// The number of a sequence that is to stand still.
        stall: Option<u64>,
    }
    /// Hardware that differs from the model's default: each is a list of points with `+` between
    /// them.
    "silicon" => Silicon {
        silicon: List<String>,
    }
    /// As `silicon`, with a guest under QEMU.
    "silicon-guest" => SiliconGuest {
        silicon: List<String>,
    }
    /// KUnit tests.
    "kunit" => Kunit
    /// Modules that were installed as a distribution's user does.
    "install" => Install
    /// The Debian packages, on a host with a root of Debian.
    "package" => Package
    /// Kernel lockdown, as with Secure Boot.
    "lockdown" => Lockdown
    /// A kernel that accepts only modules with a signature.
    "signatures" => Signatures
    /// A kernel that accepts only modules that were built for its versions of symbols.
    "versions" => Versions
    /// The example of a variant driver.
    "example" => Example
    /// The SMMU tells which pages a device has written.
    "dirty-tracking" => DirtyTracking {
        /// They are reported if left out.
        further: Option<FurtherWrites>,
    }
    /// The program of a guest: it keeps accelerators at work.
    "at-work" => AtWork {
        begin: Option<Begin>,
    }
    /// A guest migrates from one QEMU to another and back.
    "guest-at-work" => GuestAtWork {
        /// 5 if left out.
        rounds: Option<u32>,
        cancel: Option<Cancel>,
        switchover: Option<Switchover>,
        stop_first: Option<StopFirst>,
        multifd: Option<Multifd>,
    }
    /// A guest migrates from one host to another and back.
    "guest-between" => GuestBetween {
        host: HostName,
        /// 5 if left out.
        rounds: Option<u32>,
        switchover: Option<Switchover>,
    }
    /// A guest's driver is loaded and unloaded, and the guest reboots, while it migrates.
    "guest-changes" => GuestChanges
    /// The network between two hosts fails while a guest migrates.
    "guest-cut-off" => GuestCutOff {
        host: HostName,
    }
    /// A guest's VF fails while it migrates.
    "guest-fails" => GuestFails
    /// A guest is paused, saved to a file and restored.
    "guest-pauses" => GuestPauses
    /// A guest with several VFs of a driver without P2P states is refused.
    "guest-refused" => GuestRefused
    /// A guest has a VF that cannot migrate.
    "guest-plain" => GuestPlain
    /// Cases that were reported of other devices.
    "guest-reported" => GuestReported
    /// A guest's VF is reset while QEMU carries out commands.
    "guest-resets" => GuestResets {
        /// All if left out.
        reset: Option<List<ResetBy>>,
        /// All if left out.
        against: Option<List<AgainstReset>>,
        /// For each pair of a reset and a command; 20 if left out.
        seconds: Option<u64>,
    }
    /// A guest stays where it is, as its migration fails.
    "guest-stays" => GuestStays
    /// Guests of libvirt, on a host with a root of Debian.
    "libvirt" => Libvirt
    /// A guest of libvirt migrates from one host to another and back.
    "libvirt-between" => LibvirtBetween {
        host: HostName,
    }
    /// One of two hosts fails.
    "host-fails" => HostFails {
        host: HostName,
        fails: Option<Failure>,
    }
}

/// Defines [`Setup`]: the parameters that do not belong to a scenario.
macro_rules! setup {
    ($($(#[$attribute:meta])* $key:ident: $type:ty,)*) => {
        /// How a host is made ready, whatever the scenario.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Setup {
            $($(#[$attribute])* pub $key: Option<$type>,)*
        }

        impl Setup {
            /// The parameters that are not left out.
            pub fn parameters(&self) -> Vec<(&'static str, String)> {
                given(vec![$((stringify!($key), self.$key.write()),)*])
            }

            fn read(words: &mut Words<'_>) -> Result<Self, ParseError> {
                Ok(Self { $($key: words.take(stringify!($key))?,)* })
            }
        }
    };
}

setup! {
    /// The accelerators that the scenario is about; ZIP if left out.
    engines: List<Engine>,
    /// The driver of the VFs; ours if left out.
    driver: Driver,
    /// The driver of the second VF; the same if left out.
    peer: Peer,
    /// Whose `vfio.ko` is loaded; ours if left out.
    vfio: Driver,
    /// How VFIO devices are opened; type1 if left out.
    container: Container,
    /// The parameter of that name of our driver's module; its default if left out.
    dma_logging: DmaLogging,
    kmemleak: Kmemleak,
    /// What guests do; `crypto_check` if left out.
    workload: Workload,
}

/// A scenario and what the host is made ready with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub scenario: Scenario,
    pub setup: Setup,
}

impl From<Scenario> for Task {
    fn from(scenario: Scenario) -> Self {
        Task {
            scenario,
            setup: Setup::default(),
        }
    }
}

impl Task {
    /// Reads a scenario's name and `key=value` for each parameter.
    ///
    /// # Errors
    ///
    /// If there is no such scenario, parameter or value, or if a parameter is missing.
    pub fn parse<'w>(
        name: &str,
        parameters: impl IntoIterator<Item = &'w str>,
    ) -> Result<Self, ParseError> {
        let mut words = Words(BTreeMap::new());
        for word in parameters {
            let Some((key, value)) = word.split_once('=') else {
                return Err(ParseError(format!("{word} is no key=value")));
            };
            if words.0.insert(key, value).is_some() {
                return Err(ParseError(format!("{key}= is there twice")));
            }
        }
        let scenario = Scenario::read(name, &mut words)?;
        let setup = Setup::read(&mut words)?;
        match words.0.first_key_value() {
            None => Ok(Task { scenario, setup }),
            Some((key, value)) => Err(ParseError(format!(
                "{key}={value}: the scenario {name} has no such parameter"
            ))),
        }
    }
}

/// The words on the command line.
impl Display for Task {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "scenario={}", self.scenario.name())?;
        let parameters = self.scenario.parameters();
        for (key, value) in parameters.iter().chain(&self.setup.parameters()) {
            write!(f, " {key}={value}")?;
        }
        Ok(())
    }
}

/// From a kernel command line: what precedes `scenario=` is for the kernel.
impl FromStr for Task {
    type Err = ParseError;

    fn from_str(line: &str) -> Result<Self, ParseError> {
        let mut words = line.split_whitespace();
        let name = words.find_map(|word| word.strip_prefix("scenario="));
        let name = name.ok_or_else(|| ParseError("no scenario= on the command line".to_owned()))?;
        Task::parse(name, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each scenario, without the parameters that can be left out.
    fn least() -> Vec<Task> {
        let required = "host=a item=many vfs=3 silicon=default";
        let required = || required.split(' ');
        let try_with = |name: &str, count: u32| {
            let chosen = required().enumerate();
            let chosen = chosen.filter(|(index, _)| count >> index & 1 != 0);
            Task::parse(name, chosen.map(|(_, word)| word)).ok()
        };
        let of = |name: &&str| match *name {
            "weakness" => Task::parse(name, ["item=d1"]).unwrap(),
            _ => (0..16).find_map(|count| try_with(name, count)).unwrap(),
        };
        Scenario::NAMES.iter().map(of).collect()
    }

    fn survives(task: &Task) {
        let line = format!("console=ttyAMA0 panic=-1 slowness=1 {task}\n");
        assert_eq!(line.parse::<Task>().as_ref(), Ok(task), "{line}");
    }

    #[test]
    fn scenarios_survive_the_command_line() {
        let all = least();
        assert_eq!(all.len(), Scenario::NAMES.len());
        for mut task in all {
            survives(&task);
            task.setup = Setup {
                engines: Some([Engine::Hpre, Engine::Zip].into()),
                driver: Some(Driver::C),
                peer: Some(Peer::Other),
                vfio: Some(Driver::Rust),
                container: Some(Container::Iommufd),
                dma_logging: Some(DmaLogging::Off),
                kmemleak: Some(Kmemleak::On),
                workload: Some(Workload::Programs),
            };
            survives(&task);
        }
    }

    #[test]
    fn parameters_survive_the_command_line() {
        for scenario in [
            Scenario::Conformance {
                seed: Some(1),
                first: Some(2),
                count: Some(3),
                stride: Some(4),
                log: Some(Log::Quiet),
                stall: Some(5),
            },
            Scenario::GuestResets {
                reset: Some([ResetBy::Hot, ResetBy::Guest].into()),
                against: Some([AgainstReset::Quit].into()),
                seconds: Some(4),
            },
            Scenario::GuestAtWork {
                rounds: Some(7),
                cancel: Some(Cancel::Stopped),
                switchover: Some(Switchover::AllSent),
                stop_first: Some(StopFirst::No),
                multifd: Some(Multifd::Yes),
            },
            Scenario::Weakness {
                item: List(Weakness::ALL.to_vec()),
            },
            Scenario::Silicon {
                silicon: ["default".to_owned(), "a+b".to_owned()].into(),
            },
            Scenario::DirtyTracking {
                further: Some(FurtherWrites::Missed),
            },
        ] {
            survives(&scenario.into());
        }
    }

    #[test]
    fn a_task_is_written_as_words() {
        let mut task = Task::from(Scenario::BenchTogether {
            vfs: 63,
            rush: Some(Rush::Yes),
        });
        task.setup.driver = Some(Driver::C);
        let words = "scenario=bench-together vfs=63 rush=yes driver=c";
        assert_eq!(task.to_string(), words);
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for (line, expected) in [
            ("quiet", "no scenario="),
            ("scenario=uap", "there is no scenario uap"),
            ("scenario=uapi drivr=c", "drivr=c: the scenario uapi has no"),
            ("scenario=uapi seed=1", "seed=1: the scenario uapi has no"),
            (
                "scenario=uapi driver=go",
                "driver=go: go is none of rust, c",
            ),
            ("scenario=uapi driver=c driver=c", "driver= is there twice"),
            ("scenario=uapi driver", "driver is no key=value"),
            ("scenario=migrate seed=x", "seed=x: "),
            ("scenario=topology", "item= is missing"),
            ("scenario=weakness item=d1,d99", "d99 is none of d1, "),
        ] {
            let error = line.parse::<Task>().unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
