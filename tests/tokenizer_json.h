/* Small tokenizers written by the tests of tokenizers, and what texts become in them. */
#ifndef ATTNSCOPE_TESTS_TOKENIZER_JSON_H
#define ATTNSCOPE_TESTS_TOKENIZER_JSON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/strbuf.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/unicode.h"

/* JSON in these tests has ' for ". */
#define BYTE_LEVEL "{'type':'ByteLevel','add_prefix_space':false,'trim_offsets':true,'use_regex':true}"
#define PLAIN_BYTES "{'type':'ByteLevel','add_prefix_space':false,'trim_offsets':true,'use_regex':false}"

/* The parts of a tokenizer.json; NULL stands for null, [] or the default. */
typedef struct json_parts {
    const char *added, *normalizer, *pre, *post, *decoder;
    const char *model;      /* more keys of the model, each with a comma behind it */
    const char *vocab;      /* more entries, each with a comma before it */
    const char *merges;
    bool word_ends;         /* bytes at the end of a word have ids of their own, 256 higher */
} json_parts;

static inline void put_part(strbuf *b, const char *s)
{
    for (; *s; s++)
        strbuf_putc(b, *s == '\'' ? '"' : *s);
}

static inline void put_key_part(strbuf *b, const char *key, const char *s, const char *otherwise)
{
    put_part(b, key);
    put_part(b, s ? s : otherwise);
}

/* A tokenizer.json whose vocabulary spells each byte in the byte-level alphabet; its id is the byte. */
static inline void put_tokenizer(strbuf *b, const json_parts *p)
{
    put_key_part(b, "{'version':'1.0','added_tokens':", p->added, "[]");
    put_key_part(b, ",'normalizer':", p->normalizer, "null");
    put_key_part(b, ",'pre_tokenizer':", p->pre, BYTE_LEVEL);
    put_key_part(b, ",'post_processor':", p->post, "null");
    put_key_part(b, ",'decoder':", p->decoder, BYTE_LEVEL);
    put_key_part(b, ",'model':{'type':'BPE',", p->model, "");
    put_part(b, "'vocab':{");
    for (int i = 0; i < (p->word_ends ? 512 : 256); i++) {
        strbuf piece = { 0 };
        strbuf_put_utf8(&piece, unicode_of_byte((unsigned char)i));
        strbuf_puts(&piece, i < 256 ? "" : "</w>");
        strbuf_puts(b, i ? "," : "");
        strbuf_put_json(b, piece.s, piece.len);
        strbuf_printf(b, ":%d", i);
        strbuf_free(&piece);
    }
    put_key_part(b, "", p->vocab, "");
    put_key_part(b, "},'merges':", p->merges, "[]");
    put_part(b, "}}");
}

static inline tokenizer *open_tokenizer(const strbuf *b)
{
    err e = { 0 };
    tokenizer *t = NULL;
    if (tokenizer_from_json(&t, strbuf_str(b), b->len, "tokenizer.json", &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    return t;
}

static inline tokenizer *read_tokenizer(const char *s)
{
    strbuf b = { 0 };
    put_part(&b, s);
    tokenizer *t = open_tokenizer(&b);
    strbuf_free(&b);
    return t;
}

static inline tokenizer *make_tokenizer(const json_parts *p)
{
    strbuf b = { 0 };
    put_tokenizer(&b, p);
    tokenizer *t = open_tokenizer(&b);
    strbuf_free(&b);
    return t;
}

static inline tokens encode(const tokenizer *t, const char *s, size_t n, bool special)
{
    err e = { 0 };
    tokens out;
    if (tokenizer_encode(t, s, n, special, &out, &e))
        fail_msg("%s", e.msg);
    return out;
}

/* The ids of a text as "1 2 3". */
static inline void assert_ids(const tokenizer *t, const char *s, bool special, const char *want)
{
    strbuf b = { 0 };
    tokens k = encode(t, s, strlen(s), special);
    for (int64_t i = 0; i < k.n; i++)
        strbuf_printf(&b, "%s%d", i ? " " : "", k.t[i].id);
    assert_string_equal(strbuf_str(&b), want);
    strbuf_free(&b);
    tokens_free(&k);
}

/* The byte ranges of the tokens as "0-2 2-5". */
static inline void assert_ranges(const tokenizer *t, const char *s, const char *want)
{
    strbuf b = { 0 };
    tokens k = encode(t, s, strlen(s), false);
    for (int64_t i = 0; i < k.n; i++)
        strbuf_printf(&b, "%s%d-%d", i ? " " : "", (int)k.t[i].begin, (int)k.t[i].end);
    assert_string_equal(strbuf_str(&b), want);
    strbuf_free(&b);
    tokens_free(&k);
}

/* The words that the parts before the model make of a text, joined by bars; added tokens in angles. */
static inline void assert_words(const json_parts *parts, const char *s, const char *want)
{
    json_parts p = *parts;
    strbuf b = { 0 };
    p.word_ends = true;
    p.model = "'end_of_word_suffix':'</w>',";
    tokenizer *t = make_tokenizer(&p);
    tokens k = encode(t, s, strlen(s), false);
    for (int64_t i = 0; i < k.n; i++) {
        int id = k.t[i].id;
        if (id >= 512)
            strbuf_printf(&b, "<%d>|", id);
        else
            strbuf_putc(&b, (char)(id & 255));
        if (id >= 256 && id < 512)
            strbuf_putc(&b, '|');
    }
    assert_string_equal(strbuf_str(&b), want);
    strbuf_free(&b);
    tokens_free(&k);
    tokenizer_free(t);
}

static inline void assert_decodes(const tokenizer *t, const int32_t *ids, int n, bool skip_special,
                                  const char *want)
{
    strbuf b = { 0 };
    err e = { 0 };
    if (tokenizer_decode(t, ids, n, skip_special, &b, &e))
        fail_msg("%s", e.msg);
    assert_string_equal(strbuf_str(&b), want);
    strbuf_free(&b);
}

#endif
