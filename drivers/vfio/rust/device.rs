// SPDX-License-Identifier: GPL-2.0

//! A VFIO PCI device of a variant driver: allocation, callbacks, and the part of a region that
//! the user may reach.
//!
//! C headers: `include/linux/vfio.h`, `include/linux/vfio_pci_core.h`

use crate::{
    bindings,
    migration::{
        self,
        Migration, //
    },
    pci::IdTable,
    region::{
        self,
        Position, //
    }, //
};
use core::{
    alloc::Layout,
    marker::PhantomData,
    mem::offset_of,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    device,
    error::{
        from_err_ptr,
        to_result, //
    },
    page::PAGE_SIZE,
    pci,
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

/// Number of regions that are BARs; their indices are below it.
const BARS: u32 = 6;

/// What the core has as the BAR of the MSI-X table of a device without MSI-X.
const NO_MSIX_BAR: u8 = 0xff;

/// What a variant driver does differently from vfio-pci.
///
/// The implementing type is the driver's data of one device. Every callback may sleep.
pub trait Operations: Sized + Send + Sync + 'static {
    /// Name of the driver towards userspace.
    const NAME: &'static CStr;

    /// The devices it can be bound to.
    const ID_TABLE: IdTable;

    /// Makes the driver's data for `pdev`, while it is being probed.
    fn init(pdev: &pci::Device<device::Bound>) -> impl PinInit<Self, Error>;

    /// The migration of this device, if it can migrate. The answer must not change after `init`.
    fn migration(&self) -> Option<&dyn Migration> {
        None
    }

    /// The device's first user came. vfio-pci-core has enabled and reset it.
    fn open(_dev: &Device<Self>) -> Result {
        Ok(())
    }

    /// The device's last user went. vfio-pci-core disables it afterwards.
    fn close(_dev: &Device<Self>) {}

    /// Bytes of region `index` that the user may reach, or `None` for all of them.
    ///
    /// The answer must not change while the device is open. It holds for region information, read,
    /// write, mmap and ioeventfds.
    fn visible(_dev: &Device<Self>, _index: u32) -> Option<u64> {
        None
    }

    /// The device is registered, its folder in debugfs exists.
    fn registered(_dev: &ARef<Device<Self>>) {}

    /// The device is about to be unregistered and its folder in debugfs to be removed.
    fn unregistering(_dev: &Device<Self>) {}

    /// The function is about to be reset. The device lock is held, and the core's memory lock
    /// can be: what a page fault on the device's memory waits for must not be waited for here.
    /// The device's [`Migration`] is told without the driver's doing.
    fn reset_prepare(_dev: &Device<Self>) {}

    /// The function has been reset; the locks are those of [`Operations::reset_prepare`].
    fn reset_done(_dev: &Device<Self>) {}
}

/// The core's part of a device, whatever the driver.
///
/// # Invariants
///
/// Outside of unit tests, it is the first field of a [`Device`], which has been initialised and
/// keeps the PCI function.
#[repr(transparent)]
pub struct Core(Opaque<bindings::vfio_pci_core_device>);

impl Core {
    pub(crate) fn as_ptr(&self) -> *mut bindings::vfio_pci_core_device {
        self.0.get()
    }

    pub(crate) fn vdev(&self) -> *mut bindings::vfio_device {
        self.0.get().cast()
    }

    /// The PCI function behind the device.
    pub fn pdev(&self) -> &pci::Device {
        // SAFETY: by the type invariants the pointer is set and its target kept; `pci::Device` is
        // a transparent wrapper.
        unsafe { &*(*self.as_ptr()).pdev.cast() }
    }

