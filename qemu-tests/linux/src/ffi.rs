// SPDX-License-Identifier: GPL-2.0

//! Memory that a device accesses as well, and the registers of one.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags};

/// A shared mapping: the VM's memory, or a BAR of a device.
///
/// # Invariants
///
/// `pointer` is valid for reads and writes of `length` bytes and page aligned. Only this type's
/// functions access the memory, always by volatile accesses, since a device does so too.
pub struct Mapping {
    pointer: NonNull<u8>,
    length: usize,
}

// SAFETY: All accesses are volatile and need no exclusive access.
unsafe impl Send for Mapping {}
// SAFETY: As above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` bytes of `fd` from `offset`, readable and writable.
    pub fn new(fd: impl AsFd, offset: u64, length: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: The kernel chooses an address that is free, so that no memory in use changes.
        let pointer = unsafe {
            rustix::mm::mmap(
                ptr::null_mut(),
                length,
                protection,
                MapFlags::SHARED,
                fd,
                offset,
            )
        }?;
        let pointer = NonNull::new(pointer.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        // INVARIANT: That is what the kernel just mapped.
        Ok(Mapping { pointer, length })
    }

    /// Memory that a VM can have: `length` bytes, all zero.
    pub fn memory(length: usize) -> io::Result<Self> {
        let file = memfd_create("vm-memory", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, length as u64)?;
        Self::new(&file, 0, length)
    }

    /// Where it lies, for the kernel to map it for a device as well.
    pub fn address(&self) -> u64 {
        self.pointer.as_ptr() as u64
    }

    /// The length in bytes.
    #[allow(clippy::len_without_is_empty, reason = "no mapping is empty")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Where the `T` at `offset` lies; it must be aligned and inside.
    fn at<T>(&self, offset: usize) -> *mut T {
        let end = offset.checked_add(size_of::<T>());
        assert!(
            offset % align_of::<T>() == 0 && end.is_some_and(|end| end <= self.length),
            "access to {offset:#x} of a mapping of {:#x} bytes",
            self.length,
        );
        // SAFETY: The offset was just found to be inside.
        unsafe { self.pointer.as_ptr().add(offset) }.cast()
    }

    /// Reads the byte at `offset`.
    pub fn read8(&self, offset: usize) -> u8 {
        // SAFETY: `at` returns an aligned pointer into the mapping.
        unsafe { self.at::<u8>(offset).read_volatile() }
    }

    /// Reads 2 bytes, little endian, by one access.
    pub fn read16(&self, offset: usize) -> u16 {
        // SAFETY: As in `read8`.
        u16::from_le(unsafe { self.at::<u16>(offset).read_volatile() })
    }

    /// Reads 4 bytes, little endian, by one access.
    pub fn read32(&self, offset: usize) -> u32 {
        // SAFETY: As in `read8`.
        u32::from_le(unsafe { self.at::<u32>(offset).read_volatile() })
    }

    /// Writes the byte at `offset`.
    pub fn write8(&self, offset: usize, value: u8) {
        // SAFETY: As in `read8`.
        unsafe { self.at::<u8>(offset).write_volatile(value) }
    }

    /// Writes 4 bytes, little endian, by one access.
    pub fn write32(&self, offset: usize, value: u32) {
        // SAFETY: As in `read8`.
        unsafe { self.at::<u32>(offset).write_volatile(value.to_le()) }
    }

    /// Writes 8 bytes, little endian, by one access.
    pub fn write64(&self, offset: usize, value: u64) {
        // SAFETY: As in `read8`.
        unsafe { self.at::<u64>(offset).write_volatile(value.to_le()) }
    }

    /// Reads `length` bytes, one by one.
    pub fn read(&self, offset: usize, length: usize) -> Vec<u8> {
        (offset..offset + length).map(|at| self.read8(at)).collect()
    }

    /// Writes bytes, by eight where they are aligned: much of the time of a test is spent here.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let head = offset.next_multiple_of(8) - offset;
        let (head, rest) = bytes.split_at(head.min(bytes.len()));
        let (words, tail) = rest.split_at(rest.len() / 8 * 8);
        for (at, byte) in (offset..).zip(head) {
            self.write8(at, *byte);
        }
        let offset = offset + head.len();
        for (at, word) in (offset..).step_by(8).zip(words.chunks_exact(8)) {
            let word = word.iter().rev();
            self.write64(at, word.fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        let offset = offset + words.len();
        for (at, byte) in (offset..).zip(tail) {
            self.write8(at, *byte);
        }
    }

    /// A sum of the whole content, to see whether anything changed.
    pub fn fingerprint(&self) -> u64 {
        (0..self.length / 4).fold(0xcbf2_9ce4_8422_2325, |sum, word| {
            (sum ^ u64::from(self.read32(word * 4))).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// Writes 16 bytes of registers by one instruction, as the mailbox needs it.
    pub fn write128(&self, offset: usize, low: u64, high: u64) {
        let pointer = self.at::<u128>(offset);
        // SAFETY: As in `read8`; `stp` of two registers is one access of 16 bytes.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            std::arch::asm!(
                "stp {low}, {high}, [{pointer}]",
                low = in(reg) low.to_le(),
                high = in(reg) high.to_le(),
                pointer = in(reg) pointer,
                options(nostack, preserves_flags),
            );
        }
        // There is no such device on another machine; there the crate only runs its unit tests.
        #[cfg(not(target_arch = "aarch64"))]
        {
            let _ = (pointer, low, high);
            panic!("the mailbox needs an arm64 machine");
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: The mapping is this value's own and nothing uses it any more. Should the kernel
        // refuse, the mapping merely stays.
        let _ = unsafe { rustix::mm::munmap(self.pointer.as_ptr().cast(), self.length) };
    }
}

/// All writes to memory before this are seen by the device before any register write after it.
pub fn publish() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: A barrier has no operands.
    unsafe {
        std::arch::asm!("dmb oshst", options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "aarch64"))]
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

/// All reads of memory after this see what the device wrote before what was read before this.
pub fn acquire() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: A barrier has no operands.
    unsafe {
        std::arch::asm!("dmb oshld", options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "aarch64"))]
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

/// `read` into a mapping, which may be of a device.
pub fn read_into(
    fd: impl AsFd,
    memory: &Mapping,
    offset: usize,
    length: usize,
) -> io::Result<usize> {
    let end = offset.checked_add(length);
    assert!(
        end.is_some_and(|end| end <= memory.length),
        "{length} bytes at {offset:#x} in a mapping of {:#x}",
        memory.length,
    );
    // SAFETY: The range was just found to be in the mapping.
    let buffer = unsafe { memory.pointer.as_ptr().add(offset) };
    // SAFETY: The kernel writes at most `length` bytes there, and code that reads the mapping
    // reckons with changes.
    let done = unsafe { libc::read(fd.as_fd().as_raw_fd(), buffer.cast(), length) };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    use super::Mapping;

    #[test]
    fn what_is_written_at_any_offset_is_there_and_nothing_else() {
        let file = memfd_create("test", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, 64).unwrap();
        let mapping = Mapping::new(&file, 0, 64).unwrap();
        let bytes: Vec<u8> = (1..=30).collect();
        for offset in 0..16 {
            for length in 0..bytes.len() {
                mapping.write(0, &[0; 64]);
                mapping.write(offset, &bytes[..length]);
                let mut expected = [0; 64];
                expected[offset..offset + length].copy_from_slice(&bytes[..length]);
                assert_eq!(mapping.read(0, 64), expected);
            }
        }
    }
}
