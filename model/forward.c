/* A run: checks, the towers in their order, the logits. */
#include "model/forward.h"

#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "model/runtime.h"

static int check_sequence(const int32_t *ids, int64_t n, const stack *s, int64_t pos0, const char *what, err *e)
{
    if (n < 1) {
        err_set(e, ERR_USAGE, "the %s has no tokens", what);
        return err_hint(e, "give at least one token; an empty text has none unless the tokenizer adds one");
    }
    if (n > s->context - pos0) {
        err_set(e, ERR_INPUT, "%s of %lld tokens is longer than the model's context of %lld", what, (long long)(pos0 + n),
                (long long)s->context);
        return err_hint(e, "shorten it by %lld tokens", (long long)(pos0 + n - s->context));
    }
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= s->embed.tokens.n_out)
            return err_set(e, ERR_INPUT, "token id %d at position %lld is outside the vocabulary (0 to %lld)", ids[i],
                           (long long)(pos0 + i), (long long)s->embed.tokens.n_out - 1);
    return 0;
}

static int check_pixels(const embedding *b, const model_input *in, err *e)
{
    if (!in->pixels) {
        err_set(e, ERR_USAGE, "the model reads an image and none is given");
        return err_hint(e, "give --image FILE.png or --pixels FILE.npy");
    }
    bool size = b->any_size ? in->height % b->patch == 0 && in->width % b->patch == 0 && in->height > 0 && in->width > 0
                            : in->height == b->image_height && in->width == b->image_width;
    if (in->channels == b->channels && size)
        return 0;
    err_set(e, ERR_INPUT, "pixels are [%lld, %lld, %lld], the model reads [%d, %d, %d]", (long long)in->channels,
            (long long)in->height, (long long)in->width, b->channels, b->image_height, b->image_width);
    return err_hint(e, b->any_size ? "height and width must be multiples of the patch of %d pixels"
                                   : "resize the image to that (patch %d)", b->patch);
}

static int check_features(const embedding *b, const model_input *in, err *e)
{
    if (!in->features) {
        err_set(e, ERR_USAGE, "the model reads audio and none is given");
        return err_hint(e, "give --audio FILE.wav or --features FILE.npy");
    }
    if (in->n_mel == b->n_mel && in->n_frame == b->n_frame)
        return 0;
    err_set(e, ERR_INPUT, "features are [%lld, %lld], the model reads [%d, %lld]", (long long)in->n_mel,
            (long long)in->n_frame, b->n_mel, (long long)b->n_frame);
    return err_hint(e, "[mel bins, frames] of a whole window, padded with silence");
}

/* How many rows an input gives a stack. */
static int measure_stack(int64_t *n, const stack *s, const int32_t *ids, int64_t n_id, const model_input *in, const char *what,
                         err *e)
{
    int rc;
    switch (s->embed.kind) {
    case EMBED_TOKENS:
        *n = n_id;
        return check_sequence(ids, n_id, s, 0, what, e);
    case EMBED_PATCHES:
        if ((rc = check_pixels(&s->embed, in, e)))
            return rc;
        *n = patch_tokens(&s->embed, in->height, in->width);
        return 0;
    case EMBED_AUDIO:
        if ((rc = check_features(&s->embed, in, e)))
            return rc;
        *n = s->embed.n_frame / 2;
        return 0;
    }
    return 0;
}

/* The places of the image in the prompt must be as many as the features that go there. */
static int check_image_tokens(const model *m, const model_input *in, int64_t patches, err *e)
{
    int64_t want = patches - (m->vision_drop_first ? 1 : 0), have = 0;
    for (int64_t i = 0; i < in->n; i++)
        have += in->ids[i] == m->image_token;
    if (have == want)
        return 0;
    err_set(e, ERR_INPUT, "the prompt has %lld image tokens (id %d), the image gives %lld", (long long)have, m->image_token,
            (long long)want);
    return err_hint(e, "repeat the image token once for each patch where the image belongs");
}