    /// Keeps the function out of runtime suspend, or returns `None` if it sleeps.
    pub fn awake(&self) -> Option<Awake<'_>> {
        // SAFETY: `pdev` is a valid device.
        match unsafe { bindings::vfio_rust_helper_pm_get_if_active(raw_device(self.pdev())) } {
            0 => None,
            held => Some(Awake {
                pdev: self.pdev(),
                held: held > 0,
            }),
        }
    }

    /// Has the function's memory answer, also where the user has turned it off; a VF's always does.
    ///
    /// A page fault on the device's memory and a reset wait until this is dropped, so it is for a
    /// few accesses, and a second one by the same thread would wait for ever.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the user has put the function to sleep (D3hot).
    pub fn memory(&self) -> Result<Memory<'_>> {
        let mut command = 0;
        // SAFETY: the device is valid, and so is `command` for a write.
        to_result(unsafe { bindings::vfio_rust_helper_memory_lock(self.as_ptr(), &mut command) })?;
        Ok(Memory {
            core: self,
            command,
            _not_send: NotThreadSafe,
        })
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl Core {
    /// For unit tests: a part that offers `features` and has no PCI function. Only the way from
    /// one state to another can be asked for.
    pub(crate) fn bare(features: migration::Features) -> Result<KBox<Self>> {
        let core = KBox::init(
            pin_init::init_zeroed::<bindings::vfio_pci_core_device>(),
            GFP_KERNEL,
        )?;
        let core = KBox::into_raw(core);
        // SAFETY: the box is valid, and `Core` a transparent wrapper of what is in it.
        unsafe {
            (*core).vdev.migration_flags = features.bits();
            Ok(KBox::from_raw(core.cast()))
        }
    }
}

/// The function's memory answers while this exists, see [`Core::memory`].
pub struct Memory<'a> {
    core: &'a Core,
    command: u16,
    _not_send: NotThreadSafe,
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        // SAFETY: the device is valid, and this thread took the lock in `Core::memory`.
        unsafe { bindings::vfio_rust_helper_memory_unlock(self.core.as_ptr(), self.command) };
    }
}

/// A VFIO PCI device with the driver's data `T`.
///
/// # Invariants
///
/// - `core` is at offset 0 and its `struct vfio_device` is at offset 0 in turn, so that pointers
///   to the three are one.
/// - A reference to a [`Device`] exists only after `init` has initialised all fields, and while
///   somebody holds a reference count of the `struct vfio_device`.
#[repr(C)]
pub struct Device<T: Operations> {
    core: Core,
    pdev: ARef<pci::Device>,
    data: T,
}

// SAFETY: the C part takes its own locks, the rest is `Send`.
unsafe impl<T: Operations> Send for Device<T> {}
// SAFETY: the C part takes its own locks, the rest is `Sync`.
unsafe impl<T: Operations> Sync for Device<T> {}

impl<T: Operations> Device<T> {
    /// Allocates a device for `pdev`, with its callbacks, and initialises the driver's data.
    ///
    /// C: `vfio_alloc_device()`
    pub(crate) fn new(pdev: &pci::Device<device::Bound>) -> Result<ARef<Self>> {
        const_assert!(
            offset_of!(bindings::vfio_pci_core_device, vdev) == 0,
            "the vfio_device must come first"
        );
        const_assert!(
            align_of::<Self>() <= align_of::<u64>(),
            "kvzalloc() promises no more"
        );

        let size = Layout::new::<Self>().pad_to_align().size();
        // SAFETY: `pdev` is a valid, bound device; the operations are static and fit a
        // `Device<T>`, for which `size` suffices.
        let vdev = from_err_ptr(unsafe {
            bindings::_vfio_alloc_device(size, raw_device(pdev), &VTable::<T>::VTABLE)
        })?;

        let this = NonNull::new(vdev.cast::<Self>()).ok_or(ENOMEM)?;
        // SAFETY: the allocation called `init`, which initialised everything, and it comes with
        // one reference, which passes to the `ARef`.
        Ok(unsafe { ARef::from_raw(this) })
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an initialised [`Device<T>`] that lives for `'a`.
    pub(crate) unsafe fn from_raw<'a>(vdev: *mut bindings::vfio_device) -> &'a Self {
        // SAFETY: by the safety requirements and the type invariants.
        unsafe { &*vdev.cast() }
    }

    /// The core's part.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The PCI function behind the device.
    pub fn pdev(&self) -> &pci::Device {
        &self.pdev
    }
}

/// Tails of BARs that the user may not reach.
///
/// The core reads the arguments of `VFIO_DEVICE_IOEVENTFD` from user memory, after any check that
/// could be made here, so it must do the check itself. There is one range per device that it does
/// keep ioeventfds, reads and writes from: that of the MSI-X table. A device without MSI-X lends
/// it to the tail that it hides.
impl<T: Operations> Device<T> {
    /// The BAR and the bytes of it that the user may reach, if region `index` hides a tail.
    fn tail(&self, index: u32) -> Option<(usize, u64)> {
        let limit = T::visible(self, index).filter(|_| index < BARS)?;
        let len = self.pdev().resource_len(index).ok()?;
        // CAST: a BAR's index is below 6.
        (limit < len).then_some((index as usize, limit))
    }

