/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HiSilicon Kunpeng accelerator: physical function.
 *
 * Implements PCI, SR-IOV, FLR, MSI, time and properties; the Rust crate
 * kunpeng-accel implements the registers.
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "exec/icount.h"
#include "hw/core/cpu.h"
#include "hw/pci/msi.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_sriov.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "hisi_acc.h"

#define MSI_VECTORS             4

/*
 * Offsets of the capabilities; their order in the extended space is arbitrary.
 */
#define CAP_EXPRESS             0x40
#define CAP_MSI                 0x80
#define CAP_ARI                 0x100
#define CAP_ACS                 0x110
#define CAP_AER                 0x140
#define CAP_SRIOV               0x200

#define ERROR_ROOM              1024

bool hisi_acc_init_capabilities(PCIDevice *dev, Error **errp)
{
    if (pcie_endpoint_cap_init(dev, CAP_EXPRESS) < 0) {
        error_setg(errp, "no room for the PCI Express capability");
        return false;
    }
    pcie_cap_flr_init(dev);
    pcie_cap_deverr_init(dev);
    if (msi_init(dev, CAP_MSI, MSI_VECTORS, true, true, errp) < 0) {
        pcie_cap_exit(dev);
        return false;
    }
    pcie_ari_init(dev, CAP_ARI);
    /*
     * An empty ACS capability says that the functions cannot reach each other,
     * so each VF gets an IOMMU group of its own.
     */
    dev->cap_present |= QEMU_PCI_CAP_MULTIFUNCTION;
    pcie_acs_init(dev, CAP_ACS);
    if (pcie_aer_init(dev, PCI_ERR_VER, CAP_AER, PCI_ERR_SIZEOF, errp) < 0) {
        msi_uninit(dev);
        pcie_cap_exit(dev);
        return false;
    }
    return true;
}

void hisi_acc_exit_capabilities(PCIDevice *dev)
{
    pcie_aer_exit(dev);
    msi_uninit(dev);
    pcie_cap_exit(dev);
}

/* The model numbers functions starting with the PF, which is 0. */
static PCIDevice *function_device(void *opaque, uint16_t function)
{
    PCIDevice *pf = opaque;

    return function ? pcie_sriov_get_vf_at_index(pf, function - 1) : pf;
}

static bool hisi_acc_dma_read(void *opaque, uint16_t function, uint64_t address,
                              uint8_t *data, size_t length)
{
    PCIDevice *dev = function_device(opaque, function);

    return dev && pci_dma_read(dev, address, data, length) == MEMTX_OK;
}

static bool hisi_acc_dma_write(void *opaque, uint16_t function,
                               uint64_t address, const uint8_t *data,
                               size_t length)
{
    PCIDevice *dev = function_device(opaque, function);

    return dev && pci_dma_write(dev, address, data, length) == MEMTX_OK;
}

static void hisi_acc_msi(void *opaque, uint16_t function, uint8_t vector)
{
    PCIDevice *dev = function_device(opaque, function);

    /* Software may have granted fewer vectors than the function asked for. */
    if (dev && msi_enabled(dev) && vector < msi_nr_vectors_allocated(dev)) {
        msi_notify(dev, vector);
    }
}

static uint64_t hisi_acc_now_ns(void *opaque)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

static void hisi_acc_set_timer(void *opaque, uint64_t deadline_ns)
{
    HisiAccState *s = HISI_ACC(opaque);

    if (deadline_ns > INT64_MAX) {
        timer_del(s->timer);
    } else {
        timer_mod(s->timer, deadline_ns);
    }
}

static void hisi_acc_timer(void *opaque)
{
    HisiAccState *s = opaque;

    kunpeng_accel_timer(s->accel);
}

/*
 * Makes the CPU that reads a register wait. With icount, the wait consists of
 * the number of instructions that the CPU would have executed meanwhile; those
 * that exceed its budget are left to the next read.
 */
void hisi_acc_register_read(HisiAccState *pf)
{
    CPUState *cpu = current_cpu;
    int64_t end, left, waited;

    if (!pf->register_ns || !cpu) {
        return;
    }
    if (!icount_enabled()) {
        end = get_clock() + pf->register_ns;
        while (get_clock() < end) {
            cpu_relax();
        }
        return;
    }

    pf->owed_ns += pf->register_ns;
    left = cpu->neg.icount_decr.u16.low + cpu->icount_extra;
    waited = MIN(pf->owed_ns / icount_to_ns(1), left);
    pf->owed_ns -= icount_to_ns(waited);
    cpu->neg.icount_decr.u16.low = 0;
    cpu->icount_extra = left - waited;
}

static uint64_t hisi_acc_read(void *opaque, hwaddr offset, unsigned size)
{
    HisiAccState *s = opaque;

    hisi_acc_register_read(s);
    return kunpeng_accel_read(s->accel, 0, offset, size);
}

static void hisi_acc_write(void *opaque, hwaddr offset, uint64_t value,
                           unsigned size)
{
    HisiAccState *s = opaque;

    kunpeng_accel_write(s->accel, 0, offset, size, value);
}

