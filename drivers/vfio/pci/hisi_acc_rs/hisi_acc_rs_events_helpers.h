/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions that emit the trace events, for Rust.
 */
#ifndef HISI_ACC_RS_EVENTS_HELPERS_H
#define HISI_ACC_RS_EVENTS_HELPERS_H

#include <linux/device.h>
#include <linux/types.h>

void hisi_acc_rs_trace_arc(struct device *dev, u32 from, u32 to, u32 duration,
			   int ret);
bool hisi_acc_rs_trace_mailbox_enabled(void);
void hisi_acc_rs_trace_mailbox(struct device *dev, u8 command, u32 duration,
			       int ret);
void hisi_acc_rs_trace_refuse(struct device *dev, u64 session,
			      const char *field, size_t field_len,
			      u64 expected, u64 got);
void hisi_acc_rs_trace_reset(struct device *dev, bool done);

#endif
