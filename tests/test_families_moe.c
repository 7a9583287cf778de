/* Families with experts, latent attention and the gated delta rule: identities between models that must agree,
 * the forms that weights are stored in, decoding against the whole prompt, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/delta_rule.h"
#include "tests/tiny_checkpoint.h"

enum { V = 40, C = 32, F = 64, T = 70 };
static int32_t ids[T];

static void make_ids(void)
{
    for (int i = 0; i < T; i++)
        ids[i] = (7 * i + i * i) % V;
}

/* ---- parts of models ---- */

static void add_ends(tiny *t)
{
    tiny_add(t, "model.embed_tokens.weight", 0, 1, V, C, 0, 0);
    tiny_add(t, "model.norm.weight", 1, 0.2f, C, 0, 0, 0);
    tiny_add(t, "lm_head.weight", 0, 0.3f, V, C, 0, 0);
}

static float *add(tiny *t, int layer, const char *name, float middle, float spread, int64_t rows,
                  int64_t cols)
{
    char full[120];
    snprintf(full, sizeof full, "model.layers.%d.%s", layer, name);
    return tiny_add(t, full, middle, spread, rows, cols, 0, 0);
}

static void add_norms(tiny *t, int l)
{
    add(t, l, "input_layernorm.weight", 1, 0.2f, C, 0);
    add(t, l, "post_attention_layernorm.weight", 1, 0.2f, C, 0);
}

static void add_attention(tiny *t, int l)
{
    add(t, l, "self_attn.q_proj.weight", 0, 0.5f, C, C);
    add(t, l, "self_attn.k_proj.weight", 0, 0.5f, C / 2, C);
    add(t, l, "self_attn.v_proj.weight", 0, 0.3f, C / 2, C);
    add(t, l, "self_attn.o_proj.weight", 0, 0.3f, C, C);
}

#define SIZES                                                                                                \
    "\"vocab_size\": 40, \"hidden_size\": 32, \"intermediate_size\": 64, \"num_hidden_layers\": 2, "         \
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"max_position_embeddings\": 256, "             \
    "\"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0"
#define MIXTRAL                                                                                              \
    "{\"model_type\": \"mixtral\", " SIZES ", \"num_local_experts\": 4, \"num_experts_per_tok\": 2}"

/* same: every expert is the first one. */
static void make_mixtral(tiny *t, bool same)
{
    static const char *const maps[] = {"w1", "w3", "w2"};
    *t = (tiny){0};
    add_ends(t);
    for (int l = 0; l < 2; l++) {
        add_norms(t, l);
        add_attention(t, l);
        add(t, l, "block_sparse_moe.gate.weight", 0, 0.6f, 4, C);
        for (int m = 0; m < 3; m++) {
            float *first = NULL;
            for (int e = 0; e < 4; e++) {
                char name[80];
                snprintf(name, sizeof name, "block_sparse_moe.experts.%d.%s.weight", e, maps[m]);
                float *v = add(t, l, name, 0, 0.25f, m < 2 ? F : C, m < 2 ? C : F);
                first = first ? first : v;
                if (same)
                    memcpy(v, first, F * C * sizeof *v);
            }
        }
    }
}

static tiny_run run_saved(const tiny *t, const char *config, int64_t n)
{
    tiny_save(t, config);
    tiny_model o = tiny_open();
    model_input in = {.ids = ids, .n = n};
    tiny_run r = tiny_forward(&o, &in);
    tiny_close(&o);
    return r;
}

static void same_logits(const tiny_run *a, const tiny_run *b, int64_t n, double within)
{
    double size = 0;
    for (int64_t i = 0; i < n * V; i++) {
        tiny_near(a->logits[i], b->logits[i], within, "logits", i);
        size += (double)a->logits[i] * a->logits[i];
    }
    assert_true(size > 1e-3 * (double)(n * V)); /* they say something */
}

/* ---- tests ---- */

