// SPDX-License-Identifier: GPL-2.0

//! The queue manager of a PF, as far as its VFs need it.

mod ffi;

pub(crate) use self::ffi::{
    PfQm,
    PfResetGuard,
    PfWindow, //
};

use super::poll::{
    wait_until,
    ALL_ONES,
    STATUS_INTERVAL,
    STATUS_PATIENCE, //
};
use crate::{
    engine::Engine,
    regs::pf, //
};
use kernel::{
    io::Io,
    prelude::*, //
};
use vfio::bindings;

/// The first hardware version whose VFs can migrate.
pub(crate) const V3: u32 = bindings::qm_hw_ver_QM_HW_V3;
/// The first hardware version that can drop the doorbells of a function.
pub(crate) const V5: u32 = bindings::qm_hw_ver_QM_HW_V5;

/// The link from a VF to its PF. It is constant while the VF is bound.
#[derive(Clone, Copy)]
pub(crate) struct PfLink {
    pub(crate) engine: Engine,
    pub(crate) pf: PfQm,
    /// Number of the VF in the PF's tables; the PF itself is 0.
    pub(crate) function: u32,
}

impl PfQm {
    /// Reads the error status of the engine, 0 if there is no error.
    pub(crate) fn core_int_status(&self, engine: Engine) -> u32 {
        let io = self.io();
        match engine {
            Engine::Zip => io.read(pf::ZIP_CORE_INT_STATUS).into_raw(),
            Engine::Sec => io.read(pf::SEC_CORE_INT_STATUS).into_raw(),
            Engine::Hpre => io.read(pf::HPRE_HAC_INT_STATUS).into_raw(),
        }
    }

    /// Returns whether the device reports an error for which the PF's driver resets the PF. Such a
    /// reset removes all queues of all functions, and ringing a doorbell before it could cause more
    /// errors.
    pub(crate) fn reset_is_due(&self, engine: Engine) -> bool {
        let (qm, core) = self.reset_masks();
        self.io().read(pf::ABNORMAL_INT_STATUS).into_raw() & qm != 0
            || self.core_int_status(engine) & core != 0
    }

    /// Waits until the QM of the PF reports no error.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the PF is gone, [`EBUSY`] if it still reports an error after [`STATUS_PATIENCE`].
    pub(crate) fn wait_for_no_error(&self) -> Result {
        let mut status = 0;
        wait_until(
            || {
                status = self.io().read(pf::ABNORMAL_INT_STATUS).into_raw();
                matches!(status, 0 | ALL_ONES)
            },
            STATUS_INTERVAL,
            STATUS_PATIENCE,
        )
        .map_err(|_| EBUSY)?;
        if status == ALL_ONES {
            return Err(EIO);
        }
        Ok(())
    }
}
