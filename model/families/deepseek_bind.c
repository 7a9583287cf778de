/* Binding of DeepSeek's latent attention, as Hugging Face and GGUF store it. */
#include "model/families/deepseek.h"

#include <stdlib.h>

#include "base/mem.h"

typedef struct latent_names {
    const char *q, *q_down, *q_norm, *q_up, *kv_down, *kv_norm, *kv_up, *out;
    const char *k_up, *v_up; /* where kv_up is split in two: whole names */
} latent_names;

static const latent_names json_names = {.q = "layers.%d.self_attn.q_proj",
                                        .q_down = "layers.%d.self_attn.q_a_proj",
                                        .q_norm = "layers.%d.self_attn.q_a_layernorm",
                                        .q_up = "layers.%d.self_attn.q_b_proj",
                                        .kv_down = "layers.%d.self_attn.kv_a_proj_with_mqa",
                                        .kv_norm = "layers.%d.self_attn.kv_a_layernorm",
                                        .kv_up = "layers.%d.self_attn.kv_b_proj",
                                        .out = "layers.%d.self_attn.o_proj"};

static const latent_names gguf_names = {.q = "blk.%d.attn_q",
                                        .q_down = "blk.%d.attn_q_a",
                                        .q_norm = "blk.%d.attn_q_a_norm",
                                        .q_up = "blk.%d.attn_q_b",
                                        .kv_down = "blk.%d.attn_kv_a_mqa",
                                        .kv_norm = "blk.%d.attn_kv_a_norm",
                                        .kv_up = "blk.%d.attn_kv_b",
                                        .out = "blk.%d.attn_output",
                                        .k_up = "blk.%d.attn_k_b.weight",
                                        .v_up = "blk.%d.attn_v_b.weight"};

/* Keys' part stored for each head as [kv_rank, d_nope], made for multiplying it into the queries. */
static int bind_absorbed_keys(model *m, weight *out, const char *name, int layer, int heads, int64_t rank,
                              int64_t nope, err *e)
{
    weight w;
    int rc = bind_weight(m, &w, name, layer, heads * rank, 0, heads * rank, nope, 0, e);
    if (rc)
        return rc;
    const dtype_info *t = &dtypes[w.type];
    if (t->block == 1) { /* a column of the stored rows is a row of the map */
        *out = (weight){.type = w.type,
                        .data = w.data,
                        .n_out = heads * nope,
                        .n_in = rank,
                        .ld = nope,
                        .transposed = true,
                        .row_block = nope,
                        .row_stride = rank * nope};
        return 0;
    }
    float *turned = arena_alloc(m->arena_, (size_t)(heads * nope * rank), sizeof *turned, e);
    float *row = mem_array((size_t)nope, sizeof *row, e);
    if (!turned || !row) {
        free(row);
        return ERR_RESOURCE;
    }
    for (int64_t i = 0; i < heads * rank; i++) {
        int64_t head = i / rank, in = i % rank;
        t->to_f32(row, (const unsigned char *)w.data + i * nope / t->block * t->block_bytes, nope);
        for (int64_t k = 0; k < nope; k++)
            turned[(head * nope + k) * rank + in] = row[k];
    }
    free(row);
    *out = (weight){.type = DT_F32, .data = turned, .n_out = heads * nope, .n_in = rank, .ld = rank};
    return 0;
}

static int bind_queries(model *m, int l, const latent_names *n, unsigned bias, err *e)
{
    attention_block *b = &m->main->layers[l].self;
    latent *a = b->mla;
    int64_t width = m->main->width, q = (int64_t)b->plan.n_head * b->plan.d_qk, rank = a->q_down.n_out;
    int rc;
    if (!rank)
        return bind_linear(m, &b->q, n->q, l, q, 0, q, width, 0, e);
    if ((rc = bind_linear(m, &a->q_down, n->q_down, l, rank, 0, rank, width, bias, e)) ||
        (rc = bind_norm(m, &a->q_norm, n->q_norm, l, rank, 0, e)))
        return rc;
    return bind_linear(m, &b->q, n->q_up, l, q, 0, q, rank, 0, e);
}

static int bind_keys_values(model *m, int l, const latent_names *n, unsigned bias, err *e)
{
    attention_block *b = &m->main->layers[l].self;
    latent *a = b->mla;
    int64_t heads = b->plan.n_head, nope = a->d_nope, v = b->plan.d_v, rank = a->kv_rank,
            low = rank + a->d_rope;
    int rc;
    if ((rc = bind_linear(m, &a->kv_down, n->kv_down, l, low, 0, low, m->main->width, bias, e)) ||
        (rc = bind_norm(m, &a->kv_norm, n->kv_norm, l, rank, 0, e)))
        return rc;
    if (n->k_up && bind_has(m, n->k_up, l)) {
        if ((rc = bind_absorbed_keys(m, &a->k_up, n->k_up, l, b->plan.n_head, rank, nope, e)))
            return rc;
        return bind_weight(m, &a->v_up, n->v_up, l, heads * v, 0, heads * v, rank, 0, e);
    }
    if ((rc = bind_rows(m, &a->k_up, n->kv_up, l, heads * (nope + v), 0, nope, nope + v, heads * nope, rank,
                        0, e)))
        return rc;
    return bind_rows(m, &a->v_up, n->kv_up, l, heads * (nope + v), nope, v, nope + v, heads * v, rank, 0, e);
}

int deepseek_bind(model *m, err *e)
{
    const latent_names *n = m->config ? &json_names : &gguf_names;
    decoder_names d = m->config ? decoder_names_llama : decoder_names_gguf;
    expert_names x = m->config ? expert_names_qwen : expert_names_gguf;
    unsigned bias;
    int rc;
    if (m->config) {
        x.choice_bias = "layers.%d.mlp.gate.e_score_correction_bias";
        x.shared_gate = "layers.%d.mlp.shared_experts.gate_proj";
        x.shared_up = "layers.%d.mlp.shared_experts.up_proj";
        x.shared_down = "layers.%d.mlp.shared_experts.down_proj";
    }
    x.shared_switch = NULL;
    if ((rc = decoder_bias_flag(m, "attention_bias", &bias, e)) ||
        (rc = decoder_bias_flag(m, "mlp_bias", &d.mlp_bias, e)) || (rc = decoder_bind(m, &d, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++) {
        attention_block *b = &m->main->layers[l].self;
        int64_t width = m->main->width, o = (int64_t)b->plan.n_head * b->plan.d_v;
        if ((rc = bind_queries(m, l, n, bias, e)) || (rc = bind_keys_values(m, l, n, bias, e)) ||
            (rc = bind_linear(m, &b->out, n->out, l, width, 0, width, o, bias, e)))
            return rc;
        b->plan.qkv_bias = b->mla->q_down.bias || b->mla->kv_down.bias;
        b->plan.out_bias = b->out.bias;
    }
    return experts_bind(m, &x, e);
}
