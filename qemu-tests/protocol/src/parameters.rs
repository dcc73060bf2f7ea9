// SPDX-License-Identifier: GPL-2.0

//! Types of parameters, and how they are written on a kernel command line.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// Why a text is no scenario, or no parameter of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(pub(crate) String);

impl Display for ParseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

/// The value of a parameter.
pub trait Parameter: Sized {
    /// As it is written behind `key=`; none if the parameter is left out.
    fn write(&self) -> Option<String>;

    /// Reads the value; `text` is none where the parameter is left out.
    ///
    /// # Errors
    ///
    /// If `text` is no value of this type, or if it is missing and must not be.
    fn read(key: &str, text: Option<&str>) -> Result<Self, ParseError>;
}

fn read_value<T: FromStr<Err: Display>>(key: &str, text: &str) -> Result<T, ParseError> {
    text.parse()
        .map_err(|error| ParseError(format!("{key}={text}: {error}")))
}

impl<T: Display + FromStr<Err: Display>> Parameter for Option<T> {
    fn write(&self) -> Option<String> {
        self.as_ref().map(T::to_string)
    }

    fn read(key: &str, text: Option<&str>) -> Result<Self, ParseError> {
        text.map(|text| read_value(key, text)).transpose()
    }
}

/// A parameter that must be there.
macro_rules! required {
    ($($type:ty),*) => { $(
        impl Parameter for $type {
            fn write(&self) -> Option<String> {
                Some(self.to_string())
            }

            fn read(key: &str, text: Option<&str>) -> Result<Self, ParseError> {
                match text {
                    Some(text) => read_value(key, text),
                    None => Err(ParseError(format!("{key}= is missing"))),
                }
            }
        }
    )* };
}

/// An enum whose values are words.
macro_rules! words {
    ($(#[$attribute:meta])* $name:ident {
        $($(#[$of_value:meta])* $value:ident = $word:literal,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of_value])* $value,)*
        }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$value,)*];

            /// The word for it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }
        }

        impl Display for $name {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                match text {
                    $($word => Ok(Self::$value),)*
                    _ => Err(ParseError(format!(
                        "{text} is none of {}",
                        [$($word),*].join(", ")
                    ))),
                }
            }
        }
    };
}

pub(crate) use words;

/// Several values with commas between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T: Display> Display for List<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, value) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{value}")?;
        }
        Ok(())
    }
}

impl<T: FromStr> FromStr for List<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.split(',')
            .map(T::from_str)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl<T, const N: usize> From<[T; N]> for List<T> {
    fn from(values: [T; N]) -> Self {
        List(values.into())
    }
}

words! {
    /// A driver, or another kernel module, that exists in C and in Rust.
    #[derive(Default)]
    Driver {
        /// This project's.
        #[default]
        Rust = "rust",
        /// The kernel's own.
        C = "c",
    }
}

words! {
    /// How VFIO devices are opened.
    #[derive(Default)]
    Container {
        /// By a group in a type1 container.
        #[default]
        Type1 = "type1",
        /// By the device's own file, with iommufd.
        Iommufd = "iommufd",
    }
}

words! {
    /// The driver of the second VF.
    #[derive(Default)]
    Peer {
        /// The first VF's.
        #[default]
        Same = "same",
        /// The other one of the two.
        Other = "other",
    }
}

words! {
    /// A kind of accelerator.
    Engine {
        Zip = "zip",
        Sec = "sec",
        Hpre = "hpre",
    }
}

words! {
    /// What the SMMU does for a write to a page of which it has a writable entry in its TLB.
    #[derive(Default)]
    Iotlb {
        /// It uses that entry.
        #[default]
        Keeps = "keeps",
        /// It walks the translation tables.
        Walks = "walks",
    }
}

words! {
    /// What the kernel reports of a page that is written again after it was reported.
    #[derive(Default)]
    FurtherWrites {
        #[default]
        Reported = "reported",
        /// Linux 7.3 clears the dirty state, but does not invalidate the SMMU's TLB
        /// (`qemu-tests/kernel/patches`): with entries that it keeps, the SMMU does not mark the
        /// page again.
        Missed = "missed",
    }
}

words! {
    /// One of two emulated hosts.
    HostName {
        /// The guest begins here.
        A = "a",
        B = "b",
    }
}

words! {
    /// Whether memory that cannot be freed any more is looked for (kmemleak).
    Kmemleak {
        On = "on",
    }
}

words! {
    /// A failure on purpose.
    #[derive(Default)]
    Failure {
        #[default]
        No = "no",
        /// The scenario, which reports it.
        Tells = "tells",
        /// The host.
        Dies = "dies",
    }
}

words! {
    /// A first migration that is cancelled.
    #[derive(Default)]
    Cancel {
        #[default]
        No = "no",
        /// While the guest runs.
        Running = "running",
        /// While the guest is stopped.
        Stopped = "stopped",
    }
}