static const MemoryRegionOps hisi_acc_ops = {
    .read = hisi_acc_read,
    .write = hisi_acc_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

static void hisi_acc_config_write(PCIDevice *dev, uint32_t address,
                                  uint32_t value, int length)
{
    HisiAccState *s = HISI_ACC(dev);
    PCIDevice *vf;

    pci_default_write_config(dev, address, value, length);
    pcie_cap_flr_write_config(dev, address, value, length);
    pcie_aer_write_config(dev, address, value, length);
    kunpeng_accel_set_vfs(s->accel, pcie_sriov_num_vfs(dev));
    for (int i = 0; (vf = pcie_sriov_get_vf_at_index(dev, i)); i++) {
        hisi_acc_vf_update_decode(vf);
    }
}

static void hisi_acc_reset(DeviceState *dev)
{
    HisiAccState *s = HISI_ACC(dev);

    kunpeng_accel_flr(s->accel, 0);
}

static void hisi_acc_realize(PCIDevice *dev, Error **errp)
{
    HisiAccState *s = HISI_ACC(dev);
    const KunpengAccelOps ops = {
        .dma_read = hisi_acc_dma_read,
        .dma_write = hisi_acc_dma_write,
        .msi = hisi_acc_msi,
        .now_ns = hisi_acc_now_ns,
        .set_timer = hisi_acc_set_timer,
    };
    const HisiAccKind *kind = HISI_ACC_GET_CLASS(s)->kind;
    /* V2 has no register for this number. */
    const uint16_t default_qps = s->revision == HISI_ACC_V2 ?
                                 HISI_ACC_V2_TOTAL_QPS : kind->total_qps;
    const KunpengAccelConfig config = {
        .engine = kind->engine,
        .revision = s->revision,
        .total_qps = s->total_qps ?: default_qps,
        .total_vfs = s->total_vfs,
        .latency_ns = s->latency_ns,
        .mailbox_ns = s->mailbox_ns,
    };
    char error[ERROR_ROOM];

    s->accel = kunpeng_accel_new(config, ops, dev, error, sizeof(error));
    if (!s->accel) {
        error_setg(errp, "%s", error);
        return;
    }
    if (s->silicon && !kunpeng_accel_set_silicon(s->accel, s->silicon, error,
                                                 sizeof(error))) {
        error_setg(errp, "%s", error);
        kunpeng_accel_free(s->accel);
        s->accel = NULL;
        return;
    }
    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, hisi_acc_timer, s);

    pci_config_set_revision(dev->config, s->revision);
    dev->config_write = hisi_acc_config_write;
    memory_region_init_io(&s->bar, OBJECT(dev), &hisi_acc_ops, s,
                          kind->pf_type, HISI_ACC_PF_BAR_SIZE);
    pci_register_bar(dev, HISI_ACC_BAR, HISI_ACC_BAR_TYPE, &s->bar);

    if (!hisi_acc_init_capabilities(dev, errp)) {
        goto free_accel;
    }
    if (!pcie_sriov_pf_init(dev, CAP_SRIOV, kind->vf_type, kind->vf_device_id,
                            s->total_vfs, s->total_vfs, 1, 1, errp)) {
        goto exit_capabilities;
    }
    pcie_sriov_pf_init_vf_bar(dev, HISI_ACC_BAR, HISI_ACC_BAR_TYPE,
                              HISI_ACC_VF_BAR_SIZE);
    return;

exit_capabilities:
    hisi_acc_exit_capabilities(dev);
free_accel:
    timer_free(s->timer);
    kunpeng_accel_free(s->accel);
    s->accel = NULL;
}

static void hisi_acc_exit(PCIDevice *dev)
{
    HisiAccState *s = HISI_ACC(dev);

    pcie_sriov_pf_exit(dev);
    hisi_acc_exit_capabilities(dev);
    timer_free(s->timer);
    kunpeng_accel_free(s->accel);
    s->accel = NULL;
}

static char *get_text(HisiAccState *s, uint32_t which)
{
    size_t length;
    char *text;

    if (!s->accel) {
        return g_strdup("");
    }
    length = kunpeng_accel_text(s->accel, which, NULL, 0);
    text = g_malloc(length + 1);
    kunpeng_accel_text(s->accel, which, text, length + 1);
    return text;
}

static char *get_violations(Object *obj, Error **errp)
{
    return get_text(HISI_ACC(obj), KUNPENG_ACCEL_VIOLATIONS);
}

static char *get_violation_log(Object *obj, Error **errp)
{
    return get_text(HISI_ACC(obj), KUNPENG_ACCEL_VIOLATION_LOG);
}

static char *get_counters(Object *obj, Error **errp)
{
    return get_text(HISI_ACC(obj), KUNPENG_ACCEL_COUNTERS);
}

static char *get_written_pages(Object *obj, Error **errp)
{
    return get_text(HISI_ACC(obj), KUNPENG_ACCEL_WRITTEN_PAGES);
}

