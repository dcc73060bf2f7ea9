// SPDX-License-Identifier: GPL-2.0

//! VFIO driver with live migration for QEMU's `edu` device: an example of a variant driver, see
//! `Documentation/driver-api/vfio-variant-rust.rst`. The device's DMA buffer is not migrated,
//! because it cannot be read back.

use kernel::prelude::*;
use vfio::prelude::*;

// The registers are described in QEMU's docs/specs/edu.rst.
register! {
    IDENTIFICATION(u32) @ 0x00 { 31:0 id; }
    LIVENESS(u32) @ 0x04 { 31:0 inverted; }
    FACTORIAL(u32) @ 0x08 { 31:0 value; }
    STATUS(u32) @ 0x20 { 7:7 raise_irq => bool; 0:0 computing => bool; }
    IRQ_STATUS(u32) @ 0x24 { 31:0 pending; }
    IRQ_RAISE(u32) @ 0x60 { 31:0 pending; }
    IRQ_ACK(u32) @ 0x64 { 31:0 pending; }
    DMA_SOURCE(u64) @ 0x80 { 63:0 address; }
    DMA_TARGET(u64) @ 0x88 { 63:0 address; }
    DMA_COUNT(u64) @ 0x90 { 63:0 bytes; }
    DMA_COMMAND(u32) @ 0x98 { 0:0 run => bool; }
}

/// The state of a device in the stream. `id` is sent first.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Image {
    id: U32,
    liveness: U32,
    factorial: U32,
    raise_irq: U32,
    irq_status: U32,
    dma: [U64; 3],
}

/// The stream format of a device with this identification.
struct Peer(u32);

#[vtable]
impl StreamFormat for Peer {
    type Image = Image;
    type Verified = (Image, u32);
    type Reject = Error;
    const HEAD: usize = core::mem::offset_of!(Image, liveness);

    fn check(&self, head: &Image) -> Result {
        (head.id.get() == self.0).then_some(()).ok_or(EINVAL)
    }

    fn verify(&self, data: &Data<Image>) -> Result<(Image, u32)> {
        let image = *data.complete().ok_or(EINVAL)?;
        // The device takes a number and computes its factorial in 32 bits, which is 0 from 34 on.
        let fits = |n: &u32| (1..=*n).fold(1, u32::wrapping_mul) == image.factorial.get();
        Ok((image, (0..=34).find(fits).ok_or(EINVAL)?))
    }
}

/// The driver's part of a device.
struct Edu(BarMap<0x100>);

#[vtable]
impl Migrate for Edu {
    type Format = Peer;

    fn stop(&mut self, core: &CoreDevice<Bound>) -> Result<(), Failure> {
        // The VM starts no more work, and the work that it has started ends soon.
        let busy = || {
            let memory = core.lock_memory_and_enable()?;
            let io = memory.registers(&self.0)?;
            Ok(io.read(STATUS).computing() || io.read(DMA_COMMAND).run())
        };
        let (interval, patience) = (Delta::from_millis(1), Delta::from_secs(2));
        read_poll_timeout(busy, |busy| !busy, interval, patience)
            .map(drop)
            .map_err(Failure::Recoverable)
    }

    fn save_head(&mut self, core: &CoreDevice<Bound>) -> Result<Image> {
        Ok(*self.save(core, None)?.image())
    }

    fn save(
        &mut self,
        core: &CoreDevice<Bound>,
        _pre_copy: Option<&Data<Image>>,
    ) -> Result<Data<Image>> {
        let memory = core.lock_memory_and_enable()?;
        let io = memory.registers(&self.0)?;
        Ok(Data::whole(Image {
            id: io.read(IDENTIFICATION).into_raw().into(),
            liveness: io.read(LIVENESS).into_raw().into(),
            factorial: io.read(FACTORIAL).into_raw().into(),
            raise_irq: u32::from(io.read(STATUS).raise_irq()).into(),
            irq_status: io.read(IRQ_STATUS).into_raw().into(),
            dma: [
                io.try_read(DMA_SOURCE)?.into_raw().into(),
                io.try_read(DMA_TARGET)?.into_raw().into(),
                io.try_read(DMA_COUNT)?.into_raw().into(),
            ],
        }))
    }

    fn stream_format(&mut self, core: &CoreDevice<Bound>) -> Result<Peer> {
        Ok(Peer(self.save(core, None)?.image().id.get()))
    }

    fn load(&mut self, core: &CoreDevice<Bound>, (image, number): (Image, u32)) -> Result {
        let memory = core.lock_memory_and_enable()?;
        let io = memory.registers(&self.0)?;
        io.write_reg(STATUS::zeroed());
        io.write_reg(FACTORIAL::from(number));
        drop(memory);
        self.stop(core)?;

        let memory = core.lock_memory_and_enable()?;
        let io = memory.registers(&self.0)?;
        io.write_reg(LIVENESS::from(!image.liveness.get()));
        io.write_reg(STATUS::zeroed().with_raise_irq(image.raise_irq.get() != 0));
        io.write_reg(IRQ_ACK::from(!0));
        io.write_reg(IRQ_RAISE::from(image.irq_status.get()));
        io.try_write_reg(DMA_SOURCE::from(image.dma[0].get()))?;
        io.try_write_reg(DMA_TARGET::from(image.dma[1].get()))?;
        io.try_write_reg(DMA_COUNT::from(image.dma[2].get()))?;
        Ok(())
    }
}

/// The driver's data of a device.
#[pin_data]
struct VfioEdu {
    #[pin]
    machine: StateMachine<Edu>,
}

vfio::vfio_device_table!(PCI_TABLE, [DeviceId::vfio_override(0x1234, 0x11e8)]);

impl Operations for VfioEdu {
    const NAME: &'static CStr = c"vfio-edu";
    const ID_TABLE: IdTable = &PCI_TABLE;

    fn init(pdev: &pci::Device<Bound>) -> impl PinInit<Self, Error> {
        let logs_dma = DirtyTracking::choose(pdev, LoggingPolicy::Auto) == DirtyTracking::Driver;
        try_pin_init!(Self {
            machine <- StateMachine::with_dma_logging(Edu(BarMap::new(pdev, 0)?), logs_dma),
        })
    }

    fn migration(&self) -> Option<&dyn Migration> {
        Some(&self.machine)
    }
}

vfio::module_vfio_pci_driver! {
    type: VfioEdu,
    name: "vfio_edu",
    authors: ["The hisi-acc-vfio-pci-rs authors"],
    description: "Example of a VFIO PCI variant driver: QEMU's edu device",
    license: "GPL v2",
}
