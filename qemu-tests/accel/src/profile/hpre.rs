// SPDX-License-Identifier: GPL-2.0

//! The HPRE accelerator (source: `hpre/hpre_main.c`, `hpre/hpre_crypto.c`).

use super::EngineCaps;
use super::ErrorRegisters;
use super::Profile;
use super::caps;
use crate::hpre::Hpre;

/// `HPRE_DRV_RSA_MASK_CAP`, `HPRE_DRV_DH_MASK_CAP`, `HPRE_DRV_ECDH_MASK_CAP`.
const ALGORITHMS: u32 = 0x7;
/// Ten of them, in one cluster.
const CORES: u32 = 0x3ff;

/// The HPRE accelerator.
pub static HPRE: Profile = Profile {
    pf_device_id: 0xa258,
    vf_device_id: 0xa259,
    caps: caps(&EngineCaps {
        qm_errors: [0x7c37, 0x6c77],
        errors: [0x1ff_fc3e, 0xbf_fc3e, 0x1],
        cores: [0x12_0a0a, CORES],
        // The last two cores handle signatures, which are not modelled.
        algorithms: &[
            ALGORITHMS, ALGORITHMS, ALGORITHMS, ALGORITHMS, ALGORITHMS, ALGORITHMS, ALGORITHMS,
            ALGORITHMS, ALGORITHMS, ALGORITHMS, 0, 0,
        ],
    }),
    // `HPRE_HAC_SOURCE_INT`, `HPRE_INT_MASK`, `HPRE_HAC_INT_SET`, `HPRE_INT_STATUS`.
    errors: ErrorRegisters {
        source: 0x30_1600,
        mask: 0x30_1400,
        set: Some(0x30_1500),
        status: 0x30_1800,
    },
    // `HPRE_RDCHN_INI_ST` and the first cluster's `HPRE_CORE_INI_STATUS`: everything is initialized.
    fixed: &[(0x30_1a00, 1), (0x30_2080, CORES)],
    has_dae: false,
    engine: &Hpre,
};