/* Renormalised shares of experts that are all the same add up to that expert: Mixtral is Mistral then. */
static void test_equal_experts(void **state)
{
    tiny t, dense = {0};
    (void)state;
    make_mixtral(&t, true);
    tiny_run sparse = run_saved(&t, MIXTRAL, T);
    for (int i = 0; i < t.n; i++) {
        struct tiny_tensor *x = &t.t[i];
        if (strstr(x->name, ".gate.") || (strstr(x->name, "experts.") && !strstr(x->name, "experts.0.")))
            continue;
        float *v = tiny_add(&dense, x->name, 0, 0, x->shape[0], x->shape[1], 0, 0);
        memcpy(v, x->v, (size_t)x->count * sizeof *v);
    }
    tiny_rename(&dense, "block_sparse_moe.experts.0.w1", "mlp.gate_proj");
    tiny_rename(&dense, "block_sparse_moe.experts.0.w2", "mlp.down_proj");
    tiny_rename(&dense, "block_sparse_moe.experts.0.w3", "mlp.up_proj");
    tiny_run plain = run_saved(&dense, "{\"model_type\": \"mistral\", " SIZES "}", T);
    same_logits(&sparse, &plain, T, 2e-5);
    tiny_run_free(&sparse);
    tiny_run_free(&plain);
    tiny_free(&t);
    tiny_free(&dense);
}

/* One by one and stacked are the same numbers. */
static void test_stacked(void **state)
{
    tiny t, stacked = {0};
    (void)state;
    make_mixtral(&t, false);
    tiny_run one = run_saved(&t, MIXTRAL, T);
    for (int i = 0; i < t.n; i++) {
        struct tiny_tensor *x = &t.t[i];
        if (strstr(x->name, "experts."))
            continue;
        memcpy(tiny_add(&stacked, x->name, 0, 0, x->shape[0], x->shape[1], 0, 0), x->v,
               (size_t)x->count * sizeof(float));
    }
    for (int l = 0; l < 2; l++) {
        char name[120];
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.gate_up_proj", l);
        float *both = tiny_add(&stacked, name, 0, 0, 4, 2 * F, C, 0);
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.down_proj", l);
        float *down = tiny_add(&stacked, name, 0, 0, 4, C, F, 0);
        for (int e = 0; e < 4; e++) {
            static const char *const maps[] = {"w1", "w3", "w2"};
            float *to[] = {both + e * 2 * F * C, both + e * 2 * F * C + F * C, down + e * C * F};
            for (int m = 0; m < 3; m++) {
                snprintf(name, sizeof name, "model.layers.%d.block_sparse_moe.experts.%d.%s.weight", l, e,
                         maps[m]);
                memcpy(to[m], tiny_values(&t, name), F * C * sizeof(float));
            }
        }
    }
    tiny_rename(&stacked, "block_sparse_moe.gate", "mlp.gate");
    tiny_run all = run_saved(&stacked, MIXTRAL, T);
    same_logits(&one, &all, T, 0);
    tiny_run_free(&one);
    tiny_run_free(&all);
    tiny_free(&t);
    tiny_free(&stacked);
}

/* What a token's experts are does not depend on the tokens behind it (attention's last bits do). */
static void test_rows_alone(void **state)
{
    tiny t;
    (void)state;
    make_mixtral(&t, false);
    tiny_run all = run_saved(&t, MIXTRAL, T), some = run_saved(&t, MIXTRAL, 9);
    same_logits(&all, &some, 9, 1e-5);
    tiny_run_free(&all);
    tiny_run_free(&some);
    tiny_free(&t);
}

#define GPT_OSS                                                                                              \
    "{\"model_type\": \"gpt_oss\", " SIZES ", \"head_dim\": 8, \"num_local_experts\": 3, "                   \
    "\"num_experts_per_tok\": 2, \"sliding_window\": 6, \"attention_bias\": true, \"rope_scaling\": "        \
    "{\"rope_type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 64, \"truncate\": "    \
    "false}}"

