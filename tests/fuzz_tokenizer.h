/* What the fuzz targets of tokenizers do with one that opened. */
#ifndef ATTNSCOPE_TESTS_FUZZ_TOKENIZER_H
#define ATTNSCOPE_TESTS_FUZZ_TOKENIZER_H

#include <stdint.h>
#include <stdlib.h>

#include "model/tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever the tokenizer, what it says of a text must hang together. */
static inline void use(const tokenizer *t, const char *s, size_t n)
{
    tokens k;
    strbuf b = { 0 };
    err e = { 0 };
    if (tokenizer_encode(t, s, n, true, &k, &e) != 0) {
        if (!e.msg[0] || e.code == ERR_RESOURCE)
            abort(); /* nothing here needs much memory */
        return;
    }
    int32_t ids[256];
    int64_t n_id = k.n < 256 ? k.n : 256;
    for (int64_t i = 0; i < k.n; i++) {
        if (k.t[i].begin < 0 || k.t[i].begin > k.t[i].end || k.t[i].end > (int64_t)n || k.t[i].id < 0 ||
            k.t[i].id >= tokenizer_vocab(t) || !tokenizer_piece(t, k.t[i].id))
            abort();
        token_text x = tokenizer_text(t, k.t[i].id);
        strbuf_add(&b, x.s, x.len);
        if (i < 256)
            ids[i] = k.t[i].id;
    }
    strbuf_clear(&b);
    if (tokenizer_decode(t, ids, n_id, false, &b, &e) || tokenizer_decode(t, ids, n_id, true, &b, &e))
        abort();
    strbuf_free(&b);
    tokens_free(&k);
}

static inline void use_opened(int rc, tokenizer *t, const err *e, const uint8_t *data, size_t size)
{
    static const char text[] = "Hello  world's 12 \xc3\xa9 e\xcc\x81 \xff<s>\n\n \xe6\x97\xa5";
    if (rc) {
        if (t || !e->msg[0] || (rc != ERR_RESOURCE && !e->hint[0]) || rc != e->code)
            abort(); /* a refusal says why and what to do */
        return;
    }
    use(t, text, sizeof text - 1);
    use(t, (const char *)data, size < 64 ? size : 64);
    int64_t n = tokenizer_vocab(t);
    if (!tokenizer_kind(t) || tokenizer_bos(t) >= n || tokenizer_eos(t) >= n)
        abort();
    for (int32_t id = -1; id <= (n < 300 ? (int32_t)n : 300); id++)
        if (tokenizer_text(t, id).len && !tokenizer_piece(t, id))
            abort();
    tokenizer_free(t);
}

#endif
