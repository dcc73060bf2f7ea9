// SPDX-License-Identifier: GPL-2.0

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "helpers.h"

/* iova_bitmap_set() */
MODULE_IMPORT_NS("IOMMUFD");

void __weak vfio_rust_helper_cond_resched(void)
{
	cond_resched();
}

void __weak vfio_rust_helper_put_device(struct vfio_device *vdev)
{
	vfio_put_device(vdev);
}

void __weak vfio_rust_helper_get_device(struct vfio_device *vdev)
{
	get_device(&vdev->device);
}

bool __weak vfio_rust_helper_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

/*
 * Returns <0 if runtime PM is disabled, 0 if suspended, 1 with a usage reference
 * taken if active.
 */
int __weak vfio_rust_helper_pm_get_if_active(struct device *dev)
{
	return pm_runtime_get_if_active(dev);
}

void __weak vfio_rust_helper_pm_put(struct device *dev)
{
	pm_runtime_put(dev);
}

/* Like vfio_pci_memory_lock_and_enable(), which is not exported. */
int __weak vfio_rust_helper_memory_lock(struct vfio_pci_core_device *vdev, u16 *cmd)
{
	struct pci_dev *pdev = vdev->pdev;

	down_write(&vdev->memory_lock);
	if (pdev->current_state >= PCI_D3hot) {
		up_write(&vdev->memory_lock);
		return -EIO;
	}

	pci_read_config_word(pdev, PCI_COMMAND, cmd);
	if (!pdev->no_command_memory && !(*cmd & PCI_COMMAND_MEMORY))
		pci_write_config_word(pdev, PCI_COMMAND,
				      *cmd | PCI_COMMAND_MEMORY);
	return 0;
}

void __weak vfio_rust_helper_memory_unlock(struct vfio_pci_core_device *vdev, u16 cmd)
{
	if (!vdev->pdev->no_command_memory && !(cmd & PCI_COMMAND_MEMORY))
		pci_write_config_word(vdev->pdev, PCI_COMMAND, cmd);
	up_write(&vdev->memory_lock);
}

#ifdef CONFIG_VFIO_DEBUGFS
/*
 * Returns the core's "migration" directory of @vdev with a reference taken, or
 * NULL if there is none. A lookup with a NULL parent would search the root of
 * debugfs.
 */
struct dentry *__weak vfio_rust_helper_debugfs_migration(struct vfio_device *vdev)
{
	if (!debugfs_initialized() || IS_ERR_OR_NULL(vdev->debug_root))
		return NULL;

	return debugfs_lookup("migration", vdev->debug_root);
}

struct dentry *__weak vfio_rust_helper_debugfs_dir(const char *name,
					    struct dentry *parent)
{
	return debugfs_create_dir(name, parent);
}

struct dentry *__weak vfio_rust_helper_debugfs_file(const char *name, umode_t mode,
					     struct dentry *parent, void *data,
					     const struct file_operations *fops)
{
	return debugfs_create_file(name, mode, parent, data, fops);
}

void __weak vfio_rust_helper_debugfs_lookup_and_remove(const char *name,
						       struct dentry *parent)
{
	debugfs_lookup_and_remove(name, parent);
}

void __weak vfio_rust_helper_dput(struct dentry *dentry)
{
	dput(dentry);
}
#endif