    /// Has the core keep the user from the device's tail, if it is able to.
    ///
    /// # Safety
    ///
    /// The device must be enabled and not be in use yet.
    unsafe fn exclude_tail(&self) {
        let Some((bar, limit)) = (0..BARS).find_map(|index| self.tail(index)) else {
            return;
        };
        // CAST: a BAR's index is below 6.
        let len = self.pdev().resource_len(bar as u32).unwrap_or(0);
        let (Ok(offset), Ok(size)) = (u32::try_from(limit), u16::try_from(len - limit)) else {
            return;
        };

        // SAFETY: the core has set the fields when it enabled the device, and reads them only
        // while it is in use.
        unsafe {
            let core = self.core.as_ptr();
            if (*core).msix_bar == NO_MSIX_BAR {
                // CAST: a BAR's index is below 6.
                (*core).msix_bar = bar as u8;
                (*core).msix_offset = offset;
                (*core).msix_size = size;
            }
        }
    }

    /// Whether the core keeps the user of the open device from every tail.
    fn tails_are_excluded(&self) -> bool {
        // SAFETY: the device is open, and the fields do not change until it is closed.
        let (bar, offset) = unsafe {
            let core = self.core.as_ptr();
            ((*core).msix_bar, (*core).msix_offset)
        };
        (0..BARS)
            .filter_map(|index| self.tail(index))
            .all(|tail| tail == (bar.into(), offset.into()))
    }
}

/// The function stays awake while this exists.
pub struct Awake<'a> {
    pdev: &'a pci::Device,
    held: bool,
}

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        if self.held {
            // SAFETY: `pdev` is a valid device, and a reference was taken in `Device::awake`.
            unsafe { bindings::vfio_rust_helper_pm_put(raw_device(self.pdev)) };
        }
    }
}

impl<T: Operations> Deref for Device<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

