// SPDX-License-Identifier: GPL-2.0

//! IPsec (ESP) between two network namespaces, with pings. A packet is two requests: one end
//! encrypts it, the other one decrypts it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use linux::sysfs;

use super::{User, priority, run};
use crate::expect;
use crate::modules::Modules;

const DRIVER: &str = "hisi_sec_authenc(hmac(sha256),cbc(aes))";
/// More than that of software: IPsec takes the algorithm's driver of the highest priority.
const PRIORITY: u32 = 10_000;
/// For the last packets.
const ARRIVES: Duration = Duration::from_secs(60);

const OURS: &str = "192.0.2.1";
const PEER: &str = "192.0.2.2";
const NAMESPACE: &str = "peer";

struct Ipsec {
    before: Echoes,
}

/// What the kernel counts.
#[derive(Clone, Copy)]
struct Echoes {
    sent: u64,
    answered: u64,
}

fn ip(line: &str) -> Result<()> {
    let words: Vec<&str> = ["ip"].into_iter().chain(line.split(' ')).collect();
    run(&words)
}

/// Security associations and policies of one end.
fn secure(namespace: &str, from: &str, to: &str) -> Result<()> {
    let ends = [(from, to, "out"), (to, from, "in")];
    for (source, destination, direction) in ends {
        let spi = if source == OURS { "0x101" } else { "0x102" };
        let state = format!("src {source} dst {destination} proto esp");
        let key = |digit: &str, bytes: usize| format!("0x{}", digit.repeat(2 * bytes));
        ip(&format!(
            "{namespace}xfrm state add {state} spi {spi} mode transport \
             auth-trunc hmac(sha256) {} 128 enc cbc(aes) {}",
            key("5", 32),
            key("a", 16),
        ))?;
        ip(&format!(
            "{namespace}xfrm policy add src {source} dst {destination} dir {direction} tmpl {state} \
             mode transport"
        ))?;
    }
    Ok(())
}

impl Echoes {
    fn count() -> Result<Self> {
        let text = sysfs::read("/proc/net/snmp")?;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Icmp: "));
        let (names, values) = (lines.next(), lines.next());
        let (names, values) = names.zip(values).context("no counts of ICMP")?;
        let count = |wanted: &str| -> Result<u64> {
            let mut pairs = names.split(' ').zip(values.split(' '));
            let pair = pairs.find(|(name, _)| *name == wanted);
            let (_, value) = pair.with_context(|| format!("no {wanted}"))?;
            Ok(value.parse()?)
        };
        Ok(Echoes {
            sent: count("OutEchos")?,
            answered: count("InEchoReps")?,
        })
    }
}

pub(super) fn set_up(modules: &Modules) -> Result<Box<dyn User>> {
    for module in [
        "crypto_user",
        "veth",
        "xfrm_user",
        "esp4",
        "authenc",
        "echainiv",
    ] {
        modules.load(module)?;
    }
    priority::set(DRIVER, PRIORITY)?;
    fs::create_dir_all("/run/netns")?;
    fs::create_dir_all("/var/run/netns")?;
    ip(&format!("netns add {NAMESPACE}"))?;
    ip(&format!(
        "link add veth0 type veth peer name veth1 netns {NAMESPACE}"
    ))?;
    let peer = format!("-n {NAMESPACE} ");
    for (namespace, card, from, to) in [("", "veth0", OURS, PEER), (&peer, "veth1", PEER, OURS)] {
        secure(namespace, from, to)?;
        ip(&format!("{namespace}address add {from}/24 dev {card}"))?;
        ip(&format!("{namespace}link set {card} up"))?;
    }
    Ok(Box::new(Ipsec {
        before: Echoes::count()?,
    }))
}

impl User for Ipsec {
    fn run(&self) -> Result<()> {
        run(&["ping", "-q", "-c", "100", "-i", "0.02", "-s", "1000", PEER])?;
        expect::eventually("an answer to each ping", ARRIVES, || {
            let Echoes { sent, answered } = Echoes::count()?;
            Ok(sent == answered)
        })
    }

    fn requests(&self) -> Result<u64> {
        let now = Echoes::count()?;
        let packets = now.sent - self.before.sent + now.answered - self.before.answered;
        Ok(2 * packets)
    }
}
