/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HiSilicon Kunpeng accelerators: the supported kinds.
 */
#include "qemu/osdep.h"
#include "qemu/module.h"
#include "hisi_acc.h"

static const HisiAccKind kinds[] = {
    {
        .pf_type = "hisi-zip",
        .vf_type = "hisi-zip-vf",
        .pf_desc = "HiSilicon Kunpeng ZIP accelerator",
        .vf_desc = "HiSilicon Kunpeng ZIP accelerator, virtual function",
        .engine = KUNPENG_ACCEL_ZIP,
        .pf_device_id = 0xa250,
        .vf_device_id = 0xa251,
        .total_qps = 128,
    }, {
        .pf_type = "hisi-sec",
        .vf_type = "hisi-sec-vf",
        .pf_desc = "HiSilicon Kunpeng SEC accelerator",
        .vf_desc = "HiSilicon Kunpeng SEC accelerator, virtual function",
        .engine = KUNPENG_ACCEL_SEC,
        .pf_device_id = 0xa255,
        .vf_device_id = 0xa256,
        /* The driver uses 256 for the PF; the drivers of the others use 64. */
        .total_qps = 384,
    }, {
        .pf_type = "hisi-hpre",
        .vf_type = "hisi-hpre-vf",
        .pf_desc = "HiSilicon Kunpeng HPRE accelerator",
        .vf_desc = "HiSilicon Kunpeng HPRE accelerator, virtual function",
        .engine = KUNPENG_ACCEL_HPRE,
        .pf_device_id = 0xa258,
        .vf_device_id = 0xa259,
        .total_qps = 128,
    },
};

static void pf_class_init(ObjectClass *klass, const void *data)
{
    const HisiAccKind *kind = data;

    HISI_ACC_CLASS(klass)->kind = kind;
    PCI_DEVICE_CLASS(klass)->device_id = kind->pf_device_id;
    DEVICE_CLASS(klass)->desc = kind->pf_desc;
}

static void vf_class_init(ObjectClass *klass, const void *data)
{
    const HisiAccKind *kind = data;

    PCI_DEVICE_CLASS(klass)->device_id = kind->vf_device_id;
    DEVICE_CLASS(klass)->desc = kind->vf_desc;
}

static void hisi_acc_kinds_register_types(void)
{
    for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
        const TypeInfo pf = {
            .name = kinds[i].pf_type,
            .parent = TYPE_HISI_ACC,
            .class_init = pf_class_init,
            .class_data = &kinds[i],
        };
        const TypeInfo vf = {
            .name = kinds[i].vf_type,
            .parent = TYPE_HISI_ACC_VF,
            .class_init = vf_class_init,
            .class_data = &kinds[i],
        };

        type_register_static(&pf);
        type_register_static(&vf);
    }
}

type_init(hisi_acc_kinds_register_types)
