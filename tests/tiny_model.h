/* Models of several stacks, made in memory of random weights: an encoder-decoder, a speech model's shape, an image
 * tower, and an image tower before a decoder.  For what the command line and the analysis do with kinds of attention,
 * not for the exactness of families. */
#ifndef ATTNSCOPE_TESTS_TINY_MODEL_H
#define ATTNSCOPE_TESTS_TINY_MODEL_H

#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "model/forward.h"

enum { TINY_WIDTH = 8, TINY_HEADS = 2, TINY_VOCAB = 20, TINY_CONTEXT = 32, TINY_IMAGE_TOKEN = 19, TINY_START = 2 };

typedef struct tiny_model {
    model m;
    checkpoint ckpt;
    json *config;
    stack stacks[3];
    model_layer layers[3][3];
    arena mem;
    unsigned long seed;
} tiny_model;

static inline float *tiny_numbers(tiny_model *t, int64_t n, float size)
{
    float *x = arena_alloc(&t->mem, (size_t)n, sizeof *x, NULL);
    for (int64_t i = 0; x && i < n; i++) {
        t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
        x[i] = size * ((float)(t->seed >> 40) / 8388608.0f - 1);
    }
    return x;
}

static inline weight tiny_weight(tiny_model *t, int64_t n_out, int64_t n_in)
{
    return (weight){.type = DT_F32, .data = tiny_numbers(t, n_out * n_in, 1), .n_out = n_out, .n_in = n_in, .ld = n_in};
}

static inline attention_block tiny_attention(tiny_model *t, attn_kind kind)
{
    attention_block b = {.plan = {.kind = kind, .n_head = TINY_HEADS, .n_kv_head = TINY_HEADS,
                                  .d_qk = TINY_WIDTH / TINY_HEADS, .d_v = TINY_WIDTH / TINY_HEADS, .scale = 1,
                                  .causal = kind == ATTN_SELF, .rope = -1}};
    b.q = tiny_weight(t, TINY_WIDTH, TINY_WIDTH);
    b.k = tiny_weight(t, TINY_WIDTH, TINY_WIDTH);
    b.v = tiny_weight(t, TINY_WIDTH, TINY_WIDTH);
    b.out = tiny_weight(t, TINY_WIDTH, TINY_WIDTH);
    return b;
}

/* Stack number i of n layers over this kind of input. */
static inline stack *tiny_stack(tiny_model *t, int i, attn_kind kind, embedding_kind reads, int n, bool cross)
{
    stack *s = &t->stacks[i];
    *s = (stack){.kind = kind, .n_layer = n, .n_run = n, .width = TINY_WIDTH, .ffn = TINY_WIDTH, .context = TINY_CONTEXT,
                 .layers = t->layers[i], .final_norm = {.kind = NORM_RMS, .eps = 1e-6f}, .alibi_scale = 1};
    s->embed = (embedding){.kind = reads, .scale = 1, .pad_id = -1};
    s->embed.positions = tiny_weight(t, TINY_CONTEXT, TINY_WIDTH);
    if (reads == EMBED_TOKENS) {
        s->embed.tokens = tiny_weight(t, TINY_VOCAB, TINY_WIDTH);
    } else if (reads == EMBED_PATCHES) { /* CLS and 3 x 2 patches of 2 x 2 pixels */
        s->embed.channels = 3;
        s->embed.image_height = 6;
        s->embed.image_width = 4;
        s->embed.patch = 2;
        s->embed.patch_proj = tiny_weight(t, TINY_WIDTH, 3 * 2 * 2);
        s->embed.n_prefix = 1;
        s->embed.prefix = tiny_numbers(t, TINY_WIDTH, 1);
        s->embed.positions.n_out = 7;
        s->context = 7;
    } else {
        s->embed.n_mel = 4;
        s->embed.n_frame = 10;
        s->embed.conv1 = tiny_weight(t, TINY_WIDTH, 4 * 3);
        s->embed.conv2 = tiny_weight(t, TINY_WIDTH, TINY_WIDTH * 3);
        s->embed.positions.n_out = 5;
        s->context = 5;
    }
    for (int l = 0; l < n; l++) {
        model_layer *y = &s->layers[l];
        *y = (model_layer){.self = tiny_attention(t, kind), .has_cross = cross};
        if (cross)
            y->cross = tiny_attention(t, ATTN_CROSS);
        y->at_self = y->at_cross = y->at_mlp = (sublayer){.pre = {.kind = NORM_RMS, .eps = 1e-6f}, .scale = 1};
        y->mlp = (mlp){.act = ACT_RELU, .inner = TINY_WIDTH, .up = tiny_weight(t, TINY_WIDTH, TINY_WIDTH),
                       .down = tiny_weight(t, TINY_WIDTH, TINY_WIDTH)};
    }
    return s;
}

