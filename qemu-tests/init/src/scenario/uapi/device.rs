// SPDX-License-Identifier: GPL-2.0

//! The device, its features and its regions.

use std::io;

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use vfio_bindings::bindings::vfio::*;
use vfio_client::ffi;
use vfio_client::{BAR2, Device, Features, Kind, MSI, REGION_MMAP};

use super::Fixture;
use crate::expect::{equal, refused};
use crate::host::can_log_dma;
use crate::scenario::support::register_layout::VF_BAR2_SIZE;
use crate::scenario::support::stream_layout::STREAM_SIZE;

/// Size of the VF's BAR2.
const BAR2_SIZE: u64 = VF_BAR2_SIZE as u64;

pub(super) fn device_info(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    let info = device.info()?;
    let wanted = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
    equal("device flags", info.flags & wanted, wanted)?;
    ensure!(
        info.num_regions >= VFIO_PCI_NUM_REGIONS,
        "{} regions",
        info.num_regions
    );
    ensure!(
        info.num_irqs >= VFIO_PCI_NUM_IRQS,
        "{} interrupt indexes",
        info.num_irqs
    );
    equal("MSI vectors", device.vectors_of(MSI)?, 4)
}

const GET: u32 = VFIO_DEVICE_FEATURE_GET;

const SET: u32 = VFIO_DEVICE_FEATURE_SET;

const PROBE: u32 = VFIO_DEVICE_FEATURE_PROBE;

fn probe(device: &Device, flags: u32) -> io::Result<i32> {
    ffi::device_feature(device, flags | PROBE, None, &mut ())
}

pub(super) fn probe_features(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    for (name, flags) in [
        ("MIGRATION", VFIO_DEVICE_FEATURE_MIGRATION | GET),
        (
            "MIG_DEVICE_STATE",
            VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | GET | SET,
        ),
        ("MIG_DATA_SIZE", VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | GET),
        (
            "MIG_PRECOPY_INFOv2",
            VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 | SET,
        ),
    ] {
        probe(&device, flags).with_context(|| format!("probing {name}"))?;
    }
    for (name, flags) in [
        ("START", VFIO_DEVICE_FEATURE_DMA_LOGGING_START | SET),
        ("STOP", VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | SET),
        ("REPORT", VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT | GET),
    ] {
        let probed = probe(&device, flags);
        let what = format!("probing DMA_LOGGING_{name}");
        if fixture.is_rust() && can_log_dma() {
            probed.context(what)?;
        } else {
            refused(&what, probed, Errno::NOTTY)?;
        }
    }
    Ok(())
}

pub(super) fn refuse_features(fixture: &mut Fixture) -> Result<()> {
    let device = fixture.open()?;
    let feature = |flags, argsz| {
        ffi::device_feature(
            &device,
            flags,
            argsz,
            &mut vfio_device_feature_mig_state::default(),
        )
    };
    let state = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
    refused(
        "argsz below the header",
        feature(state | GET, Some(7)),
        Errno::INVAL,
    )?;
    refused(
        "argsz below the state",
        feature(state | GET, Some(15)),
        Errno::INVAL,
    )?;
    refused(
        "GET and SET at once",
        feature(state | GET | SET, None),
        Errno::INVAL,
    )?;
    refused(
        "a flag that is none",
        feature(state | GET | 1 << 30, None),
        Errno::INVAL,
    )?;
    refused("neither GET nor SET", feature(state, None), Errno::INVAL)?;
    let set = feature(VFIO_DEVICE_FEATURE_MIGRATION | SET, None);
    refused("SET of MIGRATION", set, Errno::INVAL)?;
    let set = feature(VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | SET, None);
    refused("SET of MIG_DATA_SIZE", set, Errno::INVAL)?;
    let get = feature(VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 | GET, None);
    refused("GET of MIG_PRECOPY_INFOv2", get, Errno::INVAL)?;
    refused(
        "a feature that is none",
        feature(0xfff0 | GET, None),
        Errno::NOTTY,
    )
}

