/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parameters of the module, for Rust.
 */
#ifndef HISI_ACC_RS_PARAMETERS_HELPERS_H
#define HISI_ACC_RS_PARAMETERS_HELPERS_H

enum {
	HISI_ACC_RS_DMA_LOGGING_AUTO,
	HISI_ACC_RS_DMA_LOGGING_ON,
	HISI_ACC_RS_DMA_LOGGING_OFF,
};

unsigned int hisi_acc_rs_dma_logging(void);

#endif
