// SPDX-License-Identifier: GPL-2.0

//! What the driver of a VF counts, in its folder of debugfs.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use linux::sysfs::{self, Function};
use protocol::{Engine, Load};
use vm::engine::Accelerator;

use crate::host::HUAWEI;

/// Counts since the driver was loaded.
#[derive(Debug)]
pub(super) struct Counts {
    /// Requests that the VF has answered.
    received: u64,
    /// Those of them that have failed.
    failed: u64,
}

impl Counts {
    pub(super) fn of(accelerator: &Accelerator) -> Result<Self> {
        let (folder, failures): (_, &[&str]) = match accelerator.kind {
            Engine::Sec => (
                "sec_dfx",
                &["err_bd_cnt", "invalid_req_cnt", "done_flag_cnt"],
            ),
            Engine::Zip => ("zip_dfx", &["err_bd_cnt"]),
            Engine::Hpre => bail!("no program uses it"),
        };
        let vf = Function::find(HUAWEI, accelerator.vf)?;
        let debugfs = PathBuf::from("/sys/kernel/debug").join(accelerator.module);
        let folder = debugfs.join(vf.name()).join(folder);
        let count = |file: &str| {
            let text = sysfs::read(folder.join(file))?;
            text.trim()
                .parse()
                .with_context(|| format!("{file}: {text}"))
        };
        Ok(Counts {
            received: count("recv_cnt")?,
            failed: failures
                .iter()
                .map(|file| count(file))
                .sum::<Result<u64>>()?,
        })
    }

    pub(super) fn since(&self, before: &Self) -> Load {
        Load {
            done: self.received - before.received,
            failed: self.failed - before.failed,
            ..Load::default()
        }
    }
}
