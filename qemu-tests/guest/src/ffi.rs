// SPDX-License-Identifier: GPL-2.0

//! Everything that is `unsafe`: ioctls, shared mappings, register accesses.
//!
//! What this file exports is safe to call: a request is a constant that carries the type the
//! kernel's header gives it, a mapping checks every offset, and whoever starts DMA into a mapping
//! has to hand over a reference count of it.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags};
use vfio_bindings::bindings::vfio::*;

/// `VFIO_TYPE` and `VFIO_BASE` of the kernel's `linux/vfio.h`; iommufd shares the type.
const TYPE: u32 = (b';' as u32) << 8;
const BASE: u32 = 100;

/// An ioctl whose argument is a pointer to a `T`.
pub(crate) struct Request<T> {
    number: u32,
    argument: PhantomData<fn(&mut T)>,
}

impl<T> Request<T> {
    const fn vfio(number: u32) -> Self {
        Request {
            number: TYPE | (BASE + number),
            argument: PhantomData,
        }
    }

    const fn iommufd(number: u32) -> Self {
        Request {
            number: TYPE | number,
            argument: PhantomData,
        }
    }
}

/// `struct iommu_ioas_alloc` of the kernel's `linux/iommufd.h`.
#[repr(C)]
pub(crate) struct IoasAlloc {
    pub(crate) size: u32,
    pub(crate) flags: u32,
    pub(crate) out_ioas_id: u32,
}

/// `struct iommu_ioas_map` of the kernel's `linux/iommufd.h`.
#[repr(C)]
struct IoasMap {
    size: u32,
    flags: u32,
    ioas_id: u32,
    reserved: u32,
    user_va: u64,
    length: u64,
    iova: u64,
}

/// `IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE`.
const IOAS_MAP_FIXED_READ_WRITE: u32 = 7;

pub(crate) const GROUP_GET_STATUS: Request<vfio_group_status> = Request::vfio(3);
pub(crate) const GROUP_SET_CONTAINER: Request<i32> = Request::vfio(4);
const DEVICE_GET_INFO: Request<vfio_device_info> = Request::vfio(7);
const DEVICE_GET_REGION_INFO: Request<vfio_region_info> = Request::vfio(8);
const DEVICE_GET_IRQ_INFO: Request<vfio_irq_info> = Request::vfio(9);
pub(crate) const DEVICE_IOEVENTFD: Request<vfio_device_ioeventfd> = Request::vfio(16);
pub(crate) const DEVICE_BIND_IOMMUFD: Request<vfio_device_bind_iommufd> = Request::vfio(18);
pub(crate) const DEVICE_ATTACH_IOMMUFD_PT: Request<vfio_device_attach_iommufd_pt> =
    Request::vfio(19);
pub(crate) const MIG_GET_PRECOPY_INFO: Request<vfio_precopy_info> = Request::vfio(21);
/// A number no VFIO file knows, with the argument of the one above.
pub(crate) const NO_SUCH_REQUEST: Request<vfio_precopy_info> = Request::vfio(99);
pub(crate) const IOAS_ALLOC: Request<IoasAlloc> = Request::iommufd(0x81);

const DEVICE_FEATURE: u32 = TYPE | (BASE + 17);
const DEVICE_SET_IRQS: u32 = TYPE | (BASE + 10);
const DEVICE_RESET: u32 = TYPE | (BASE + 11);
const CHECK_EXTENSION: u32 = TYPE | (BASE + 1);
const SET_IOMMU: u32 = TYPE | (BASE + 2);
const GROUP_GET_DEVICE_FD: u32 = TYPE | (BASE + 6);
const IOMMU_MAP_DMA: u32 = TYPE | (BASE + 13);
const IOAS_MAP: u32 = TYPE | 0x85;

fn checked(result: libc::c_int) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// # Safety
///
/// `argument` must be what `request` expects: a value, or a pointer to memory that is valid for
/// as many bytes as the kernel reads and writes there.
unsafe fn raw(fd: impl AsFd, request: u32, argument: usize) -> io::Result<i32> {
    // SAFETY: the caller vouches for the argument; the descriptor is borrowed for the call.
    checked(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request as _, argument) })
}

