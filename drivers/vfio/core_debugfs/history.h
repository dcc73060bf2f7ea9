/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The history of the migration of a device, for vfio_main.c.
 */
#ifndef VFIO_CORE_DEBUGFS_HISTORY_H
#define VFIO_CORE_DEBUGFS_HISTORY_H

#include <linux/err.h>
#include <linux/types.h>
#include <linux/vfio.h>

struct file;

#ifdef CONFIG_VFIO_DEBUGFS_HISTORY
/*
 * Calls the driver's migration_set_state() and records the request. *request
 * becomes its number for vfio_history_answer(), or 0 if it is not recorded.
 */
struct file *vfio_history_set_state(struct vfio_device *device,
				    enum vfio_device_mig_state state,
				    u64 *request);

/*
 * Records that the ioctl fails with ret although the driver has answered the
 * request, unless ret or request is 0. Returns ret.
 */
int vfio_history_answer(struct vfio_device *device, u64 request, int ret);

/* Frees the history. Called when the device has no user any more. */
void vfio_history_free(struct vfio_device *device);
#else
static inline struct file *
vfio_history_set_state(struct vfio_device *device,
		       enum vfio_device_mig_state state, u64 *request)
{
	return device->mig_ops->migration_set_state(device, state);
}

static inline int vfio_history_answer(struct vfio_device *device, u64 request,
				      int ret)
{
	return ret;
}

static inline void vfio_history_free(struct vfio_device *device) { }
#endif

#endif
