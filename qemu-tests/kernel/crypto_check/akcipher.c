// SPDX-License-Identifier: GPL-2.0
/*
 * RSA: each message is encrypted by the device and by software, with the same
 * result, and decrypted by the device.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <crypto/akcipher.h>
#include <linux/gfp.h>
#include <linux/scatterlist.h>

#include "check.h"
#include "rsa_key.h"

struct side {
	struct crypto_akcipher *tfm;
	struct akcipher_request *req;
	struct crypto_wait wait;
	/* NULL for software */
	struct check *device;
};

struct run {
	struct side hw, sw;
	u8 plain[RSA_SIZE] __aligned(ARCH_DMA_MINALIGN);
	u8 by_device[RSA_SIZE] __aligned(ARCH_DMA_MINALIGN);
	u8 by_software[RSA_SIZE] __aligned(ARCH_DMA_MINALIGN);
	u8 restored[RSA_SIZE] __aligned(ARCH_DMA_MINALIGN);
};

static void side_exit(struct side *side)
{
	akcipher_request_free(side->req);
	crypto_free_akcipher(side->tfm);
}

static int side_init(struct side *side, const char *name, struct check *device)
{
	int err;

	side->device = device;
	crypto_init_wait(&side->wait);
	side->tfm = crypto_alloc_akcipher(name, 0, 0);
	if (IS_ERR(side->tfm))
		return PTR_ERR(side->tfm);

	err = crypto_akcipher_set_priv_key(side->tfm, rsa_key, sizeof(rsa_key));
	if (err)
		return err;
	side->req = akcipher_request_alloc(side->tfm, GFP_KERNEL);
	if (!side->req)
		return -ENOMEM;
	akcipher_request_set_callback(side->req, CRYPTO_TFM_REQ_MAY_SLEEP |
				      CRYPTO_TFM_REQ_MAY_BACKLOG,
				      crypto_req_done, &side->wait);
	return 0;
}

static int side_do(struct side *side, int (*op)(struct akcipher_request *req),
		   void *src, void *dst)
{
	struct scatterlist in, out;

	sg_init_one(&in, src, RSA_SIZE);
	sg_init_one(&out, dst, RSA_SIZE);
	akcipher_request_set_crypt(side->req, &in, &out, RSA_SIZE, RSA_SIZE);
	return check_wait(side->device, op(side->req), &side->wait);
}

static unsigned int akcipher_one(void *data, struct rnd_state *rnd)
{
	struct run *run = data;
	int err;

	prandom_bytes_state(rnd, run->plain, RSA_SIZE);
	/* The message must be less than the modulus. */
	run->plain[0] = 0;

	err = side_do(&run->sw, crypto_akcipher_encrypt, run->plain, run->by_software) ?:
	      side_do(&run->hw, crypto_akcipher_encrypt, run->plain, run->by_device) ?:
	      side_do(&run->hw, crypto_akcipher_decrypt, run->by_device, run->restored);
	if (err) {
		atomic64_inc(&akcipher_check.errors);
		pr_err_ratelimited("rsa: %d\n", err);
	} else if (memcmp(run->by_device, run->by_software, RSA_SIZE) ||
		   memcmp(run->restored, run->plain, RSA_SIZE)) {
		atomic64_inc(&akcipher_check.mismatches);
		pr_err_ratelimited("rsa: results differ\n");
	}
	return RSA_SIZE;
}

static void akcipher_end(void *data)
{
	struct run *run = data;

	side_exit(&run->sw);
	side_exit(&run->hw);
}

static int akcipher_begin(void *data, struct rnd_state *rnd)
{
	struct run *run = data;

	return side_init(&run->hw, "hpre-rsa", &akcipher_check) ?:
	       side_init(&run->sw, "rsa-generic", NULL);
}

struct check akcipher_check = {
	.name = "akcipher",
	.run_size = sizeof(struct run),
	.begin = akcipher_begin,
	.one = akcipher_one,
	.end = akcipher_end,
};
