/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Headers that bindgen reads for this driver.
 */
#include "../../rust/bindings_helper.h"

#include <linux/hisi_acc_qm.h>

#include "hisi_acc_rs_events_helpers.h"
#include "hisi_acc_rs_helpers.h"
#include "hisi_acc_rs_parameters_helpers.h"
