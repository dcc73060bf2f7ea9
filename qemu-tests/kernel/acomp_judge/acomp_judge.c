// SPDX-License-Identifier: GPL-2.0-only
/*
 * Judges a compression device by the kernel's software implementation.
 *
 * Writing "<buffers> <seed>" to /sys/kernel/debug/acomp_judge/run makes that
 * many pseudo-random buffers. Each is compressed by the device and restored by
 * software, then compressed by software and restored by the device, and must
 * come back byte for byte. The write returns when all is done; a signal ends it
 * early. Several may write at once, for several requests at a time. What came out
 * so far, of all runs, is in /sys/kernel/debug/acomp_judge/result.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <crypto/acompress.h>
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#define GUARD_SIZE	64
#define GUARD_BYTE	0xa5

static char *hardware = "hisi-deflate-acomp";
module_param(hardware, charp, 0444);
MODULE_PARM_DESC(hardware, "Driver name of the implementation that is judged");

static char *software = "deflate-generic";
module_param(software, charp, 0444);
MODULE_PARM_DESC(software, "Driver name of the implementation that judges");

static unsigned int max_len = SZ_1M;
module_param(max_len, uint, 0444);
MODULE_PARM_DESC(max_len, "Bytes of the longest buffer, 1 to 1048576");

static bool pass_over;
module_param(pass_over, bool, 0444);
MODULE_PARM_DESC(pass_over, "Hold a transform idle, so that one queue pair each way is taken");

enum { PLAIN, PACKED, RESTORED, NR_BUFFERS };

static struct {
	atomic64_t buffers;
	atomic64_t mismatches;
	atomic64_t errors;
	atomic64_t bytes;
	atomic64_t hardware;
} result;

static struct dentry *root;
static struct crypto_acomp *idle;

struct side {
	struct crypto_acomp *tfm;
	struct acomp_req *req;
	struct crypto_wait wait;
	/* Counts requests that a device completed, and not its fallback. */
	bool counts;
};

static void side_exit(struct side *side)
{
	acomp_request_free(side->req);
	crypto_free_acomp(side->tfm);
}

static int side_init(struct side *side, const char *name, bool counts)
{
	side->counts = counts;
	crypto_init_wait(&side->wait);
	side->tfm = crypto_alloc_acomp(name, 0, 0);
	if (IS_ERR(side->tfm))
		return PTR_ERR(side->tfm);

	side->req = acomp_request_alloc(side->tfm);
	if (!side->req) {
		crypto_free_acomp(side->tfm);
		return -ENOMEM;
	}
	acomp_request_set_callback(side->req, CRYPTO_TFM_REQ_MAY_SLEEP,
				   crypto_req_done, &side->wait);
	return 0;
}

/* Returns what was produced at dst, at most dlen bytes, or an error. */
static int side_do(struct side *side, int (*op)(struct acomp_req *req),
		   void *src, unsigned int slen, void *dst, unsigned int dlen)
{
	bool asynchronous;
	int err;

	memset(dst + dlen, GUARD_BYTE, GUARD_SIZE);
	/*
	 * Addresses, not scatterlists: from a scatterlist deflate-generic takes
	 * a page at a time and then cannot look back further than its window
	 * of 2 KiB. A device gets a scatterlist with one entry in any case.
	 */
	acomp_request_set_src_dma(side->req, src, slen);
	acomp_request_set_dst_dma(side->req, dst, dlen);

	err = op(side->req);
	asynchronous = err == -EINPROGRESS;
	err = crypto_wait_req(err, &side->wait);
	if (asynchronous && side->counts)
		atomic64_inc(&result.hardware);
	if (err)
		return err;
	if (side->req->dlen > dlen ||
	    memchr_inv(dst + dlen, GUARD_BYTE, GUARD_SIZE))
		return -EOVERFLOW;
	return side->req->dlen;
}

/* A compressor may use nine bits for a byte it cannot compress, and a few to begin. */
static unsigned int packed_max(void)
{
	return max_len + max_len / 4 + 64;
}

static void judge(u8 *buffers[], unsigned int len, struct side *packer,
		  struct side *unpacker)
{
	int packed, restored = 0;

	packed = side_do(packer, crypto_acomp_compress, buffers[PLAIN], len,
			 buffers[PACKED], packed_max());
	if (packed > 0)
		restored = side_do(unpacker, crypto_acomp_decompress,
				   buffers[PACKED], packed, buffers[RESTORED],
				   len);

	if (packed <= 0 || restored < 0) {
		atomic64_inc(&result.errors);
		pr_err_ratelimited("%u bytes: %s to %d, %s to %d\n", len,
				   crypto_acomp_driver_name(packer->tfm), packed,
				   crypto_acomp_driver_name(unpacker->tfm),
				   restored);
	} else if (restored != len ||
		   memcmp(buffers[PLAIN], buffers[RESTORED], len)) {
		atomic64_inc(&result.mismatches);
		pr_err_ratelimited("%u bytes: %s to %s differs\n", len,
				   crypto_acomp_driver_name(packer->tfm),
				   crypto_acomp_driver_name(unpacker->tfm));
	}
}

