/* StableLM: LayerNorm, partial RoPE, gated SiLU MLP; optionally LayerNorm of each head of q and k, and attention
 * and MLP in parallel.  Hugging Face StableLmForCausalLM; GGUF architecture "stablelm". */
#include "model/families/decoder.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const char *const more_keys[] = {"use_qkv_bias", "qk_layernorm", "use_parallel_residual", NULL};
static const char *const more_meta[] = {"use_parallel_residual", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = m->config ? 1e-5 : 0, .act = ACT_SILU, .gated = true,
                       .causal = true, .context = 4096};
    bool parallel = false, qk = !m->config && bind_has(m, "blk.%d.attn_q_norm.weight", 0);
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "stablelm", more_meta, e);
    if (rc || (rc = m->config ? config_bool(&parallel, m->config, "use_parallel_residual", e)
                              : meta_bool(&parallel, m->ckpt->gguf, "stablelm", "use_parallel_residual", e)) ||
        (m->config && (rc = config_bool(&qk, m->config, "qk_layernorm", e))) || (rc = decoder_build(m, &s, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++)
        m->main->layers[l].parallel = m->main->layers[l].shared_norm = parallel;
    if (qk)
        decoder_set_qk_norm(m, NORM_LAYER, s.eps, false, true);
    return decoder_rope(m, "stablelm", ROPE_HALF, 10000, 0.25, e);
}

/* One tensor for each head: put them side by side. */
static int gather_norm(model *m, qk_norm *q, const char *pattern, int layer, int heads, int d, err *e)
{
    float *all = arena_alloc(m->arena_, (size_t)heads * (size_t)d, sizeof *all, e);
    int rc = all ? 0 : ERR_RESOURCE;
    for (int h = 0; h < heads && !rc; h++) {
        char name[160];
        const float *one = NULL;
        bind_expert_name(name, pattern, h);
        if (!(rc = bind_vector(m, &one, name, layer, d, 0, d, 0, e)))
            memcpy(all + (size_t)h * (size_t)d, one, (size_t)d * sizeof *all);
    }
    q->w = all;
    return rc;
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "use_qkv_bias", &n.qkv_bias, e);
    qk_norm kept = m->main->layers[0].self.q_norm;
    if (m->main->layers[0].parallel)
        n.mlp_pre = NULL;
    if (m->config && kept.kind != NORM_NONE)
        decoder_set_qk_norm(m, NORM_NONE, 0, false, false); /* bound below */
    n.norm_flags = BIND_ANY_BIAS;
    if (rc || (rc = decoder_bind(m, &n, e)) || !m->config || kept.kind == NORM_NONE)
        return rc;
    decoder_set_qk_norm(m, NORM_LAYER, (double)kept.eps, false, true);
    for (int l = 0; l < m->main->n_layer && !rc; l++) {
        attention_block *b = &m->main->layers[l].self;
        b->plan.qk_norm = true;
        if (!(rc = gather_norm(m, &b->q_norm, "layers.%d.self_attn.q_layernorm.norms.%e.weight", l, b->plan.n_head,
                               b->plan.d_qk, e)))
            rc = gather_norm(m, &b->k_norm, "layers.%d.self_attn.k_layernorm.norms.%e.weight", l, b->plan.n_kv_head,
                             b->plan.d_qk, e);
    }
    return rc;
}

static const char *const model_types[] = {"stablelm", "stablelm_epoch", NULL};
static const char *const gguf_archs[] = {"stablelm", NULL};

const family family_stablelm = {
    .name = "stablelm",
    .summary = "StableLM",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
