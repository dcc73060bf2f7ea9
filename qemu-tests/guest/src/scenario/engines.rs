// SPDX-License-Identifier: GPL-2.0

//! The kernel's self-tests of all algorithms that the three accelerators' drivers register.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Options;
use crate::control::{self, Report};
use crate::expect;
use crate::host;
use crate::sysfs;

struct Engine {
    /// Id of the emulated device.
    device: &'static str,
    module: &'static str,
    /// What a self-test needs: the fallback, or it passes without the device, and the reference.
    software: &'static [&'static str],
    algorithms: usize,
}

const ENGINES: [Engine; 3] = [
    Engine {
        device: "zip0",
        module: "hisi_zip",
        software: &["deflate", "lz4"],
        algorithms: 2,
    },
    Engine {
        device: "sec0",
        module: "hisi_sec2",
        software: &[
            "aes",
            "des_generic",
            "sm4_generic",
            "ecb",
            "cbc",
            "ctr",
            "xts",
            "ccm",
            "gcm",
            "authenc",
            "hmac",
            "sha1",
            "sha256",
            "sha512",
        ],
        algorithms: 16,
    },
    Engine {
        device: "hpre0",
        module: "hisi_hpre",
        software: &["rsa_generic", "dh_generic", "ecdh_generic"],
        algorithms: 5,
    },
];

/// Driver name and self-test result of the algorithms that `module` has registered.
fn algorithms(module: &str) -> Result<BTreeMap<String, String>> {
    let text = sysfs::read("/proc/crypto")?;
    let mut found = BTreeMap::new();
    for paragraph in text.split("\n\n") {
        let value = |wanted: &str| {
            paragraph
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| key.trim() == wanted)
                .map(|(_, value)| value.trim().to_owned())
        };
        if value("module").as_deref() == Some(module) {
            let driver = value("driver").context("an algorithm without driver")?;
            found.insert(driver, value("selftest").unwrap_or_default());
        }
    }
    Ok(found)
}

fn requests_done(device: &str) -> Result<u64> {
    control::get_of(device, "counters")?
        .get("requests_done")
        .and_then(Value::as_u64)
        .context("counters has no requests_done")
}

fn judge(engine: &Engine) -> Result<()> {
    expect::eventually("the self-tests to end", Duration::from_secs(120), || {
        let found = algorithms(engine.module)?;
        Ok(found.len() == engine.algorithms && found.values().all(|result| result != "unknown"))
    })
    .with_context(|| format!("{:?}", algorithms(engine.module)))?;
    for (driver, result) in algorithms(engine.module)? {
        ensure!(result == "passed", "{driver}: self-test {result}");
    }
    let done = requests_done(engine.device)?;
    ensure!(
        done >= engine.algorithms as u64,
        "the device did {done} requests for {} algorithms",
        engine.algorithms
    );
    Ok(())
}

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let modules = host::modules(options)?;
    modules.load("cryptomgr")?;
    for engine in &ENGINES {
        let name = format!("{}: {} algorithms", engine.module, engine.algorithms);
        report.point(&name, || {
            for software in engine.software {
                if modules.has(software) {
                    modules.load(software)?;
                }
            }
            modules.load(engine.module)?;
            judge(engine)
        });
    }
    Ok(())
}
