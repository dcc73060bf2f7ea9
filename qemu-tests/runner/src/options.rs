// SPDX-License-Identifier: GPL-2.0

//! The options of `make migrate` and `make soak`: with what a guest migrates.

use std::fmt::Display;
use std::num::NonZero;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use protocol::{
    Cancel, Container, DmaLogging, Driver, Engine, Iotlb, List, Multifd, Peer, Scenario, StopFirst,
    Switchover,
};

use crate::{Artifacts, Machine, Outcome, Pair, Suite};

/// The hardware versions that can migrate, and their PCI revisions.
const REVISIONS: [(&str, u8); 3] = [("V3", 0x30), ("V4", 0x50), ("V5", 0x51)];

/// The drivers of the two VFs: the place that a guest begins at, and the other one.
const DRIVERS: [(&str, [Driver; 2]); 4] = [
    ("rust", [Driver::Rust, Driver::Rust]),
    ("c", [Driver::C, Driver::C]),
    ("rust,c", [Driver::Rust, Driver::C]),
    ("c,rust", [Driver::C, Driver::Rust]),
];

/// The value of `container` that stands for [`WAYS`].
const EACH: &str = "each";

/// Parameters and their values.
type Parameters = &'static [(&'static str, &'static str)];

/// The ways in which dirty pages become known.
const WAYS: [(&str, Parameters); 3] = [
    (
        "type1",
        // Else QEMU would ask the driver with type1 as well.
        &[
            ("container", "type1"),
            ("switchover", "all-sent"),
            ("dma_logging", "off"),
        ],
    ),
    (
        "iommufd, DMA logging",
        &[("container", "iommufd"), ("switchover", "all-sent")],
    ),
    (
        "iommufd, HTTU",
        &[
            ("container", "iommufd"),
            ("switchover", "default"),
            ("dma_logging", "off"),
            ("httu", "walks"),
        ],
    ),
];

/// Whether the SMMU marks the pages that VFs write, and how.
const HTTU: [(&str, Option<Iotlb>); 3] = [
    ("off", None),
    ("walks", Some(Iotlb::Walks)),
    ("keeps", Some(Iotlb::Keeps)),
];

/// Whether the other place is on a host of its own.
const HOSTS: [(&str, bool); 2] = [("1", false), ("2", true)];

/// How long all of it may take, in seconds.
const WITHIN: u64 = 3600;

/// The options, each as given or with its default.
#[derive(Clone, Debug)]
pub struct Options {
    two_hosts: bool,
    drivers: [Driver; 2],
    engines: List<Engine>,
    suite: Suite,
    revision: Option<u8>,
    container: Option<Container>,
    cancel: Option<Cancel>,
    switchover: Option<Switchover>,
    stop_first: Option<StopFirst>,
    multifd: Option<Multifd>,
    dma_logging: Option<DmaLogging>,
    httu: Option<Iotlb>,
    rounds: Option<u32>,
    /// Whether the machine's time is counted in instructions.
    counted: bool,
}

