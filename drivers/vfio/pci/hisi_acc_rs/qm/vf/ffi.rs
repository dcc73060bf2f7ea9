// SPDX-License-Identifier: GPL-2.0

//! `struct hisi_qm` of a VF, and the mailbox commands that hisi_qm gives for it.
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
    /// Stops fetching requests and finishes those in flight.
    Pause = 0xe,
}

/// The queue manager of an open VF, with a mailbox by way of hisi_qm. It is accessed by
/// [`VfQm::bind`].
///
/// # Invariants
///
/// `raw` is zeroed but for what hisi_qm's mailbox functions use. Its `pdev` is `pdev`, and its
/// `io_base` is the function block: in `window` if there is one, and in `bar` otherwise. All of
/// them live as long as `self`, and are mapped for as long as `pdev` is bound to the driver.
pub(crate) struct VfQm {
    /// By itself, as its lock must stay where it is.
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

// SAFETY: The structure is used by hisi_qm's mailbox functions only, which take its lock.
unsafe impl Send for VfQm {}
// SAFETY: As above.
unsafe impl Sync for VfQm {}

/// Returns the registers of the VF `pdev`, and its own BAR.
fn map_registers<'a>(
    pdev: &'a pci::Device<Bound>,
    window: &'a Option<PfWindow>,
    bar: &'a VfBar,
) -> Result<(Registers<'a>, Mmio<'a, Region<{ vf_bar::SIZE }>>)> {
    let bar = bar.vf_registers(pdev)?;
    let registers = match window {
        Some(window) => Registers::PfCtrl(window.io(pdev)),
        None => Registers::VfCtrl(bar),
    };
    Ok((registers, bar))
}

impl VfQm {
    /// The queue manager of the VF `pdev`, whose own BAR is `bar`, and whose migration registers
    /// are in `window` if there is one.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the BAR is another VF's. [`ENOMEM`].
    pub(crate) fn new(
        pdev: &pci::Device<Bound>,
        link: &PfLink,
        window: Option<PfWindow>,
        bar: Arc<VfBar>,
    ) -> Result<Self> {
        let io_base = map_registers(pdev, &window, &bar)?.0.function_ptr();
        let raw = Opaque::ffi_init(|slot: *mut bindings::hisi_qm| {
            // SAFETY: `slot` is valid for writes, and all zeroes is a valid `hisi_qm`. The lock's
            // name and class are static.
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
        // INVARIANT: As initialised above; `window`, `bar` and `pdev` are kept.
        Ok(Self {
            raw: KBox::pin_init(raw, GFP_KERNEL)?,
            window,
            bar,
            link: *link,
            pdev: pdev.into(),
        })
    }

    /// The VF.
    pub(crate) fn pdev(&self) -> &pci::Device {
        &self.pdev
    }

    /// The VF and its PF.
    pub(crate) fn pf_link(&self) -> &PfLink {
        &self.link
    }

    /// Accesses the VF, which must be `pdev`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if it is another one.
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
    /// The VF and its PF.
    pub(crate) fn pf_link(&self) -> &'a PfLink {
        &self.qm.link
    }

    /// The VF's own BAR.
    pub(crate) fn bar(&self) -> Mmio<'a, Region<{ vf_bar::SIZE }>> {
        self.bar
    }

    /// The VF's migration registers.
    pub(crate) fn registers(&self) -> &Registers<'a> {
        &self.registers
    }

    /// Gives a command with an argument. Sleeps, at most about a second.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the PF has failed or the command is refused, [`ETIMEDOUT`] if the mailbox does
    /// not become free, or not again.
    pub(crate) fn mailbox_write(&self, command: MailboxCommand, argument: u64) -> Result {
        self.trace_command(command, || {
            // SAFETY: By the type invariants; as the VF is bound, `io_base` is mapped.
            to_result(unsafe {
                bindings::hisi_qm_mb(self.qm.raw.get(), command as u8, argument, 0, false)
            })
        })
    }

    /// Gives a command with an answer. Sleeps, at most about a second.
    ///
    /// # Errors
    ///
    /// As [`BoundVfQm::mailbox_write`].
    pub(crate) fn mailbox_read(&self, command: MailboxCommand) -> Result<u64> {
        let mut answer = 0;
        self.trace_command(command, || {
            // SAFETY: By the type invariants; as the VF is bound, `io_base` is mapped. `answer` is
            // valid for a write.
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
