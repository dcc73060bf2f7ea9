// SPDX-License-Identifier: GPL-2.0

//! An open VFIO device: regions, configuration space, interrupts, reset.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use linux::ffi::Mapping;
use linux::sysfs::Function;
use rustix::event::{EventfdFlags, eventfd};
use vfio_bindings::bindings::vfio::*;

use super::container::{self, Container, Kind, Memory};
use super::ffi;

/// The region of BAR 0.
pub const BAR0: u32 = VFIO_PCI_BAR0_REGION_INDEX;
/// The region of the function block.
pub const BAR2: u32 = VFIO_PCI_BAR2_REGION_INDEX;
/// The interrupt index the accelerator's vectors belong to.
pub const MSI: u32 = VFIO_PCI_MSI_IRQ_INDEX;
/// Set in a region's flags if it can be mapped.
pub const REGION_MMAP: u32 = VFIO_REGION_INFO_FLAG_MMAP;

/// The interrupt index by which the kernel asks for the device back.
pub const REQUEST: u32 = VFIO_PCI_REQ_IRQ_INDEX;
/// The interrupt index by which the kernel reports an error on the bus.
pub const ERROR: u32 = VFIO_PCI_ERR_IRQ_INDEX;

/// Vectors of a function: event queue, abnormal event queue, message of the PF, one reserved.
const VECTORS: usize = 4;

const PCI_COMMAND: u64 = 4;
/// `PCI_COMMAND_MEMORY` and `PCI_COMMAND_MASTER`.
const SWITCHED_ON: u16 = 1 << 1 | 1 << 2;
const PCI_CAPABILITIES: u64 = 0x34;
/// The id of the PCI Express capability.
const PCI_EXPRESS: u8 = 0x10;
/// Device Control in that capability, and the bit that resets the function.
const PCI_EXPRESS_CONTROL: u64 = 8;
const PCI_EXPRESS_CONTROL_FLR: u16 = 1 << 15;

/// The UUID that the users of a PF and of its VFs share.
#[derive(Clone)]
pub struct Token(pub [u8; 16]);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let dash = if matches!(index, 4 | 6 | 8 | 10) {
                "-"
            } else {
                ""
            };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

/// An open device with its DMA mappings and, once asked for, interrupts.
///
/// The order of the fields is the order in which they are given back: first the mapping of the
/// registers, then the device, then the DMA mappings with the memory.
pub struct Device {
    registers: Option<Mapping>,
    vectors: Vec<OwnedFd>,
    file: File,
    _container: Arc<Container>,
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Device {
    /// Opens a PCI function with its DMA memory.
    pub fn open(kind: Kind, function: &Function, memory: Memory) -> Result<Self> {
        let container = Container::new(kind, &[function], vec![memory])
            .with_context(|| format!("opening {function}"))?;
        Self::open_in(&Arc::new(container), function)
    }

    /// Opens a PCI function that has its DMA memory already.
    pub fn open_in(container: &Arc<Container>, function: &Function) -> Result<Self> {
        let device = container
            .device(function)
            .with_context(|| format!("opening {function}"))?;
        Ok(Self::of(device, container.clone()))
    }

    fn of(device: OwnedFd, container: Arc<Container>) -> Self {
        Device {
            registers: None,
            vectors: Vec::new(),
            file: device.into(),
            _container: container,
        }
    }

    /// As [`Device::open`], of a VF whose PF is a VFIO device, too: whoever has that one open tells
    /// the token.
    pub fn open_with_token(function: &Function, token: &Token, memory: Memory) -> Result<Self> {
        let name = format!("{function} vf_token={token}");
        let container = Container::new(Kind::Type1, &[function], vec![memory])
            .with_context(|| format!("opening {name}"))?;
        let device = container
            .device_by_name(function, &name)
            .with_context(|| format!("opening {name}"))?;
        Ok(Self::of(device, Arc::new(container)))
    }

    /// Sets the token of the VFs of a PF.
    pub fn set_token(&self, token: &Token) -> io::Result<()> {
        let flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN;
        ffi::device_feature(self, flags, None, &mut { token.0 }).map(drop)
    }

    /// Opens a device that does no DMA; `folder` is its `vfio-dev` in sysfs.
    pub fn open_without_dma(folder: &Path) -> Result<Self> {
        let (container, device) = container::open_without_dma(folder)?;
        Ok(Self::of(device, Arc::new(container)))
    }

    /// `VFIO_DEVICE_GET_INFO`.
    pub fn info(&self) -> io::Result<vfio_device_info> {
        ffi::device_info(self, None)
    }

    /// `VFIO_DEVICE_GET_REGION_INFO`.
    pub fn region(&self, index: u32) -> io::Result<vfio_region_info> {
        ffi::region_info(self, index, None)
    }

    /// How many vectors an interrupt index has.
    pub fn vectors_of(&self, index: u32) -> io::Result<u32> {
        Ok(ffi::irq_info(self, index, None)?.count)
    }

    /// Reads a region at an offset inside it.
    pub fn read_region(&self, index: u32, offset: u64, data: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(data, self.region(index)?.offset + offset)
    }

    /// Writes a region at an offset inside it.
    pub fn write_region(&self, index: u32, offset: u64, data: &[u8]) -> io::Result<usize> {
        self.file
            .write_at(data, self.region(index)?.offset + offset)
    }

    /// Maps a part of a region.
    pub fn map_region(&self, index: u32, offset: u64, length: usize) -> io::Result<Mapping> {
        Mapping::new(self, self.region(index)?.offset + offset, length)
    }

    /// Makes the kernel write `data` at `offset` of a region whenever an eventfd is signalled.
    pub fn ioeventfd(&self, index: u32, offset: u64, data: u32) -> io::Result<OwnedFd> {
        let event = eventfd(0, EventfdFlags::CLOEXEC)?;
        let mut request = vfio_device_ioeventfd {
            argsz: size_of::<vfio_device_ioeventfd>() as u32,
            flags: VFIO_DEVICE_IOEVENTFD_32,
            offset: self.region(index)?.offset + offset,
            data: u64::from(data),
            fd: event.as_raw_fd(),
            reserved: 0,
        };
        ffi::ioctl(self, &ffi::DEVICE_IOEVENTFD, &mut request)?;
        Ok(event)
    }

    /// Whether memory and bus mastering are on.
    pub fn is_switched_on(&self) -> Result<bool> {
        Ok(self.command()? & SWITCHED_ON == SWITCHED_ON)
    }

    fn command(&self) -> Result<u16> {
        let mut command = [0; 2];
        self.read_region(VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &mut command)?;
        Ok(u16::from_le_bytes(command))
    }

    /// Turns memory and bus mastering on or off.
    pub fn switch(&self, on: bool) -> Result<()> {
        let command = self.command()? & !SWITCHED_ON | if on { SWITCHED_ON } else { 0 };
        self.write_region(
            VFIO_PCI_CONFIG_REGION_INDEX,
            PCI_COMMAND,
            &command.to_le_bytes(),
        )
        .context("switching memory and bus mastering")?;
        Ok(())
    }

    /// Does what a VM's firmware and PCI core do first: memory and bus mastering on, the
    /// registers mapped, one eventfd for each vector.
    pub fn enable(&mut self) -> Result<()> {
        self.switch(true)?;
        if self.registers.is_none() {
            let length = usize::try_from(self.region(BAR2)?.size)?;
            let registers = self.map_region(BAR2, 0, length).context("mapping BAR2")?;
            self.registers = Some(registers);
        }
        self.vectors = (0..VECTORS)
            .map(|_| eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK))
            .collect::<Result<_, _>>()?;
        ffi::set_irqs(&self.file, MSI, &self.vectors).context("VFIO_DEVICE_SET_IRQS")
    }