pub(super) fn attach_pasid(fixture: &mut Fixture) -> Result<()> {
    // Only a device that was opened through iommufd knows the ioctl.
    if fixture.host.kind != Kind::Iommufd {
        return Ok(());
    }
    let device = fixture.open()?;
    let mut attach = vfio_device_attach_iommufd_pt {
        argsz: size_of::<vfio_device_attach_iommufd_pt>() as u32,
        flags: VFIO_DEVICE_ATTACH_PASID,
        pt_id: 0,
        pasid: 1,
    };
    // vfio-pci can do it, and ours, but not the C driver. There is no page table 0.
    let errno = if fixture.is_rust() {
        Errno::NOENT
    } else {
        Errno::OPNOTSUPP
    };
    let attached = ffi::ioctl(&device, &ffi::DEVICE_ATTACH_IOMMUFD_PT, &mut attach);
    refused("a PASID for a page table that is none", attached, errno)
}

pub(super) fn migration_flags(fixture: &mut Fixture) -> Result<()> {
    // Ours offers the P2P states: without them a monitor refuses a VM with several VFs. The
    // accelerators have no path to one another, so nothing needs to stop in these states.
    let expected = Features {
        stop_copy: true,
        p2p: fixture.is_rust(),
        pre_copy: true,
    };
    equal("features", fixture.open()?.features()?, expected)
}

pub(super) fn data_size(fixture: &mut Fixture) -> Result<()> {
    equal(
        "data size",
        fixture.open()?.data_size()?,
        STREAM_SIZE as u64,
    )
}

pub(super) fn bar2(fixture: &mut Fixture) -> Result<()> {
    let mut device = fixture.open()?;
    device.enable()?;
    let hides = fixture.host.hides_half_of_bar2()?;
    let size = if hides { BAR2_SIZE / 2 } else { BAR2_SIZE };
    let region = device.region(BAR2)?;
    equal("size of BAR2", region.size, size)?;
    let wanted = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE | REGION_MMAP;
    equal("flags of BAR2", region.flags & wanted, wanted)?;

    let mut word = [0; 4];
    let beyond = device.read_region(BAR2, size, &mut word);
    refused("read beyond the end", beyond, Errno::INVAL)?;
    let beyond = device.write_region(BAR2, size, &word);
    refused("write beyond the end", beyond, Errno::INVAL)?;
    if hides {
        let last = device.read_region(BAR2, size - 4, &mut word)?;
        equal("read of the last word", last, 4)?;
        let across = device.read_region(BAR2, size - 4, &mut [0; 8])?;
        equal("read across the end", across, 4)?;
        let last = device.write_region(BAR2, BAR2_SIZE - 4, &word);
        refused("write of the last word of the BAR", last, Errno::INVAL)?;
    }

    let bytes = size as usize;
    let map = |offset, length| device.map_region(BAR2, offset, length).map(|map| map.len());
    equal("mapping of all there is", map(0, bytes)?, bytes)?;
    refused("mapping beyond the end", map(size, 4096), Errno::INVAL)?;
    refused(
        "mapping across the end",
        map(size - 4096, 8192),
        Errno::INVAL,
    )?;
    if hides {
        refused(
            "mapping of the whole BAR",
            map(0, BAR2_SIZE as usize),
            Errno::INVAL,
        )?;
    }
    Ok(())
}

pub(super) fn ioeventfd(fixture: &mut Fixture) -> Result<()> {
    let mut device = fixture.open()?;
    device.enable()?;
    let hidden = device.ioeventfd(BAR2, BAR2_SIZE / 2, 0);
    // The C driver lets the core write anywhere in the BAR by this way; that is a hole and no
    // promise, hence nothing to hold it to.
    if fixture.is_rust() && fixture.host.hides_half_of_bar2()? {
        refused("an ioeventfd on the migration block", hidden, Errno::INVAL)?;
    }
    Ok(())
}
