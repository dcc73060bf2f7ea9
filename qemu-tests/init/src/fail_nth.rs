// SPDX-License-Identifier: GPL-2.0

//! Faults that the kernel makes on demand in one thread: allocations that fail, and accesses to
//! user memory that do (Documentation/fault-injection/fault-injection.rst of the kernel).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use linux::sysfs;

const FAIL_NTH: &str = "/proc/thread-self/fail-nth";

/// Whether this kernel can inject faults: distributions leave that out.
pub(crate) fn is_there() -> bool {
    Path::new(FAIL_NTH).exists()
}
const DEBUGFS: &str = "/sys/kernel/debug";

const SLAB: &str = "failslab";
const PAGES: &str = "fail_page_alloc";
const USER_MEMORY: &str = "fail_usercopy";

/// More faults than anything here can meet.
const NEVER: u64 = 1_000_000;

/// Callers below which a fault can be made, by their addresses.
const ANYBODY: Range<u64> = 0..u64::MAX;
const NOBODY: Range<u64> = 0..0;

/// The faults that can be made in this thread, and which of them is.
pub(crate) struct Faults(File);

impl Faults {
    /// Allocations of the slab allocator fail, whatever code makes them.
    pub(crate) fn of_allocations() -> Result<Self> {
        Self::prepare([(SLAB, ANYBODY), (PAGES, NOBODY), (USER_MEMORY, NOBODY)])
    }

    /// Allocations and accesses to user memory fail that a function of this module makes, or one
    /// that it has called. The kernel looks at the stack for that, where what has ended in a call
    /// of another function is no more.
    pub(crate) fn below(module: &str) -> Result<Self> {
        let callers = addresses(&sysfs::read("/proc/modules")?, module)?;
        Self::prepare([SLAB, PAGES, USER_MEMORY].map(|kind| (kind, callers.clone())))
    }

    /// Nothing fails below this function of this module.
    pub(crate) fn but_not_below(self, module: &str, function: &str) -> Result<Self> {
        let spared = symbol(&sysfs::read("/proc/kallsyms")?, module, function)?;
        for kind in [SLAB, PAGES, USER_MEMORY] {
            let folder = Path::new(DEBUGFS).join(kind);
            sysfs::write(folder.join("reject-start"), &spared.start.to_string())?;
            sysfs::write(folder.join("reject-end"), &spared.end.to_string())?;
        }
        Ok(self)
    }

    fn prepare(kinds: [(&str, Range<u64>); 3]) -> Result<Self> {
        for (kind, callers) in kinds {
            let set = |name: &str, value: &str| {
                let file = Path::new(DEBUGFS).join(kind).join(name);
                // Not all kinds have all files.
                match file.exists() {
                    true => sysfs::write(file, value),
                    false => Ok(()),
                }
            };
            // The report of each fault looks like a crash.
            set("verbose", "0")?;
            // Ordinary allocations wait for memory, and these are the ones to fail.
            set("ignore-gfp-wait", "N")?;
            set("min-order", "0")?;
            set("require-start", &callers.start.to_string())?;
            set("require-end", &callers.end.to_string())?;
        }
        let file = OpenOptions::new().read(true).write(true).open(FAIL_NTH);
        Ok(Faults(
            file.with_context(|| format!("cannot open {FAIL_NTH}"))?,
        ))
    }

    /// Runs `act` with the fault of this number, from 1. What it returned, and how many faults
    /// there would have to be more until that one; 0 if it was made.
    pub(crate) fn nth<T>(&mut self, nth: u64, act: impl FnOnce() -> T) -> Result<(T, u64)> {
        self.0.write_all(nth.to_string().as_bytes())?;
        let result = act();
        let mut left = [0; 16];
        let length = self.0.read_at(&mut left, 0)?;
        self.0.write_all(b"0")?;
        let left = std::str::from_utf8(&left[..length])?.trim();
        let left = left.parse().context("fail-nth is no number")?;
        Ok((result, left))
    }

    /// Runs `act` with no fault. What it returned, and how many there could have been.
    pub(crate) fn count<T>(&mut self, act: impl FnOnce() -> T) -> Result<(T, u64)> {
        let (result, left) = self.nth(NEVER, act)?;
        Ok((result, NEVER - left))
    }
}

/// Where the code of a module is, by what /proc/modules says: the name, the size of all of it,
/// users, who they are, its state, and where the code begins.
fn addresses(modules: &str, name: &str) -> Result<Range<u64>> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let size: u64 = words.next()?.parse().ok()?;
        let start = words.nth(3)?.strip_prefix("0x")?;
        Some((name, size, u64::from_str_radix(start, 16).ok()?))
    };
    let all: Option<Vec<_>> = modules.lines().map(parse).collect();
    let all = all.context("/proc/modules has another format")?;
    let found = all.iter().find(|(known, ..)| known == name);
    let (_, size, start) = found.with_context(|| format!("{name} is not loaded"))?;
    // Its data are elsewhere, so that another module's code can be within its size.
    let next = all.iter().map(|(.., start)| *start);
    let next = next.filter(|next| next > start).min().unwrap_or(u64::MAX);
    Ok(*start..next.min(start + size))
}

/// Where a function of a module is, by what /proc/kallsyms says: an address, the kind, the name and
/// the module of each symbol.
fn symbol(symbols: &str, module: &str, name: &str) -> Result<Range<u64>> {
    let of_module = format!("[{module}]");
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [address, _, name, of] if of == of_module => {
                let address = u64::from_str_radix(address, 16).ok()?;
                Some((address, name.to_owned()))
            }
            _ => None,
        }
    };
    let all: Vec<_> = symbols.lines().filter_map(parse).collect();
    let found = all.iter().find(|(_, known)| known == name);
    let (start, _) = found.with_context(|| format!("{module} has no {name}"))?;
    let next = all.iter().map(|(address, _)| *address);
    let next = next.filter(|next| next > start).min();
    Ok(*start..next.with_context(|| format!("{name} is the last of {module}"))?)
}

#[cfg(test)]
mod tests {
    use super::{addresses, symbol};

    #[test]
    fn function_ends_where_the_next_one_of_its_module_begins() {
        let symbols = "ffff800078a00100 t vfio_create_group\t[vfio]\n\
                       ffff800078a00180 t elsewhere\t[hisi_qm]\n\
                       ffff800078a00300 t vfio_group_alloc\t[vfio]\n\
                       ffff800078a00200 T vfio_device_set_group\t[vfio]\n\
                       ffff800080000000 T _text\n";
        let found = symbol(symbols, "vfio", "vfio_create_group").unwrap();
        assert_eq!(found, 0xffff800078a00100..0xffff800078a00200);
        assert!(symbol(symbols, "vfio", "elsewhere").is_err());
        assert!(symbol(symbols, "vfio", "vfio_group_alloc").is_err());
    }

    #[test]
    fn code_of_a_module_ends_with_its_size_or_where_another_one_begins() {
        let modules = "ours 4096 2 - Live 0xffff800078b00000 (O)\n\
                       vfio 65536 3 ours,vfio_pci_core, Live 0xffff800078a00000\n\
                       other 65536 0 - Live 0xffff800078b00800\n";
        let of = |name| addresses(modules, name).unwrap();
        assert_eq!(of("vfio"), 0xffff800078a00000..0xffff800078a10000);
        assert_eq!(of("ours"), 0xffff800078b00000..0xffff800078b00800);
        assert!(addresses(modules, "hisi_qm").is_err());
        assert!(addresses("vfio 65536\n", "vfio").is_err());
    }
}
