/* Phi-1, 1.5 and 2: attention and MLP in parallel behind one LayerNorm, partial RoPE, biases everywhere.
 * Hugging Face PhiForCausalLM; GGUF architecture "phi2". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"qk_layernorm", NULL};

/* A converter of the time wrote as many key/value heads as heads, and an MLP of 4 widths, whatever the weights are. */
static void trust_tensors(model *m, decoder_shape *s)
{
    const checkpoint_tensor *k = checkpoint_find(m->ckpt, "blk.0.attn_k.weight"),
    *up = checkpoint_find(m->ckpt, "blk.0.ffn_up.weight");
    int64_t rows = k && k->t.n_dim == 2 ? k->t.shape[0] : 0, inner = up && up->t.n_dim == 2 ? up->t.shape[0] : 0;
    bool heads = rows > 0 && rows % s->head_width == 0 && rows / s->head_width < s->kv_heads;
    if (heads)
        s->kv_heads = rows / s->head_width;
    if (inner > 0 && inner <= 1 << 24)
        s->ffn = inner;
    if (heads)
        model_assume(m, "the file states other numbers of key/value heads than its tensors have: the tensors count");
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = m->config ? 1e-5 : 0, .act = ACT_GELU_NEW, .causal = true};
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "phi2", NULL, e);
    if (!rc && !m->config)
        trust_tensors(m, &s);
    if (rc || (m->config && (rc = config_must_be_bool(m->config, "qk_layernorm", false, e))) || (rc = decoder_build(m, &s, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++)
        m->main->layers[l].parallel = m->main->layers[l].shared_norm = true;
    return decoder_rope(m, "phi2", ROPE_HALF, 10000, 0.5, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    n.mlp_pre = NULL;
    if (m->config) {
        n.final_norm = "final_layernorm";
        n.out = "layers.%d.self_attn.dense";
        n.up = "layers.%d.mlp.fc1";
        n.down = "layers.%d.mlp.fc2";
    }
    n.qkv_bias = n.out_bias = n.mlp_bias = BIND_BIAS;
    return decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"phi", NULL};
static const char *const gguf_archs[] = {"phi2", NULL};

const family family_phi = {
    .name = "phi",
    .summary = "Phi-1, Phi-1.5, Phi-2",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
