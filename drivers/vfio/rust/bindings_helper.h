/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Headers that the crate `vfio` needs and that the kernel's own Rust bindings do
 * not include. bindgen reads this file; see vfio.mk.
 */
#ifndef VFIO_RUST_BINDINGS_HELPER_H
#define VFIO_RUST_BINDINGS_HELPER_H

/* First: bindgen trips over the forward declared enum in later headers. */
#include <linux/hrtimer_types.h>

#include <linux/anon_inodes.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/pci.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "helpers.h"

#endif
