// SPDX-License-Identifier: GPL-2.0

//! The ioctls of VFIO and iommufd.
//!
//! What is exported is safe to call: a request is a constant that carries the type the
//! kernel's header gives it, and code that starts DMA into a mapping has to hand over a reference
//! count of it.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;

use linux::ffi::Mapping;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use vfio_bindings::bindings::vfio::*;

/// `VFIO_TYPE` and `VFIO_BASE` of the kernel's `linux/vfio.h`; iommufd shares the type.
const TYPE: u32 = (b';' as u32) << 8;
const BASE: u32 = 100;

/// An ioctl whose argument is a pointer to a `T`.
pub struct Request<T> {
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

/// `struct iommu_hwpt_alloc` of the kernel's `linux/iommufd.h`.
#[repr(C)]
#[derive(Default)]
struct HwptAlloc {
    size: u32,
    flags: u32,
    dev_id: u32,
    pt_id: u32,
    out_hwpt_id: u32,
    reserved: u32,
    data_type: u32,
    data_len: u32,
    data_uptr: u64,
    fault_id: u32,
    reserved2: u32,
}

/// `IOMMU_HWPT_ALLOC_DIRTY_TRACKING`.
const HWPT_ALLOC_DIRTY_TRACKING: u32 = 1 << 1;

/// `struct iommu_hw_info` of the kernel's `linux/iommufd.h`.
#[repr(C)]
#[derive(Default)]
struct HwInfo {
    size: u32,
    flags: u32,
    dev_id: u32,
    data_len: u32,
    data_uptr: u64,
    out_data_type: u32,
    out_max_pasid_log2: u8,
    reserved: [u8; 3],
    out_capabilities: u64,
}

/// `IOMMU_HW_CAP_DIRTY_TRACKING`.
const HW_CAP_DIRTY_TRACKING: u64 = 1 << 0;

/// `struct iommu_hwpt_set_dirty_tracking` of the kernel's `linux/iommufd.h`.
#[repr(C)]
#[derive(Default)]
struct HwptSetDirtyTracking {
    size: u32,
    flags: u32,
    hwpt_id: u32,
    reserved: u32,
}

/// `struct iommu_hwpt_get_dirty_bitmap` of the kernel's `linux/iommufd.h`.
#[repr(C)]
struct HwptGetDirtyBitmap {
    size: u32,
    hwpt_id: u32,
    flags: u32,
    reserved: u32,
    iova: u64,
    length: u64,
    page_size: u64,
    data: u64,
}

/// `IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE`.
const IOAS_MAP_FIXED_READ_WRITE: u32 = 7;

pub(crate) const GROUP_GET_STATUS: Request<vfio_group_status> = Request::vfio(3);
pub(crate) const GROUP_SET_CONTAINER: Request<i32> = Request::vfio(4);
/// Bytes that are mapped for a request.
const PAGE: usize = 4096;

const DEVICE_GET_INFO: Request<vfio_device_info> = Request::vfio(7);
const DEVICE_GET_REGION_INFO: Request<vfio_region_info> = Request::vfio(8);
const DEVICE_GET_IRQ_INFO: Request<vfio_irq_info> = Request::vfio(9);
const DEVICE_PCI_HOT_RESET: Request<vfio_pci_hot_reset> = Request::vfio(13);
pub(crate) const DEVICE_IOEVENTFD: Request<vfio_device_ioeventfd> = Request::vfio(16);
pub(crate) const DEVICE_BIND_IOMMUFD: Request<vfio_device_bind_iommufd> = Request::vfio(18);
/// `VFIO_DEVICE_ATTACH_IOMMUFD_PT`.
pub const DEVICE_ATTACH_IOMMUFD_PT: Request<vfio_device_attach_iommufd_pt> = Request::vfio(19);
pub(crate) const MIG_GET_PRECOPY_INFO: Request<vfio_precopy_info> = Request::vfio(21);
/// A number no VFIO file knows, with the argument of the one above.
pub(crate) const NO_SUCH_REQUEST: Request<vfio_precopy_info> = Request::vfio(99);
pub(crate) const IOAS_ALLOC: Request<IoasAlloc> = Request::iommufd(0x81);
const HWPT_ALLOC: Request<HwptAlloc> = Request::iommufd(0x89);
const GET_HW_INFO: Request<HwInfo> = Request::iommufd(0x8a);
const HWPT_SET_DIRTY_TRACKING: Request<HwptSetDirtyTracking> = Request::iommufd(0x8b);

const DEVICE_FEATURE: u32 = TYPE | (BASE + 17);
const DEVICE_SET_IRQS: u32 = TYPE | (BASE + 10);
const DEVICE_RESET: u32 = TYPE | (BASE + 11);
const CHECK_EXTENSION: u32 = TYPE | (BASE + 1);
const SET_IOMMU: u32 = TYPE | (BASE + 2);
const GROUP_GET_DEVICE_FD: u32 = TYPE | (BASE + 6);
const IOMMU_MAP_DMA: u32 = TYPE | (BASE + 13);
const IOAS_MAP: u32 = TYPE | 0x85;
const HWPT_GET_DIRTY_BITMAP: u32 = TYPE | 0x8c;

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
    // SAFETY: The caller vouches for the argument; the descriptor is borrowed for the call.
    checked(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request as _, argument) })
}

