// SPDX-License-Identifier: GPL-2.0

//! zswap, which compresses pages of a file in tmpfs that a group of processes has not enough memory
//! for. The file is written and verified by fio.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use linux::sysfs;
use rustix::mount::{MountFlags, mount};

use super::{User, dm_crypt, run};
use crate::modules::Modules;

const DRIVER: &str = "hisi-deflate-acomp";

const PARAMETERS: &str = "/sys/module/zswap/parameters";
const CGROUPS: &str = "/sys/fs/cgroup";
const GROUP: &str = "/sys/fs/cgroup/zswap";
/// What the group may have, and the file.
const MEMORY: &str = "8M";
const FILE: &str = "8M";
const SWAP: &str = "/dev/ram1";

struct Zswap {
    /// The kernel's counts before there was a file.
    before: u64,
}

/// Pages compressed and pages decompressed, since the kernel was booted.
fn pages() -> Result<u64> {
    let text = sysfs::read("/proc/vmstat")?;
    let count = |name: &str| -> Result<u64> {
        let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
        let pair = pairs.find(|(key, _)| *key == name);
        let (_, count) = pair.with_context(|| format!("/proc/vmstat has no {name}"))?;
        Ok(count.parse()?)
    };
    Ok(count("zswpout")? + count("zswpin")? + count("zswpwb")?)
}

pub(super) fn set_up(modules: &Modules) -> Result<Box<dyn User>> {
    dm_crypt::load_disks(modules)?;
    run(&["/bin/busybox", "mkswap", SWAP])?;
    run(&["/bin/busybox", "swapon", SWAP])?;
    sysfs::write(format!("{PARAMETERS}/compressor"), DRIVER)?;
    sysfs::write(format!("{PARAMETERS}/enabled"), "Y")?;
    if !Path::new(GROUP).exists() {
        mount("cgroup2", CGROUPS, "cgroup2", MountFlags::empty(), None)?;
        sysfs::write(format!("{CGROUPS}/cgroup.subtree_control"), "+memory")?;
        fs::create_dir(GROUP)?;
    }
    sysfs::write(format!("{GROUP}/memory.max"), MEMORY)?;
    Ok(Box::new(Zswap { before: pages()? }))
}

impl User for Zswap {
    fn run(&self) -> Result<()> {
        let in_group = format!("echo 0 >{GROUP}/cgroup.procs && exec \"$@\"");
        run(&[
            "/bin/busybox",
            "sh",
            "-c",
            &in_group,
            "sh",
            "fio",
            "--name=zswap",
            "--filename=/tmp/zswap",
            "--ioengine=psync",
            "--rw=randwrite",
            "--bs=4k",
            &format!("--size={FILE}"),
            "--randrepeat=0",
            // Pages that are all the same are not compressed, and noise cannot be.
            "--refill_buffers",
            "--buffer_compress_percentage=50",
            "--buffer_compress_chunk=4k",
            "--verify=crc32c",
            "--verify_fatal=1",
            "--thread",
            // Of fio's own memory, in KiB, which is in the group as well
            "--alloc-size=2048",
        ])
    }

    fn requests(&self) -> Result<u64> {
        Ok(pages()? - self.before)
    }
}