static void set_violations_reset(Object *obj, bool value, Error **errp)
{
    HisiAccState *s = HISI_ACC(obj);

    if (value && s->accel) {
        kunpeng_accel_reset_violations(s->accel);
    }
}

static char *get_fault(Object *obj, Error **errp)
{
    HisiAccState *s = HISI_ACC(obj);

    return g_strdup(s->fault ? s->fault : "");
}

static void set_fault(Object *obj, const char *value, Error **errp)
{
    HisiAccState *s = HISI_ACC(obj);
    char error[ERROR_ROOM];

    if (!s->accel) {
        error_setg(errp, "a fault needs a realized device");
        return;
    }
    if (!kunpeng_accel_set_fault(s->accel, value, error, sizeof(error))) {
        error_setg(errp, "%s", error);
        return;
    }
    g_free(s->fault);
    s->fault = g_strdup(value);
}

static char *get_silicon(Object *obj, Error **errp)
{
    HisiAccState *s = HISI_ACC(obj);

    if (!s->accel) {
        return g_strdup(s->silicon ? s->silicon : "");
    }
    return get_text(s, KUNPENG_ACCEL_SILICON);
}

static void set_silicon(Object *obj, const char *value, Error **errp)
{
    HisiAccState *s = HISI_ACC(obj);
    char error[ERROR_ROOM];

    if (!s->accel) {
        g_free(s->silicon);
        s->silicon = g_strdup(value);
    } else if (!kunpeng_accel_set_silicon(s->accel, value, error,
                                          sizeof(error))) {
        error_setg(errp, "%s", error);
    }
}

static void get_latency(Object *obj, Visitor *v, const char *name,
                        void *opaque, Error **errp)
{
    HisiAccState *s = HISI_ACC(obj);

    visit_type_uint64(v, name, &s->latency_ns, errp);
}

static void set_latency(Object *obj, Visitor *v, const char *name,
                        void *opaque, Error **errp)
{
    HisiAccState *s = HISI_ACC(obj);

    if (visit_type_uint64(v, name, &s->latency_ns, errp) && s->accel) {
        kunpeng_accel_set_latency(s->accel, s->latency_ns);
    }
}

static void hisi_acc_instance_init(Object *obj)
{
    HisiAccState *s = HISI_ACC(obj);

    s->latency_ns = 20 * SCALE_US;
}

static void hisi_acc_instance_finalize(Object *obj)
{
    HisiAccState *s = HISI_ACC(obj);

    g_free(s->fault);
    g_free(s->silicon);
}

static const Property hisi_acc_properties[] = {
    DEFINE_PROP_UINT8("revision", HisiAccState, revision, 0x30),
    DEFINE_PROP_UINT16("total-qps", HisiAccState, total_qps, 0),
    DEFINE_PROP_UINT16("total-vfs", HisiAccState, total_vfs, 7),
    DEFINE_PROP_UINT64("mailbox-ns", HisiAccState, mailbox_ns, 2 * SCALE_US),
    DEFINE_PROP_UINT64("register-ns", HisiAccState, register_ns, 0),
};

/* Requests in flight and cached contexts are not saved. */
static const VMStateDescription hisi_acc_vmstate = {
    .name = TYPE_HISI_ACC,
    .unmigratable = 1,
};

static void hisi_acc_class_init(ObjectClass *klass, const void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = hisi_acc_realize;
    pc->exit = hisi_acc_exit;
    pc->vendor_id = HISI_ACC_VENDOR_ID;
    pc->class_id = HISI_ACC_CLASS_ID;

    dc->vmsd = &hisi_acc_vmstate;
    dc->hotpluggable = false;
    device_class_set_legacy_reset(dc, hisi_acc_reset);
    device_class_set_props(dc, hisi_acc_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);

    object_class_property_add_str(klass, "violations", get_violations, NULL);
    object_class_property_add_str(klass, "violation-log", get_violation_log,
                                  NULL);
    object_class_property_add_str(klass, "counters", get_counters, NULL);
    object_class_property_add_str(klass, "written-pages", get_written_pages,
                                  NULL);
    object_class_property_add_bool(klass, "violations-reset", NULL,
                                   set_violations_reset);
    object_class_property_add_str(klass, "fault", get_fault, set_fault);
    object_class_property_add_str(klass, "silicon", get_silicon, set_silicon);
    object_class_property_add(klass, "latency-ns", "uint64", get_latency,
                              set_latency, NULL, NULL);
}

static const TypeInfo hisi_acc_info = {
    .name = TYPE_HISI_ACC,
    .parent = TYPE_PCI_DEVICE,
    .abstract = true,
    .class_size = sizeof(HisiAccClass),
    .instance_size = sizeof(HisiAccState),
    .instance_init = hisi_acc_instance_init,
    .instance_finalize = hisi_acc_instance_finalize,
    .class_init = hisi_acc_class_init,
    .interfaces = (const InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { }
    },
};

static void hisi_acc_register_types(void)
{
    type_register_static(&hisi_acc_info);
}

type_init(hisi_acc_register_types)
