// SPDX-License-Identifier: GPL-2.0
/*
 * Compression: each buffer is compressed by the device and decompressed by
 * software, then compressed by software and decompressed by the device; both
 * results must equal the buffer.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <crypto/acompress.h>
#include <linux/sizes.h>

#include "check.h"

#define HARDWARE	"hisi-deflate-acomp"
#define SOFTWARE	"deflate-generic"

#define GUARD_SIZE	64
#define GUARD_BYTE	0xa5

enum { PLAIN, PACKED, RESTORED, NR_BUFFERS };

static struct crypto_acomp *idle;

struct side {
	struct crypto_acomp *tfm;
	struct acomp_req *req;
	struct crypto_wait wait;
	/* NULL for software */
	struct check *device;
};

struct run {
	struct side hw, sw;
	u8 *buffers[NR_BUFFERS];
};

static void side_exit(struct side *side)
{
	acomp_request_free(side->req);
	crypto_free_acomp(side->tfm);
}

static int side_init(struct side *side, const char *name, struct check *device)
{
	side->device = device;
	crypto_init_wait(&side->wait);
	side->tfm = crypto_alloc_acomp(name, 0, 0);
	if (IS_ERR(side->tfm))
		return PTR_ERR(side->tfm);

	side->req = acomp_request_alloc(side->tfm);
	if (!side->req)
		return -ENOMEM;
	acomp_request_set_callback(side->req, CRYPTO_TFM_REQ_MAY_SLEEP,
				   crypto_req_done, &side->wait);
	return 0;
}

/* Returns the number of bytes written to dst, at most dlen, or an error. */
static int side_do(struct side *side, int (*op)(struct acomp_req *req),
		   void *src, unsigned int slen, void *dst, unsigned int dlen)
{
	int err;

	memset(dst + dlen, GUARD_BYTE, GUARD_SIZE);
	/*
	 * Use addresses, not scatterlists: from a scatterlist, deflate-generic
	 * takes one page at a time and cannot look back further than its window
	 * of 2 KiB. A device gets a scatterlist with one entry in either case.
	 */
	acomp_request_set_src_dma(side->req, src, slen);
	acomp_request_set_dst_dma(side->req, dst, dlen);

	err = check_wait(side->device, op(side->req), &side->wait);
	if (err)
		return err;
	if (side->req->dlen > dlen ||
	    memchr_inv(dst + dlen, GUARD_BYTE, GUARD_SIZE))
		return -EOVERFLOW;
	return side->req->dlen;
}

/*
 * A compressor may need nine bits for an incompressible byte, and a few at the
 * start.
 */
static unsigned int packed_max(void)
{
	return max_len + max_len / 4 + 64;
}

static size_t buffer_size(void)
{
	return packed_max() + GUARD_SIZE;
}

static void check(u8 *buffers[], unsigned int len, struct side *packer,
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
		atomic64_inc(&acomp_check.errors);
		pr_err_ratelimited("%u bytes: %s to %d, %s to %d\n", len,
				   crypto_acomp_driver_name(packer->tfm), packed,
				   crypto_acomp_driver_name(unpacker->tfm),
				   restored);
	} else if (restored != len ||
		   memcmp(buffers[PLAIN], buffers[RESTORED], len)) {
		atomic64_inc(&acomp_check.mismatches);
		pr_err_ratelimited("%u bytes: %s to %s differs\n", len,
				   crypto_acomp_driver_name(packer->tfm),
				   crypto_acomp_driver_name(unpacker->tfm));
	}
}

/*
 * Mixes noise, runs of one byte, and copies of earlier data; some buffers are
 * noise only.
 */
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

static unsigned int acomp_one(void *data, struct rnd_state *rnd)
{
	unsigned int len = draw_len(rnd);
	struct run *run = data;

	fill(rnd, run->buffers[PLAIN], len);
	check(run->buffers, len, &run->hw, &run->sw);
	check(run->buffers, len, &run->sw, &run->hw);
	return len;
}

static void acomp_end(void *data)
{
	struct run *run = data;

	side_exit(&run->sw);
	side_exit(&run->hw);
	check_free(run->buffers, NR_BUFFERS, buffer_size());
}

static int acomp_begin(void *data, struct rnd_state *rnd)
{
	struct run *run = data;

	return check_alloc(run->buffers, NR_BUFFERS, buffer_size()) ?:
	       side_init(&run->hw, HARDWARE, &acomp_check) ?:
	       side_init(&run->sw, SOFTWARE, NULL);
}

struct check acomp_check = {
	.name = "acomp",
	.run_size = sizeof(struct run),
	.begin = acomp_begin,
	.one = acomp_one,
	.end = acomp_end,
};

/*
 * A driver hands out the queues of its first function before those of the next
 * one. If the first one has only as many queues as this takes, the next one is
 * tested.
 */
int acomp_pass_over(void)
{
	struct crypto_acomp *tfm = crypto_alloc_acomp(HARDWARE, 0, 0);

	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	idle = tfm;
	return 0;
}

void acomp_pass_over_end(void)
{
	crypto_free_acomp(idle);
}