words! {
    /// How a guest's VF is reset.
    ResetBy {
        /// An administrator of the host writes 1 to the VF's `reset` in sysfs.
        Sysfs = "sysfs",
        /// The guest's kernel writes the bit of the VF's PCI Express capability (FLR).
        Guest = "guest",
        /// An administrator of the host writes 1 to the PF's `reset` in sysfs.
        Pf = "pf",
        /// The PF reports an error on the bus that is not fatal (AER). QEMU stops the guest for it.
        Aer = "aer",
        /// `VFIO_DEVICE_PCI_HOT_RESET`, which is refused: it would take the PF along.
        Hot = "hot",
    }
}

words! {
    /// A command to QEMU while a VF is reset.
    AgainstReset {
        /// `stop` and `cont`.
        Pause = "pause",
        /// `migrate`.
        Migrate = "migrate",
        /// `migrate` and `migrate_cancel`.
        Cancel = "cancel",
        /// `quit`.
        Quit = "quit",
    }
}

words! {
    /// A guest's first activity.
    #[derive(Default)]
    Begin {
        /// It loads the VF's driver, and works.
        #[default]
        Work = "work",
        /// It waits for orders.
        Rest = "rest",
    }
}

words! {
    /// What keeps a guest's VFs at work.
    #[derive(Default)]
    Workload {
        /// The kernel module `crypto_check`.
        #[default]
        Check = "check",
        /// Programs of Debian, which use the kernel's crypto, in a guest with Debian's kernel.
        Programs = "programs",
    }
}

words! {
    /// Which commands our driver was built with.
    #[derive(Default)]
    Commands {
        #[default]
        All = "all",
        /// None that changes the device.
        None = "none",
    }
}

words! {
    /// How much of the kernel's log goes to the console.
    #[derive(Default)]
    Log {
        #[default]
        All = "all",
        /// Only what is severe: the console is slow.
        Quiet = "quiet",
    }
}

words! {
    /// The quantity that is counted at each step of a migration.
    #[derive(Default)]
    Measure {
        #[default]
        Accesses = "accesses",
        Allocations = "allocations",
    }
}

words! {
    /// Whether VFs wait for each other at each step.
    #[derive(Default)]
    Rush {
        #[default]
        No = "no",
        Yes = "yes",
    }
}

words! {
    /// A host unlike the usual one.
    TopologyItem {
        PlainV2 = "plain-v2",
        PlainForeign = "plain-foreign",
        PlainPf = "plain-pf",
        PlainLargePages = "plain-large-pages",
        Many = "many",
        Together = "together",
        Departure = "departure",
        PfReset = "pf-reset",
        HardwareError = "hardware-error",
        BusError = "bus-error",
        FatalBusError = "fatal-bus-error",
        SilentVfReset = "silent-vf-reset",
        SilentVfMessage = "silent-vf-message",
    }
}

words! {
    /// The parameter `dma_logging` of our driver's module.
    #[derive(Default)]
    DmaLogging {
        #[default]
        Auto = "auto",
        On = "on",
        Off = "off",
    }
}

words! {
    /// When QEMU stops a guest that migrates.
    #[derive(Default)]
    Switchover {
        /// As soon as it may.
        #[default]
        AtOnce = "at-once",
        /// When all of the guest's memory was sent, which is sent again as far as it is dirty.
        AllSent = "all-sent",
        /// When QEMU expects to stop it for no longer than its default limit.
        Default = "default",
    }
}

words! {
    /// Whether a guest is stopped before it migrates, where nothing tracks what its VFs write.
    #[derive(Default)]
    StopFirst {
        /// With iommufd, of which QEMU then takes no page for dirty.
        #[default]
        Auto = "auto",
        /// Never, to see what QEMU loses.
        No = "no",
    }
}

words! {
    /// Whether QEMU sends a guest through several connections at once (its capability `multifd`).
    #[derive(Default)]
    Multifd {
        #[default]
        No = "no",
        Yes = "yes",
    }
}

words! {
    /// A weakness of the C driver, by its number in `Documentation/weaknesses.rst`.
    Weakness {
        D1 = "d1",
        D2 = "d2",
        D2b = "d2b",
        D3 = "d3",
        D4 = "d4",
        D6 = "d6",
        D7 = "d7",
        D8 = "d8",
        D9 = "d9",
        D10 = "d10",
        D11 = "d11",
        D12 = "d12",
        D13 = "d13",
        D14 = "d14",
        D15 = "d15",
        D16 = "d16",
        D16b = "d16b",
        D16c = "d16c",
        D17 = "d17",
        D19 = "d19",
        D20 = "d20",
        D21 = "d21",
        D22 = "d22",
        D25 = "d25",
        D26 = "d26",
        D27 = "d27",
        D28 = "d28",
        D29 = "d29",
        D30 = "d30",
        D31 = "d31",
        D32 = "d32",
        D33 = "d33",
        D33b = "d33b",
        D34 = "d34",
        D35 = "d35",
    }
}

impl Driver {
    /// The other one of the two.
    pub const fn other(self) -> Self {
        match self {
            Driver::C => Driver::Rust,
            Driver::Rust => Driver::C,
        }
    }

    /// Whether it is this project's.
    pub const fn is_rust(self) -> bool {
        matches!(self, Driver::Rust)
    }
}

required!(u32, HostName, TopologyItem, List<String>, List<Weakness>);