/* From 1 to n */
static unsigned int draw(struct rnd_state *rnd, unsigned int n)
{
	return prandom_u32_state(rnd) % n + 1;
}

/* Every power of two is as likely as any other. */
static unsigned int draw_len(struct rnd_state *rnd)
{
	unsigned int magnitude = 1U << (draw(rnd, ilog2(max_len) + 1) - 1);

	return min(magnitude - 1 + draw(rnd, magnitude), max_len);
}

/* Pieces of noise, of one byte, and of what came before; some are noise only. */
static void fill(struct rnd_state *rnd, u8 *buffer, unsigned int len)
{
	unsigned int kinds = draw(rnd, 4) == 1 ? 1 : 3;
	unsigned int done = 0;

	while (done < len) {
		unsigned int piece = min(draw(rnd, SZ_4K), len - done);
		unsigned int kind = draw(rnd, kinds);
		unsigned int distance, i;

		if (kind == 1) {
			prandom_bytes_state(rnd, buffer + done, piece);
		} else if (kind == 2 || !done) {
			memset(buffer + done, prandom_u32_state(rnd), piece);
		} else {
			distance = draw(rnd, min(done, SZ_32K));
			for (i = done; i < done + piece; i++)
				buffer[i] = buffer[i - distance];
		}
		done += piece;
	}
}

static int run(unsigned int count, u64 seed, u8 *buffers[])
{
	struct side hw, sw;
	struct rnd_state rnd;
	unsigned int len, n;
	int err;

	err = side_init(&hw, hardware, true);
	if (err)
		return err;
	err = side_init(&sw, software, false);
	if (err)
		goto exit_hw;

	prandom_seed_state(&rnd, seed);
	for (n = 0; n < count && !err; n++) {
		len = draw_len(&rnd);
		fill(&rnd, buffers[PLAIN], len);
		judge(buffers, len, &hw, &sw);
		judge(buffers, len, &sw, &hw);
		atomic64_inc(&result.buffers);
		atomic64_add(len, &result.bytes);
		cond_resched();
		if (signal_pending(current))
			err = -EINTR;
	}

	side_exit(&sw);
exit_hw:
	side_exit(&hw);
	return err;
}

static ssize_t run_write(struct file *file, const char __user *from,
			 size_t size, loff_t *ppos)
{
	size_t buffer_size = packed_max() + GUARD_SIZE;
	u8 *buffers[NR_BUFFERS] = {};
	unsigned int count;
	char command[64];
	int err = 0, i;
	u64 seed;

	if (size >= sizeof(command))
		return -EINVAL;
	if (copy_from_user(command, from, size))
		return -EFAULT;
	command[size] = '\0';
	if (sscanf(command, "%u %llu", &count, &seed) != 2)
		return -EINVAL;

	/* Contiguous, so that a device can do with one entry for each. */
	for (i = 0; i < NR_BUFFERS && !err; i++) {
		buffers[i] = alloc_pages_exact(buffer_size, GFP_KERNEL);
		if (!buffers[i])
			err = -ENOMEM;
	}
	if (!err)
		err = run(count, seed, buffers);
	for (i = 0; i < NR_BUFFERS; i++)
		if (buffers[i])
			free_pages_exact(buffers[i], buffer_size);

	return err ?: size;
}

static const struct file_operations run_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = run_write,
};

static int result_show(struct seq_file *seq, void *unused)
{
	seq_printf(seq, "buffers: %lld\n", atomic64_read(&result.buffers));
	seq_printf(seq, "mismatches: %lld\n", atomic64_read(&result.mismatches));
	seq_printf(seq, "errors: %lld\n", atomic64_read(&result.errors));
	seq_printf(seq, "bytes: %lld\n", atomic64_read(&result.bytes));
	seq_printf(seq, "hardware: %lld\n", atomic64_read(&result.hardware));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

static int __init acomp_judge_init(void)
{
	if (!max_len || max_len > SZ_1M)
		return -EINVAL;

	/*
	 * A driver gives out the queues of its first function before those of
	 * the next. With as few queues there as this takes, the next is judged.
	 */
	if (pass_over) {
		idle = crypto_alloc_acomp(hardware, 0, 0);
		if (IS_ERR(idle))
			return PTR_ERR(idle);
	}

	root = debugfs_create_dir("acomp_judge", NULL);
	debugfs_create_file("run", 0200, root, NULL, &run_fops);
	debugfs_create_file("result", 0444, root, NULL, &result_fops);
	return 0;
}
module_init(acomp_judge_init);

static void __exit acomp_judge_exit(void)
{
	debugfs_remove(root);
	crypto_free_acomp(idle);
}
module_exit(acomp_judge_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Judges a compression device by software");
