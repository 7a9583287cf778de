/* SHA-256 (FIPS 180-4) through libcrypto. */
#ifndef ATTNSCOPE_BASE_HASH_H
#define ATTNSCOPE_BASE_HASH_H

#include <stddef.h>
#include "base/err.h"

typedef struct sha256 sha256;
typedef char sha256_hex[65]; /* 64 lower-case digits and NUL */

int sha256_new(sha256 **out, err *e);
int sha256_add(sha256 *h, const void *bytes, size_t n, err *e);
/* Write the digest and free h.  h is freed on failure too. */
int sha256_done(sha256 *h, sha256_hex out, err *e);
void sha256_abandon(sha256 *h);
int sha256_of(sha256_hex out, const void *bytes, size_t n, err *e);

#endif