impl Options {
    /// As [`Self::parse`], of parameters `key=value`. With `container=each` it is several: one for
    /// each way in which dirty pages become known, with its name. Their times are comparable, however
    /// busy this machine is.
    pub fn of(parameters: &[String]) -> Result<Vec<(&'static str, Self)>> {
        let pair = |parameter: &String| {
            let pair = parameter.split_once('=');
            let (key, value) = pair.with_context(|| format!("{parameter} has no value"))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        let pairs: Vec<_> = parameters.iter().map(pair).collect::<Result<_>>()?;
        let each = ("container".to_owned(), EACH.to_owned());
        if !pairs.contains(&each) {
            return Ok(vec![("", Self::parse(&pairs)?)]);
        }
        let chosen = |key: &str| {
            WAYS.iter()
                .any(|(_, way)| way.iter().any(|(k, _)| *k == key))
        };
        let others: Vec<_> = pairs.into_iter().filter(|pair| *pair != each).collect();
        if let Some((key, value)) = others.iter().find(|(key, _)| chosen(key)) {
            bail!("{key}={value}: container={EACH} chooses that itself");
        }
        let ways = WAYS.iter().map(|(name, way)| {
            let way = way.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let parameters: Vec<_> = others.iter().cloned().chain(way).collect();
            let options = Self::parse(&parameters)?;
            ensure!(
                !options.has_c(),
                "container={EACH} is for the Rust driver, which can log DMA"
            );
            ensure!(
                !options.two_hosts,
                "container={EACH} counts time in instructions, which two hosts do not share"
            );
            let counted = true;
            Ok((*name, Self { counted, ..options }))
        });
        ways.collect()
    }

    /// A guest at work that migrates, with these parameters:
    ///
    /// - `hosts`: `1`, or `2` with a network between them;
    /// - `engines`: some of `zip`, `sec` and `hpre`, with commas between them;
    /// - `container`: `type1` or `iommufd`;
    /// - `driver`: `rust`, `c`, or both with a comma between them;
    /// - `revision`: `V3`, `V4` or `V5`;
    /// - `qemu`: the suite of Debian that QEMU is of, or `fixed`;
    /// - `cancel`: `no`, or `running` or `stopped` for a first migration that is cancelled while
    ///   the guest does that;
    /// - `switchover`: `at-once`, or `all-sent` to stop the guest only when all of its memory was
    ///   sent, or `default` to stop it when QEMU's own limits allow it;
    /// - `stop_first`: `auto`, or `no` for a guest that is not stopped before it migrates although
    ///   QEMU loses what its VFs write;
    /// - `multifd`: `yes` for several connections at once;
    /// - `dma_logging`: the parameter of the Rust driver's module;
    /// - `httu`: `off`, or what the SMMU does for a write to a page that it has marked as dirty:
    ///   it `walks` the translation tables, or `keeps` to the entry in its TLB;
    /// - `rounds`: how often to the other place and back.
    pub fn parse(parameters: &[(String, String)]) -> Result<Self> {
        let mut options = Options {
            two_hosts: false,
            drivers: [Driver::Rust; 2],
            engines: [Engine::Zip].into(),
            suite: Suite::Trixie,
            revision: None,
            container: None,
            cancel: None,
            switchover: None,
            stop_first: None,
            multifd: None,
            dma_logging: None,
            httu: None,
            rounds: None,
            counted: false,
        };
        for (key, value) in parameters {
            match key.as_str() {
                "hosts" => options.two_hosts = known(key, value, &HOSTS)?,
                "engines" => options.engines = parsed(key, value)?,
                "driver" => options.drivers = known(key, value, &DRIVERS)?,
                "revision" => options.revision = Some(known(key, value, &REVISIONS)?),
                "qemu" => options.suite = value.parse()?,
                "container" => options.container = Some(parsed(key, value)?),
                "cancel" => options.cancel = Some(parsed(key, value)?),
                "switchover" => options.switchover = Some(parsed(key, value)?),
                "stop_first" => options.stop_first = Some(parsed(key, value)?),
                "multifd" => options.multifd = Some(parsed(key, value)?),
                "dma_logging" => options.dma_logging = Some(parsed(key, value)?),
                "httu" => options.httu = known(key, value, &HTTU)?,
                "rounds" => {
                    let rounds: NonZero<u32> = parsed(key, value)?;
                    options.rounds = Some(rounds.get());
                }
                _ => bail!("{key}={value}: there is no such parameter"),
            }
        }
        let cancelled = options.cancel.unwrap_or_default();
        ensure!(
            !(options.engines.0.len() > 1 && options.has_c()),
            "the C driver does not have the P2P states, without which QEMU takes one VF that can \
             migrate; engines={} are several",
            options.engines
        );
        ensure!(
            cancelled == Cancel::No || !options.two_hosts,
            "a first migration that is cancelled is for one host alone"
        );
        ensure!(
            cancelled == Cancel::No
                || options.container != Some(Container::Iommufd)
                || options.logs_dma()
                || options.iommu_tracks()
                || options.is_not_stopped(),
            "a first migration is cancelled of a guest that runs, and with iommufd it is stopped \
             unless dirty pages are tracked (Documentation/admin-guide/migrating-a-guest.rst)"
        );
        ensure!(
            !options.is_not_stopped()
                || options.container == Some(Container::Iommufd)
                    && !options.logs_dma()
                    && options.httu.is_none(),
            "stop_first=no is for container=iommufd without dirty tracking, that is with httu=off, \
             and dma_logging=off or the C driver: else the guest is not stopped first anyway"
        );
        ensure!(
            !options.is_not_stopped() || !options.two_hosts,
            "whether the guest is stopped first can be chosen for one host alone"
        );
        ensure!(
            options.multifd != Some(Multifd::Yes) || !options.two_hosts,
            "multifd can be chosen for one host alone"
        );
        ensure!(
            options.switchover != Some(Switchover::Default) || options.iommu_tracks(),
            "switchover=default never ends if all pages count as dirty: it needs httu=walks or \
             httu=keeps, container=iommufd, and dma_logging=off or the C driver \
             (Documentation/admin-guide/migrating-a-guest.rst)"
        );
        ensure!(
            cancelled != Cancel::Stopped || options.drivers[0] != Driver::C,
            "the C driver does not start a VF that was stopped in vain, so that the guest's \
             requests would never complete (D-16b in Documentation/weaknesses.rst)"
        );
        Ok(options)
    }

    /// Whether the C driver has one of the VFs. It does on hardware V4 and V5 what the model counts
    /// as a violation.
    pub fn has_c(&self) -> bool {
        self.drivers.contains(&Driver::C)
    }

    /// Whether the drivers of both VFs report which pages the VFs may have written.
    fn logs_dma(&self) -> bool {
        !self.has_c() && self.dma_logging != Some(DmaLogging::Off)
    }

    /// Whether QEMU asks the IOMMU which pages the VFs have written, wherever the guest is.
    fn iommu_tracks(&self) -> bool {
        let by_iommufd = self.container == Some(Container::Iommufd);
        let no_driver_logs =
            self.drivers == [Driver::C; 2] || self.dma_logging == Some(DmaLogging::Off);
        self.httu.is_some() && by_iommufd && no_driver_logs
    }

    /// Whether the guest works on until QEMU stops it, even if nothing tracks dirty pages.
    fn is_not_stopped(&self) -> bool {
        self.stop_first == Some(StopFirst::No)
    }

    /// The drivers of the place that the guest begins at, and of the other one.
    pub fn drivers(&self) -> [Driver; 2] {
        self.drivers
    }

    fn machine(&self, machine: Machine) -> Machine {
        let machine = machine.within(WITHIN).monitor(self.suite);
        let machine = machine.engines(self.engines.clone());
        let machine = match self.counted {
            true => machine.counted(),
            false => machine,
        };
        let machine = match self.container {
            Some(container) => machine.container(container),
            None => machine,
        };
        let machine = match self.dma_logging {
            Some(value) => machine.dma_logging(value),
            None => machine,
        };
        let machine = match self.httu {
            Some(iotlb) => machine.httu(iotlb),
            None => machine,
        };
        // Of all accelerators that have come by now.
        match self.revision {
            Some(revision) => machine.revision(revision),
            None => machine,
        }
    }

    /// Runs it on one machine or on two, to their end. `show` gets the lines meant for a person.
    pub fn run(&self, artifacts: &Artifacts, show: impl Fn(&str) + Sync) -> Result<Vec<Outcome>> {
        let initrd = artifacts.initrd_vmm(self.suite);
        ensure!(
            initrd.exists(),
            "{} is not there; `make migrate QEMU={}` builds it",
            initrd.display(),
            self.suite
        );
        let [driver, other] = self.drivers;
        if self.two_hosts {
            let rounds = self.rounds;
            let switchover = self.switchover;
            let pair = Pair::new(|host| Scenario::GuestBetween {
                host,
                rounds,
                switchover,
            });
            let pair = pair.both(|host| self.machine(host)).drivers(self.drivers);
            let outcomes = pair.run(artifacts, show)?;
            return Ok(outcomes.into());
        }
        let peer = if driver == other {
            Peer::Same
        } else {
            Peer::Other
        };
        let machine = self.machine(Machine::new(Scenario::GuestAtWork {
            rounds: self.rounds,
            cancel: self.cancel,
            switchover: self.switchover,
            stop_first: self.stop_first,
            multifd: self.multifd,
        }));
        let machine = machine.driver(driver).peer(peer);
        Ok(vec![machine.run(artifacts, show)?])
    }
}

fn parsed<T: FromStr<Err: Display>>(key: &str, value: &str) -> Result<T> {
    value
        .parse()
        .map_err(|error| anyhow!("{key}={value}: {error}"))
}

fn known<T: Copy>(key: &str, value: &str, all: &[(&str, T)]) -> Result<T> {
    let found = all.iter().find(|(name, _)| *name == value);
    let (_, known) = found.with_context(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        format!("{key}={value}; there are: {}", names.join(" "))
    })?;
    Ok(*known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> anyhow::Result<()> {
        let pairs = text.split(' ').filter_map(|word| word.split_once('='));
        let pairs: Vec<_> = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Options::parse(&pairs).map(drop)
    }

    #[test]
    fn several_vfs_are_for_our_driver_alone() {
        told("engines=zip,sec,hpre driver=rust").unwrap();
        told("engines=sec driver=c,rust").unwrap();
        told("engines=zip,sec driver=c,rust").unwrap_err();
        told("driver=c engines=zip,sec").unwrap_err();
        told("hosts=2 engines=zip,sec,hpre").unwrap();
    }

    #[test]
    fn what_is_not_known_is_refused() {
        told("revision=V4 qemu=trixie-backports").unwrap();
        told("qemu=fixed").unwrap();
        for wrong in [
            "revision=V2",
            "qemu=bookworm",
            "driver=go",
            "engine=all",
            "hosts=3",
            "engines=foo",
            "engines=zip,foo",
            "engines=",
            "container=vfio",
            "cancel=yes",
            "switchover=late",
            "stop_first=yes",
            "multifd=4",
            "dma_logging=yes",
            "httu=on",
            "rounds=0",
            "rounds=many",
        ] {
            told(wrong).unwrap_err();
        }
    }

    /// The values that the top Makefile takes for an option.
    fn values_of_make(option: &str) -> Vec<&'static str> {
        let makefile = include_str!("../../../Makefile");
        let (_, rest) = makefile
            .split_once(&format!("\nvalues-{option} := "))
            .unwrap();
        rest.lines().next().unwrap().split(' ').collect()
    }

