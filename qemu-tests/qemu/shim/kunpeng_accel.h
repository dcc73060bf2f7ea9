/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * C interface of the accelerator model; ../src/ffi.rs implements and documents
 * the functions.
 *
 * All calls are made under the big QEMU lock.
 */
#ifndef KUNPENG_ACCEL_H
#define KUNPENG_ACCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct KunpengAccel KunpengAccel;

typedef struct KunpengAccelOps {
    bool (*dma_read)(void *opaque, uint16_t function, uint64_t address,
                     uint8_t *data, size_t length);
    bool (*dma_write)(void *opaque, uint16_t function, uint64_t address,
                      const uint8_t *data, size_t length);
    void (*msi)(void *opaque, uint16_t function, uint8_t vector);
    uint64_t (*now_ns)(void *opaque);
    void (*set_timer)(void *opaque, uint64_t deadline_ns);
} KunpengAccelOps;

typedef enum KunpengAccelEngine {
    KUNPENG_ACCEL_ZIP = 0,
    KUNPENG_ACCEL_SEC = 1,
    KUNPENG_ACCEL_HPRE = 2,
} KunpengAccelEngine;

typedef struct KunpengAccelConfig {
    uint8_t engine;
    uint8_t revision;
    uint16_t total_qps;
    uint16_t total_vfs;
    uint64_t latency_ns;
    uint64_t mailbox_ns;
} KunpengAccelConfig;

enum {
    KUNPENG_ACCEL_VIOLATIONS = 0,
    KUNPENG_ACCEL_COUNTERS = 1,
    KUNPENG_ACCEL_VIOLATION_LOG = 2,
    KUNPENG_ACCEL_SILICON = 3,
    KUNPENG_ACCEL_WRITTEN_PAGES = 4,
};

KunpengAccel *kunpeng_accel_new(KunpengAccelConfig config, KunpengAccelOps ops,
                                void *opaque, char *error, size_t room);
void kunpeng_accel_free(KunpengAccel *accel);
uint64_t kunpeng_accel_read(const KunpengAccel *accel, uint16_t function,
                            uint64_t offset, uint8_t size);
void kunpeng_accel_write(const KunpengAccel *accel, uint16_t function,
                         uint64_t offset, uint8_t size, uint64_t value);
void kunpeng_accel_timer(const KunpengAccel *accel);
void kunpeng_accel_flr(const KunpengAccel *accel, uint16_t function);
void kunpeng_accel_set_vfs(const KunpengAccel *accel, uint16_t vfs);
uint64_t kunpeng_accel_latency(const KunpengAccel *accel);
void kunpeng_accel_set_latency(const KunpengAccel *accel, uint64_t latency_ns);
void kunpeng_accel_reset_violations(const KunpengAccel *accel);
size_t kunpeng_accel_text(const KunpengAccel *accel, uint32_t which,
                          char *buffer, size_t room);
bool kunpeng_accel_set_fault(const KunpengAccel *accel, const char *text,
                             char *error, size_t room);
bool kunpeng_accel_set_silicon(const KunpengAccel *accel, const char *text,
                               char *error, size_t room);

#endif
