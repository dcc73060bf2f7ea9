// SPDX-License-Identifier: GPL-2.0

//! The SEC accelerator (source: `sec2/sec_main.c`, `sec2/sec_crypto.c`).

use super::EngineCaps;
use super::ErrorRegisters;
use super::Profile;
use super::caps;
use crate::sec::Sec;

/// Bits of `alg_msk` in `sec_skciphers[]` and `sec_aeads[]`, lower half: AES in ECB, CBC, CTR, XTS, CCM and GCM; SM4 in
/// CBC, CTR, XTS, CCM and GCM; 3DES in ECB and CBC.
const ALGORITHMS_LOW: u32 =
    0xf | 1 << 6 | 1 << 7 | 0x7 << 12 | 1 << 17 | 1 << 18 | 1 << 23 | 1 << 24;
/// Upper half: AES-CBC with HMAC-SHA-1, HMAC-SHA-256 and HMAC-SHA-512.
const ALGORITHMS_HIGH: u32 = 0x7 << 11;

/// The SEC accelerator.
pub static SEC: Profile = Profile {
    pf_device_id: 0xa255,
    vf_device_id: 0xa256,
    caps: caps(&EngineCaps {
        qm_errors: [0x7c77, 0x6c77],
        errors: [0x6_0177, 0x177, 0xc088],
        // One cluster of four cores, all of them enabled.
        cores: [0x11_0404, 0xf],
        algorithms: &[
            ALGORITHMS_LOW,
            ALGORITHMS_HIGH,
            ALGORITHMS_LOW,
            ALGORITHMS_HIGH,
            ALGORITHMS_LOW,
            ALGORITHMS_HIGH,
            ALGORITHMS_LOW,
            ALGORITHMS_HIGH,
            ALGORITHMS_LOW,
            ALGORITHMS_HIGH,
            ALGORITHMS_LOW,
            ALGORITHMS_HIGH,
        ],
    }),
    // `SEC_CORE_INT_SOURCE`, `_MASK`, `_STATUS`.
    errors: ErrorRegisters {
        source: 0x30_1010,
        mask: 0x30_1000,
        set: None,
        status: 0x30_1008,
    },
    // `SEC_MEM_INIT_DONE_REG`: memory is initialized.
    fixed: &[(0x30_1104, 1)],
    has_dae: false,
    engine: &Sec,
};
