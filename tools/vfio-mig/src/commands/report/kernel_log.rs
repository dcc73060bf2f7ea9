// SPDX-License-Identifier: GPL-2.0

//! The lines of the kernel's log about VFIO, accelerators and the IOMMU.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;

use crate::errno::Errno;
use crate::root::Root;

/// What lines must have.
const RELEVANT: [&str; 6] = ["vfio", "hisi", "smmu", "iommu", "SR-IOV", "AER"];

/// More lines than a log has.
const LIMIT: usize = 100_000;

/// Hexadecimal digits from which on a number can be an address of a guest's memory.
const DIGITS: usize = 6;

/// The lines, or why they cannot be read.
pub(super) fn read(root: &Root, with_guest_addresses: bool) -> String {
    let mut log = match OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(root.path("/dev/kmsg"))
    {
        Ok(log) => log,
        Err(error) => return format!("/dev/kmsg cannot be read: {}\n", Errno::of(&error)),
    };
    let mut lines = String::new();
    let mut record = vec![0; 8192];
    for _ in 0..LIMIT {
        match log.read(&mut record) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&record[..length]);
                if let Some(line) = relevant(&text) {
                    let line = match with_guest_addresses {
                        true => line,
                        false => without_addresses(&line),
                    };
                    lines += &line;
                    lines.push('\n');
                }
            }
            // Records were overwritten meanwhile.
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EPIPE as i32) => {}
            Err(_) => break,
        }
    }
    lines
}

/// The line of a record `<level>,<number>,<microseconds>,<flags>;<text>`, if it matters.
fn relevant(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let text = text.lines().next()?;
    let micros: u64 = head.split(',').nth(2)?.parse().ok()?;
    let matters = RELEVANT.iter().any(|word| text.contains(word));
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    matters.then(|| format!("[{seconds:5}.{rest:06}] {text}"))
}

/// The line with long hexadecimal numbers withheld.
fn without_addresses(line: &str) -> String {
    let mut parts = line.split("0x");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.chars().take_while(char::is_ascii_hexdigit).count();
        shown += match digits > DIGITS {
            true => "0x--",
            false => "0x",
        };
        shown += if digits > DIGITS {
            &part[digits..]
        } else {
            part
        };
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_withheld() {
        let line = "arm-smmu-v3: event 0x10 received: iova 0x00000000fffff000, x";
        let expected = "arm-smmu-v3: event 0x10 received: iova 0x--, x";
        assert_eq!(without_addresses(line), expected);
    }

    #[test]
    fn only_relevant_lines_are_taken() {
        let line = relevant("6,12,1000042,-;vfio: hello\n SUBSYSTEM=x\n");
        assert_eq!(line.as_deref(), Some("[    1.000042] vfio: hello"));
        assert_eq!(relevant("6,12,1000042,-;usb: hello\n"), None);
        assert_eq!(relevant("vfio"), None);
    }
}