static void make_gpt_oss(tiny *t)
{
    static const char *const maps[] = {"q", "k", "v", "o"};
    *t = (tiny){0};
    add_ends(t);
    for (int l = 0; l < 2; l++) {
        char name[80];
        add_norms(t, l);
        add_attention(t, l);
        for (int m = 0; m < 4; m++) {
            snprintf(name, sizeof name, "self_attn.%s_proj.bias", maps[m]);
            add(t, l, name, 0, 0.2f, m == 1 || m == 2 ? C / 2 : C, 0);
        }
        add(t, l, "self_attn.sinks", 0, 1, 4, 0);
        add(t, l, "mlp.router.weight", 0, 0.5f, 3, C);
        add(t, l, "mlp.router.bias", 0, 0.2f, 3, 0);
        add(t, l, "mlp.experts.gate_up_proj_bias", 0, 0.3f, 3, 2 * F);
        add(t, l, "mlp.experts.down_proj_bias", 0, 0.3f, 3, C);
    }
}

/* Experts of half bytes with a scale for 32 of them or, packed false, the same numbers as [E, in, out]. */
static void add_experts(tiny *t, int l, const char *map, int64_t out, int64_t in, bool packed)
{
    static const float fp4[] = {0, .5f, 1, 1.5f, 2, 3, 4, 6};
    char name[120], blocks[140], scales[140];
    snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%s", l, map);
    snprintf(blocks, sizeof blocks, "%s_blocks", name);
    snprintf(scales, sizeof scales, "%s_scales", name);
    float *plain = packed ? NULL : tiny_add(t, name, 0, 0, 3, in, out, 0);
    unsigned char *b = NULL, *s = NULL;
    if (packed) {
        tiny_add(t, blocks, 0, 0, 3, out, in / 32, 16);
        b = tiny_bytes(t, blocks);
        tiny_add(t, scales, 0, 0, 3, out, in / 32, 0);
        s = tiny_bytes(t, scales);
    }
    for (int64_t i = 0; i < 3 * out * in; i++) { /* element i of [E, out, in] */
        unsigned code = (unsigned)(8 * (1 + tiny_noise(name, i))) & 15, power = 122 + (unsigned)(i / 32 % 3);
        int64_t e = i / (out * in), row = i / in % out, col = i % in;
        if (packed) {
            b[i / 2] |= (unsigned char)(code << (i % 2 ? 4 : 0));
            s[i / 32] = (unsigned char)power;
        } else {
            plain[e * in * out + col * out + row] =
                ldexpf(code & 8 ? -fp4[code & 7] : fp4[code & 7], (int)power - 127);
        }
    }
}

static void test_mxfp4(void **state)
{
    tiny t[2];
    tiny_run r[2];
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        make_gpt_oss(&t[packed]);
        for (int l = 0; l < 2; l++) {
            add_experts(&t[packed], l, "gate_up_proj", 2 * F, C, packed);
            add_experts(&t[packed], l, "down_proj", C, F, packed);
        }
        r[packed] = run_saved(&t[packed], GPT_OSS, T);
    }
    same_logits(&r[0], &r[1], T, 0);
    for (int i = 0; i < 2; i++) {
        tiny_run_free(&r[i]);
        tiny_free(&t[i]);
    }
}

#define DEEPSEEK                                                                                             \
    "{\"model_type\": \"deepseek_v3\", " SIZES ", \"q_lora_rank\": 12, \"kv_lora_rank\": 16, "               \
    "\"qk_nope_head_dim\": 8, \"qk_rope_head_dim\": 4, \"v_head_dim\": 10, \"n_routed_experts\": 8, "        \
    "\"num_experts_per_tok\": 2, \"n_shared_experts\": 1, \"moe_intermediate_size\": 16, \"n_group\": 4, "   \
    "\"topk_group\": 2, \"first_k_dense_replace\": 1, \"norm_topk_prob\": true, \"topk_method\": "           \
    "\"noaux_tc\"}"

static void add_mlp(tiny *t, int l, const char *where, int64_t inner)
{
    static const char *const maps[] = {"gate_proj", "up_proj", "down_proj"};
    for (int m = 0; m < 3; m++) {
        char name[80];
        snprintf(name, sizeof name, "%s.%s.weight", where, maps[m]);
        add(t, l, name, 0, 0.25f, m < 2 ? inner : C, m < 2 ? C : inner);
    }
}

