// SPDX-License-Identifier: GPL-2.0
//! What a guest migrates with, as `make migrate` and `make soak` are told it.

use anyhow::{Context, Result, bail, ensure};

use crate::{Artifacts, Outcome, Pair, Scenario, Suite};

/// The hardware versions that can migrate, and their PCI revisions.
const REVISIONS: [(&str, u8); 3] = [("V3", 0x30), ("V4", 0x50), ("V5", 0x51)];

/// The drivers of the two VFs: the place that a guest begins at, and the other one.
const DRIVERS: [(&str, [&str; 2]); 4] = [
    ("rust", ["rust", "rust"]),
    ("c", ["c", "c"]),
    ("rust,c", ["rust", "c"]),
    ("c,rust", ["c", "rust"]),
];

/// Whether the other place is on a host of its own.
const HOSTS: [(&str, bool); 2] = [("1", false), ("2", true)];

/// The engines, of which a guest has a VF each.
const ENGINES: [&str; 3] = ["zip", "sec", "hpre"];

const CONTAINERS: [(&str, ()); 2] = [("type1", ()), ("iommufd", ())];

const CANCELLED: [(&str, ()); 3] = [("no", ()), ("running", ()), ("stopped", ())];

/// How long all of it may take, in seconds.
const WITHIN: u64 = 3600;