int input_measure(input_lengths *out, const model *m, const model_input *in, err *e)
{
    int rc;
    *out = (input_lengths){0};
    if (in->source && !(m->needs & NEEDS_SOURCE))
        return err_set(e, ERR_USAGE, "the model has no text encoder, so it takes no source");
    if (in->pixels && !(m->needs & NEEDS_PIXELS))
        return err_set(e, ERR_USAGE, "the model reads no images");
    if (in->features && !(m->needs & NEEDS_FEATURES))
        return err_set(e, ERR_USAGE, "the model reads no audio");
    bool image = m->vision && in->pixels;
    if (m->vision && !in->pixels)
        for (int64_t i = 0; i < in->n; i++)
            image |= in->ids[i] == m->image_token;
    if ((rc = measure_stack(&out->main, m->main, in->ids, in->n, in, "prompt", e)) ||
        (m->encoder && (rc = measure_stack(&out->encoder, m->encoder, in->source, in->n_source, in, "source", e))) ||
        (image && (rc = measure_stack(&out->vision, m->vision, NULL, 0, in, "image", e))))
        return rc;
    return image ? check_image_tokens(m, in, out->vision, e) : 0;
}

int64_t input_queries(const input_lengths *n, const model *m, attn_kind kind)
{
    const stack *s = model_stack(m, kind);
    return !s ? 0 : s == m->encoder ? n->encoder : s == m->vision ? n->vision : n->main;
}

int64_t input_keys(const input_lengths *n, const model *m, attn_kind kind)
{
    return kind == ATTN_CROSS ? n->encoder : input_queries(n, m, kind);
}

/* Ask before taking: an allocation that the system grants but cannot back ends in a killed process. */
int forward_memory_check(const runtime *r, const input_lengths *n, err *e)
{
    size_t have = memory_available(), need = forward_memory(r->m, n, runtime_threads(r));
    int64_t longest = n->main > n->encoder ? n->main : n->encoder;
    for (int b = 0; b < BUF_COUNT; b++) /* what is held already need not be found */
        have += r->room[b] * sizeof(float);
    if (need <= have)
        return 0;
    err_set(e, ERR_RESOURCE, "%lld tokens need about %.1f GiB of memory, %.1f GiB are free", (long long)longest,
            (double)need / (1 << 30), (double)have / (1 << 30));
    return err_hint(e, "give a shorter prompt, or run where there is more memory");
}

static int embed(runtime *r, const stack *s, const int32_t *ids, int64_t n, int64_t pos0, const model_input *in, err *e)
{
    switch (s->embed.kind) {
    case EMBED_TOKENS: return embed_tokens(r, s, ids, n, pos0, e);
    case EMBED_PATCHES: return embed_patches(r, s, in, e);
    case EMBED_AUDIO: return embed_audio(r, s, in, e);
    }
    return 0;
}

/* Image features, projected to the width of main, into BUF_IMAGE. */
static int keep_image(runtime *r, int64_t n, err *e)
{
    const model *m = r->m;
    int64_t first = m->vision_drop_first ? 1 : 0, width = m->vision->width, wide = m->main->width;
    int rc = runtime_room(r, BUF_IMAGE, n - first, wide, e);
    if (rc || (rc = runtime_room(r, BUF_FRONT, RUNTIME_ROWS, m->projector[0].n_out, e)))
        return rc;
    for (int64_t row = first; row < n; row += RUNTIME_ROWS) {
        int64_t rows = n - row < RUNTIME_ROWS ? n - row : RUNTIME_ROWS, inner = m->projector[0].n_out;
        float *made = r->buf[BUF_FRONT];
        rows_linear(r, made, inner, r->buf[BUF_X] + row * width, width, rows, &m->projector[0], false);
        rows_activate(r, m->projector_act, made, inner, NULL, 0, rows, inner);
        rows_linear(r, r->buf[BUF_IMAGE] + (row - first) * wide, wide, made, inner, rows, &m->projector[1], false);
    }
    r->n_image = n - first;
    return 0;
}