    fn names<T>(all: &[(&'static str, T)]) -> Vec<String> {
        all.iter().map(|(name, _)| name.to_string()).collect()
    }

    fn words<T: Display>(all: &[T]) -> Vec<String> {
        all.iter().map(T::to_string).collect()
    }

    #[test]
    fn make_refuses_what_is_refused_here() {
        assert_eq!(values_of_make("ENGINES"), words(Engine::ALL));
        let mut containers = words(Container::ALL);
        containers.push(EACH.to_owned());
        assert_eq!(values_of_make("CONTAINER"), containers);
        assert_eq!(values_of_make("DRIVER"), names(&DRIVERS));
        assert_eq!(values_of_make("REVISION"), names(&REVISIONS));
        assert_eq!(values_of_make("CANCEL"), words(Cancel::ALL));
        assert_eq!(values_of_make("SWITCHOVER"), words(Switchover::ALL));
        assert_eq!(values_of_make("STOP_FIRST"), words(StopFirst::ALL));
        assert_eq!(values_of_make("MULTIFD"), words(Multifd::ALL));
        assert_eq!(values_of_make("DMA_LOGGING"), words(DmaLogging::ALL));
        assert_eq!(values_of_make("HOSTS"), names(&HOSTS));
        assert_eq!(values_of_make("HTTU"), names(&HTTU));
        assert_eq!(values_of_make("QEMU"), words(&Suite::ALL));
    }

    #[test]
    fn the_c_driver_is_not_stopped_in_vain() {
        told("driver=c cancel=running").unwrap();
        told("driver=rust,c cancel=stopped").unwrap();
        told("driver=c cancel=stopped").unwrap_err();
        told("cancel=stopped driver=c,rust").unwrap_err();
    }

    #[test]
    fn with_iommufd_nothing_is_cancelled_first_unless_dirty_pages_are_tracked() {
        told("container=iommufd cancel=no").unwrap();
        told("cancel=running container=type1").unwrap();
        told("cancel=running container=iommufd dma_logging=on").unwrap();
        told("cancel=running container=iommufd dma_logging=off").unwrap_err();
        told("cancel=running container=iommufd dma_logging=off httu=walks").unwrap();
        told("cancel=running container=iommufd driver=c httu=walks").unwrap();
        told("cancel=running container=iommufd driver=c").unwrap_err();
    }

    #[test]
    fn only_a_guest_that_would_be_stopped_first_can_be_kept_at_work() {
        told("stop_first=no container=iommufd dma_logging=off").unwrap();
        told("stop_first=no container=iommufd driver=c cancel=running").unwrap();
        told("stop_first=no container=iommufd driver=rust,c switchover=all-sent").unwrap();
        told("stop_first=auto hosts=2").unwrap();
        told("multifd=yes cancel=running").unwrap();
        told("multifd=no hosts=2").unwrap();
        told("multifd=yes hosts=2").unwrap_err();
        told("stop_first=no dma_logging=off").unwrap_err();
        told("stop_first=no container=type1 driver=c").unwrap_err();
        told("stop_first=no container=iommufd dma_logging=on").unwrap_err();
        told("stop_first=no container=iommufd dma_logging=off httu=walks").unwrap_err();
        told("stop_first=no container=iommufd driver=c httu=walks").unwrap_err();
        told("stop_first=no container=iommufd dma_logging=off hosts=2").unwrap_err();
    }

    #[test]
    fn on_two_hosts_nothing_is_cancelled_first() {
        told("hosts=2 cancel=no").unwrap();
        told("hosts=1 cancel=running").unwrap();
        told("hosts=2 cancel=running").unwrap_err();
    }

    #[test]
    fn each_container_is_a_run_of_its_own() {
        let of = |text: &str| {
            let parameters: Vec<_> = text.split(' ').map(str::to_owned).collect();
            Options::of(&parameters)
        };
        assert_eq!(of("container=iommufd").unwrap().len(), 1);
        let ways = of("container=each engines=zip,sec").unwrap();
        assert!(ways.iter().all(|(_, options)| options.engines.0.len() == 2));
        let names: Vec<_> = ways.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, WAYS.map(|(name, _)| name));
        of("container=each httu=keeps").unwrap_err();
        of("container=each driver=c").unwrap_err();
        of("container=each hosts=2").unwrap_err();
        assert!(ways.iter().all(|(_, options)| options.counted));
    }

    #[test]
    fn by_its_defaults_qemu_migrates_where_the_iommu_tracks() {
        told("switchover=default httu=walks dma_logging=off container=iommufd").unwrap();
        told("switchover=default httu=keeps driver=c container=iommufd").unwrap();
        told("switchover=default httu=walks driver=c,rust container=iommufd dma_logging=off")
            .unwrap();
        told("switchover=default httu=walks driver=c,rust container=iommufd").unwrap_err();
        told("switchover=default httu=walks dma_logging=off container=iommufd hosts=2").unwrap();
        told("switchover=default httu=walks dma_logging=off").unwrap_err();
        told("switchover=default httu=walks container=iommufd").unwrap_err();
        told("switchover=default dma_logging=off container=iommufd").unwrap_err();
    }
}