/// Calls an ioctl whose argument is one fixed structure.
pub(crate) fn ioctl<T>(fd: impl AsFd, request: &Request<T>, argument: &mut T) -> io::Result<i32> {
    // SAFETY: `T` is the structure the kernel's header gives for this number (the constants above
    // are the only `Request`s). The kernel touches no more than that structure, whatever it says
    // of its own size: those that can have data appended are private to this file, and set it.
    unsafe { raw(fd, request.number, ptr::from_mut(argument) as usize) }
}

/// `VFIO_DEVICE_GET_INFO`, without capabilities. `argsz` stands in for the right size, if it is
/// smaller.
pub(crate) fn device_info(device: impl AsFd, argsz: Option<u32>) -> io::Result<vfio_device_info> {
    let size = size_of::<vfio_device_info>() as u32;
    let mut info = vfio_device_info {
        argsz: argsz.unwrap_or(size).min(size),
        ..Default::default()
    };
    ioctl(device, &DEVICE_GET_INFO, &mut info)?;
    Ok(info)
}

/// `VFIO_DEVICE_GET_REGION_INFO`, without capabilities. `argsz` stands in for the right size, if it is
/// smaller.
pub(crate) fn region_info(
    device: impl AsFd,
    index: u32,
    argsz: Option<u32>,
) -> io::Result<vfio_region_info> {
    let size = size_of::<vfio_region_info>() as u32;
    let mut info = vfio_region_info {
        argsz: argsz.unwrap_or(size).min(size),
        index,
        ..Default::default()
    };
    ioctl(device, &DEVICE_GET_REGION_INFO, &mut info)?;
    Ok(info)
}

/// `VFIO_DEVICE_GET_IRQ_INFO`. `argsz` stands in for the right size, if it is
/// smaller.
pub(crate) fn irq_info(
    device: impl AsFd,
    index: u32,
    argsz: Option<u32>,
) -> io::Result<vfio_irq_info> {
    let size = size_of::<vfio_irq_info>() as u32;
    let mut info = vfio_irq_info {
        argsz: argsz.unwrap_or(size).min(size),
        index,
        ..Default::default()
    };
    ioctl(device, &DEVICE_GET_IRQ_INFO, &mut info)?;
    Ok(info)
}

/// `VFIO_CHECK_EXTENSION`: 0 or 1.
pub(crate) fn check_extension(container: impl AsFd, extension: u32) -> io::Result<i32> {
    // SAFETY: the argument is a plain number.
    unsafe { raw(container, CHECK_EXTENSION, extension as usize) }
}

/// `VFIO_SET_IOMMU`.
pub(crate) fn set_iommu(container: impl AsFd, kind: u32) -> io::Result<()> {
    // SAFETY: the argument is a plain number.
    unsafe { raw(container, SET_IOMMU, kind as usize) }.map(drop)
}

/// `VFIO_DEVICE_RESET`.
pub(crate) fn device_reset(device: impl AsFd) -> io::Result<()> {
    // SAFETY: the request has no argument.
    unsafe { raw(device, DEVICE_RESET, 0) }.map(drop)
}

