/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The trace event of VFIO core.
 *
 * migration_arc	a driver has answered a request for a state
 *	dev		name of the device on its bus
 *	from		the state before, 0xffffffff if it is not known
 *	to		the requested state; both as numbered by the uAPI
 *	duration	in microseconds, rounded up
 *	ret		0 or a negative errno
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vfio

#if !defined(_VFIO_EVENTS_H) || defined(TRACE_HEADER_MULTI_READ)
#define _VFIO_EVENTS_H

#include <linux/device.h>
#include <linux/tracepoint.h>
#include <linux/vfio.h>

/* Lets tools that read the event translate numbers into names. */
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_ERROR);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_STOP);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_RUNNING);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_STOP_COPY);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_RESUMING);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_RUNNING_P2P);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_PRE_COPY);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_PRE_COPY_P2P);

#define vfio_state(state)						\
	__print_symbolic(state,						\
		{ VFIO_DEVICE_STATE_ERROR, "ERROR" },			\
		{ VFIO_DEVICE_STATE_STOP, "STOP" },			\
		{ VFIO_DEVICE_STATE_RUNNING, "RUNNING" },		\
		{ VFIO_DEVICE_STATE_STOP_COPY, "STOP_COPY" },		\
		{ VFIO_DEVICE_STATE_RESUMING, "RESUMING" },		\
		{ VFIO_DEVICE_STATE_RUNNING_P2P, "RUNNING_P2P" },	\
		{ VFIO_DEVICE_STATE_PRE_COPY, "PRE_COPY" },		\
		{ VFIO_DEVICE_STATE_PRE_COPY_P2P, "PRE_COPY_P2P" },	\
		{ 0xffffffff, "-" })

TRACE_EVENT(migration_arc,
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
		      __get_str(dev), vfio_state(__entry->from),
		      vfio_state(__entry->to), __entry->duration,
		      __entry->ret)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE vfio_events
#include <trace/define_trace.h>
