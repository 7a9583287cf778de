/* Small checkpoints of any shape, written by the tests that need them: tensors with values of their own, a
 * config.json, a folder that is removed afterwards.  Uses cmocka's asserts. */
#ifndef ATTNSCOPE_TESTS_TINY_CHECKPOINT_H
#define ATTNSCOPE_TESTS_TINY_CHECKPOINT_H

#include <math.h>
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
#include "model/forward.h"

enum { TINY_TENSORS = 128 };

typedef struct tiny {
    int n;
    struct tiny_tensor {
        char name[120];
        int n_dim;
        int64_t shape[4], count;
        float *v;
        unsigned char *bytes; /* in place of v: stored as U8 */
    } t[TINY_TENSORS];
} tiny;

/* A number in -1 .. 1 that depends on all bits of its arguments (the finaliser of MurmurHash3). */
static inline float tiny_noise(const char *name, int64_t i)
{
    uint64_t h = (uint64_t)i * 0x9e3779b97f4a7c15u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
    return (float)((double)((h ^ (h >> 33)) >> 11) / (double)(1ull << 52) - 1);
}

/* A tensor of middle + spread * noise; dimensions end at the first 0.  Its values may be changed until it is
 * written. */
static inline float *tiny_add(tiny *t, const char *name, float middle, float spread, int64_t a, int64_t b,
                              int64_t c, int64_t d)
{
    struct tiny_tensor *x = &t->t[t->n++];
    assert_in_range(t->n, 1, TINY_TENSORS);
    *x = (struct tiny_tensor){.shape = {a, b, c, d}, .count = 1};
    snprintf(x->name, sizeof x->name, "%s", name);
    while (x->n_dim < 4 && x->shape[x->n_dim] > 0)
        x->count *= x->shape[x->n_dim++];
    x->v = malloc((size_t)x->count * sizeof *x->v);
    assert_non_null(x->v);
    for (int64_t i = 0; i < x->count; i++)
        x->v[i] = middle + spread * tiny_noise(name, i);
    return x->v;
}

static inline struct tiny_tensor *tiny_find(tiny *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->t[i].name, name) == 0)
            return &t->t[i];
    return NULL;
}

static inline const float *tiny_values(tiny *t, const char *name)
{
    if (!tiny_find(t, name))
        fail_msg("no tensor %s", name);
    return tiny_find(t, name)->v;
}

/* Make the tensor one of bytes, all 0. */
static inline unsigned char *tiny_bytes(tiny *t, const char *name)
{
    struct tiny_tensor *x = tiny_find(t, name);
    assert_non_null(x);
    free(x->v);
    x->v = NULL;
    x->bytes = calloc((size_t)x->count, 1);
    assert_non_null(x->bytes);
    return x->bytes;
}

/* In every name, the first `from` becomes `to` (an empty `from`: in front). */
static inline void tiny_rename(tiny *t, const char *from, const char *to)
{
    for (int i = 0; i < t->n; i++) {
        char old[120], *at;
        strcpy(old, t->t[i].name);
        if ((at = strstr(old, from)))
            assert_in_range(snprintf(t->t[i].name, sizeof t->t[i].name, "%.*s%s%s", (int)(at - old), old, to,
                                     at + strlen(from)),
                            1, (int)sizeof t->t[i].name - 1);
    }
}

static inline void tiny_free(tiny *t)
{
    for (int i = 0; i < t->n; i++) {
        free(t->t[i].v);
        free(t->t[i].bytes);
    }
    t->n = 0;
}

/* ---- a folder for checkpoints ---- */

static char tiny_folder[512];

