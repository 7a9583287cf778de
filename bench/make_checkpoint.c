/* A checkpoint of random weights and a given shape, so that speed can be compared without a download:
 *
 *   make_checkpoint SHAPE TYPE PATH [SEED]
 *
 * SHAPE: 1.1b (TinyLlama's), 360m, 135m (SmolLM2's), tiny, or "layers=22,width=2048,heads=32,kv=4,mlp=5632,vocab=32000".  All
 * are Llama: RMSNorm, rotary positions, SiLU gate, grouped keys and values, its own unembedding.
 * PATH ending in .gguf: one file with TYPE f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k or q6_k, and no vocabulary;
 * else a directory of config.json and model.safetensors with TYPE f32, f16 or bf16.  Run either with --ids.
 * Weights are uniform with standard deviation .02, norms 1; the same seed, shape and type give the same bytes.  Blocks of 256
 * are made of random bits under scales that give them that size.  A GGUF and a directory of one seed are different models:
 * the same rows of queries and keys are read in GGUF's order of rotary pairs and in that of Hugging Face. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/outfile.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "compute/quantize.h"

enum { GGUF_ALIGN = 32, N_IN_LAYER = 9, GGUF_U32 = 4, GGUF_F32 = 6, GGUF_STRING = 8 };
#define DEVIATION 0.02

typedef struct shape { const char *name; int64_t layers, width, heads, kv, mlp, vocab; } shape;
static const shape shapes[] = {
    {"1.1b", 22, 2048, 32, 4, 5632, 32000},
    {"360m", 32, 960, 15, 5, 2560, 49152},
    {"135m", 30, 576, 9, 3, 1536, 49152},
    {"tiny", 2, 256, 4, 2, 512, 512},
};

typedef struct entry { char gguf[64], hf[96]; int64_t rows, cols; bool norm; } entry;

typedef struct job {
    shape s;
    dtype type;
    entry *list;       /* [n] */
    int n;
    outfile *f;
    rng r;
} job;

/* Types as GGUF numbers them. */
static const struct { dtype type; uint32_t gguf; } gguf_types[] = {
    {DT_F32, 0}, {DT_F16, 1}, {DT_Q4_0, 2}, {DT_Q4_1, 3}, {DT_Q5_0, 6}, {DT_Q5_1, 7}, {DT_Q8_0, 8}, {DT_Q4_K, 12},
    {DT_Q5_K, 13}, {DT_Q6_K, 14}, {DT_BF16, 30},
};

static void fail(const char *what)
{
    fprintf(stderr, "make_checkpoint: %s\n", what);
    exit(2);
}

static void check(int rc, const err *e)
{
    if (!rc)
        return;
    fprintf(stderr, "make_checkpoint: %s\n", e->msg);
    exit(rc);
}

static shape read_shape(const char *text)
{
    shape s = {0};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(text, shapes[i].name) == 0)
            return shapes[i];
    if (sscanf(text, "layers=%" SCNd64 ",width=%" SCNd64 ",heads=%" SCNd64 ",kv=%" SCNd64 ",mlp=%" SCNd64 ",vocab=%" SCNd64,
               &s.layers, &s.width, &s.heads, &s.kv, &s.mlp, &s.vocab) != 6)
        fail("SHAPE is 1.1b, 360m, 135m, tiny or layers=..,width=..,heads=..,kv=..,mlp=..,vocab=..");
    const int64_t most = 1 << 20;
    if (s.layers < 1 || s.heads < 1 || s.kv < 1 || s.mlp < 1 || s.vocab < 1 || s.width < 1 || s.layers > 1000 ||
        s.width > most || s.mlp > most || s.vocab > most || s.width % s.heads || s.heads % s.kv || s.width / s.heads % 2)
        fail("the shape is not one of a Llama: heads divide the width into even parts, kv divides heads");
    return s;
}

