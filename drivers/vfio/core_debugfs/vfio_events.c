// SPDX-License-Identifier: GPL-2.0

#include "vfio_events_helpers.h"

#define CREATE_TRACE_POINTS
#include "vfio_events.h"

void vfio_history_trace(struct device *dev, enum vfio_device_mig_state from,
			enum vfio_device_mig_state to, u32 duration, int ret)
{
	trace_migration_arc(dev, from, to, duration, ret);
}