int run_towers(runtime *r, const model_input *in, const input_lengths *n, const observer *o, const progress *p, err *e)
{
    const model *m = r->m;
    int rc;
    r->n_source = r->n_image = 0;
    if (n->vision) {
        pass a = {.r = r, .s = m->vision, .n = n->vision, .o = o, .p = p};
        if ((rc = runtime_reserve(r, m->vision, n->vision, n->vision, n->vision, e)) ||
            (rc = embed(r, m->vision, NULL, 0, 0, in, e)) || (rc = stack_layers(&a, e)) || (rc = keep_image(r, n->vision, e)))
            return rc;
    }
    if (m->encoder) {
        const stack *s = m->encoder;
        pass a = {.r = r, .s = s, .n = n->encoder, .o = o, .p = p};
        if ((rc = runtime_reserve(r, s, n->encoder, n->encoder, n->encoder, e)) ||
            (rc = embed(r, s, in->source, in->n_source, 0, in, e)) || (rc = stack_layers(&a, e)) ||
            (rc = runtime_room(r, BUF_SOURCE, n->encoder, s->width, e)))
            return rc;
        if (s->final_norm.kind != NORM_NONE)
            rows_norm(r, &s->final_norm, r->buf[BUF_SOURCE], s->width, r->buf[BUF_X], s->width, n->encoder, s->width);
        else
            memcpy(r->buf[BUF_SOURCE], r->buf[BUF_X], (size_t)(n->encoder * s->width) * sizeof(float));
        r->n_source = n->encoder;
    }
    return cancel_check(e);
}

/* Image features take the places of the image tokens, those of the image tokens before aside: a decoder may be fed its
 * prompt in pieces. */
static void place_image(runtime *r, const int32_t *ids, int64_t n)
{
    int64_t width = r->m->main->width;
    for (int64_t i = 0; i < n && r->image_placed < r->n_image; i++)
        if (ids[i] == r->m->image_token)
            memcpy(r->buf[BUF_X] + i * width, r->buf[BUF_IMAGE] + r->image_placed++ * width, (size_t)width * sizeof(float));
}

int run_main(runtime *r, const model_input *in, int64_t n, int64_t pos0, layer_cache *cache, const observer *o,
             const progress *p, err *e)
{
    const stack *s = r->m->main;
    pass a = {.r = r, .s = s, .n = n, .pos0 = pos0, .cache = cache, .decoding = cache != NULL, .o = o, .p = p};
    int rc = embed(r, s, in->ids, n, pos0, in, e);
    if (rc)
        return rc;
    if (pos0 == 0)
        r->image_placed = 0;
    place_image(r, in->ids, n);
    return stack_layers(&a, e);
}

int check_main_ids(const model *m, const int32_t *ids, int64_t n, int64_t pos0, err *e)
{
    return check_sequence(ids, n, m->main, pos0, "prompt", e);
}

bool forward_wants_logits(const model *m, const observer *o)
{
    return o && (o->logits || o->last_logits) && m->head.unembedding.data;
}

int forward_logits(runtime *r, int64_t at, int64_t n, const observer *o, const progress *p, err *e)
{
    const model *m = r->m;
    int64_t step = runtime_logit_rows(m), first = o->last_logits ? n - 1 : 0;
    int rc;
    for (int64_t row = first; row < n; row += step) {
        int64_t rows = n - row < step ? n - row : step;
        progress_step(p, "logits", (double)row, (double)n);
        run_logits(r, r->buf[BUF_X] + (at + row) * m->main->width, rows, r->buf[BUF_LOGITS], false);
        if ((rc = cancel_check(e)) || (rc = o->logits(o->ud, row, r->buf[BUF_LOGITS], rows, m->vocab, e)))
            return rc;
    }
    progress_step(p, "logits", (double)n, (double)n);
    return 0;
}

int forward(runtime *r, const model_input *in, const observer *o, const progress *p, err *e)
{
    const model *m = r->m;
    input_lengths n;
    if (r->ring)
        return forward_split(r, in, o, p, e);
    bool logits = forward_wants_logits(m, o);
    int rc = input_measure(&n, m, in, e);
    if (rc || (rc = forward_memory_check(r, &n, e)) || (rc = run_towers(r, in, &n, o, p, e)) ||
        (rc = runtime_reserve(r, m->main, n.main, n.main, n.main, e)) || (logits && (rc = runtime_reserve_logits(r, e))) ||
        (rc = run_main(r, in, n.main, 0, NULL, o, p, e)) || !logits || !o->logits)
        return rc;
    return forward_logits(r, 0, n.main, o, p, e);
}
