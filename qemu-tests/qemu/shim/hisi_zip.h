/* SPDX-License-Identifier: GPL-2.0 */
/*
 * HiSilicon Kunpeng ZIP accelerator: what its physical and virtual functions
 * have in common.
 */
#ifndef HISI_ZIP_H
#define HISI_ZIP_H

#include "hw/pci/pci_device.h"
#include "kunpeng_accel.h"

#define TYPE_HISI_ZIP "hisi-zip"
OBJECT_DECLARE_SIMPLE_TYPE(HisiZipState, HISI_ZIP)

#define TYPE_HISI_ZIP_VF "hisi-zip-vf"
OBJECT_DECLARE_SIMPLE_TYPE(HisiZipVfState, HISI_ZIP_VF)

#define HISI_ZIP_VENDOR_ID      0x19e5
#define HISI_ZIP_PF_DEVICE_ID   0xa250
#define HISI_ZIP_VF_DEVICE_ID   0xa251
#define HISI_ZIP_CLASS_ID       0x1200

#define HISI_ZIP_BAR            2
#define HISI_ZIP_BAR_TYPE       (PCI_BASE_ADDRESS_MEM_TYPE_64 | \
                                 PCI_BASE_ADDRESS_MEM_PREFETCH)
#define HISI_ZIP_PF_BAR_SIZE    (4 * MiB)
#define HISI_ZIP_VF_BAR_SIZE    (64 * KiB)

struct HisiZipState {
    PCIDevice parent_obj;
    MemoryRegion bar;
    QEMUTimer *timer;
    /* Set from realize to exit. */
    KunpengAccel *accel;
    char *fault;
    uint64_t latency_ns;
    uint16_t total_qps;
    uint16_t total_vfs;
    uint8_t revision;
};

struct HisiZipVfState {
    PCIDevice parent_obj;
    MemoryRegion bar;
};

/* Capabilities both kinds of function have. */
bool hisi_zip_init_capabilities(PCIDevice *dev, Error **errp);
void hisi_zip_exit_capabilities(PCIDevice *dev);

/* Decode the BAR of a VF if, and only if, the PF's VF MSE says so. */
void hisi_zip_vf_update_decode(PCIDevice *vf);

#endif