// SAFETY: the count is that of the `struct device` in the `struct vfio_device`.
unsafe impl<T: Operations> AlwaysRefCounted for Device<T> {
    fn inc_ref(&self) {
        // SAFETY: a reference proves that the count is not zero.
        unsafe { bindings::vfio_rust_helper_get_device(self.core.vdev()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: the caller gives up a reference that it owns.
        unsafe { bindings::vfio_rust_helper_put_device(obj.as_ptr().cast()) };
    }
}

/// The `struct device` in `pdev`.
pub(crate) fn raw_device<Ctx: device::DeviceContext>(
    pdev: &pci::Device<Ctx>,
) -> *mut kernel::bindings::device {
    let pdev = core::ptr::from_ref(pdev).cast::<kernel::bindings::pci_dev>();
    // SAFETY: `pci::Device` is a transparent wrapper of a valid `struct pci_dev`.
    unsafe { (&raw const (*pdev).dev).cast_mut() }
}

/// The callbacks, `struct vfio_device_ops`.
struct VTable<T: Operations>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    const VTABLE: bindings::vfio_device_ops = bindings::vfio_device_ops {
        name: kernel::str::as_char_ptr_in_const_context(T::NAME).cast_mut(),
        init: Some(Self::init),
        release: Some(Self::release),
        open_device: Some(Self::open),
        close_device: Some(Self::close),
        ioctl: Some(Self::ioctl),
        get_region_info_caps: Some(Self::region_info),
        device_feature: Some(bindings::vfio_pci_core_ioctl_feature),
        read: Some(Self::read),
        write: Some(Self::write),
        mmap: Some(Self::mmap),
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
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `vdev` must start an allocation for a [`Device<T>`] whose `dev` is a PCI device that is
    /// being probed.
    unsafe extern "C" fn init(vdev: *mut bindings::vfio_device) -> c_int {
        let this = vdev.cast::<Device<T>>();

        // SAFETY: by the safety requirements `dev` is a valid, bound device.
        let dev = unsafe { device::Device::<device::Bound>::from_raw((*vdev).dev) };
        let pdev = match <&pci::Device<device::Bound>>::try_from(dev) {
            Ok(pdev) => pdev,
            Err(e) => return e.to_errno(),
        };

        // SAFETY: `data` is valid for writes and stays where it is.
        if let Err(e) = unsafe { pin_init::raw_try_init(&raw mut (*this).data, T::init(pdev)) } {
            return e.to_errno();
        }

        // SAFETY: `pdev` is valid for writes.
        unsafe { (&raw mut (*this).pdev).write(pdev.into()) };

        // SAFETY: `data` was just initialised, and nobody else has a pointer to it.
        if let Some(migration) = unsafe { (*this).data.migration() } {
            // SAFETY: the device is not registered yet.
            unsafe { migration::offer::<T>(vdev, migration) };
        }

        // SAFETY: the core's part is valid and zeroed, as it must be for its initialisation.
        let ret = unsafe { bindings::vfio_pci_core_init_dev(vdev) };
        if ret != 0 {
            // SAFETY: both were initialised above; the allocation fails and nobody uses them.
            unsafe { Self::drop_fields(this) };
        }
        ret
    }

    /// # Safety
    ///
    /// `this` must point to a [`Device<T>`] whose fields are initialised and not used any more.
    unsafe fn drop_fields(this: *mut Device<T>) {
        // SAFETY: by the safety requirements.
        unsafe {
            core::ptr::drop_in_place(&raw mut (*this).data);
            core::ptr::drop_in_place(&raw mut (*this).pdev);
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in a [`Device<T>`] without references.
    unsafe extern "C" fn release(vdev: *mut bindings::vfio_device) {
        // SAFETY: by the safety requirements.
        unsafe {
            bindings::vfio_pci_core_release_dev(vdev);
            Self::drop_fields(vdev.cast());
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in a registered [`Device<T>`].
    unsafe extern "C" fn open(vdev: *mut bindings::vfio_device) -> c_int {
        // SAFETY: by the safety requirements.
        let dev = unsafe { Device::<T>::from_raw(vdev) };

        // SAFETY: the core opens a device once.
        if let Err(e) = to_result(unsafe { bindings::vfio_pci_core_enable(dev.core.as_ptr()) }) {
            return e.to_errno();
        }
        if let Err(e) = T::open(dev) {
            // SAFETY: the device was enabled above.
            unsafe { bindings::vfio_pci_core_disable(dev.core.as_ptr()) };
            return e.to_errno();
        }
        // SAFETY: the device was enabled above, and nobody uses it before this returns.
        unsafe {
            dev.exclude_tail();
            bindings::vfio_pci_core_finish_enable(dev.core.as_ptr());
        }
        0
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`].
    unsafe extern "C" fn close(vdev: *mut bindings::vfio_device) {
        // SAFETY: by the safety requirements.
        let dev = unsafe { Device::<T>::from_raw(vdev) };

        if let Some(migration) = dev.migration() {
            migration.closed();
        }
        T::close(dev);
        // SAFETY: the device was opened.
        unsafe { bindings::vfio_pci_core_close_device(vdev) };
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`].
    unsafe extern "C" fn ioctl(
        vdev: *mut bindings::vfio_device,
        cmd: c_uint,
        arg: c_ulong,
    ) -> c_long {
        // SAFETY: by the safety requirements.
        let dev = unsafe { Device::<T>::from_raw(vdev) };

        if cmd == bindings::VFIO_RUST_IOCTL_IOEVENTFD && !dev.tails_are_excluded() {
            return EINVAL.to_errno() as c_long;
        }
        // SAFETY: the arguments are passed on as they came.
        unsafe { bindings::vfio_pci_core_ioctl(vdev, cmd, arg) }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`]; `info` and `caps` must be valid.
    unsafe extern "C" fn region_info(
        vdev: *mut bindings::vfio_device,
        info: *mut bindings::vfio_region_info,
        caps: *mut bindings::vfio_info_cap,
    ) -> c_int {
        // SAFETY: by the safety requirements.
        let dev = unsafe { Device::<T>::from_raw(vdev) };

        // SAFETY: by the safety requirements.
        let index = unsafe { (*info).index };
        let Some((bar, limit)) = dev.tail(index) else {
            // SAFETY: the arguments are passed on as they came.
            return unsafe { bindings::vfio_pci_ioctl_get_region_info(vdev, info, caps) };
        };

        // SAFETY: by the safety requirements, and nobody else has a pointer to it.
        let info = unsafe { &mut *info };
        // SAFETY: the device is open, and what was found when it was opened does not change.
        let can_map = unsafe { (*dev.core.as_ptr()).bar_mmap_supported[bar] };
        info.offset = Position { index, offset: 0 }.to_file();
        info.size = limit;
        info.flags = bindings::VFIO_REGION_INFO_FLAG_READ | bindings::VFIO_REGION_INFO_FLAG_WRITE;
        if can_map && limit >= PAGE_SIZE as u64 {
            info.flags |= bindings::VFIO_REGION_INFO_FLAG_MMAP;
        }
        0
    }

    /// Clips an access of `count` bytes at `*pos` to what is visible.
    ///
    /// # Safety
    ///
    /// `pos` must be valid for a read.
    unsafe fn clip(
        dev: &Device<T>,
        count: usize,
        pos: *const kernel::bindings::loff_t,
    ) -> Result<usize> {
        // SAFETY: by the safety requirements.
        let pos = Position::from_file(u64::try_from(unsafe { *pos })?);
        match T::visible(dev, pos.index) {
            None => Ok(count),
            Some(limit) => region::clip(pos.offset, count, limit),
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`]; `pos` must be valid.
    unsafe extern "C" fn read(
        vdev: *mut bindings::vfio_device,
        buf: *mut c_char,
        count: usize,
        pos: *mut kernel::bindings::loff_t,
    ) -> isize {
        // SAFETY: by the safety requirements.
        match unsafe { Self::clip(Device::<T>::from_raw(vdev), count, pos) } {
            // SAFETY: the arguments are passed on as they came, but for a smaller length.
            Ok(count) => unsafe { bindings::vfio_pci_core_read(vdev, buf, count, pos) },
            Err(e) => e.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`]; `pos` must be valid.
    unsafe extern "C" fn write(
        vdev: *mut bindings::vfio_device,
        buf: *const c_char,
        count: usize,
        pos: *mut kernel::bindings::loff_t,
    ) -> isize {
        // SAFETY: by the safety requirements.
        match unsafe { Self::clip(Device::<T>::from_raw(vdev), count, pos) } {
            // SAFETY: the arguments are passed on as they came, but for a smaller length.
            Ok(count) => unsafe { bindings::vfio_pci_core_write(vdev, buf, count, pos) },
            Err(e) => e.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `vdev` must be embedded in an open [`Device<T>`]; `vma` must be valid.
    unsafe extern "C" fn mmap(
        vdev: *mut bindings::vfio_device,
        vma: *mut kernel::bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: by the safety requirements.
        let dev = unsafe { Device::<T>::from_raw(vdev) };

        // SAFETY: by the safety requirements; the mapping is being set up and does not change.
        let (start, end, pgoff) = unsafe {
            let range = &(*vma).__bindgen_anon_1.__bindgen_anon_1;
            (range.vm_start, range.vm_end, (*vma).vm_pgoff)
        };
        let pos = Position::from_file((pgoff as u64).wrapping_mul(PAGE_SIZE as u64));
        if let Some(limit) = T::visible(dev, pos.index) {
            if let Err(e) = region::within(pos.offset, (end - start) as u64, limit) {
                return e.to_errno();
            }
        }
        // SAFETY: the arguments are passed on as they came.
        unsafe { bindings::vfio_pci_core_mmap(vdev, vma) }
    }
}
