/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Headers that bindgen reads for the Rust part of VFIO core.
 */
#include "../rust/bindings_helper.h"

/* drivers/vfio/vfio.h: the prototypes of the functions that the core calls. */
#include "vfio.h"

#include "history.h"
#include "vfio_events_helpers.h"