static void make_deepseek(tiny *t)
{
    *t = (tiny){0};
    add_ends(t);
    for (int l = 0; l < 2; l++) {
        add_norms(t, l);
        add(t, l, "self_attn.q_a_proj.weight", 0, 0.4f, 12, C);
        add(t, l, "self_attn.q_a_layernorm.weight", 1, 0.2f, 12, 0);
        add(t, l, "self_attn.q_b_proj.weight", 0, 0.6f, 4 * 12, 12);
        add(t, l, "self_attn.kv_a_proj_with_mqa.weight", 0, 0.4f, 16 + 4, C);
        add(t, l, "self_attn.kv_a_layernorm.weight", 1, 0.2f, 16, 0);
        add(t, l, "self_attn.kv_b_proj.weight", 0, 0.5f, 4 * (8 + 10), 16);
        add(t, l, "self_attn.o_proj.weight", 0, 0.3f, C, 4 * 10);
    }
    add_mlp(t, 0, "mlp", F);
    add(t, 1, "mlp.gate.weight", 0, 0.5f, 8, C);
    add(t, 1, "mlp.gate.e_score_correction_bias", 0, 0.1f, 8, 0);
    add_mlp(t, 1, "mlp.shared_experts", 16);
    for (int e = 0; e < 8; e++) {
        char name[40];
        snprintf(name, sizeof name, "mlp.experts.%d", e);
        add_mlp(t, 1, name, 16);
    }
}

#define NEXT                                                                                                 \
    "{\"model_type\": \"qwen3_next\", " SIZES                                                                \
    ", \"head_dim\": 8, \"num_experts\": 4, \"num_experts_per_tok\": 2, "                                    \
    "\"moe_intermediate_size\": 16, \"shared_expert_intermediate_size\": 16, \"norm_topk_prob\": true, "     \
    "\"linear_num_key_heads\": 2, \"linear_num_value_heads\": 4, \"linear_key_head_dim\": 8, "               \
    "\"linear_value_head_dim\": 6, \"linear_conv_kernel_dim\": 4, \"full_attention_interval\": 2}"

static void make_next(tiny *t)
{
    *t = (tiny){0};
    add_ends(t);
    add(t, 0, "linear_attn.in_proj_qkvz.weight", 0, 0.4f, 2 * (2 * 8 + 4 * 6), C);
    add(t, 0, "linear_attn.in_proj_ba.weight", 0, 0.3f, 8, C);
    tiny_add(t, "model.layers.0.linear_attn.conv1d.weight", 0.2f, 0.5f, 2 * 16 + 24, 1, 4, 0);
    add(t, 0, "linear_attn.A_log", 0, 0.5f, 4, 0);
    add(t, 0, "linear_attn.dt_bias", 0, 0.5f, 4, 0);
    add(t, 0, "linear_attn.norm.weight", 1, 0.2f, 6, 0);
    add(t, 0, "linear_attn.out_proj.weight", 0, 0.4f, C, 24);
    add(t, 1, "self_attn.q_proj.weight", 0, 0.4f, 2 * C, C);
    add(t, 1, "self_attn.k_proj.weight", 0, 0.4f, C / 2, C);
    add(t, 1, "self_attn.v_proj.weight", 0, 0.3f, C / 2, C);
    add(t, 1, "self_attn.o_proj.weight", 0, 0.3f, C, C);
    add(t, 1, "self_attn.q_norm.weight", 0, 0.2f, 8, 0);
    add(t, 1, "self_attn.k_norm.weight", 0, 0.2f, 8, 0);
    for (int l = 0; l < 2; l++) {
        add(t, l, "input_layernorm.weight", 0, 0.2f, C, 0);
        add(t, l, "post_attention_layernorm.weight", 0, 0.2f, C, 0);
        add(t, l, "mlp.gate.weight", 0, 0.5f, 4, C);
        add(t, l, "mlp.shared_expert_gate.weight", 0, 0.5f, 1, C);
        add_mlp(t, l, "mlp.shared_expert", 16);
        for (int e = 0; e < 4; e++) {
            char name[40];
            snprintf(name, sizeof name, "mlp.experts.%d", e);
            add_mlp(t, l, name, 16);
        }
    }
}

