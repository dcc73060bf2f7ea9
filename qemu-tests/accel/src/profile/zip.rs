// SPDX-License-Identifier: GPL-2.0

//! The ZIP accelerator (source: `zip/zip_main.c`).

use super::EngineCaps;
use super::ErrorRegisters;
use super::Profile;
use super::caps;
use crate::zip::Zip;

/// Raw deflate: compression in bit 4, decompression in bit 5. `HZIP_ALG_DEFLATE`.
const DEFLATE_PACK: u32 = 1 << 4;
const DEFLATE_UNPACK: u32 = 1 << 5;
/// `HZIP_ALG_LZ4`: compression only; the driver decompresses in software.
const LZ4_PACK: u32 = 1 << 8;

const ALL: u32 = DEFLATE_PACK | DEFLATE_UNPACK | LZ4_PACK;
const PACKING_CORE: u32 = DEFLATE_PACK | LZ4_PACK;

/// The ZIP accelerator.
pub static ZIP: Profile = Profile {
    pf_device_id: 0xa250,
    vf_device_id: 0xa251,
    caps: caps(&EngineCaps {
        qm_errors: [0x7c77, 0x6c77],
        errors: [0x1ffe, 0x7fe, 0x1],
        // One cluster of two compression and three decompression cores, all of them enabled.
        cores: [0x1205_0203, 0x1c_0003],
        algorithms: &[
            ALL,
            ALL,
            PACKING_CORE,
            PACKING_CORE,
            DEFLATE_UNPACK,
            DEFLATE_UNPACK,
            DEFLATE_UNPACK,
        ],
    }),
    // `HZIP_CORE_INT_SOURCE`, `_MASK_REG`, `_SET`, `_STATUS`.
    errors: ErrorRegisters {
        source: 0x30_10a0,
        mask: 0x30_10a4,
        set: Some(0x30_10a8),
        status: 0x30_10ac,
    },
    fixed: &[],
    has_dae: true,
    engine: &Zip,
};