static void add(job *j, int64_t rows, int64_t cols, bool norm, const char *gguf, const char *hf, int64_t layer)
{
    entry *t = &j->list[j->n++];
    *t = (entry){.rows = rows, .cols = cols, .norm = norm};
    if (layer < 0) {
        snprintf(t->gguf, sizeof t->gguf, "%s.weight", gguf);
        snprintf(t->hf, sizeof t->hf, "%s.weight", hf);
    } else {
        snprintf(t->gguf, sizeof t->gguf, "blk.%" PRId64 ".%s.weight", layer, gguf);
        snprintf(t->hf, sizeof t->hf, "model.layers.%" PRId64 ".%s.weight", layer, hf);
    }
}

static void list_tensors(job *j)
{
    const shape *s = &j->s;
    const int64_t d = s->width, kv = s->kv * (d / s->heads);
    err e = {0};
    j->list = mem_array((size_t)s->layers * N_IN_LAYER + 3, sizeof *j->list, &e);
    check(j->list ? 0 : ERR_RESOURCE, &e);
    add(j, s->vocab, d, false, "token_embd", "model.embed_tokens", -1);
    for (int64_t l = 0; l < s->layers; l++) {
        add(j, d, 1, true, "attn_norm", "input_layernorm", l);
        add(j, d, d, false, "attn_q", "self_attn.q_proj", l);
        add(j, kv, d, false, "attn_k", "self_attn.k_proj", l);
        add(j, kv, d, false, "attn_v", "self_attn.v_proj", l);
        add(j, d, d, false, "attn_output", "self_attn.o_proj", l);
        add(j, d, 1, true, "ffn_norm", "post_attention_layernorm", l);
        add(j, s->mlp, d, false, "ffn_gate", "mlp.gate_proj", l);
        add(j, s->mlp, d, false, "ffn_up", "mlp.up_proj", l);
        add(j, d, s->mlp, false, "ffn_down", "mlp.down_proj", l);
    }
    add(j, d, 1, true, "output_norm", "model.norm", -1);
    add(j, s->vocab, d, false, "output", "lm_head", -1);
}

static int64_t bytes_of(const job *j, const entry *t)
{
    const dtype_info *d = &dtypes[t->norm ? DT_F32 : j->type];
    return t->rows * t->cols / d->block * d->block_bytes;
}

static void put(job *j, const void *bytes, size_t n)
{
    err e = {0};
    check(outfile_write(j->f, bytes, n, &e), &e);
}

static void put_half(unsigned char *at, double x)
{
    bool overflow;
    const uint16_t h = f32_to_f16((float)x, &overflow);
    memcpy(at, &h, sizeof h);
}

/* A block of 256 of random bits, whose scales make its elements about DEVIATION large. */
static void random_block(job *j, unsigned char *b)
{
    for (int i = 0; i < dtypes[j->type].block_bytes; i += 2) {
        const uint64_t x = rng_next(&j->r);
        b[i] = (unsigned char)x;
        b[i + 1] = (unsigned char)(x >> 8);
    }
    if (j->type == DT_Q6_K) { /* d s (q - 32), s about 64 in the mean */
        for (int i = 0; i < 16; i++)
            b[192 + i] &= 0x7f;
        put_half(b + 208, DEVIATION / (64 * 18));
    } else {                  /* d s q - m t, s and t about 32 */
        const double q = j->type == DT_Q4_K ? 15 : 31, d = DEVIATION / (32 * q);
        put_half(b, d);
        put_half(b + 2, d * q / 2);
    }
}

