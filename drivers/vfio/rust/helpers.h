/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Out-of-line functions for static inline functions and macros, and for functions
 * that do not exist in some configurations.
 */
#ifndef VFIO_RUST_HELPERS_H
#define VFIO_RUST_HELPERS_H

#include <linux/debugfs.h>
#include <linux/mod_devicetable.h>
#include <linux/pci.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

enum {
	VFIO_RUST_PCI_ID_OVERRIDE = PCI_ID_F_VFIO_DRIVER_OVERRIDE,
	VFIO_RUST_PCI_OFFSET_SHIFT = VFIO_PCI_OFFSET_SHIFT,
};

enum {
	VFIO_RUST_IOCTL_IOEVENTFD = VFIO_DEVICE_IOEVENTFD,
	VFIO_RUST_IOCTL_PRECOPY_INFO = VFIO_MIG_GET_PRECOPY_INFO,
};

enum {
	VFIO_RUST_POLL_READABLE = (__force unsigned int)(EPOLLIN | EPOLLRDNORM),
	VFIO_RUST_POLL_OVER = (__force unsigned int)EPOLLRDHUP,
};

void vfio_rust_helper_cond_resched(void);

void vfio_rust_helper_put_device(struct vfio_device *vdev);
void vfio_rust_helper_get_device(struct vfio_device *vdev);

bool vfio_rust_helper_fatal_signal_pending(void);

int vfio_rust_helper_pm_get_if_active(struct device *dev);
void vfio_rust_helper_pm_put(struct device *dev);
int vfio_rust_helper_memory_lock(struct vfio_pci_core_device *vdev, u16 *cmd);
void vfio_rust_helper_memory_unlock(struct vfio_pci_core_device *vdev, u16 cmd);

struct dentry *vfio_rust_helper_debugfs_migration(struct vfio_device *vdev);
struct dentry *vfio_rust_helper_debugfs_dir(const char *name,
					    struct dentry *parent);
struct dentry *vfio_rust_helper_debugfs_file(const char *name, umode_t mode,
					     struct dentry *parent, void *data,
					     const struct file_operations *fops);
void vfio_rust_helper_debugfs_lookup_and_remove(const char *name,
						struct dentry *parent);
void vfio_rust_helper_dput(struct dentry *dentry);

#endif
