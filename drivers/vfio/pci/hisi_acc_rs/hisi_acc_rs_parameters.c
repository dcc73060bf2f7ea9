// SPDX-License-Identifier: GPL-2.0
/*
 * The parameters of the module. A parameter in Rust can only be a number or a
 * bool.
 */

#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "hisi_acc_rs_parameters_helpers.h"

static const char * const dma_logging_names[] = {
	[HISI_ACC_RS_DMA_LOGGING_AUTO] = "auto",
	[HISI_ACC_RS_DMA_LOGGING_ON] = "on",
	[HISI_ACC_RS_DMA_LOGGING_OFF] = "off",
};

static unsigned int dma_logging = HISI_ACC_RS_DMA_LOGGING_AUTO;

static int dma_logging_set(const char *value, const struct kernel_param *param)
{
	int index = sysfs_match_string(dma_logging_names, value);

	if (index < 0)
		return index;
	dma_logging = index;
	return 0;
}

static int dma_logging_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n", dma_logging_names[dma_logging]);
}

static const struct kernel_param_ops dma_logging_ops = {
	.set = dma_logging_set,
	.get = dma_logging_get,
};

module_param_cb(dma_logging, &dma_logging_ops, NULL, 0444);
MODULE_PARM_DESC(dma_logging,
		 "Report the pages that a VF may have written, for live migration: on, off, or auto (default): unless the IOMMU does so reliably");

unsigned int hisi_acc_rs_dma_logging(void)
{
	return dma_logging;
}
