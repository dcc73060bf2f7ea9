// SPDX-License-Identifier: GPL-2.0

//! Checks of limits.

use super::{Line, Subject};
use crate::memory_size;

/// Mappings that type1 allows by default. Each part of the guest's memory takes one.
const DMA_ENTRIES: u64 = 65535;

pub(super) fn lines(subject: &Subject<'_>, memory: Option<u64>, pid: Option<u32>) -> Vec<Line> {
    let mut lines = vec![locked_memory(subject, memory, pid)];
    lines.extend(dma_entries(subject));
    lines
}

/// The soft limit in a line of `/proc/<pid>/limits`; nothing stands for no limit.
fn limit(text: &str) -> Option<Option<u64>> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(None),
        number => Some(Some(number.parse().ok()?)),
    }
}

/// VFIO locks all of the guest's memory.
fn locked_memory(subject: &Subject<'_>, memory: Option<u64>, pid: Option<u32>) -> Line {
    let name = "locked memory";
    let whose = pid.map_or("self".to_owned(), |pid| pid.to_string());
    let text = subject.root.text(&format!("/proc/{whose}/limits"));
    let of = pid.map_or("this program's limit".to_owned(), |pid| {
        format!("limit of {pid}")
    });
    let remedy = "raise it for QEMU: ulimit -l, or LimitMEMLOCK= of its service; libvirt does so";
    let known = text.as_deref().ok().and_then(limit);
    match (known, memory) {
        (None, _) => Line::unknown(
            name,
            format!("/proc/{whose}/limits cannot be read"),
            "give the process of QEMU with --pid, as root",
        ),
        (Some(None), _) => Line::ok(name, format!("{of} is unlimited")),
        (Some(Some(limit)), Some(memory)) if limit < memory => Line::fail(
            name,
            format!(
                "{of} is {}, and the guest has {}",
                memory_size::text(limit),
                memory_size::text(memory)
            ),
            remedy,
        ),
        (Some(Some(limit)), Some(_)) => {
            Line::ok(name, format!("{of} is {}", memory_size::text(limit)))
        }
        (Some(Some(limit)), None) => Line::warning(
            name,
            format!(
                "{of} is {}; all of a guest's memory counts",
                memory_size::text(limit)
            ),
            format!("{remedy}; with --memory and --pid this is exact"),
        ),
    }
}

fn dma_entries(subject: &Subject<'_>) -> Option<Line> {
    let file = "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit";
    let entries = subject.root.number(file)?;
    let name = "DMA mappings";
    Some(match entries {
        0..DMA_ENTRIES => Line::warning(
            name,
            format!("dma_entry_limit is {entries}"),
            "load vfio_iommu_type1 without that parameter",
        ),
        _ => Line::ok(name, format!("up to {entries}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let line = |soft: &str| format!("Max locked memory         {soft}     {soft}     bytes\n");
        assert_eq!(limit(&line("8388608")), Some(Some(8 << 20)));
        assert_eq!(limit(&line("unlimited")), Some(None));
        assert_eq!(limit("Max processes 1 1 processes\n"), None);
    }
}
