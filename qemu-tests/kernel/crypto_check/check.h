/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interface shared by the tests, one for each kind of algorithm.
 */

#ifndef CRYPTO_CHECK_H
#define CRYPTO_CHECK_H

#include <linux/atomic.h>
#include <linux/crypto.h>
#include <linux/prandom.h>

struct check {
	/* Name of its directory in debugfs */
	const char *name;
	/* Size of the state of a run, which is zeroed before begin */
	size_t run_size;
	/* Allocates transforms and memory; returns 0 or an error */
	int (*begin)(void *run, struct rnd_state *rnd);
	/* Tests one buffer and returns its length */
	unsigned int (*one)(void *run, struct rnd_state *rnd);
	/* Frees everything that begin has allocated, even if begin failed */
	void (*end)(void *run);

	atomic64_t buffers;
	atomic64_t mismatches;
	atomic64_t errors;
	atomic64_t bytes;
	atomic64_t hardware;
};

extern struct check acomp_check, skcipher_check, akcipher_check, kpp_check;

/* Maximum size of buffers whose length varies, in bytes */
extern unsigned int max_len;

/* Takes a queue pair in each direction and holds it */
int acomp_pass_over(void);
void acomp_pass_over_end(void);

/*
 * Waits for the end of a request that has returned @err. Unless @device is
 * NULL, which means software, counts the request if a device executed it and
 * not the fallback.
 */
int check_wait(struct check *device, int err, struct crypto_wait *wait);

/*
 * Allocates contiguous memory, so that a device needs only one entry for each
 * buffer. Must be freed with check_free(), even after a failure.
 */
int check_alloc(u8 **buffers, int count, size_t size);
void check_free(u8 **buffers, int count, size_t size);

/* Returns a random number from 1 to n */
unsigned int draw(struct rnd_state *rnd, unsigned int n);

/*
 * Returns a random number from 1 to max_len; every power of two is equally
 * likely
 */
unsigned int draw_len(struct rnd_state *rnd);

#endif
