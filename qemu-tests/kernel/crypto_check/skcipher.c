// SPDX-License-Identifier: GPL-2.0
/*
 * Ciphers: each buffer is encrypted by the device and by software, with the
 * same result, and decrypted by the device.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <crypto/aes.h>
#include <crypto/skcipher.h>
#include <linux/gfp.h>
#include <linux/scatterlist.h>

#include "check.h"

static const struct {
	const char *hardware;
	/* Matches any synchronous driver that needs no fallback */
	const char *name;
	unsigned int key_size;
} ciphers[] = {
	{ "hisi_sec_cbc(aes)", "cbc(aes)", AES_KEYSIZE_256 },
	{ "hisi_sec_ctr(aes)", "ctr(aes)", AES_KEYSIZE_128 },
	{ "hisi_sec_xts(aes)", "xts(aes)", 2 * AES_KEYSIZE_128 },
};

enum { PLAIN, BY_DEVICE, BY_SOFTWARE, RESTORED, NR_BUFFERS };

struct side {
	struct crypto_skcipher *tfm;
	struct skcipher_request *req;
	struct crypto_wait wait;
	/* NULL for software */
	struct check *device;
};

struct run {
	struct side hw, sw;
	unsigned int key_size;
	u8 *buffers[NR_BUFFERS];
};

static void side_exit(struct side *side)
{
	skcipher_request_free(side->req);
	crypto_free_skcipher(side->tfm);
}

static int side_init(struct side *side, const char *name, u32 without,
		     struct check *device)
{
	side->device = device;
	crypto_init_wait(&side->wait);
	side->tfm = crypto_alloc_skcipher(name, 0, without);
	if (IS_ERR(side->tfm))
		return PTR_ERR(side->tfm);

	side->req = skcipher_request_alloc(side->tfm, GFP_KERNEL);
	if (!side->req)
		return -ENOMEM;
	skcipher_request_set_callback(side->req, CRYPTO_TFM_REQ_MAY_SLEEP |
				      CRYPTO_TFM_REQ_MAY_BACKLOG,
				      crypto_req_done, &side->wait);
	return 0;
}

static int side_do(struct side *side, int (*op)(struct skcipher_request *req),
		   void *src, void *dst, unsigned int len, const u8 *iv)
{
	/* Chaining modes leave the IV for the next buffer here. */
	u8 own_iv[AES_BLOCK_SIZE];
	struct scatterlist in, out;

	memcpy(own_iv, iv, sizeof(own_iv));
	sg_init_one(&in, src, len);
	sg_init_one(&out, dst, len);
	skcipher_request_set_crypt(side->req, &in, &out, len, own_iv);
	return check_wait(side->device, op(side->req), &side->wait);
}

static unsigned int skcipher_one(void *data, struct rnd_state *rnd)
{
	u8 key[2 * AES_KEYSIZE_128], iv[AES_BLOCK_SIZE];
	struct run *run = data;
	u8 **buffers = run->buffers;
	unsigned int len = round_up(draw_len(rnd), AES_BLOCK_SIZE);
	int err;

	prandom_bytes_state(rnd, key, run->key_size);
	prandom_bytes_state(rnd, iv, sizeof(iv));
	prandom_bytes_state(rnd, buffers[PLAIN], len);

	err = crypto_skcipher_setkey(run->hw.tfm, key, run->key_size) ?:
	      crypto_skcipher_setkey(run->sw.tfm, key, run->key_size) ?:
	      side_do(&run->sw, crypto_skcipher_encrypt, buffers[PLAIN],
		      buffers[BY_SOFTWARE], len, iv) ?:
	      side_do(&run->hw, crypto_skcipher_encrypt, buffers[PLAIN],
		      buffers[BY_DEVICE], len, iv) ?:
	      side_do(&run->hw, crypto_skcipher_decrypt, buffers[BY_DEVICE],
		      buffers[RESTORED], len, iv);
	if (err) {
		atomic64_inc(&skcipher_check.errors);
		pr_err_ratelimited("%u bytes: %s: %d\n", len,
				   crypto_skcipher_driver_name(run->hw.tfm), err);
	} else if (memcmp(buffers[BY_DEVICE], buffers[BY_SOFTWARE], len) ||
		   memcmp(buffers[RESTORED], buffers[PLAIN], len)) {
		atomic64_inc(&skcipher_check.mismatches);
		pr_err_ratelimited("%u bytes: %s differs from %s\n", len,
				   crypto_skcipher_driver_name(run->hw.tfm),
				   crypto_skcipher_driver_name(run->sw.tfm));
	}
	return len;
}

static size_t buffer_size(void)
{
	return round_up(max_len, AES_BLOCK_SIZE);
}

static void skcipher_end(void *data)
{
	struct run *run = data;

	side_exit(&run->sw);
	side_exit(&run->hw);
	check_free(run->buffers, NR_BUFFERS, buffer_size());
}

static int skcipher_begin(void *data, struct rnd_state *rnd)
{
	unsigned int n = draw(rnd, ARRAY_SIZE(ciphers)) - 1;
	struct run *run = data;

	run->key_size = ciphers[n].key_size;
	return check_alloc(run->buffers, NR_BUFFERS, buffer_size()) ?:
	       side_init(&run->hw, ciphers[n].hardware, 0, &skcipher_check) ?:
	       side_init(&run->sw, ciphers[n].name,
			 CRYPTO_ALG_ASYNC | CRYPTO_ALG_NEED_FALLBACK, NULL);
}

struct check skcipher_check = {
	.name = "skcipher",
	.run_size = sizeof(struct run),
	.begin = skcipher_begin,
	.one = skcipher_one,
	.end = skcipher_end,
};
