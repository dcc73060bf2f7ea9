// SPDX-License-Identifier: GPL-2.0
/*
 * Tests crypto devices against the kernel's software implementations.
 *
 * There is a directory for each kind of algorithm in
 * /sys/kernel/debug/crypto_check. Writing "<buffers> <seed>" to its file "run"
 * generates that many pseudo-random buffers. The device and software process
 * them and must agree on every byte. The write returns when all of them have
 * been processed; a signal ends it early. Several tasks may write at once, so
 * that several requests are in flight. The file "result" shows the accumulated
 * results of all runs.
 */

#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "check.h"

unsigned int max_len = SZ_1M;
module_param(max_len, uint, 0444);
MODULE_PARM_DESC(max_len, "Size of the largest buffer in bytes, 1 to 1048576");

static bool pass_over;
module_param(pass_over, bool, 0444);
MODULE_PARM_DESC(pass_over, "Hold an idle compressor, which takes one queue pair in each direction");

static struct check *const checks[] = {
	&acomp_check, &skcipher_check, &akcipher_check, &kpp_check,
};

static struct dentry *root;

int check_wait(struct check *device, int err, struct crypto_wait *wait)
{
	bool asynchronous = err == -EINPROGRESS || err == -EBUSY;

	err = crypto_wait_req(err, wait);
	if (asynchronous && device)
		atomic64_inc(&device->hardware);
	return err;
}

int check_alloc(u8 **buffers, int count, size_t size)
{
	int i;

	for (i = 0; i < count; i++) {
		buffers[i] = alloc_pages_exact(size, GFP_KERNEL);
		if (!buffers[i])
			return -ENOMEM;
	}
	return 0;
}

void check_free(u8 **buffers, int count, size_t size)
{
	int i;

	for (i = 0; i < count; i++)
		if (buffers[i])
			free_pages_exact(buffers[i], size);
}

unsigned int draw(struct rnd_state *rnd, unsigned int n)
{
	return prandom_u32_state(rnd) % n + 1;
}

unsigned int draw_len(struct rnd_state *rnd)
{
	unsigned int magnitude = 1U << (draw(rnd, ilog2(max_len) + 1) - 1);

	return min(magnitude - 1 + draw(rnd, magnitude), max_len);
}

static int check_run(struct check *check, unsigned int count, u64 seed)
{
	void *run = kzalloc(check->run_size, GFP_KERNEL);
	struct rnd_state rnd;
	unsigned int n;
	int err;

	if (!run)
		return -ENOMEM;

	prandom_seed_state(&rnd, seed);
	err = check->begin(run, &rnd);
	for (n = 0; n < count && !err; n++) {
		atomic64_add(check->one(run, &rnd), &check->bytes);
		atomic64_inc(&check->buffers);
		cond_resched();
		if (signal_pending(current))
			err = -EINTR;
	}

	check->end(run);
	kfree(run);
	return err;
}

static ssize_t run_write(struct file *file, const char __user *from,
			 size_t size, loff_t *ppos)
{
	unsigned int count;
	char command[64];
	int err;
	u64 seed;

	if (size >= sizeof(command))
		return -EINVAL;
	if (copy_from_user(command, from, size))
		return -EFAULT;
	command[size] = '\0';
	if (sscanf(command, "%u %llu", &count, &seed) != 2)
		return -EINVAL;

	err = check_run(file->private_data, count, seed);
	return err ?: size;
}

static const struct file_operations run_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = run_write,
};

static int result_show(struct seq_file *seq, void *unused)
{
	struct check *check = seq->private;

	seq_printf(seq, "buffers: %lld\n", atomic64_read(&check->buffers));
	seq_printf(seq, "mismatches: %lld\n", atomic64_read(&check->mismatches));
	seq_printf(seq, "errors: %lld\n", atomic64_read(&check->errors));
	seq_printf(seq, "bytes: %lld\n", atomic64_read(&check->bytes));
	seq_printf(seq, "hardware: %lld\n", atomic64_read(&check->hardware));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

static int __init crypto_check_init(void)
{
	struct dentry *folder;
	int err, i;

	if (!max_len || max_len > SZ_1M)
		return -EINVAL;

	if (pass_over) {
		err = acomp_pass_over();
		if (err)
			return err;
	}

	root = debugfs_create_dir("crypto_check", NULL);
	for (i = 0; i < ARRAY_SIZE(checks); i++) {
		folder = debugfs_create_dir(checks[i]->name, root);
		debugfs_create_file("run", 0200, folder, checks[i], &run_fops);
		debugfs_create_file("result", 0444, folder, checks[i], &result_fops);
	}
	return 0;
}
module_init(crypto_check_init);

static void __exit crypto_check_exit(void)
{
	debugfs_remove(root);
	acomp_pass_over_end();
}
module_exit(crypto_check_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Tests crypto devices against software");