    /// The mapped function block; there from [`Device::enable`] on.
    pub fn registers(&self) -> Result<&Mapping> {
        self.registers
            .as_ref()
            .context("the device's registers are not mapped")
    }

    /// The eventfd of a vector; there from [`Device::enable`] on.
    pub fn vector(&self, index: usize) -> Result<&OwnedFd> {
        self.vectors
            .get(index)
            .context("the device's interrupts are not set up")
    }

    /// Whether a vector was signalled; the signal is taken.
    pub fn take_signal(&self, index: usize) -> Result<bool> {
        take(self.vector(index)?)
    }

    /// Sets the eventfd that an interrupt index with one vector signals from now on.
    pub fn signal_of(&self, index: u32) -> Result<Signal> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        ffi::set_irqs(&self.file, index, std::slice::from_ref(&event))
            .context("VFIO_DEVICE_SET_IRQS")?;
        Ok(Signal(event))
    }

    /// `VFIO_DEVICE_RESET`.
    pub fn reset(&self) -> io::Result<()> {
        ffi::device_reset(self)
    }

    /// Resets all functions that are reset together with the device, which must have been opened by
    /// [`Kind::Iommufd`].
    pub fn hot_reset(&self) -> io::Result<()> {
        ffi::hot_reset(self)
    }

    /// Resets the device by its PCI Express capability, as the driver in a VM does it.
    pub fn reset_by_capability(&self) -> io::Result<()> {
        let byte = |offset: u64| -> io::Result<u8> {
            let mut value = [0];
            self.read_region(VFIO_PCI_CONFIG_REGION_INDEX, offset, &mut value)?;
            Ok(value[0])
        };
        let mut at = u64::from(byte(PCI_CAPABILITIES)?);
        while at != 0 && byte(at)? != PCI_EXPRESS {
            at = u64::from(byte(at + 1)?);
        }
        if at == 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let control = at + PCI_EXPRESS_CONTROL;
        let mut value = [0; 2];
        self.read_region(VFIO_PCI_CONFIG_REGION_INDEX, control, &mut value)?;
        let value = u16::from_le_bytes(value) | PCI_EXPRESS_CONTROL_FLR;
        let value = value.to_le_bytes();
        self.write_region(VFIO_PCI_CONFIG_REGION_INDEX, control, &value)
            .map(drop)
    }
}

/// Whether an eventfd was signalled; the signal is taken.
fn take(event: &OwnedFd) -> Result<bool> {
    let mut count = [0; 8];
    match rustix::io::read(event, &mut count) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::AGAIN) => Ok(false),
        Err(error) => Err(error).context("reading an interrupt's eventfd"),
    }
}

/// Events that the kernel signals apart from the device's vectors.
pub struct Signal(OwnedFd);

impl Signal {
    /// Whether it was signalled; the signal is taken.
    pub fn take(&self) -> Result<bool> {
        take(&self.0)
    }
}
