// SPDX-License-Identifier: GPL-2.0

//! Callbacks from the VFIO core (`struct vfio_device_ops`).
//!
//! C headers: [`include/linux/vfio.h`](srctree/include/linux/vfio.h),
//! [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

#[cfg(CONFIG_IOMMUFD_DRIVER)]
use super::log_ops::set_log_ops;
use super::{
    core_device::raw_device,
    migration_ops::set_migration_ops,
    Device,
    Operations, //
};
use crate::{
    bindings,
    region::{
        self,
        RegionOffset, //
    }, //
};
use core::{
    alloc::Layout,
    marker::PhantomData,
    mem::offset_of,
    ptr::NonNull, //
};
use kernel::{
    device::{
        self,
        Bound, //
    },
    error::{
        from_err_ptr,
        to_result, //
    },
    page::PAGE_SIZE,
    pci,
    prelude::*,
    sync::aref::ARef, //
};

impl<T: Operations> Device<T> {
    /// Allocates a device for `pdev` with its callbacks, and initialises the driver's data.
    ///
    /// C: `vfio_alloc_device()`
    pub(crate) fn new(pdev: &pci::Device<Bound>) -> Result<ARef<Self>> {
        const_assert!(
            offset_of!(bindings::vfio_pci_core_device, vdev) == 0,
            "the vfio_device must come first"
        );
        const_assert!(
            align_of::<Self>() <= align_of::<u64>(),
            "kvzalloc() promises no more"
        );

        let size = Layout::new::<Self>().pad_to_align().size();
        // SAFETY: `pdev` is a valid, bound device. The operations are static and belong to a
        // `Device<T>`, for which `size` suffices.
        let vdev = from_err_ptr(unsafe {
            bindings::_vfio_alloc_device(size, raw_device(pdev), &VTable::<T>::VTABLE)
        })?;

        let this = NonNull::new(vdev.cast::<Self>()).ok_or(ENOMEM)?;
        // SAFETY: The allocation called `init_callback`, which initialised all fields. It returns
        // one reference, which passes to the `ARef`.
        Ok(unsafe { ARef::from_raw(this) })
    }
}

/// The callbacks from the VFIO core.
///
/// The core calls `init` while the driver probes the function. It calls the callbacks for users
/// only while the device is registered: `vfio_pci_core_unregister_device()` waits for the last
/// user, and `remove` calls it while the function is still bound. Only `release` can be called
/// later.
pub(super) struct VTable<T: Operations>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    pub(super) const VTABLE: bindings::vfio_device_ops = bindings::vfio_device_ops {
        name: kernel::str::as_char_ptr_in_const_context(T::NAME).cast_mut(),
        init: Some(Self::init_callback),
        release: Some(Self::release_callback),
        open_device: Some(Self::open_device_callback),
        close_device: Some(Self::close_device_callback),
        ioctl: Some(Self::ioctl_callback),
        get_region_info_caps: Some(Self::region_info_callback),
        device_feature: Some(bindings::vfio_pci_core_ioctl_feature),
        read: Some(Self::read_callback),
        write: Some(Self::write_callback),
        mmap: Some(Self::mmap_callback),
        request: Some(bindings::vfio_pci_core_request),
        match_: Some(bindings::vfio_pci_core_match),
        match_token_uuid: Some(bindings::vfio_pci_core_match_token_uuid),
        #[cfg(CONFIG_IOMMUFD)]
        bind_iommufd: Some(bindings::vfio_iommufd_physical_bind),
        #[cfg(CONFIG_IOMMUFD)]
        unbind_iommufd: Some(bindings::vfio_iommufd_physical_unbind),
        #[cfg(CONFIG_IOMMUFD)]
        attach_ioas: Some(bindings::vfio_iommufd_physical_attach_ioas),
        #[cfg(CONFIG_IOMMUFD)]
        detach_ioas: Some(bindings::vfio_iommufd_physical_detach_ioas),
        #[cfg(CONFIG_IOMMUFD)]
        pasid_attach_ioas: Some(bindings::vfio_iommufd_physical_pasid_attach_ioas),
        #[cfg(CONFIG_IOMMUFD)]
        pasid_detach_ioas: Some(bindings::vfio_iommufd_physical_pasid_detach_ioas),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `vdev` must start an allocation for a [`Device<T>`] whose `dev` is a PCI device that is
    /// being probed.
    unsafe extern "C" fn init_callback(vdev: *mut bindings::vfio_device) -> c_int {
        let this = vdev.cast::<Device<T>>();

        // SAFETY: By the safety requirements `dev` is a valid, bound device.
        let dev = unsafe { device::Device::<Bound>::from_raw((*vdev).dev) };
        let pdev = match <&pci::Device<Bound>>::try_from(dev) {
            Ok(pdev) => pdev,
            Err(e) => return e.to_errno(),
        };

        // SAFETY: `data` is valid for writes and is not moved afterwards.
        if let Err(e) = unsafe { pin_init::raw_try_init(&raw mut (*this).data, T::init(pdev)) } {
            return e.to_errno();
        }

        // SAFETY: `pdev` is valid for writes.
        unsafe { (&raw mut (*this).pdev).write(pdev.into()) };

        // SAFETY: `data` was just initialised, and there is no other pointer to it.
        if let Some(migration) = unsafe { (*this).data.migration() } {
            // SAFETY: The device is not registered yet, and `migration` belongs to its data.
            unsafe { set_migration_ops::<T>(vdev, migration) };
            #[cfg(CONFIG_IOMMUFD_DRIVER)]
            if migration.dma_logging().is_some() {
                // SAFETY: The device is not registered yet.
                unsafe { set_log_ops::<T>(vdev) };
            }
        }

        // SAFETY: The core's part is valid and zeroed, as its initialisation requires.
        let ret = unsafe { bindings::vfio_pci_core_init_dev(vdev) };
        if ret != 0 {
            // SAFETY: Both fields were initialised above. The allocation fails, so they are not
            // used any more.
            unsafe { Self::drop_fields(this) };
        }
        ret
    }