/// What has been chosen.
#[derive(Clone, Debug)]
pub struct Choices {
    two_hosts: bool,
    drivers: [&'static str; 2],
    engines: String,
    suite: Suite,
    revision: Option<u8>,
    /// What only the program in the machine looks at.
    others: Vec<(String, String)>,
}

impl Choices {
    /// As [`Self::parse`], of parameters `key=value`.
    pub fn of(parameters: &[String]) -> Result<Self> {
        let pair = |parameter: &String| {
            let pair = parameter.split_once('=');
            let (key, value) = pair.with_context(|| format!("{parameter} has no value"))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        Self::parse(&parameters.iter().map(pair).collect::<Result<Vec<_>>>()?)
    }

    /// A guest at work that migrates, with these parameters:
    ///
    /// - `hosts`: `1`, or `2` with a network between them;
    /// - `engines`: some of `zip`, `sec` and `hpre`, with commas between them;
    /// - `container`: `type1` or `iommufd`;
    /// - `driver`: `rust`, `c`, or both with a comma between them;
    /// - `revision`: `V3`, `V4` or `V5`;
    /// - `qemu`: the suite of Debian that QEMU is of;
    /// - `cancel`: `no`, or `running` or `stopped` for a first migration that is cancelled while
    ///   the guest does that;
    /// - `rounds`: how often to the other place and back.
    pub fn parse(parameters: &[(String, String)]) -> Result<Self> {
        let mut choices = Choices {
            two_hosts: false,
            drivers: ["rust"; 2],
            engines: "zip".to_owned(),
            suite: Suite::Trixie,
            revision: None,
            others: Vec::new(),
        };
        let mut cancelled = "no";
        let mut container = "type1";
        for (key, value) in parameters {
            match key.as_str() {
                "hosts" => choices.two_hosts = known(key, value, &HOSTS)?,
                "engines" => {
                    for engine in value.split(',') {
                        let known = ENGINES.join(" ");
                        ensure!(
                            ENGINES.contains(&engine),
                            "{key}={value}: there is no {engine:?}; there are: {known}"
                        );
                    }
                    choices.engines.clone_from(value);
                }
                "driver" => choices.drivers = known(key, value, &DRIVERS)?,
                "revision" => choices.revision = Some(known(key, value, &REVISIONS)?),
                "qemu" => choices.suite = value.parse()?,
                "container" | "cancel" | "rounds" => {
                    match key.as_str() {
                        "cancel" => {
                            known(key, value, &CANCELLED)?;
                            cancelled = value;
                        }
                        "container" => {
                            known(key, value, &CONTAINERS)?;
                            container = value;
                        }
                        _ => ensure!(
                            value.parse::<u32>().is_ok_and(|rounds| rounds > 0),
                            "{key}={value} is not a number from 1 on"
                        ),
                    }
                    choices.others.push((key.clone(), value.clone()));
                }
                _ => bail!("{key}={value}: there is no such parameter"),
            }
        }
        ensure!(
            !(choices.engines.contains(',') && choices.has_c()),
            "the C driver does not have the P2P states, without which QEMU takes one VF that can \
             migrate; engines={} are several",
            choices.engines
        );
        ensure!(
            cancelled == "no" || !choices.two_hosts,
            "a first migration that is cancelled is for one host alone"
        );
        ensure!(
            cancelled == "no" || container != "iommufd",
            "a first migration is cancelled of a guest that runs, and with iommufd it is stopped \
             (Documentation/admin-guide/migrating-a-guest.rst)"
        );
        ensure!(
            cancelled != "stopped" || choices.drivers[0] != "c",
            "the C driver does not start a VF that was stopped in vain, so that the guest's \
             requests would never complete (D-16b in Documentation/weaknesses.rst)"
        );
        Ok(choices)
    }

    /// Whether the C driver has one of the VFs. It does on hardware V4 and V5 what the model counts
    /// as a violation.
    pub fn has_c(&self) -> bool {
        self.drivers.contains(&"c")
    }

    /// The drivers of the place that the guest begins at, and of the other one: `rust` or `c`.
    pub fn drivers(&self) -> [&'static str; 2] {
        self.drivers
    }

    fn machine(&self, scenario: Scenario) -> Scenario {
        let scenario = scenario.within(WITHIN).monitor(self.suite);
        let scenario = (self.others.iter())
            .fold(scenario.engines(&self.engines), |scenario, (key, value)| {
                scenario.with(key, value)
            });
        // Of all accelerators that have come by now.
        match self.revision {
            Some(revision) => scenario.revision(revision),
            None => scenario,
        }
    }

    /// Runs it on one machine or on two, to their end. `show` gets the lines meant for a person.
    pub fn run(&self, artifacts: &Artifacts, show: impl Fn(&str) + Sync) -> Result<Vec<Outcome>> {
        let [driver, other] = self.drivers;
        if self.two_hosts {
            let pair = Pair::new("guest-between").both(|host| self.machine(host));
            let outcomes = pair
                .with_each("driver", self.drivers)
                .run(artifacts, show)?;
            return Ok(outcomes.into());
        }
        let peer = if driver == other { "same" } else { "other" };
        let scenario = self.machine(Scenario::new("guest-at-work"));
        let scenario = scenario.with("driver", driver).with("peer", peer);
        Ok(vec![scenario.run(artifacts, show)?])
    }
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
        Choices::parse(&pairs).map(drop)
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

    fn names<T>(all: &[(&'static str, T)]) -> Vec<&'static str> {
        all.iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn make_refuses_what_is_refused_here() {
        assert_eq!(values_of_make("ENGINES"), ENGINES);
        assert_eq!(values_of_make("CONTAINER"), names(&CONTAINERS));
        assert_eq!(values_of_make("DRIVER"), names(&DRIVERS));
        assert_eq!(values_of_make("REVISION"), names(&REVISIONS));
        assert_eq!(values_of_make("CANCEL"), names(&CANCELLED));
        assert_eq!(values_of_make("HOSTS"), names(&HOSTS));
        let suites = Suite::ALL.map(|suite| suite.to_string());
        assert_eq!(values_of_make("QEMU"), suites);
    }

    #[test]
    fn the_c_driver_is_not_stopped_in_vain() {
        told("driver=c cancel=running").unwrap();
        told("driver=rust,c cancel=stopped").unwrap();
        told("driver=c cancel=stopped").unwrap_err();
        told("cancel=stopped driver=c,rust").unwrap_err();
    }

    #[test]
    fn with_iommufd_nothing_is_cancelled_first() {
        told("container=iommufd cancel=no").unwrap();
        told("cancel=running container=type1").unwrap();
        told("cancel=running container=iommufd").unwrap_err();
    }

    #[test]
    fn on_two_hosts_nothing_is_cancelled_first() {
        told("hosts=2 cancel=no").unwrap();
        told("hosts=1 cancel=running").unwrap();
        told("hosts=2 cancel=running").unwrap_err();
    }
}
