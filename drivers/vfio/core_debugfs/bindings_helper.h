/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bindgen reads for the Rust part of VFIO core.
 */

/*
 * bindgen gets confused by an enum that is declared before it is defined, and
 * everything below comes to include such a declaration of this one.
 */
#include <linux/hrtimer_types.h>

#include <linux/vfio.h>
/* drivers/vfio/vfio.h: the prototypes of what the core calls. */
#include "vfio.h"
