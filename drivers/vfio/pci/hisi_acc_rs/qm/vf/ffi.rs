// SPDX-License-Identifier: GPL-2.0

//! `struct hisi_qm` of a VF, through which hisi_qm executes mailbox commands.
//!
//! C header: [`include/linux/hisi_acc_qm.h`](srctree/include/linux/hisi_acc_qm.h)

use crate::{
    qm::{
        pf::{
            PfLink,
            PfWindow, //
        },
        registers::{
            Registers,
            VfBar, //
        }, //
    },
    regs::vf_bar,
    trace, //
};
use kernel::{
    device::Bound,
    error::to_result,
    io::{
        Mmio,
        Region, //
    },
    pci,
    prelude::*,
    static_lock_class,
    sync::{
        aref::ARef,
        Arc, //
    },
    types::Opaque, //
};
use vfio::{
    bindings,
    timestamp::Timestamp, //
};

/// A mailbox command of the queue manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum MailboxCommand {
    /// Base address of the table of SQ contexts.
    SqcBase = bindings::QM_MB_CMD_SQC_BT as u8,
    /// Base address of the table of CQ contexts.
    CqcBase = bindings::QM_MB_CMD_CQC_BT as u8,
    /// The queues that the function owns.
    Vft = bindings::QM_MB_CMD_SQC_VFT_V2 as u8,
    /// Stops fetching requests, and finishes those in flight; `QM_MB_CMD_PAUSE_QM` in the C driver's
    /// own header.
    Pause = 0xe,
}

/// The queue manager of an open VF. [`VfQm::bind`] gives access to it; hisi_qm executes its mailbox
/// commands.
///
/// # Invariants
///
/// `raw` is zeroed, except for the fields that hisi_qm's mailbox functions use. Its `pdev` is
/// `pdev`, and its `io_base` is the function block, in `window` if there is one and in `bar`
/// otherwise. The device and the mappings live as long as `self`, and are mapped as long as `pdev`
/// is bound to the driver.
pub(crate) struct VfQm {
    /// Pinned separately, because it contains a mutex.
    raw: Pin<KBox<Opaque<bindings::hisi_qm>>>,
    window: Option<PfWindow>,
    bar: Arc<VfBar>,
    link: PfLink,
    pdev: ARef<pci::Device>,
}

/// The queue manager of an open VF, while the VF is bound to the driver.
///
/// # Invariants
///
/// `pdev` is the VF of `qm`.
#[derive(Clone, Copy)]
pub(crate) struct BoundVfQm<'a> {
    qm: &'a VfQm,
    registers: Registers<'a>,
    bar: Mmio<'a, Region<{ vf_bar::SIZE }>>,
    pdev: &'a pci::Device<Bound>,
}

// SAFETY: `raw` is only passed to hisi_qm's mailbox functions, which can be called from any thread.
// All other fields are `Send`.
unsafe impl Send for VfQm {}
// SAFETY: The mailbox functions of hisi_qm take the lock in `raw`, so concurrent calls are allowed. All
// other fields are `Sync`.
unsafe impl Sync for VfQm {}

/// Returns the registers of the VF `pdev`, and its own BAR.
fn map_registers<'a>(
    pdev: &'a pci::Device<Bound>,
    window: &'a Option<PfWindow>,
    bar: &'a VfBar,
) -> Result<(Registers<'a>, Mmio<'a, Region<{ vf_bar::SIZE }>>)> {
    let bar = bar.vf_registers(pdev)?;
    let registers = match window {
        Some(window) => Registers::PfWindow(window.io(pdev)),
        None => Registers::VfBar(bar),
    };
    Ok((registers, bar))
}