/* Fed in pieces, a decoder ends where the whole prompt does. */
static void check_decoding(const tiny *t, const char *config, double within)
{
    static const int64_t pieces[] = {5, 1, 1, 2, 50, 1, 3, 1, 6};
    const float *logits = NULL;
    err e = {0};
    decoder *d;
    int64_t used = 0;
    tiny_run whole = run_saved(t, config, T);
    tiny_model o = tiny_open();
    assert_int_equal(decoder_new(&d, o.r, NULL, T, &e), 0);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        if (decoder_feed(d, ids + used, pieces[i], &logits, NULL, &e))
            fail_msg("%s", e.msg);
        used += pieces[i];
        for (int v = 0; v < V; v++)
            tiny_near(logits[v], whole.logits[(used - 1) * V + v], within, "decoded logits", used);
    }
    assert_int_equal(used, T);
    decoder_free(d);
    tiny_close(&o);
    tiny_run_free(&whole);
}

static void test_decoding(void **state)
{
    tiny t;
    (void)state;
    make_mixtral(&t, false);
    check_decoding(&t, MIXTRAL, 1e-4);
    tiny_free(&t);
    make_deepseek(&t);
    check_decoding(&t, DEEPSEEK, 1e-4);
    tiny_free(&t);
    make_next(&t);
    check_decoding(&t, NEXT, 2e-4);
    tiny_free(&t);
}

/* The recurrence in double, token by token. */
static void exact_rule(const delta_head *h, double *s, double *out)
{
    for (int64_t t = 0; t < h->n; t++)
        for (int c = 0; c < h->d_value; c++) {
            double mem = 0, y = 0;
            for (int i = 0; i < h->d_key; i++)
                mem += (s[i * h->d_value + c] *= exp((double)h->decay[t])) * h->key[t * h->ldk + i];
            double change = h->beta[t] * (h->value[t * h->ldv + c] - mem);
            for (int i = 0; i < h->d_key; i++)
                y += (s[i * h->d_value + c] += h->key[t * h->ldk + i] * change) * h->query[t * h->ldq + i];
            out[t * h->d_value + c] = y;
        }
}

static float *noise(const char *name, int64_t n, float middle, float spread)
{
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = middle + spread * tiny_noise(name, i);
    return x;
}

static void unit_rows(float *x, int64_t n, int d)
{
    for (int64_t t = 0; t < n; t++) {
        double sum = 0;
        for (int i = 0; i < d; i++)
            sum += (double)x[t * d + i] * x[t * d + i];
        for (int i = 0; i < d; i++)
            x[t * d + i] = (float)(x[t * d + i] / sqrt(sum));
    }
}

static void check_rule(int64_t n, int d_key, int d_value)
{
    float *q = noise("q", n * d_key, 0, 1), *k = noise("k", n * d_key, 0, 1),
          *v = noise("v", n * d_value, 0, 1);
    float *beta = noise("b", n, 0.5f, 0.5f), *decay = noise("g", n, -0.4f, 0.4f),
          *out = noise("o", n * d_value, 0, 0);
    float *scratch = noise("x", delta_rule_scratch(d_key, d_value), NAN, 0);
    double *s = malloc((size_t)(d_key * d_value) * sizeof *s),
           *expected = malloc((size_t)(n * d_value) * sizeof *expected);
    assert_true(s && expected);
    unit_rows(q, n, d_key);
    unit_rows(k, n, d_key);
    for (int form = 0; form < 2; form++) {
        float *state = noise("s", d_key * d_value, 0, 0.5f);
        delta_head h = {.k = kernels_get(),
                        .d_key = d_key,
                        .d_value = d_value,
                        .n = n,
                        .query = q,
                        .key = k,
                        .value = v,
                        .ldq = d_key,
                        .ldk = d_key,
                        .ldv = d_value,
                        .beta = beta,
                        .decay = decay,
                        .out = out,
                        .state = state,
                        .scratch = scratch};
        for (int i = 0; i < d_key * d_value; i++)
            s[i] = state[i];
        exact_rule(&h, s, expected);
        if (form)
            delta_rule_chunks(&h);
        else
            delta_rule_steps(&h);
        for (int64_t i = 0; i < n * d_value; i++)
            tiny_near(out[i], expected[i], 5e-5, form ? "chunks" : "steps", i);
        for (int i = 0; i < d_key * d_value; i++)
            tiny_near(state[i], s[i], 5e-5, "state", i);
        free(state);
    }
    free(q);
    free(k);
    free(v);
    free(beta);
    free(decay);
    free(out);
    free(scratch);
    free(s);
    free(expected);
}

