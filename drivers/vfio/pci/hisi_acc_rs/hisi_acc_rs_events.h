/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events of the migration of a device.
 *
 * All events have the field "dev", the name of the PCI function. "ret" is 0 or
 * a negative errno. "duration" is in microseconds, rounded up.
 *
 * hisi_acc_vfio_arc	a transition between two states succeeded or failed
 *	from, to	the states, as numbered by the uAPI
 *	duration, ret
 * hisi_acc_vfio_mailbox	a mailbox command has ended
 *	command		number of the command: QM_MB_CMD_* in
 *			linux/hisi_acc_qm.h, or 0xe, which pauses the function
 *	duration, ret
 * hisi_acc_vfio_refuse	a session's data were refused
 *	session		number of the session, as in debugfs
 *	field		the first field with a wrong value
 *	expected, got	required value (or the maximum), and actual value
 * hisi_acc_vfio_reset	the function is about to be reset or has been reset
 *	done		0 before the reset, 1 after it
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hisi_acc_vfio

#if !defined(_HISI_ACC_RS_EVENTS_H) || defined(TRACE_HEADER_MULTI_READ)
#define _HISI_ACC_RS_EVENTS_H

#include <linux/device.h>
#include <linux/tracepoint.h>
#include <linux/vfio.h>

/* Lets tools that read the events translate numbers into names. */
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_ERROR);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_STOP);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_RUNNING);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_STOP_COPY);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_RESUMING);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_RUNNING_P2P);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_PRE_COPY);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_PRE_COPY_P2P);

#define hisi_acc_vfio_state(state)					\
	__print_symbolic(state,						\
		{ VFIO_DEVICE_STATE_ERROR, "ERROR" },			\
		{ VFIO_DEVICE_STATE_STOP, "STOP" },			\
		{ VFIO_DEVICE_STATE_RUNNING, "RUNNING" },		\
		{ VFIO_DEVICE_STATE_STOP_COPY, "STOP_COPY" },		\
		{ VFIO_DEVICE_STATE_RESUMING, "RESUMING" },		\
		{ VFIO_DEVICE_STATE_RUNNING_P2P, "RUNNING_P2P" },	\
		{ VFIO_DEVICE_STATE_PRE_COPY, "PRE_COPY" },		\
		{ VFIO_DEVICE_STATE_PRE_COPY_P2P, "PRE_COPY_P2P" })

TRACE_EVENT(hisi_acc_vfio_arc,
	    TP_PROTO(struct device *dev, u32 from, u32 to, u32 duration,
		     int ret),
	    TP_ARGS(dev, from, to, duration, ret),
	    TP_STRUCT__entry(__string(dev, dev_name(dev))
			     __field(u32, from)
			     __field(u32, to)
			     __field(u32, duration)
			     __field(int, ret)),
	    TP_fast_assign(__assign_str(dev);
			   __entry->from = from;
			   __entry->to = to;
			   __entry->duration = duration;
			   __entry->ret = ret;),
	    TP_printk("dev=%s from=%s to=%s duration=%u ret=%d",
		      __get_str(dev), hisi_acc_vfio_state(__entry->from),
		      hisi_acc_vfio_state(__entry->to), __entry->duration,
		      __entry->ret)
);

TRACE_EVENT(hisi_acc_vfio_mailbox,
	    TP_PROTO(struct device *dev, u8 command, u32 duration, int ret),
	    TP_ARGS(dev, command, duration, ret),
	    TP_STRUCT__entry(__string(dev, dev_name(dev))
			     __field(u8, command)
			     __field(u32, duration)
			     __field(int, ret)),
	    TP_fast_assign(__assign_str(dev);
			   __entry->command = command;
			   __entry->duration = duration;
			   __entry->ret = ret;),
	    TP_printk("dev=%s command=%#x duration=%u ret=%d",
		      __get_str(dev), __entry->command, __entry->duration,
		      __entry->ret)
);

TRACE_EVENT(hisi_acc_vfio_refuse,
	    TP_PROTO(struct device *dev, u64 session, const char *field,
		     size_t field_len, u64 expected, u64 got),
	    TP_ARGS(dev, session, field, field_len, expected, got),
	    TP_STRUCT__entry(__string(dev, dev_name(dev))
			     __string_len(field, field, field_len)
			     __field(u64, session)
			     __field(u64, expected)
			     __field(u64, got)),
	    TP_fast_assign(__assign_str(dev);
			   __assign_str(field);
			   __entry->session = session;
			   __entry->expected = expected;
			   __entry->got = got;),
	    TP_printk("dev=%s session=%llu field=%s expected=%#llx got=%#llx",
		      __get_str(dev), __entry->session, __get_str(field),
		      __entry->expected, __entry->got)
);

TRACE_EVENT(hisi_acc_vfio_reset,
	    TP_PROTO(struct device *dev, bool done),
	    TP_ARGS(dev, done),
	    TP_STRUCT__entry(__string(dev, dev_name(dev))
			     __field(bool, done)),
	    TP_fast_assign(__assign_str(dev);
			   __entry->done = done;),
	    TP_printk("dev=%s done=%d", __get_str(dev), __entry->done)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE hisi_acc_rs_events
#include <trace/define_trace.h>
