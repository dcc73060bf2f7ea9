/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HiSilicon Kunpeng accelerator: virtual function.
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qemu/module.h"
#include "qapi/error.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_sriov.h"
#include "migration/vmstate.h"
#include "hisi_acc.h"

static KunpengAccel *vf_accel(PCIDevice *dev)
{
    return HISI_ACC(pcie_sriov_get_pf(dev))->accel;
}

/* The model numbers functions starting with the PF, which is 0. */
static uint16_t vf_function(PCIDevice *dev)
{
    return pcie_sriov_vf_number(dev) + 1;
}

static uint64_t hisi_acc_vf_read(void *opaque, hwaddr offset, unsigned size)
{
    PCIDevice *dev = opaque;

    hisi_acc_register_read(HISI_ACC(pcie_sriov_get_pf(dev)));
    return kunpeng_accel_read(vf_accel(dev), vf_function(dev), offset, size);
}

static void hisi_acc_vf_write(void *opaque, hwaddr offset, uint64_t value,
                              unsigned size)
{
    PCIDevice *dev = opaque;

    kunpeng_accel_write(vf_accel(dev), vf_function(dev), offset, size, value);
}

static const MemoryRegionOps hisi_acc_vf_ops = {
    .read = hisi_acc_vf_read,
    .write = hisi_acc_vf_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

/*
 * QEMU decodes a VF's BAR according to the VF's own memory enable bit. This bit
 * does not exist in hardware, where VF MSE of the PF applies, so that a host
 * can access a VF whose guest has not enabled memory yet.
 */
void hisi_acc_vf_update_decode(PCIDevice *vf)
{
    PCIDevice *pf = pcie_sriov_get_pf(vf);
    uint16_t control = pci_get_word(pf->config + pf->exp.sriov_cap +
                                    PCI_SRIOV_CTRL);
    uint16_t old = pci_get_word(vf->config + PCI_COMMAND);
    uint16_t new = old & ~PCI_COMMAND_MEMORY;

    if (control & PCI_SRIOV_CTRL_MSE) {
        new |= PCI_COMMAND_MEMORY;
    }
    if (new != old) {
        pci_default_write_config(vf, PCI_COMMAND, new, 2);
    }
}

static void hisi_acc_vf_config_write(PCIDevice *dev, uint32_t address,
                                     uint32_t value, int length)
{
    pci_default_write_config(dev, address, value, length);
    pcie_cap_flr_write_config(dev, address, value, length);
    pcie_aer_write_config(dev, address, value, length);
    hisi_acc_vf_update_decode(dev);
}

static void hisi_acc_vf_reset(DeviceState *dev)
{
    PCIDevice *vf = PCI_DEVICE(dev);
    KunpengAccel *accel = vf_accel(vf);

    kunpeng_accel_flr(accel, vf_function(vf));
}

static void hisi_acc_vf_realize(PCIDevice *dev, Error **errp)
{
    HisiAccVfState *s = HISI_ACC_VF(dev);
    HisiAccState *pf = HISI_ACC(pcie_sriov_get_pf(dev));

    pci_config_set_revision(dev->config, pf->revision);
    dev->config_write = hisi_acc_vf_config_write;
    memory_region_init_io(&s->bar, OBJECT(dev), &hisi_acc_vf_ops, dev,
                          object_get_typename(OBJECT(dev)),
                          HISI_ACC_VF_BAR_SIZE);
    pci_register_bar(dev, HISI_ACC_BAR, HISI_ACC_BAR_TYPE, &s->bar);
    hisi_acc_init_capabilities(dev, errp);
}

static const VMStateDescription hisi_acc_vf_vmstate = {
    .name = TYPE_HISI_ACC_VF,
    .unmigratable = 1,
};

static void hisi_acc_vf_class_init(ObjectClass *klass, const void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = hisi_acc_vf_realize;
    pc->exit = hisi_acc_exit_capabilities;
    pc->vendor_id = HISI_ACC_VENDOR_ID;
    pc->class_id = HISI_ACC_CLASS_ID;

    dc->vmsd = &hisi_acc_vf_vmstate;
    dc->user_creatable = false;
    device_class_set_legacy_reset(dc, hisi_acc_vf_reset);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo hisi_acc_vf_info = {
    .name = TYPE_HISI_ACC_VF,
    .parent = TYPE_PCI_DEVICE,
    .abstract = true,
    .instance_size = sizeof(HisiAccVfState),
    .class_init = hisi_acc_vf_class_init,
    .interfaces = (const InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { }
    },
};

static void hisi_acc_vf_register_types(void)
{
    type_register_static(&hisi_acc_vf_info);
}

type_init(hisi_acc_vf_register_types)