static void write_tensor(job *j, const entry *t)
{
    const dtype type = t->norm ? DT_F32 : j->type;
    const dtype_info *d = &dtypes[type];
    const int64_t n = t->norm ? t->rows : t->cols, rows = t->norm ? 1 : t->rows;
    const size_t bytes = (size_t)(n / d->block * d->block_bytes);
    err e = {0};
    float *x = mem_array((size_t)n, sizeof *x, &e);
    unsigned char *row = mem_array(bytes, 1, &e);
    check(x && row ? 0 : ERR_RESOURCE, &e);
    for (int64_t r = 0; r < rows; r++) {
        float scale;
        if (d->block == 256) {
            for (int64_t i = 0; i < n / 256; i++)
                random_block(j, row + i * d->block_bytes);
        } else {
            for (int64_t i = 0; i < n; i++)
                x[i] = t->norm ? 1 : (float)(DEVIATION * 3.4641016 * (rng_uniform(&j->r) - 0.5)); /* sqrt 12 */
            if (type == DT_F32)
                memcpy(row, x, bytes);
            else if (!quantize_row(row, &scale, type, x, n))
                fail("a row has no such form");
        }
        put(j, row, bytes);
    }
    free(row);
    free(x);
}

static void put_u32(strbuf *b, uint32_t x)
{
    strbuf_add(b, (const char *)&x, sizeof x);
}

static void put_u64(strbuf *b, uint64_t x)
{
    strbuf_add(b, (const char *)&x, sizeof x);
}

static void put_text(strbuf *b, const char *text)
{
    put_u64(b, strlen(text));
    strbuf_add(b, text, strlen(text));
}

static void meta_number(strbuf *b, const char *key, int64_t value)
{
    put_text(b, key);
    put_u32(b, GGUF_U32);
    put_u32(b, (uint32_t)value);
}

static void meta_real(strbuf *b, const char *key, float value)
{
    put_text(b, key);
    put_u32(b, GGUF_F32);
    strbuf_add(b, (const char *)&value, sizeof value);
}

static void meta_text(strbuf *b, const char *key, const char *value)
{
    put_text(b, key);
    put_u32(b, GGUF_STRING);
    put_text(b, value);
}

static uint32_t gguf_type(dtype t)
{
    for (size_t i = 0; i < sizeof gguf_types / sizeof *gguf_types; i++)
        if (gguf_types[i].type == t)
            return gguf_types[i].gguf;
    fail("GGUF has no such type here");
    return 0;
}

static int64_t padded(int64_t n)
{
    return (n + GGUF_ALIGN - 1) / GGUF_ALIGN * GGUF_ALIGN;
}