    /// # Safety
    ///
    /// `this` must point to a [`Device<T>`] whose fields are initialised and not used any more.
    unsafe fn drop_fields(this: *mut Device<T>) {
        // SAFETY: By the safety requirements the fields are initialised and not used any more.
        unsafe {
            core::ptr::drop_in_place(&raw mut (*this).data);
            core::ptr::drop_in_place(&raw mut (*this).pdev);
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in a [`Device<T>`] without references.
    unsafe extern "C" fn release_callback(vdev: *mut bindings::vfio_device) {
        // SAFETY: By the safety requirements there are no references to the device.
        unsafe {
            bindings::vfio_pci_core_release_dev(vdev);
            Self::drop_fields(vdev.cast());
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in a registered [`Device<T>`].
    unsafe extern "C" fn open_device_callback(vdev: *mut bindings::vfio_device) -> c_int {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        // SAFETY: The device is valid, and the core opens it once at a time.
        if let Err(e) = to_result(unsafe { bindings::vfio_pci_core_enable(dev.core.as_ptr()) }) {
            return e.to_errno();
        }
        if let Err(e) = T::open(dev) {
            // SAFETY: The device was enabled above.
            unsafe { bindings::vfio_pci_core_disable(dev.core.as_ptr()) };
            return e.to_errno();
        }
        // SAFETY: The device was enabled above, and it is not used before this returns.
        unsafe {
            dev.exclude_hidden_range();
            bindings::vfio_pci_core_finish_enable(dev.core.as_ptr());
        }
        0
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`].
    unsafe extern "C" fn close_device_callback(vdev: *mut bindings::vfio_device) {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        if let Some(migration) = dev.migration() {
            migration.closed(dev.core());
        }
        // SAFETY: The device is open.
        unsafe { bindings::vfio_pci_core_close_device(vdev) };
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`].
    unsafe extern "C" fn ioctl_callback(
        vdev: *mut bindings::vfio_device,
        cmd: c_uint,
        arg: c_ulong,
    ) -> c_long {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        if cmd == bindings::VFIO_RUST_IOCTL_IOEVENTFD && !dev.hidden_ranges_are_excluded() {
            return EINVAL.to_errno() as c_long;
        }
        // SAFETY: The arguments are those that the core passed.
        unsafe { bindings::vfio_pci_core_ioctl(vdev, cmd, arg) }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`]; `info` and `caps` must be valid, and
    /// `caps` empty.
    unsafe extern "C" fn region_info_callback(
        vdev: *mut bindings::vfio_device,
        info: *mut bindings::vfio_region_info,
        caps: *mut bindings::vfio_info_cap,
    ) -> c_int {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        // SAFETY: The arguments are those that the core passed.
        let ret = unsafe { bindings::vfio_pci_ioctl_get_region_info(vdev, info, caps) };
        if ret != 0 {
            return ret;
        }

        // SAFETY: By the safety requirements `info` is valid, and there is no other pointer to it.
        let info = unsafe { &mut *info };
        if let Some(limit) = T::user_accessible_len(dev, info.index) {
            region::limit_region_info(info, limit);
        }
        if dev.hides_as_msix(info.index) {
            // The core has reported that the MSI-X table can be mapped, but there is none.
            //
            // SAFETY: By the safety requirements `caps` is valid. The core frees the buffer
            // independently of the size.
            unsafe { (*caps).size = 0 };
        }
        0
    }

    /// Returns how many of `count` bytes at `*pos` are accessible to the user.
    ///
    /// # Safety
    ///
    /// `pos` must be valid for a read.
    unsafe fn clip_access(
        dev: &Device<T, Bound>,
        count: usize,
        pos: *const kernel::bindings::loff_t,
    ) -> Result<usize> {
        // SAFETY: By the safety requirements `pos` is valid for a read.
        let pos = RegionOffset::from_file(u64::try_from(unsafe { *pos })?);
        match T::user_accessible_len(dev, pos.index) {
            None => Ok(count),
            Some(limit) => region::clip_len(pos.offset, count, limit),
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`]; `pos` must be valid.
    unsafe extern "C" fn read_callback(
        vdev: *mut bindings::vfio_device,
        buf: *mut c_char,
        count: usize,
        pos: *mut kernel::bindings::loff_t,
    ) -> isize {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        match unsafe { Self::clip_access(Device::<T, Bound>::from_raw(vdev), count, pos) } {
            // SAFETY: The arguments are those that the core passed, except that the length may be
            // smaller.
            Ok(count) => unsafe { bindings::vfio_pci_core_read(vdev, buf, count, pos) },
            Err(e) => e.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`]; `pos` must be valid.
    unsafe extern "C" fn write_callback(
        vdev: *mut bindings::vfio_device,
        buf: *const c_char,
        count: usize,
        pos: *mut kernel::bindings::loff_t,
    ) -> isize {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        match unsafe { Self::clip_access(Device::<T, Bound>::from_raw(vdev), count, pos) } {
            // SAFETY: The arguments are those that the core passed, except that the length may be
            // smaller.
            Ok(count) => unsafe { bindings::vfio_pci_core_write(vdev, buf, count, pos) },
            Err(e) => e.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`]; `vma` must be valid.
    unsafe extern "C" fn mmap_callback(
        vdev: *mut bindings::vfio_device,
        vma: *mut kernel::bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: By the safety requirements; a registered device's function is bound.
        let dev = unsafe { Device::<T, Bound>::from_raw(vdev) };

        // SAFETY: By the safety requirements `vma` is valid. The mapping is being set up and does
        // not change.
        let (start, end, pgoff) = unsafe {
            let range = &(*vma).__bindgen_anon_1.__bindgen_anon_1;
            (range.vm_start, range.vm_end, (*vma).vm_pgoff)
        };
        let pos = RegionOffset::from_file((pgoff as u64).wrapping_mul(PAGE_SIZE as u64));
        if let Some(limit) = T::user_accessible_len(dev, pos.index) {
            if let Err(e) = region::check_range(pos.offset, (end - start) as u64, limit) {
                return e.to_errno();
            }
        }
        // SAFETY: The arguments are those that the core passed.
        unsafe { bindings::vfio_pci_core_mmap(vdev, vma) }
    }
}
