/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the judges share, one for each kind of algorithm.
 */

#ifndef CRYPTO_JUDGE_H
#define CRYPTO_JUDGE_H

#include <linux/atomic.h>
#include <linux/crypto.h>
#include <linux/prandom.h>

struct judge {
	/* Its folder in debugfs */
	const char *name;
	/* What it keeps for a run, all zero before begin */
	size_t run_size;
	/* Makes transforms and memory; 0 or an error */
	int (*begin)(void *run, struct rnd_state *rnd);
	/* Judges one buffer; its length */
	unsigned int (*one)(void *run, struct rnd_state *rnd);
	/* Frees what begin has made, also if it has failed */
	void (*end)(void *run);

	atomic64_t buffers;
	atomic64_t mismatches;
	atomic64_t errors;
	atomic64_t bytes;
	atomic64_t hardware;
};

extern struct judge acomp_judge, skcipher_judge, akcipher_judge, kpp_judge;

/* Of buffers whose length varies, the most bytes */
extern unsigned int max_len;

/* Takes a queue pair each way, and holds it */
int acomp_pass_over(void);
void acomp_pass_over_end(void);

/*
 * Waits for the end of a request that has returned @err. For @device, which is
 * NULL for software, it counts if a device has it, and not the fallback.
 */
int judge_wait(struct judge *device, int err, struct crypto_wait *wait);

/*
 * Contiguous memory, so that a device can do with one entry for each. To be given
 * back by judge_free(), after a failure too.
 */
int judge_alloc(u8 **buffers, int count, size_t size);
void judge_free(u8 **buffers, int count, size_t size);

/* From 1 to n */
unsigned int draw(struct rnd_state *rnd, unsigned int n);

/* From 1 to max_len, every power of two as likely as any other */
unsigned int draw_len(struct rnd_state *rnd);

#endif