static void write_gguf(job *j)
{
    static const char zeros[GGUF_ALIGN];
    const shape *s = &j->s;
    strbuf b = {0};
    int64_t at = 0;
    strbuf_add(&b, "GGUF", 4);
    put_u32(&b, 3);
    put_u64(&b, (uint64_t)j->n);
    put_u64(&b, 12);
    meta_text(&b, "general.architecture", "llama");
    meta_text(&b, "general.name", "random weights");
    meta_number(&b, "llama.block_count", s->layers);
    meta_number(&b, "llama.context_length", 1 << 20);
    meta_number(&b, "llama.embedding_length", s->width);
    meta_number(&b, "llama.feed_forward_length", s->mlp);
    meta_number(&b, "llama.attention.head_count", s->heads);
    meta_number(&b, "llama.attention.head_count_kv", s->kv);
    meta_number(&b, "llama.vocab_size", s->vocab);
    meta_real(&b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    meta_real(&b, "llama.rope.freq_base", 1e4f);
    meta_text(&b, "tokenizer.ggml.model", "none");
    for (int i = 0; i < j->n; i++) {
        const entry *t = &j->list[i];
        put_text(&b, t->gguf);
        put_u32(&b, t->norm ? 1 : 2);
        put_u64(&b, (uint64_t)(t->norm ? t->rows : t->cols));
        if (!t->norm)
            put_u64(&b, (uint64_t)t->rows);
        put_u32(&b, gguf_type(t->norm ? DT_F32 : j->type));
        put_u64(&b, (uint64_t)at);
        at += padded(bytes_of(j, t));
    }
    put(j, b.s, b.len);
    put(j, zeros, (size_t)(padded((int64_t)b.len) - (int64_t)b.len));
    strbuf_free(&b);
    for (int i = 0; i < j->n; i++) {
        write_tensor(j, &j->list[i]);
        put(j, zeros, (size_t)(padded(bytes_of(j, &j->list[i])) - bytes_of(j, &j->list[i])));
    }
}

static void write_safetensors(job *j)
{
    const char *name = j->type == DT_F32 ? "F32" : j->type == DT_F16 ? "F16" : "BF16";
    strbuf b = {0};
    int64_t at = 0;
    for (int i = 0; i < j->n; i++) {
        const entry *t = &j->list[i];
        char dims[64];
        snprintf(dims, sizeof dims, t->norm ? "%" PRId64 : "%" PRId64 ",%" PRId64, t->rows, t->cols);
        strbuf_printf(&b, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", i ? "," : "{",
                      t->hf, t->norm ? "F32" : name, dims, at, at + bytes_of(j, t));
        at += bytes_of(j, t);
    }
    strbuf_add(&b, "}", 1);
    while (b.len % 8)
        strbuf_add(&b, " ", 1);
    const uint64_t length = b.len;
    put(j, &length, sizeof length);
    put(j, b.s, b.len);
    strbuf_free(&b);
    for (int i = 0; i < j->n; i++)
        write_tensor(j, &j->list[i]);
}

static void write_config(const job *j, const char *dir)
{
    const shape *s = &j->s;
    char path[4096];
    outfile *f;
    err e = {0};
    snprintf(path, sizeof path, "%s/config.json", dir);
    check(outfile_open(&f, path, &e), &e);
    fprintf(outfile_stream(f),
            "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": %" PRId64
            ", \"num_hidden_layers\": %" PRId64 ", \"num_attention_heads\": %" PRId64 ", \"num_key_value_heads\": %" PRId64
            ", \"intermediate_size\": %" PRId64 ", \"vocab_size\": %" PRId64 ", \"max_position_embeddings\": 1048576, "
            "\"rms_norm_eps\": 1e-05, \"rope_theta\": 10000.0, \"hidden_act\": \"silu\", \"tie_word_embeddings\": false}\n",
            s->width, s->layers, s->heads, s->kv, s->mlp, s->vocab);
    check(outfile_commit(f, &e), &e);
}

int main(int argc, char **argv)
{
    job j = {.type = DT_COUNT};
    char path[4096];
    err e = {0};
    if (argc < 4 || argc > 5) {
        fputs("usage: make_checkpoint SHAPE TYPE PATH [SEED]\n", stderr);
        return 2;
    }
    const size_t n = strlen(argv[3]);
    const bool gguf = n > 5 && strcmp(argv[3] + n - 5, ".gguf") == 0;
    j.s = read_shape(argv[1]);
    for (int t = 0; t < DT_COUNT; t++)
        if (strcmp(dtypes[t].name, argv[2]) == 0 && (gguf || t == DT_F32 || t == DT_F16 || t == DT_BF16))
            j.type = (dtype)t;
    if (j.type == DT_COUNT)
        fail("TYPE is f32, f16 or bf16, and in a .gguf also q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k or q6_k");
    if (j.s.width % dtypes[j.type].block || j.s.mlp % dtypes[j.type].block)
        fail("width and mlp are not whole blocks of the type");
    rng_seed(&j.r, argc > 4 ? strtoull(argv[4], NULL, 10) : 0, 0);
    list_tensors(&j);
    snprintf(path, sizeof path, gguf ? "%s" : "%s/model.safetensors", argv[3]);
    if (!gguf)
        check(make_directories(argv[3], &e), &e);
    check(outfile_open(&j.f, path, &e), &e);
    (gguf ? write_gguf : write_safetensors)(&j);
    check(outfile_commit(j.f, &e), &e);
    if (!gguf)
        write_config(&j, argv[3]);
    free(j.list);
    return 0;
}