static void test_delta_rule(void **state)
{
    (void)state;
    check_rule(1, 8, 6);
    check_rule(2, 24, 40);
    check_rule(63, 16, 16);
    check_rule(64, 128, 128);
    check_rule(65, 7, 70);
    check_rule(200, 33, 5);
}

static void edited(const char *config, const char *from, const char *to)
{
    char text[2000];
    const char *at = strstr(config, from);
    assert_non_null(at);
    assert_in_range(snprintf(text, sizeof text, "%.*s%s%s", (int)(at - config), config, to,
                             at + strlen(from)),
                    1, 1999);
    tiny_write("config.json", text, strlen(text));
}

static void test_refused(void **state)
{
    tiny t;
    (void)state;
    make_mixtral(&t, false);
    tiny_save(&t, MIXTRAL);
    edited(MIXTRAL, "\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 5");
    tiny_refused("5 of 4 experts cannot be chosen");
    edited(MIXTRAL, "\"num_local_experts\": 4", "\"num_local_experts\": 5");
    tiny_refused("block_sparse_moe.gate.weight has shape [4, 32]");
    edited(MIXTRAL, "\"num_local_experts\": 4", "\"num_local_experts\": 2000");
    tiny_refused("num_local_experts is 2000, out of range");
    edited(MIXTRAL, "\"num_local", "\"quantization_config\": {\"quant_method\": \"gptq\"}, \"num_local");
    tiny_refused("quant_method \"gptq\" is not supported");
    edited(
        MIXTRAL, "\"num_local",
        "\"quantization_config\": {\"quant_method\": \"fp8\", \"weight_block_size\": [64, 0]}, \"num_local");
    tiny_refused("weight_block_size must be two positive numbers");
    tiny_free(&t);
    make_deepseek(&t);
    tiny_save(&t, DEEPSEEK);
    edited(DEEPSEEK, "\"n_group\": 4", "\"n_group\": 3");
    tiny_refused("8 experts cannot be divided into 3 groups");
    edited(DEEPSEEK, "\"topk_group\": 2", "\"topk_group\": 5");
    tiny_refused("topk_group is 5, out of range");
    edited(DEEPSEEK, "\"noaux_tc\"", "\"greedy\"");
    tiny_refused("topk_method \"greedy\" is not supported");
    edited(DEEPSEEK, "\"qk_rope_head_dim\": 4", "\"qk_rope_head_dim\": 3");
    tiny_refused("rotary embedding over 3 of 11 dimensions");
    tiny_free(&t);
    make_next(&t);
    tiny_save(&t, NEXT);
    edited(NEXT, "\"linear_num_value_heads\": 4", "\"linear_num_value_heads\": 3");
    tiny_refused("3 value heads cannot share 2 key heads evenly");
    edited(NEXT, "\"linear_conv_kernel_dim\": 4", "\"linear_conv_kernel_dim\": 40");
    tiny_refused("linear_conv_kernel_dim is 40, out of range");
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_experts), cmocka_unit_test(test_stacked),
        cmocka_unit_test(test_rows_alone),    cmocka_unit_test(test_mxfp4),
        cmocka_unit_test(test_decoding),      cmocka_unit_test(test_delta_rule),
        cmocka_unit_test(test_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    make_ids();
    return cmocka_run_group_tests(tests, tiny_folder_make, tiny_folder_remove);
}