static inline int tiny_folder_make(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(tiny_folder, sizeof tiny_folder, "%.400s/attnscope-tiny-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(tiny_folder) ? 0 : -1;
}

static inline const char *tiny_path(char out[600], const char *name)
{
    snprintf(out, 600, "%s/%s", tiny_folder, name);
    return out;
}

static inline int tiny_folder_remove(void **state)
{
    char path[600];
    (void)state;
    unlink(tiny_path(path, "config.json"));
    unlink(tiny_path(path, "model.safetensors"));
    return rmdir(tiny_folder);
}

static inline void tiny_write(const char *name, const void *bytes, size_t n)
{
    char path[600];
    FILE *f = fopen(tiny_path(path, name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Write the checkpoint into the folder, in the place of the one before. */
static inline void tiny_save(const tiny *t, const char *config)
{
    strbuf head = {0}, data = {0};
    uint64_t at = 0, n;
    for (int i = 0; i < t->n; i++) {
        const struct tiny_tensor *x = &t->t[i];
        uint64_t bytes = (uint64_t)x->count * (x->v ? sizeof *x->v : 1);
        strbuf_printf(&head, "%s\"%s\": {\"dtype\": \"%s\", \"shape\": [", i ? ", " : "{", x->name,
                      x->v ? "F32" : "U8");
        for (int d = 0; d < x->n_dim; d++)
            strbuf_printf(&head, "%s%lld", d ? ", " : "", (long long)x->shape[d]);
        strbuf_printf(&head, "], \"data_offsets\": [%llu, %llu]}", (unsigned long long)at,
                      (unsigned long long)(at + bytes));
        at += bytes;
    }
    strbuf_puts(&head, "}");
    while (head.len % 8)
        strbuf_puts(&head, " ");
    n = head.len;
    strbuf_add(&data, &n, sizeof n);
    strbuf_add(&data, strbuf_str(&head), head.len);
    for (int i = 0; i < t->n; i++)
        strbuf_add(&data, t->t[i].v ? (void *)t->t[i].v : t->t[i].bytes,
                   (size_t)t->t[i].count * (t->t[i].v ? sizeof(float) : 1));
    tiny_write("model.safetensors", strbuf_str(&data), data.len);
    tiny_write("config.json", config, strlen(config));
    strbuf_free(&head);
    strbuf_free(&data);
}

/* ---- running it ---- */

typedef struct tiny_model {
    model *m;
    runtime *r;
} tiny_model;

static inline tiny_model tiny_open(void)
{
    tiny_model o = {0};
    err e = {0};
    if (model_open(&o.m, tiny_folder, &e) || runtime_new(&o.r, o.m, 2, PRECISION_F32, &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    return o;
}

static inline void tiny_close(tiny_model *o)
{
    runtime_free(o->r);
    model_free(o->m);
    *o = (tiny_model){0};
}

/* Opening must fail with this message. */
static inline void tiny_refused(const char *message)
{
    model *m = NULL;
    err e = {0};
    int rc = model_open(&m, tiny_folder, &e);
    if (rc != ERR_INPUT || !strstr(e.msg, message))
        fail_msg("code %d, \"%s\", expected \"%s\"", rc, rc ? e.msg : "opened", message);
}

/* Hidden states of a run by stack and layer, and the logits. */
enum { TINY_LAYERS = 8 };
typedef struct tiny_run {
    struct tiny_hidden {
        float *x;
        int64_t n, width;
    } hidden[4][TINY_LAYERS];
    float *logits;
    int64_t n_logit; /* rows */
} tiny_run;

static inline int tiny_on_hidden(void *ud, attn_kind kind, int layer, const float *x, int64_t n,
                                 int64_t width, err *e)
{
    tiny_run *r = ud;
    (void)e;
    assert_in_range(kind, 0, 3);
    assert_in_range(layer, 0, TINY_LAYERS - 1);
    struct tiny_hidden *h = &r->hidden[kind][layer];
    assert_null(h->x);
    *h = (struct tiny_hidden){malloc((size_t)(n * width) * sizeof(float)), n, width};
    assert_non_null(h->x);
    memcpy(h->x, x, (size_t)(n * width) * sizeof(float));
    return 0;
}

static inline int tiny_on_logits(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab,
                                 err *e)
{
    tiny_run *r = ud;
    (void)e;
    assert_int_equal(pos0, r->n_logit);
    r->logits = realloc(r->logits, (size_t)((pos0 + n) * vocab) * sizeof(float));
    assert_non_null(r->logits);
    memcpy(r->logits + pos0 * vocab, logits, (size_t)(n * vocab) * sizeof(float));
    r->n_logit += n;
    return 0;
}

static inline tiny_run tiny_forward(const tiny_model *o, const model_input *in)
{
    tiny_run r = {0};
    err e = {0};
    observer watch = {.hidden = tiny_on_hidden, .logits = tiny_on_logits, .ud = &r};
    if (forward(o->r, in, &watch, NULL, &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    return r;
}

static inline void tiny_run_free(tiny_run *r)
{
    for (int k = 0; k < 4; k++)
        for (int l = 0; l < TINY_LAYERS; l++)
            free(r->hidden[k][l].x);
    free(r->logits);
    *r = (tiny_run){0};
}

static inline void tiny_near(double got, double expected, double within, const char *what, int64_t i)
{
    if (!(fabs(got - expected) <= within))
        fail_msg("%s[%lld]: %.8g, expected %.8g", what, (long long)i, got, expected);
}

#endif
