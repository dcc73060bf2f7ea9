// SPDX-License-Identifier: GPL-2.0

#include "hisi_acc_rs_events_helpers.h"

#define CREATE_TRACE_POINTS
#include "hisi_acc_rs_events.h"

void hisi_acc_rs_trace_arc(struct device *dev, u32 from, u32 to, u32 duration,
			   int ret)
{
	trace_hisi_acc_vfio_arc(dev, from, to, duration, ret);
}

bool hisi_acc_rs_trace_mailbox_enabled(void)
{
	return trace_hisi_acc_vfio_mailbox_enabled();
}

void hisi_acc_rs_trace_mailbox(struct device *dev, u8 command, u32 duration,
			       int ret)
{
	trace_hisi_acc_vfio_mailbox(dev, command, duration, ret);
}

void hisi_acc_rs_trace_refuse(struct device *dev, u64 session,
			      const char *field, size_t field_len,
			      u64 expected, u64 got)
{
	trace_hisi_acc_vfio_refuse(dev, session, field, field_len, expected,
				   got);
}

void hisi_acc_rs_trace_reset(struct device *dev, bool done)
{
	trace_hisi_acc_vfio_reset(dev, done);
}
