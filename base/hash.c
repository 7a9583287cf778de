#include "base/hash.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/mem.h"

enum { DIGEST = 32 };

struct sha256 {
    EVP_MD_CTX *ctx;
};

static int failed(err *e)
{
    err_set(e, ERR_FAILED, "libcrypto cannot compute SHA-256");
    return err_hint(e, "check the installation of OpenSSL (openssl dgst -sha256 FILE)");
}

void sha256_abandon(sha256 *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

int sha256_new(sha256 **out, err *e)
{
    sha256 *h = mem_array(1, sizeof *h, e);
    if (!h)
        return ERR_RESOURCE;
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx) {
        free(h);
        return err_nomem(e, "hash");
    }
    if (EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1) {
        sha256_abandon(h);
        return failed(e);
    }
    *out = h;
    return 0;
}

int sha256_add(sha256 *h, const void *bytes, size_t n, err *e)
{
    return EVP_DigestUpdate(h->ctx, bytes, n) == 1 ? 0 : failed(e);
}

int sha256_done(sha256 *h, sha256_hex out, err *e)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int ok = EVP_DigestFinal_ex(h->ctx, digest, &n) == 1 && n == DIGEST;

    sha256_abandon(h);
    if (!ok)
        return failed(e);
    for (int i = 0; i < DIGEST; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[2 * DIGEST] = '\0';
    return 0;
}

int sha256_of(sha256_hex out, const void *bytes, size_t n, err *e)
{
    sha256 *h;
    int rc = sha256_new(&h, e);
    if (rc)
        return rc;
    rc = sha256_add(h, bytes, n, e);
    if (rc) {
        sha256_abandon(h);
        return rc;
    }
    return sha256_done(h, out, e);
}
