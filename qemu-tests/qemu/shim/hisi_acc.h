/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HiSilicon Kunpeng accelerators: common parts of the physical and virtual
 * functions.
 */
#ifndef HISI_ACC_H
#define HISI_ACC_H

#include "hw/pci/pci_device.h"
#include "kunpeng_accel.h"

/* One kind of accelerator; the types of its functions are derived from it. */
typedef struct HisiAccKind {
    const char *pf_type;
    const char *vf_type;
    const char *pf_desc;
    const char *vf_desc;
    KunpengAccelEngine engine;
    uint16_t pf_device_id;
    uint16_t vf_device_id;
    /* Default for all revisions but V2. */
    uint16_t total_qps;
} HisiAccKind;

#define TYPE_HISI_ACC "hisi-acc"
OBJECT_DECLARE_TYPE(HisiAccState, HisiAccClass, HISI_ACC)

#define TYPE_HISI_ACC_VF "hisi-acc-vf"
OBJECT_DECLARE_SIMPLE_TYPE(HisiAccVfState, HISI_ACC_VF)

#define HISI_ACC_VENDOR_ID      0x19e5
#define HISI_ACC_CLASS_ID       0x1200

#define HISI_ACC_V2             0x21
#define HISI_ACC_V2_TOTAL_QPS   1024

#define HISI_ACC_BAR            2
#define HISI_ACC_BAR_TYPE       (PCI_BASE_ADDRESS_MEM_TYPE_64 | \
                                 PCI_BASE_ADDRESS_MEM_PREFETCH)
#define HISI_ACC_PF_BAR_SIZE    (4 * MiB)
#define HISI_ACC_VF_BAR_SIZE    (64 * KiB)

struct HisiAccClass {
    PCIDeviceClass parent_class;
    const HisiAccKind *kind;
};

struct HisiAccState {
    PCIDevice parent_obj;
    MemoryRegion bar;
    QEMUTimer *timer;
    /* Valid between realize and exit. */
    KunpengAccel *accel;
    char *fault;
    /* The setting made before the device was realized. */
    char *silicon;
    uint64_t latency_ns;
    uint64_t mailbox_ns;
    uint64_t register_ns;
    /* Duration of past reads that has not been added to the time yet. */
    uint64_t owed_ns;
    /* 0 selects the default. */
    uint16_t total_qps;
    uint16_t total_vfs;
    uint8_t revision;
};

struct HisiAccVfState {
    PCIDevice parent_obj;
    MemoryRegion bar;
};

/* Capabilities that both kinds of function have. */
bool hisi_acc_init_capabilities(PCIDevice *dev, Error **errp);
void hisi_acc_exit_capabilities(PCIDevice *dev);

/* Lets the time of one register read pass. */
void hisi_acc_register_read(HisiAccState *pf);

/* Decodes the BAR of a VF if and only if the PF's VF MSE bit is set. */
void hisi_acc_vf_update_decode(PCIDevice *vf);

#endif
