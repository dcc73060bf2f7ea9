// SPDX-License-Identifier: GPL-2.0

#include <linux/atomic.h>
#include <linux/bitops.h>

#include "hisi_acc_rs_helpers.h"

struct pci_dev *hisi_acc_rs_pci_physfn(struct pci_dev *pdev)
{
	return pci_physfn(pdev);
}

bool hisi_acc_rs_test_and_set_bit(unsigned int nr, unsigned long *word)
{
	return test_and_set_bit(nr, word);
}

void hisi_acc_rs_clear_bit(unsigned int nr, unsigned long *word)
{
	clear_bit(nr, word);
}

int hisi_acc_rs_atomic_read(const atomic_t *value)
{
	return atomic_read(value);
}
