/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The function that emits the trace event, for Rust.
 */
#ifndef VFIO_EVENTS_HELPERS_H
#define VFIO_EVENTS_HELPERS_H

#include <linux/device.h>
#include <linux/types.h>
#include <linux/vfio.h>

void vfio_history_trace(struct device *dev, enum vfio_device_mig_state from,
			enum vfio_device_mig_state to, u32 duration, int ret);

#endif
