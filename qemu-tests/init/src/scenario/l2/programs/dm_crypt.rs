// SPDX-License-Identifier: GPL-2.0

//! dm-crypt on a disk in memory, written and verified by fio. Each sector is a request. Software that
//! decrypts the same disk must come to the same bytes.

use std::fs::{self, File};
use std::io::Read;

use anyhow::{Context, Result, ensure};
use linux::sysfs;

use super::{User, run};
use crate::modules::Modules;

/// The cipher, by the name of its driver: the priority of the driver is lower than that of software.
const CIPHER: &str = "capi:hisi_sec_xts(aes)-plain64";
/// The same cipher, by the driver of the highest priority. If that were the VF's, the VF would have
/// done more requests than there are sectors.
const CIPHER_IN_SOFTWARE: &str = "aes-xts-plain64";

const BY_VF: &str = "by-vf";
const BY_SOFTWARE: &str = "by-software";
/// What fio writes and verifies, in KiB.
const SIZE: usize = 1024;
const KEY: &str = "/tmp/dm-crypt.key";
/// The disks in memory: the first one is for this, the second one to swap to. Sizes in KiB.
const DISKS: &str = "rd_nr=2 rd_size=131072";

struct DmCrypt;

pub(super) fn load_disks(modules: &Modules) -> Result<()> {
    modules.load_with("brd", DISKS)
}

pub(super) fn set_up(modules: &Modules) -> Result<Box<dyn User>> {
    load_disks(modules)?;
    modules.load("dm-crypt")?;
    // Two keys of AES-128, which must differ.
    let key: Vec<u8> = (0..32).collect();
    fs::write(KEY, key)?;
    open(BY_VF, CIPHER)?;
    open(BY_SOFTWARE, CIPHER_IN_SOFTWARE)?;
    Ok(Box::new(DmCrypt))
}

/// Makes a device that shows what is on the first disk, decrypted with that cipher.
fn open(name: &str, cipher: &str) -> Result<()> {
    run(&[
        "cryptsetup",
        "open",
        "--type=plain",
        &format!("--cipher={cipher}"),
        "--key-size=256",
        &format!("--key-file={KEY}"),
        // Several devices may have it.
        "--shared",
        "/dev/ram0",
        name,
    ])
}

/// What fio has written, as that device shows it.
fn decrypted(name: &str) -> Result<Vec<u8>> {
    let mut bytes = vec![0; SIZE << 10];
    let mut device = File::open(format!("/dev/mapper/{name}"))?;
    device.read_exact(&mut bytes).context("reading a device")?;
    Ok(bytes)
}

impl User for DmCrypt {
    fn run(&self) -> Result<()> {
        run(&[
            "fio",
            "--name=dm-crypt",
            &format!("--filename=/dev/mapper/{BY_VF}"),
            "--ioengine=libaio",
            "--iodepth=4",
            "--direct=1",
            "--rw=randwrite",
            "--bsrange=512-16k",
            &format!("--size={SIZE}k"),
            "--randrepeat=0",
            "--loops=2",
            "--verify=crc32c",
            "--verify_fatal=1",
            "--thread",
        ])?;
        // What was read before
        sysfs::write("/proc/sys/vm/drop_caches", "1")?;
        ensure!(
            decrypted(BY_VF)? == decrypted(BY_SOFTWARE)?,
            "the VF and software do not decrypt to the same"
        );
        Ok(())
    }

    /// Sectors read and written: the third and the seventh number of its statistics.
    fn requests(&self) -> Result<u64> {
        let text = sysfs::read("/sys/block/dm-0/stat")?;
        let numbers: Vec<&str> = text.split_whitespace().collect();
        let number = |index: usize| -> Result<u64> {
            let number = numbers.get(index);
            let number = number.with_context(|| format!("statistics of dm-0: {text}"))?;
            Ok(number.parse()?)
        };
        Ok(number(2)? + number(6)?)
    }
}