typedef enum tiny_kind { TINY_DECODER, TINY_ENCODER, TINY_TRANSLATOR, TINY_SPEECH, TINY_TOWER, TINY_LLAVA } tiny_kind;

/* tiny_free() it; *t must not move. */
static inline void tiny_new(tiny_model *t, tiny_kind kind)
{
    static char name[] = "tiny";
    static const char config[] = "{\"decoder_start_token_id\": 2, \"bos_token_id\": 1}";
    memset(t, 0, sizeof *t);
    t->seed = 7;
    json_parse(&t->config, config, strlen(config), "config", NULL);
    t->ckpt.config = t->config;
    model *m = &t->m;
    *m = (model){.ckpt = &t->ckpt, .config = t->config, .name = name, .needs = NEEDS_TOKENS, .image_token = -1,
                 .vocab = TINY_VOCAB};
    m->head.in_scale = m->head.scale = 1;
    m->head.unembedding = tiny_weight(t, TINY_VOCAB, TINY_WIDTH);
    switch (kind) {
    case TINY_DECODER:
        m->main = tiny_stack(t, 0, ATTN_SELF, EMBED_TOKENS, 2, false);
        break;
    case TINY_ENCODER:
        m->main = tiny_stack(t, 0, ATTN_ENCODER, EMBED_TOKENS, 2, false);
        break;
    case TINY_TRANSLATOR:
        m->needs |= NEEDS_SOURCE;
        m->encoder = tiny_stack(t, 1, ATTN_ENCODER, EMBED_TOKENS, 3, false);
        m->main = tiny_stack(t, 0, ATTN_SELF, EMBED_TOKENS, 2, true);
        break;
    case TINY_SPEECH:
        m->needs |= NEEDS_FEATURES;
        m->encoder = tiny_stack(t, 1, ATTN_ENCODER, EMBED_AUDIO, 1, false);
        m->main = tiny_stack(t, 0, ATTN_SELF, EMBED_TOKENS, 2, true);
        break;
    case TINY_TOWER:
        m->needs = NEEDS_PIXELS;
        m->main = tiny_stack(t, 0, ATTN_VISION, EMBED_PATCHES, 2, false);
        m->head = (logits_head){.in_scale = 1, .scale = 1};
        m->vocab = 0;
        break;
    case TINY_LLAVA:
        m->needs |= NEEDS_PIXELS;
        m->vision = tiny_stack(t, 1, ATTN_VISION, EMBED_PATCHES, 3, false);
        m->vision->n_run = m->vision_layer = 2;
        m->vision_drop_first = true;
        m->main = tiny_stack(t, 0, ATTN_SELF, EMBED_TOKENS, 2, false);
        m->image_token = TINY_IMAGE_TOKEN;
        m->projector[0] = tiny_weight(t, TINY_WIDTH, TINY_WIDTH);
        m->projector[1] = tiny_weight(t, TINY_WIDTH, TINY_WIDTH);
        m->projector_act = ACT_GELU_ERF;
        break;
    }
}

static inline void tiny_free(tiny_model *t)
{
    json_free(t->config);
    arena_free(&t->mem);
}

/* An input that the model takes, in memory of t: tokens count up, numbers are random. */
static inline model_input tiny_input(tiny_model *t, int64_t n, int64_t n_source)
{
    model_input in = {0};
    int32_t *ids = arena_alloc(&t->mem, (size_t)(n + n_source), sizeof *ids, NULL);
    for (int64_t i = 0; i < n + n_source; i++)
        ids[i] = (int32_t)(i * 7 % (TINY_VOCAB - 1));
    if (t->m.needs & NEEDS_TOKENS) {
        in.ids = ids;
        in.n = n;
    }
    if (t->m.vision) /* behind the first token, one for each of the six patches */
        for (int64_t i = 1; i < 7; i++)
            ids[i] = TINY_IMAGE_TOKEN;
    if (t->m.needs & NEEDS_SOURCE) {
        in.source = ids + n;
        in.n_source = n_source;
    }
    if (t->m.needs & NEEDS_PIXELS) {
        in.pixels = tiny_numbers(t, 3 * 6 * 4, 2);
        in.channels = 3;
        in.height = 6;
        in.width = 4;
    }
    if (t->m.needs & NEEDS_FEATURES) {
        in.features = tiny_numbers(t, 4 * 10, 2);
        in.n_mel = 4;
        in.n_frame = 10;
    }
    return in;
}

#endif
