// SPDX-License-Identifier: GPL-2.0

//! The parameters of the module, which are defined in C: [`kernel::module_param`] has no parameter
//! whose values are words.
//!
//! C file: `hisi_acc_rs_parameters.c`

use vfio::{
    bindings,
    dirty_tracking::Policy, //
};

/// Returns the value of the parameter `dma_logging`.
pub(crate) fn dma_logging() -> Policy {
    // SAFETY: The function has no safety requirements.
    match unsafe { bindings::hisi_acc_rs_dma_logging() } {
        bindings::HISI_ACC_RS_DMA_LOGGING_ON => Policy::On,
        bindings::HISI_ACC_RS_DMA_LOGGING_OFF => Policy::Off,
        _ => Policy::Auto,
    }
}