/// Calls an ioctl whose argument is one fixed structure.
pub fn ioctl<T>(fd: impl AsFd, request: &Request<T>, argument: &mut T) -> io::Result<i32> {
    // SAFETY: `T` is the structure the kernel's header gives for this number (the constants above
    // are the only `Request`s). The kernel touches no more than that structure, whatever it says
    // of its own size: those that can have data appended are private to this file, and set it.
    unsafe { raw(fd, request.number, ptr::from_mut(argument) as usize) }
}

/// `VFIO_DEVICE_GET_INFO`, without capabilities. `argsz` stands in for the right size, if it is
/// smaller.
pub fn device_info(device: impl AsFd, argsz: Option<u32>) -> io::Result<vfio_device_info> {
    let size = size_of::<vfio_device_info>() as u32;
    let mut info = vfio_device_info {
        argsz: argsz.unwrap_or(size).min(size),
        ..Default::default()
    };
    ioctl(device, &DEVICE_GET_INFO, &mut info)?;
    Ok(info)
}

/// `VFIO_DEVICE_GET_REGION_INFO`, without capabilities. `argsz` stands in for the right size, if it
/// is smaller.
pub fn region_info(
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
pub fn irq_info(device: impl AsFd, index: u32, argsz: Option<u32>) -> io::Result<vfio_irq_info> {
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
    // SAFETY: The argument is a plain number.
    unsafe { raw(container, CHECK_EXTENSION, extension as usize) }
}

/// `VFIO_SET_IOMMU`.
pub(crate) fn set_iommu(container: impl AsFd, kind: u32) -> io::Result<()> {
    // SAFETY: The argument is a plain number.
    unsafe { raw(container, SET_IOMMU, kind as usize) }.map(drop)
}

/// `VFIO_DEVICE_RESET`.
pub(crate) fn device_reset(device: impl AsFd) -> io::Result<()> {
    // SAFETY: The request has no argument.
    unsafe { raw(device, DEVICE_RESET, 0) }.map(drop)
}

/// `VFIO_DEVICE_PCI_HOT_RESET`, for a device that is bound to an iommufd, which tells what is its
/// user's.
pub(crate) fn hot_reset(device: impl AsFd) -> io::Result<()> {
    let mut reset = vfio_pci_hot_reset {
        argsz: size_of::<vfio_pci_hot_reset>() as u32,
        ..Default::default()
    };
    ioctl(device, &DEVICE_PCI_HOT_RESET, &mut reset).map(drop)
}

/// `VFIO_GROUP_GET_DEVICE_FD`.
pub(crate) fn group_device(group: impl AsFd, name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    // SAFETY: The argument is a zero-terminated string that outlives the call.
    let fd = unsafe { raw(group, GROUP_GET_DEVICE_FD, name.as_ptr() as usize) }?;
    // SAFETY: The kernel just installed this descriptor and nothing else uses it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A feature's payload.
///
/// # Safety
///
/// It is plain old data whose every bit pattern is valid.
pub unsafe trait Payload: Copy {}
// SAFETY: It has no bits.
unsafe impl Payload for () {}
// SAFETY: Bytes have any value.
unsafe impl Payload for [u8; 16] {}
// SAFETY: It consists of integers.
unsafe impl Payload for vfio_device_feature_migration {}
// SAFETY: As above.
unsafe impl Payload for vfio_device_feature_mig_state {}
// SAFETY: As above.
unsafe impl Payload for vfio_device_feature_mig_data_size {}

#[repr(C, align(8))]
struct Feature<T> {
    argsz: u32,
    flags: u32,
    data: T,
}

/// `VFIO_DEVICE_FEATURE`. `argsz` stands in for the right size, if it is smaller.
pub fn device_feature<T: Payload>(
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
    // SAFETY: The kernel reads and writes at most `argsz` bytes, no more than the structure has.
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
    // SAFETY: The kernel just installed this descriptor and nothing else uses it.
    Ok((data.data_fd >= 0).then(|| unsafe { File::from_raw_fd(data.data_fd) }))
}

/// Like [`set_mig_state`], but the request is in memory that can only be read, so that the kernel
/// cannot write the answer.
pub(crate) fn set_mig_state_unanswerable(device: impl AsFd, state: u32) -> io::Result<()> {
    type Request = Feature<vfio_device_feature_mig_state>;
    let request = Request {
        argsz: size_of::<Request>() as u32,
        flags: VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
        data: vfio_device_feature_mig_state {
            device_state: state,
            data_fd: -1,
        },
    };
    let writable = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: The kernel chooses an address that is free.
    let page = unsafe { mmap_anonymous(ptr::null_mut(), PAGE, writable, MapFlags::PRIVATE) }?;
    // SAFETY: The mapping is writable, aligned and large enough, and nothing else uses it.
    unsafe { page.cast::<Request>().write(request) };
    // SAFETY: Nothing writes to the mapping any more.
    unsafe { mprotect(page, PAGE, MprotectFlags::READ) }?;
    // SAFETY: The kernel reads the request, and does not write where it must not.
    let result = unsafe { raw(device, DEVICE_FEATURE, page as usize) };
    // SAFETY: Nothing uses the mapping any more.
    unsafe { munmap(page, PAGE) }?;
    result.map(drop)
}

/// A payload with a pointer, which only the functions of this file can set.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct WithPointer<T>(T);

// SAFETY: It consists of integers.
unsafe impl Payload for WithPointer<vfio_device_feature_dma_logging_control> {}
// SAFETY: As above.
unsafe impl Payload for WithPointer<vfio_device_feature_dma_logging_report> {}

/// `VFIO_DEVICE_FEATURE_DMA_LOGGING_START`.
pub(crate) fn start_dma_logging(
    device: impl AsFd,
    ranges: &[vfio_device_feature_dma_logging_range],
    page_size: u64,
) -> io::Result<u64> {
    let mut data = WithPointer(vfio_device_feature_dma_logging_control {
        page_size,
        num_ranges: ranges.len() as u32,
        __reserved: 0,
        ranges: ranges.as_ptr() as u64,
    });
    let flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START;
    // The kernel reads as many ranges as there are.
    device_feature(device, flags, None, &mut data)?;
    Ok(data.0.page_size)
}

/// `VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP`.
pub(crate) fn stop_dma_logging(device: impl AsFd) -> io::Result<()> {
    let flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP;
    device_feature(device, flags, None, &mut ()).map(drop)
}

/// `VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT`: the words of the bitmap, with a bit for each page.
pub(crate) fn dma_logging_report(
    device: impl AsFd,
    iova: u64,
    length: u64,
    page_size: u64,
) -> io::Result<Vec<u64>> {
    // With one word more than there are pages, in case that the kernel takes a smaller page size.
    let smallest = page_size.max(4096);
    let mut words = vec![0; (length / smallest / 64 + 2) as usize];
    let mut data = WithPointer(vfio_device_feature_dma_logging_report {
        iova,
        length,
        page_size,
        bitmap: words.as_mut_ptr() as u64,
    });
    let flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT;
    // The kernel refuses pages of less than 4096 bytes, and sets a bit for each page of the range.
    device_feature(device, flags, None, &mut data)?;
    Ok(words)
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
    // SAFETY: The words are a `struct vfio_irq_set` with `count` descriptors behind it, and
    // `argsz` is their size.
    unsafe { raw(device, DEVICE_SET_IRQS, words.as_mut_ptr() as usize) }.map(drop)
}

/// `VFIO_IOMMU_MAP_DMA`: the whole of `memory` at `iova`. The caller keeps `memory` for as long as
/// the container lives; taking an `Arc` makes that hard to forget.
pub(crate) fn map_dma(container: impl AsFd, memory: &Arc<Mapping>, iova: u64) -> io::Result<()> {
    let mut map = vfio_iommu_type1_dma_map {
        argsz: size_of::<vfio_iommu_type1_dma_map>() as u32,
        flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        vaddr: memory.address(),
        iova,
        size: memory.len() as u64,
    };
    // SAFETY: The structure is the request's own, and the addresses in it are a live mapping that
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
        user_va: memory.address(),
        length: memory.len() as u64,
        iova,
    };
    // SAFETY: As in `map_dma`.
    unsafe { raw(iommufd, IOAS_MAP, ptr::from_mut(&mut map) as usize) }.map(drop)
}

/// `IOMMU_GET_HW_INFO`: whether the IOMMU of a device tracks what devices write.
pub(crate) fn can_track(iommufd: impl AsFd, device: u32) -> io::Result<bool> {
    // Without a buffer, the kernel fills in what is in the structure.
    let mut info = HwInfo {
        size: size_of::<HwInfo>() as u32,
        dev_id: device,
        ..Default::default()
    };
    ioctl(iommufd, &GET_HW_INFO, &mut info)?;
    Ok(info.out_capabilities & HW_CAP_DIRTY_TRACKING != 0)
}

/// `IOMMU_HWPT_ALLOC`: a table with the mappings of an IOAS, for devices behind the IOMMU of
/// `device`, in which the IOMMU tracks what they write.
pub(crate) fn tracking_table(iommufd: impl AsFd, device: u32, ioas: u32) -> io::Result<u32> {
    let mut alloc = HwptAlloc {
        size: size_of::<HwptAlloc>() as u32,
        flags: HWPT_ALLOC_DIRTY_TRACKING,
        dev_id: device,
        pt_id: ioas,
        ..Default::default()
    };
    ioctl(iommufd, &HWPT_ALLOC, &mut alloc)?;
    Ok(alloc.out_hwpt_id)
}

/// `IOMMU_HWPT_SET_DIRTY_TRACKING`.
pub(crate) fn track(iommufd: impl AsFd, table: u32, on: bool) -> io::Result<()> {
    let mut set = HwptSetDirtyTracking {
        size: size_of::<HwptSetDirtyTracking>() as u32,
        flags: on.into(),
        hwpt_id: table,
        ..Default::default()
    };
    ioctl(iommufd, &HWPT_SET_DIRTY_TRACKING, &mut set).map(drop)
}

/// `IOMMU_HWPT_GET_DIRTY_BITMAP`: a bit for each page of `page_size` in `length` bytes from `iova`.
pub(crate) fn dirty_bitmap(
    iommufd: impl AsFd,
    table: u32,
    iova: u64,
    length: u64,
    page_size: u64,
) -> io::Result<Vec<u64>> {
    let mut bitmap = vec![0u64; length.div_ceil(page_size).div_ceil(64) as usize];
    let mut get = HwptGetDirtyBitmap {
        size: size_of::<HwptGetDirtyBitmap>() as u32,
        hwpt_id: table,
        flags: 0,
        reserved: 0,
        iova,
        length,
        page_size,
        data: bitmap.as_mut_ptr() as u64,
    };
    // SAFETY: The structure is the request's own, and the bitmap has a bit for each page.
    unsafe {
        raw(
            iommufd,
            HWPT_GET_DIRTY_BITMAP,
            ptr::from_mut(&mut get) as usize,
        )
    }?;
    Ok(bitmap)
}

/// An address that no process has mapped.
const NOWHERE: usize = 8;

/// `read` into an address that is not mapped.
pub fn read_to_nowhere(fd: impl AsFd, length: usize) -> io::Result<usize> {
    // SAFETY: Nothing is ever mapped at this address (the kernel keeps the first pages free), so
    // the kernel can only refuse the copy.
    let done = unsafe { libc::read(fd.as_fd().as_raw_fd(), NOWHERE as *mut c_void, length) };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

/// `write` from an address that is not mapped.
pub fn write_from_nowhere(fd: impl AsFd, length: usize) -> io::Result<usize> {
    // SAFETY: As in `read_to_nowhere`.
    let done = unsafe { libc::write(fd.as_fd().as_raw_fd(), NOWHERE as *const c_void, length) };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}