/// `VFIO_GROUP_GET_DEVICE_FD`.
pub(crate) fn group_device(group: impl AsFd, name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    // SAFETY: the argument is a zero-terminated string that outlives the call.
    let fd = unsafe { raw(group, GROUP_GET_DEVICE_FD, name.as_ptr() as usize) }?;
    // SAFETY: the kernel just installed this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A feature's payload: plain old data whose every bit pattern is valid.
pub(crate) trait Payload: Copy {}
impl Payload for () {}
impl Payload for [u8; 16] {}
impl Payload for vfio_device_feature_migration {}
impl Payload for vfio_device_feature_mig_state {}
impl Payload for vfio_device_feature_mig_data_size {}

#[repr(C, align(8))]
struct Feature<T> {
    argsz: u32,
    flags: u32,
    data: T,
}

/// `VFIO_DEVICE_FEATURE`. `argsz` stands in for the right size, if it is smaller.
pub(crate) fn device_feature<T: Payload>(
    device: impl AsFd,
    flags: u32,
    argsz: Option<u32>,
    data: &mut T,
) -> io::Result<i32> {
    let size = (8 + size_of::<T>()) as u32;
    let mut feature = Feature {
        argsz: argsz.unwrap_or(size).min(size),
        flags,
        data: *data,
    };
    // SAFETY: the kernel reads and writes at most `argsz` bytes, no more than the structure has.
    let result = unsafe { raw(device, DEVICE_FEATURE, ptr::from_mut(&mut feature) as usize) };
    *data = feature.data;
    result
}

/// Sets `VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE`; returns the data file, if the arc made one.
pub(crate) fn set_mig_state(device: impl AsFd, state: u32) -> io::Result<Option<File>> {
    let mut data = vfio_device_feature_mig_state {
        device_state: state,
        data_fd: -1,
    };
    let flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
    device_feature(device, flags, None, &mut data)?;
    // SAFETY: the kernel just installed this descriptor and nobody else knows it.
    Ok((data.data_fd >= 0).then(|| unsafe { File::from_raw_fd(data.data_fd) }))
}

/// `VFIO_DEVICE_SET_IRQS` with one eventfd for each vector from 0; without any, all are disabled.
pub(crate) fn set_irqs(device: impl AsFd, index: u32, vectors: &[OwnedFd]) -> io::Result<()> {
    let data = if vectors.is_empty() {
        VFIO_IRQ_SET_DATA_NONE
    } else {
        VFIO_IRQ_SET_DATA_EVENTFD
    };
    let mut words = vec![
        (20 + 4 * vectors.len()) as u32,
        data | VFIO_IRQ_SET_ACTION_TRIGGER,
        index,
        0,
        vectors.len() as u32,
    ];
    words.extend(vectors.iter().map(|fd| fd.as_raw_fd() as u32));
    // SAFETY: the words are a `struct vfio_irq_set` with `count` descriptors behind it, and
    // `argsz` is their size.
    unsafe { raw(device, DEVICE_SET_IRQS, words.as_mut_ptr() as usize) }.map(drop)
}

/// `VFIO_IOMMU_MAP_DMA`: the whole of `memory` at `iova`. The caller keeps `memory` for as long as
/// the container lives; taking an `Arc` makes that hard to forget.
pub(crate) fn map_dma(container: impl AsFd, memory: &Arc<Mapping>, iova: u64) -> io::Result<()> {
    let mut map = vfio_iommu_type1_dma_map {
        argsz: size_of::<vfio_iommu_type1_dma_map>() as u32,
        flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        vaddr: memory.pointer.as_ptr() as u64,
        iova,
        size: memory.length as u64,
    };
    // SAFETY: the structure is the request's own, and the addresses in it are a live mapping that
    // is only ever accessed as memory that changes under the program's feet.
    unsafe { raw(container, IOMMU_MAP_DMA, ptr::from_mut(&mut map) as usize) }.map(drop)
}

/// `IOMMU_IOAS_MAP`, otherwise as [`map_dma`].
pub(crate) fn ioas_map(
    iommufd: impl AsFd,
    ioas: u32,
    memory: &Arc<Mapping>,
    iova: u64,
) -> io::Result<()> {
    let mut map = IoasMap {
        size: size_of::<IoasMap>() as u32,
        flags: IOAS_MAP_FIXED_READ_WRITE,
        ioas_id: ioas,
        reserved: 0,
        user_va: memory.pointer.as_ptr() as u64,
        length: memory.length as u64,
        iova,
    };
    // SAFETY: as in `map_dma`.
    unsafe { raw(iommufd, IOAS_MAP, ptr::from_mut(&mut map) as usize) }.map(drop)
}

/// An address that no process has mapped.
const NOWHERE: usize = 8;

/// `read` into an address that is not mapped.
pub(crate) fn read_to_nowhere(fd: impl AsFd, length: usize) -> io::Result<usize> {
    // SAFETY: nothing is ever mapped at this address (the kernel keeps the first pages free), so
    // the kernel can only refuse the copy.
    let done = unsafe { libc::read(fd.as_fd().as_raw_fd(), NOWHERE as *mut c_void, length) };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

/// `write` from an address that is not mapped.
pub(crate) fn write_from_nowhere(fd: impl AsFd, length: usize) -> io::Result<usize> {
    // SAFETY: as in `read_to_nowhere`.
    let done = unsafe { libc::write(fd.as_fd().as_raw_fd(), NOWHERE as *const c_void, length) };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

/// `read` into a mapping, which may be of a device.
pub(crate) fn read_into(
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
    // SAFETY: the range was just found to be in the mapping.
    let buffer = unsafe { memory.pointer.as_ptr().add(offset) };
    // SAFETY: the kernel writes at most `length` bytes there, and whoever reads the mapping
    // reckons with changes.
    let done = unsafe { libc::read(fd.as_fd().as_raw_fd(), buffer.cast(), length) };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

/// A shared mapping: the VM's memory, or a BAR of a device.
///
/// # Invariants
///
/// `pointer` is valid for reads and writes of `length` bytes and page aligned. Only this type's
/// functions access the memory, always by volatile accesses, since a device does so too.
pub(crate) struct Mapping {
    pointer: NonNull<u8>,
    length: usize,
}

// SAFETY: all accesses are volatile and need no exclusive access.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` bytes of `fd` from `offset`, readable and writable.
    pub(crate) fn new(fd: impl AsFd, offset: u64, length: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses an address that is free, so that no memory in use changes.
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
        // INVARIANT: that is what the kernel just mapped.
        Ok(Mapping { pointer, length })
    }

    /// Memory that a VM can have: `length` bytes, all zero.
    pub(crate) fn memory(length: usize) -> io::Result<Self> {
        let file = memfd_create("vm-memory", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, length as u64)?;
        Self::new(&file, 0, length)
    }

    pub(crate) fn len(&self) -> usize {
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
        // SAFETY: the offset was just found to be inside.
        unsafe { self.pointer.as_ptr().add(offset) }.cast()
    }

    pub(crate) fn read8(&self, offset: usize) -> u8 {
        // SAFETY: `at` returns an aligned pointer into the mapping.
        unsafe { self.at::<u8>(offset).read_volatile() }
    }

    pub(crate) fn read16(&self, offset: usize) -> u16 {
        // SAFETY: as in `read8`.
        u16::from_le(unsafe { self.at::<u16>(offset).read_volatile() })
    }

    pub(crate) fn read32(&self, offset: usize) -> u32 {
        // SAFETY: as in `read8`.
        u32::from_le(unsafe { self.at::<u32>(offset).read_volatile() })
    }

    pub(crate) fn write8(&self, offset: usize, value: u8) {
        // SAFETY: as in `read8`.
        unsafe { self.at::<u8>(offset).write_volatile(value) }
    }

    pub(crate) fn write32(&self, offset: usize, value: u32) {
        // SAFETY: as in `read8`.
        unsafe { self.at::<u32>(offset).write_volatile(value.to_le()) }
    }

    pub(crate) fn write64(&self, offset: usize, value: u64) {
        // SAFETY: as in `read8`.
        unsafe { self.at::<u64>(offset).write_volatile(value.to_le()) }
    }

    pub(crate) fn read(&self, offset: usize, length: usize) -> Vec<u8> {
        (offset..offset + length).map(|at| self.read8(at)).collect()
    }

    /// Writes bytes, by eight where they are aligned: much of the time of a test is spent here.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
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
    pub(crate) fn fingerprint(&self) -> u64 {
        (0..self.length / 4).fold(0xcbf2_9ce4_8422_2325, |sum, word| {
            (sum ^ u64::from(self.read32(word * 4))).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// Writes 16 bytes of registers by one instruction, as the mailbox needs it.
    pub(crate) fn write128(&self, offset: usize, low: u64, high: u64) {
        let pointer = self.at::<u128>(offset);
        // SAFETY: as in `read8`; `stp` of two registers is one access of 16 bytes.
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
        // SAFETY: the mapping is this value's own and nothing uses it any more. Should the kernel
        // refuse, the mapping merely stays.
        let _ = unsafe { rustix::mm::munmap(self.pointer.as_ptr().cast(), self.length) };
    }
}

/// All writes to memory before this are seen by the device before any register write after it.
pub(crate) fn publish() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier has no operands.
    unsafe {
        std::arch::asm!("dmb oshst", options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "aarch64"))]
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

/// All reads of memory after this see what the device wrote before what was read before this.
pub(crate) fn acquire() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier has no operands.
    unsafe {
        std::arch::asm!("dmb oshld", options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "aarch64"))]
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
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
