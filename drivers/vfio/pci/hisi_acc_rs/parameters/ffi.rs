// SPDX-License-Identifier: GPL-2.0

//! The parameters of the module, which are defined in C: [`kernel::module_param`] has no parameter
//! whose values are words.
//!
//! C file: `hisi_acc_rs_parameters.c`

use vfio::{
    bindings,
    dirty_tracking::LoggingPolicy, //
};

/// Returns the value of the parameter `dma_logging`.
pub(crate) fn dma_logging() -> LoggingPolicy {
    // SAFETY: The function has no safety requirements.
    match unsafe { bindings::hisi_acc_rs_dma_logging() } {
        bindings::HISI_ACC_RS_DMA_LOGGING_ON => LoggingPolicy::On,
        bindings::HISI_ACC_RS_DMA_LOGGING_OFF => LoggingPolicy::Off,
        _ => LoggingPolicy::Auto,
    }
}
