// SPDX-License-Identifier: GPL-2.0
/*
 * Key agreement on the curve P-256: for each private key, device and software
 * must generate the same public key, and the same secret with that public key.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <crypto/ecdh.h>
#include <crypto/kpp.h>
#include <linux/gfp.h>
#include <linux/scatterlist.h>

#include "check.h"

#define COORDINATE	32
#define POINT		(2 * COORDINATE)
/* As computed by crypto_ecdh_key_len() */
#define KEY_SIZE	(sizeof(struct kpp_secret) + sizeof(short) + COORDINATE)

struct side {
	struct crypto_kpp *tfm;
	struct kpp_request *req;
	struct crypto_wait wait;
	/* NULL for software */
	struct check *device;
	u8 public[POINT] __aligned(ARCH_DMA_MINALIGN);
	/* A device returns a point, whose first coordinate is the secret. */
	u8 secret[POINT] __aligned(ARCH_DMA_MINALIGN);
};

struct run {
	struct side hw, sw;
};

static void side_exit(struct side *side)
{
	kpp_request_free(side->req);
	crypto_free_kpp(side->tfm);
}

static int side_init(struct side *side, const char *name, struct check *device)
{
	side->device = device;
	crypto_init_wait(&side->wait);
	side->tfm = crypto_alloc_kpp(name, 0, 0);
	if (IS_ERR(side->tfm))
		return PTR_ERR(side->tfm);

	side->req = kpp_request_alloc(side->tfm, GFP_KERNEL);
	if (!side->req)
		return -ENOMEM;
	kpp_request_set_callback(side->req, CRYPTO_TFM_REQ_MAY_SLEEP |
				 CRYPTO_TFM_REQ_MAY_BACKLOG,
				 crypto_req_done, &side->wait);
	return 0;
}

static int side_do(struct side *side, int (*op)(struct kpp_request *req),
		   void *src, void *dst)
{
	struct scatterlist in, out;

	if (src)
		sg_init_one(&in, src, POINT);
	sg_init_one(&out, dst, POINT);
	kpp_request_set_input(side->req, src ? &in : NULL, src ? POINT : 0);
	kpp_request_set_output(side->req, &out, POINT);
	return check_wait(side->device, op(side->req), &side->wait);
}

static int agree(struct side *side, void *key)
{
	return crypto_kpp_set_secret(side->tfm, key, KEY_SIZE) ?:
	       side_do(side, crypto_kpp_generate_public_key, NULL, side->public) ?:
	       side_do(side, crypto_kpp_compute_shared_secret, side->public,
		       side->secret);
}

static unsigned int kpp_one(void *data, struct rnd_state *rnd)
{
	struct run *run = data;
	struct side *hw = &run->hw, *sw = &run->sw;
	char digits[COORDINATE], key[KEY_SIZE];
	struct ecdh secret = { .key = digits, .key_size = COORDINATE };
	int err;

	prandom_bytes_state(rnd, digits, sizeof(digits));
	/*
	 * The key must be less than the order of the group, and the device
	 * rejects zero.
	 */
	digits[0] = 1;

	err = crypto_ecdh_encode_key(key, KEY_SIZE, &secret) ?:
	      agree(sw, key) ?: agree(hw, key);
	if (err) {
		atomic64_inc(&kpp_check.errors);
		pr_err_ratelimited("ecdh: %d\n", err);
	} else if (memcmp(hw->public, sw->public, POINT) ||
		   memcmp(hw->secret, sw->secret, COORDINATE)) {
		atomic64_inc(&kpp_check.mismatches);
		pr_err_ratelimited("ecdh: results differ\n");
	}
	return COORDINATE;
}

static void kpp_end(void *data)
{
	struct run *run = data;

	side_exit(&run->sw);
	side_exit(&run->hw);
}

static int kpp_begin(void *data, struct rnd_state *rnd)
{
	struct run *run = data;

	return side_init(&run->hw, "hpre-ecdh-nist-p256", &kpp_check) ?:
	       side_init(&run->sw, "ecdh-nist-p256-generic", NULL);
}

struct check kpp_check = {
	.name = "kpp",
	.run_size = sizeof(struct run),
	.begin = kpp_begin,
	.one = kpp_one,
	.end = kpp_end,
};