impl VfQm {
    /// Creates the queue manager of the VF `pdev`. Its own BAR is `bar`, and its migration
    /// registers are in `window` if there is one.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the BAR is another VF's, [`ENOMEM`].
    pub(crate) fn new(
        pdev: &pci::Device<Bound>,
        link: &PfLink,
        window: Option<PfWindow>,
        bar: Arc<VfBar>,
    ) -> Result<Self> {
        let io_base = map_registers(pdev, &window, &bar)?.0.function_block_ptr();
        let raw = Opaque::ffi_init(|slot: *mut bindings::hisi_qm| {
            // SAFETY: `slot` is valid for writes, and all zeroes is a valid `hisi_qm`. The mutex is
            // not in use yet, and its name and its lock class are static.
            unsafe {
                slot.write_bytes(0, 1);
                (*slot).fun_type = bindings::qm_fun_type_QM_HW_VF;
                (*slot).ver = link.pf.version();
                (*slot).pdev = core::ptr::from_ref(pdev).cast_mut().cast();
                (*slot).io_base = io_base;
                kernel::bindings::__mutex_init(
                    &raw mut (*slot).mailbox_lock,
                    c"hisi_acc_vfio_pci_rs::mailbox".as_char_ptr(),
                    static_lock_class!().as_ptr(),
                );
            }
        });
        // INVARIANT: `raw` was initialised as required. `window`, `bar` and `pdev` are stored in
        // the same value, so they live as long as it does.
        Ok(Self {
            raw: KBox::pin_init(raw, GFP_KERNEL)?,
            window,
            bar,
            link: *link,
            pdev: pdev.into(),
        })
    }

    /// Returns the VF.
    pub(crate) fn pdev(&self) -> &pci::Device {
        &self.pdev
    }

    /// Returns the link from the VF to its PF.
    pub(crate) fn pf_link(&self) -> &PfLink {
        &self.link
    }

    /// Accesses the VF, which must be `pdev`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if `pdev` is another device.
    pub(crate) fn bind<'a>(&'a self, pdev: &'a pci::Device<Bound>) -> Result<BoundVfQm<'a>> {
        let vf: &pci::Device = pdev;
        if !core::ptr::eq(vf, &*self.pdev) {
            return Err(EINVAL);
        }
        let (registers, bar) = map_registers(pdev, &self.window, &self.bar)?;
        // INVARIANT: `pdev` was just compared.
        Ok(BoundVfQm {
            qm: self,
            registers,
            bar,
            pdev,
        })
    }
}

impl<'a> BoundVfQm<'a> {
    /// Returns the link from the VF to its PF.
    pub(crate) fn pf_link(&self) -> &'a PfLink {
        &self.qm.link
    }

    /// Returns the VF's own BAR.
    pub(crate) fn bar(&self) -> Mmio<'a, Region<{ vf_bar::SIZE }>> {
        self.bar
    }

    /// Returns the VF's migration registers.
    pub(crate) fn registers(&self) -> &Registers<'a> {
        &self.registers
    }

    /// Gives a command with an argument. Sleeps, for about a second at most.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the PF has failed or the command is rejected, [`ETIMEDOUT`] if the mailbox is not
    /// free in time before or after the command.
    pub(crate) fn mailbox_write(&self, command: MailboxCommand, argument: u64) -> Result {
        self.trace_command(command, || {
            // SAFETY: By the type invariants `raw` has all fields that the function uses. As the VF
            // is bound, `io_base` is mapped.
            to_result(unsafe {
                bindings::hisi_qm_mb(self.qm.raw.get(), command as u8, argument, 0, false)
            })
        })
    }

    /// Gives a command and returns its result. Sleeps, for about a second at most.
    ///
    /// # Errors
    ///
    /// Those of [`BoundVfQm::mailbox_write`].
    pub(crate) fn mailbox_read(&self, command: MailboxCommand) -> Result<u64> {
        let mut answer = 0;
        self.trace_command(command, || {
            // SAFETY: By the type invariants `raw` has all fields that the function uses. As the VF
            // is bound, `io_base` is mapped. `answer` is valid for a write.
            to_result(unsafe {
                bindings::hisi_qm_mb_read(self.qm.raw.get(), &mut answer, command as u8, 0)
            })
        })?;
        Ok(answer)
    }

    fn trace_command(&self, command: MailboxCommand, run: impl FnOnce() -> Result) -> Result {
        let start = trace::mailbox_enabled().then(Timestamp::now);
        let result = run();
        if let Some(start) = start {
            trace::mailbox(self.pdev, command as u8, start.elapsed(), result);
        }
        result
    }
}
