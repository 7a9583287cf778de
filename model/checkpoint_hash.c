/* SHA-256 of the weights: of each file, from the cache of digests where it is known. */
#include <stdlib.h>

#include "base/cancel.h"
#include "base/hash_cache.h"
#include "base/mem.h"
#include "model/checkpoint.h"

enum { CHUNK = 4 << 20 }; /* between looks at cancellation: a few milliseconds */

/* Digest of one file by reading it.  done and total are bytes, over all files. */
static int digest_file(sha256_hex out, const mapfile *f, const progress *p, double done, double total, err *e)
{
    sha256 *h;
    int rc = sha256_new(&h, e);
    if (rc)
        return rc;
    for (size_t at = 0; at < f->size; at += CHUNK) {
        size_t n = f->size - at < CHUNK ? f->size - at : CHUNK;
        if ((rc = cancel_check(e)) || (rc = sha256_add(h, f->data + at, n, e))) {
            sha256_abandon(h);
            return rc;
        }
        progress_step(p, "hashing", done + (double)(at + n), total);
    }
    return sha256_done(h, out, e);
}

static int hash_files(const checkpoint *c, sha256_hex *digests, const progress *p, err *e)
{
    double done = 0, total = 0;
    int rc = 0;
    for (int i = 0; i < c->n_file; i++)
        total += (double)c->files[i].size;
    for (int i = 0; i < c->n_file && !rc; i++) {
        const mapfile *f = &c->files[i];
        if (c->borrowed_ || !hash_cache_find(digests[i], f)) {
            rc = digest_file(digests[i], f, p, done, total, e);
            if (!rc && !c->borrowed_)
                hash_cache_keep(f, digests[i]);
        }
        done += (double)f->size;
    }
    return rc;
}

int checkpoint_hash(const checkpoint *c, sha256_hex out, const progress *p, err *e)
{
    if (c->n_file == 1)
        return hash_files(c, (sha256_hex *)out, p, e);

    sha256 *h;
    sha256_hex *digests = mem_array((size_t)c->n_file, sizeof *digests, e);
    if (!digests)
        return ERR_RESOURCE;
    int rc = hash_files(c, digests, p, e);
    if (!rc)
        rc = sha256_new(&h, e);
    for (int i = 0; i < c->n_file && !rc; i++) {
        digests[i][sizeof(sha256_hex) - 1] = '\n';
        if ((rc = sha256_add(h, digests[i], sizeof(sha256_hex), e)))
            sha256_abandon(h);
    }
    if (!rc)
        rc = sha256_done(h, out, e);
    free(digests);
    return rc;
}
