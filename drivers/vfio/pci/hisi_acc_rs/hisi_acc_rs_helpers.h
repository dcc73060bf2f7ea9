/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Wrappers of inline functions of the kernel, for Rust.
 */
#ifndef HISI_ACC_RS_HELPERS_H
#define HISI_ACC_RS_HELPERS_H

#include <linux/pci.h>
#include <linux/types.h>

struct pci_dev *hisi_acc_rs_pci_physfn(struct pci_dev *pdev);
bool hisi_acc_rs_test_and_set_bit(unsigned int nr, unsigned long *word);
void hisi_acc_rs_clear_bit(unsigned int nr, unsigned long *word);
int hisi_acc_rs_atomic_read(const atomic_t *value);

#endif
