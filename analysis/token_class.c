#include "analysis/token_class.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "model/tokenizer/unicode.h"

static const char *const query_choices[] = {"seeing", "all", NULL};

const param token_class_params[] = {
    {"mass-queries", PARAM_ENUM, "seeing", "WHICH",
     "queries that count in mass_*: those that see a key of the class, or all", 0, 0, query_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct class_keys {
    key_set keys;
    bool any;    /* all queries count */
} class_keys;

static bool is_delimiter(uint32_t c)
{
    static const uint32_t more[] = {
        0x2026, /* ellipsis */
        0x060c, 0x061b, 0x061f, 0x06d4, /* Arabic comma, semicolon, question mark, full stop */
        0x0964, 0x0965, /* danda */
        0x3001, 0x3002, 0xff01, 0xff0c, 0xff0e, 0xff1a, 0xff1b, 0xff1f, 0xff61, 0xff64, /* East Asian */
    };
    if (c < 0x80)
        return c && strchr(".,;:!?", (int)c);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (more[i] == c)
            return true;
    return false;
}

static bool is_break(uint32_t c)
{
    return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

unsigned token_class(const tokenizer *t, int32_t id)
{
    token_text x = tokenizer_text(t, id);
    unsigned all = TOKEN_DELIMITER | TOKEN_PUNCTUATION | TOKEN_DIGIT;
    bool black = false, line_break = false;
    if (id == tokenizer_bos(t))
        return TOKEN_BOS | TOKEN_SPECIAL;
    if (tokenizer_is_special(t, id))
        return TOKEN_SPECIAL;
    for (size_t i = 0; i < x.len; ) {
        uint32_t c;
        i += (size_t)unicode_next(&c, x.s + i, x.len - i);
        if (c != UNICODE_BAD && unicode_is_space(c)) {
            line_break |= is_break(c);
            continue;
        }
        black = true;
        if (c == UNICODE_BAD)
            return TOKEN_OTHER;
        all &= ~(is_delimiter(c) ? 0u : (unsigned)TOKEN_DELIMITER);
        all &= ~(unicode_is_punctuation(c) ? 0u : (unsigned)TOKEN_PUNCTUATION);
        all &= ~(unicode_is_number(c) ? 0u : (unsigned)TOKEN_DIGIT);
    }
    if (!black)
        return x.len == 0 ? TOKEN_OTHER : line_break ? TOKEN_SPACE | TOKEN_DELIMITER : TOKEN_SPACE;
    return all ? all : TOKEN_OTHER;
}

static bool has_classes(const void *ud, const tokenizer *t, int32_t id)
{
    unsigned wanted = *(const unsigned *)ud;
    return (token_class(t, id) & wanted) == wanted;
}

int token_text_prepare(metric_ctx *c, bool (*belongs)(const void *ud, const tokenizer *t, int32_t id),
                       const void *ud, err *e)
{
    class_keys *k = mem_array(1, sizeof *k, e);
    bool *member = mem_array((size_t)c->n_key, sizeof *member, e);
    int rc = k && member ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; !rc && c->tok && c->key_ids && i < c->n_key; i++)
        member[i] = c->key_ids[i] != c->placeholder && belongs(ud, c->tok, c->key_ids[i]);
    if (!rc)
        rc = key_set_new(&k->keys, member, c->n_key, e);
    free(member);
    if (rc) {
        free(k);
        return rc;
    }
    k->any = !strcmp(params_str(c->p, "mass-queries"), "all");
    c->shared = k;
    return 0;
}

int token_class_prepare(metric_ctx *c, unsigned classes, err *e)
{
    return token_text_prepare(c, has_classes, &classes, e);
}

void token_class_release(metric_ctx *c)
{
    class_keys *k = c->shared;
    key_set_free(&k->keys);
    free(k);
    c->shared = NULL;
}

bool token_class_reads(const metric_ctx *c, const attn_tile *part)
{
    const class_keys *k = c->shared;
    return key_set_in_tile(&k->keys, part);
}

void token_class_tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    const class_keys *k = c->shared;
    key_set_mean(state, &k->keys, NULL, k->any, t);
}
