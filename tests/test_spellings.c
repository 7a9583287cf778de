/* One model, many spellings: a checkpoint of tests/families/ is written again with the configuration keys, tensor
 * names and files that other versions of its makers' software wrote, and must give the same bits. */
#include "tests/family_cases.h"

#include "analysis/reference.h"
#include "base/mapfile.h"
#include "tests/config_edit.h"

typedef const char *const renaming[2]; /* "^a" begins with a; else all occurrences */

typedef struct spelling {
    const char *name, *model;
    const char *drop;        /* keys of config.json that go, with a space on both sides each */
    const char *add;         /* members that come in their place */
    renaming *rename;        /* of tensors, in this order, ended by a NULL; NULL: none */
    const char *const *more; /* tensors [2, 2] besides, ended by a NULL; NULL: none */
    bool sharded;            /* in two files with an index */
    bool stacked;            /* experts of a layer in one tensor */
    const char *wrap;        /* the configuration is a member of this name, beside "add" */
} spelling;

/* ---- tensors ---- */

static void rename_tensor(char out[256], const char *name, renaming *r)
{
    snprintf(out, 256, "%s", name);
    for (; r && (*r)[0]; r++) {
        const char *from = (*r)[0], *to = (*r)[1];
        bool front = from[0] == '^';
        char *at = front ? (strncmp(out, from + 1, strlen(from + 1)) ? NULL : out) : strstr(out, from);
        while (at) {
            char rest[256];
            size_t cut = strlen(from) - front;
            snprintf(rest, sizeof rest, "%s", at + cut);
            snprintf(at, 256 - (size_t)(at - out), "%s%s", to, rest);
            at = front ? NULL : strstr(at + strlen(to), from);
        }
    }
}

/* A safetensors file in the making. */
typedef struct writer { strbuf header, data; } writer;

static void add_bytes(writer *w, const char *name, int n_dim, const int64_t *shape, const void *bytes, size_t n)
{
    strbuf_printf(&w->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", w->header.len ? "," : "{", name);
    for (int d = 0; d < n_dim; d++)
        strbuf_printf(&w->header, "%s%lld", d ? "," : "", (long long)shape[d]);
    strbuf_printf(&w->header, "],\"data_offsets\":[%zu,%zu]}", w->data.len, w->data.len + n);
    strbuf_add(&w->data, bytes, n);
}

static void write_text(const char *folder, const char *name, const char *bytes, size_t n)
{
    char path[CASE_PATH + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void write_safetensors(writer *w, const char *folder, const char *name)
{
    strbuf file = {0};
    strbuf_putc(&w->header, '}');
    while (w->header.len % 8)
        strbuf_putc(&w->header, ' ');
    uint64_t n = w->header.len;
    strbuf_add(&file, &n, sizeof n);
    strbuf_add(&file, strbuf_str(&w->header), w->header.len);
    strbuf_add(&file, strbuf_str(&w->data), w->data.len);
    assert_false(file.failed);
    write_text(folder, name, strbuf_str(&file), file.len);
    strbuf_free(&file);
    strbuf_free(&w->header);
    strbuf_free(&w->data);
}

/* w1 and w3 of expert 0, of expert 1, ...: [experts, 2 inner, width]; the w2: [experts, width, inner]. */
static void add_stacks(writer *w, const model *m)
{
    for (int l = 0; l < m->main->n_layer; l++)
        for (int part = 0; part < 2; part++) {
            strbuf all = {0};
            char name[128];
            int experts = m->main->layers[l].moe->n_expert;
            int64_t inner = m->main->layers[l].moe->experts[0].inner, width = m->main->width;
            int64_t shape[] = {experts, part ? width : 2 * inner, part ? inner : width};
            for (int i = 0; i < experts; i++)
                for (const char *which = part ? "2" : "13"; *which; which++) {
                    snprintf(name, sizeof name, "model.layers.%d.block_sparse_moe.experts.%d.w%c.weight", l, i, *which);
                    const checkpoint_tensor *t = checkpoint_find(m->ckpt, name);
                    assert_non_null(t);
                    strbuf_add(&all, t->t.data, t->t.bytes);
                }
            snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%s", l, part ? "down_proj" : "gate_up_proj");
            add_bytes(w, name, 3, shape, strbuf_str(&all), all.len);
            strbuf_free(&all);
        }
}

static void rewrite_tensors(const model *m, const spelling *s, const char *folder)
{
    static const float zeros[4];
    writer w[2] = {0};
    strbuf index = {0};
    for (int i = 0; i < m->ckpt->n_tensor; i++) {
        const checkpoint_tensor *t = &m->ckpt->tensors[i];
        int file = s->sharded ? i % 2 : 0;
        char name[256];
        if (s->stacked && strstr(t->name, ".experts."))
            continue;
        rename_tensor(name, t->name, s->rename);
        assert_int_equal(t->t.type, DT_F32);
        add_bytes(&w[file], name, t->t.n_dim, t->t.shape, t->t.data, t->t.bytes);
        strbuf_printf(&index, "%s\"%s\":\"model-0000%d-of-00002.safetensors\"", index.len ? "," : "{\"weight_map\":{", name,
                      file + 1);
    }
    for (const char *const *name = s->more; name && *name; name++)
        add_bytes(&w[0], *name, 2, (int64_t[]){2, 2}, zeros, sizeof zeros);
    if (s->stacked)
        add_stacks(&w[0], m);
    strbuf_puts(&index, "},\"metadata\":{\"total_size\":1}}");
    write_safetensors(&w[0], folder, s->sharded ? "model-00001-of-00002.safetensors" : "model.safetensors");
    if (s->sharded) {
        write_safetensors(&w[1], folder, "model-00002-of-00002.safetensors");
        write_text(folder, "model.safetensors.index.json", strbuf_str(&index), index.len);
    }
    strbuf_free(&index);
}

/* ---- the spellings ---- */

static renaming no_prefix_gpt2[] = {{"^transformer.", ""}, {NULL, NULL}};
static renaming parallel[] = {{"^", "module."}, {NULL, NULL}};
static renaming compiled[] = {{"^", "_orig_mod."}, {NULL, NULL}};
static renaming both_wrappers[] = {{"^", "module._orig_mod."}, {NULL, NULL}};
static renaming body_only_llama[] = {{"^model.", ""}, {NULL, NULL}};
static renaming gamma_beta[] = {{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}, {NULL, NULL}};
static renaming no_prefix_bert[] = {{"^bert.", ""}, {NULL, NULL}};
static renaming no_prefix_neox[] = {{"^gpt_neox.", ""}, {NULL, NULL}};
static renaming in_language_model[] = {{"^model.", "language_model.model."}, {NULL, NULL}};
static renaming in_model_language_model[] = {{"^model.", "model.language_model."}, {NULL, NULL}};
static renaming expert_projections[] = {{"block_sparse_moe", "mlp"}, {".w1.", ".gate_proj."}, {".w3.", ".up_proj."},
                                        {".w2.", ".down_proj."}, {NULL, NULL}};
static renaming moe_in_mlp[] = {{"block_sparse_moe", "mlp"}, {NULL, NULL}};

static const char *const gpt2_buffers[] = {"transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias", NULL};
static const char *const neox_buffers[] = {"gpt_neox.layers.0.attention.bias", "gpt_neox.layers.0.attention.masked_bias",
                                           "gpt_neox.layers.0.attention.rotary_emb.inv_freq", NULL};
static const char *const llama_buffers[] = {"model.layers.0.self_attn.rotary_emb.inv_freq", NULL};
static const char *const bert_others[] = {"bert.embeddings.position_ids", "bert.pooler.dense.weight", "bert.pooler.dense.bias",
                                          "cls.seq_relationship.weight", "cls.seq_relationship.bias", NULL};
static const char *const t5_others[] = {"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
                                        "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", NULL};
static const char *const deepseek_next_token[] = {
    "model.layers.2.eh_proj.weight", "model.layers.2.enorm.weight", "model.layers.2.self_attn.q_a_proj.weight",
    "model.layers.2.shared_head.norm.weight", NULL};

#define OLD_YARN "\"factor\":4.0,\"original_max_position_embeddings\":16"

static const spelling spellings[] = {
    {"nothing changed", "llama", .drop = NULL},
    {"rope_scaling with type", "llama", .drop = " rope_parameters ",
     .add = "\"rope_theta\":10000.0,\"rope_scaling\":{\"type\":\"yarn\"," OLD_YARN "}"},
    {"rope_scaling with rope_type", "llama", .drop = " rope_parameters ",
     .add = "\"rope_theta\":10000,\"rope_scaling\":{\"rope_type\":\"yarn\"," OLD_YARN "}"},
    {"rope_scaling with both", "llama", .drop = " rope_parameters ",
     .add = "\"rope_theta\":10000,\"rope_scaling\":{\"type\":\"yarn\",\"rope_type\":\"yarn\"," OLD_YARN "}"},
    {"rope_theta beside rope_parameters", "llama", .drop = " rope_parameters ",
     .add = "\"rope_theta\":10000.0,\"rope_parameters\":{\"rope_type\":\"yarn\"," OLD_YARN "}"},
    {"rope_theta left to its default", "llama", .drop = " rope_parameters ",
     .add = "\"rope_scaling\":{\"type\":\"yarn\"," OLD_YARN "}"},
    {"torch_dtype and head_dim absent", "llama", .drop = " dtype head_dim attention_bias mlp_bias pretraining_tp ",
     .add = "\"torch_dtype\":\"float32\",\"_name_or_path\":\"x\",\"max_sequence_length\":2048"},
    {"sharded", "llama", .sharded = true},
    {"wrapped for parallel training", "llama", .rename = parallel},
    {"compiled", "llama", .rename = compiled},
    {"compiled and wrapped, sharded", "llama", .rename = both_wrappers, .sharded = true},
    {"names of the body alone", "llama", .rename = body_only_llama},
    {"stored rotary frequencies", "llama", .more = llama_buffers},

    {"gpt2 without prefix", "gpt2", .rename = no_prefix_gpt2},
    {"gpt2 with mask buffers", "gpt2", .more = gpt2_buffers},
    {"gpt2 with n_ctx and old settings", "gpt2",
     .drop = " n_inner add_cross_attention dtype reorder_and_upcast_attn scale_attn_weights ",
     .add = "\"n_ctx\":16,\"n_special\":0,\"predict_special_tokens\":true,"
            "\"task_specific_params\":{\"text-generation\":{\"do_sample\":true}}"},
    {"gpt2 in the common names", "gpt2", .drop = " n_embd n_layer n_head n_positions ",
     .add = "\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"max_position_embeddings\":16"},
    {"gpt2 wrapped", "gpt2", .rename = parallel},

    {"bert with gamma and beta", "bert", .rename = gamma_beta, .more = bert_others},
    {"bert without prefix", "bert", .rename = no_prefix_bert},
    {"bert of 2018", "bert",
     .drop = " dtype use_cache tie_word_embeddings add_cross_attention is_decoder position_embedding_type ",
     .add = "\"directionality\":\"bidi\",\"pooler_fc_size\":768,\"pooler_num_attention_heads\":12,\"pooler_num_fc_layers\":3,"
            "\"pooler_size_per_head\":128,\"pooler_type\":\"first_token_transform\",\"position_embedding_type\":\"absolute\""},

    {"gpt_neox with rotary_pct", "gpt_neox", .drop = " rope_parameters ",
     .add = "\"rotary_pct\":0.25,\"rotary_emb_base\":10000", .rename = no_prefix_neox},
    {"gpt_neox with buffers", "gpt_neox", .more = neox_buffers},

    {"gpt_neo with attention_layers alone", "gpt_neo", .drop = " attention_types "},
    {"gpt_neo with attention_types alone", "gpt_neo", .drop = " attention_layers "},
    {"gpt_neo in the common names", "gpt_neo", .drop = " num_layers num_heads ",
     .add = "\"num_hidden_layers\":2,\"num_attention_heads\":4", .rename = no_prefix_gpt2},

    {"bloom with n_embed", "bloom", .drop = " hidden_size n_head slow_but_exact ",
     .add = "\"n_embed\":32,\"num_attention_heads\":4,\"attention_softmax_in_fp32\":true,\"masked_softmax_fusion\":true,"
            "\"bias_dropout_fusion\":true,\"offset_alibi\":100,\"skip_bias_add\":true,"
            "\"skip_bias_add_qkv\":false,\"seq_length\":2048,"
            "\"slow_but_exact\":false,\"n_inner\":null", .rename = no_prefix_gpt2},

    {"falcon as RefinedWeb", "falcon",
     .drop = " model_type new_decoder_architecture num_attention_heads num_hidden_layers num_kv_heads num_ln_in_parallel_attn"
            " multi_query"
            " num_key_value_heads ffn_hidden_size intermediate_size activation rope_parameters max_position_embeddings ",
     .add = "\"model_type\":\"RefinedWeb\",\"n_head\":4,\"n_head_kv\":2,\"n_layer\":2,"
            "\"apply_residual_connection_post_layernorm\":false,"
            "\"torch_dtype\":\"bfloat16\""},

    {"gemma3 with rope_local_base_freq", "gemma3", .drop = " rope_parameters layer_types _sliding_window_pattern ",
     .add = "\"rope_theta\":1000000.0,\"rope_local_base_freq\":10000.0,\"cache_implementation\":\"hybrid\""},
    {"gemma3 with _sliding_window_pattern", "gemma3", .drop = " layer_types sliding_window_pattern "},
    {"gemma3 with layer_types alone", "gemma3", .drop = " sliding_window_pattern _sliding_window_pattern "},
    {"gemma3 within an image model", "gemma3", .rename = in_language_model, .wrap = "text_config",
     .add = "\"model_type\":\"gemma3\",\"boi_token_index\":5,\"image_token_index\":6,\"mm_tokens_per_image\":256"},
    {"gemma3 within a newer image model", "gemma3", .rename = in_model_language_model, .wrap = "text_config",
     .add = "\"model_type\":\"gemma3\""},

    {"modernbert with two rope_theta", "modernbert", .drop = " rope_parameters layer_types ",
     .add = "\"global_rope_theta\":160000.0,\"local_rope_theta\":10000.0,"
            "\"position_embedding_type\":\"absolute\",\"layer_norm_eps\":1e-5"},

    {"qwen2 without layer_types", "qwen2", .drop = " layer_types rope_parameters ", .add = "\"rope_theta\":10000.0"},
    {"qwen2 with layer_types alone", "qwen2", .drop = " max_window_layers "},

    {"mixtral with projections of each expert", "mixtral", .rename = expert_projections},
    {"mixtral with stacked experts", "mixtral", .rename = moe_in_mlp, .stacked = true},
    {"mixtral of 2023", "mixtral", .drop = " rope_parameters head_dim dtype ",
     .add = "\"rope_theta\":1000000.0,\"torch_dtype\":\"bfloat16\""},

    {"mpt of 2023", "mpt", .drop = " attn_config norm_type dtype ",
     .add = "\"attn_config\":{\"alibi\":true,\"alibi_bias_max\":8,\"attn_impl\":\"torch\",\"attn_pdrop\":0,\"attn_type\":"
            "\"multihead_attention\",\"attn_uses_sequence_id\":false,\"clip_qkv\":null,\"prefix_lm\":false,\"qk_ln\":false,"
            "\"softmax_scale\":null},\"norm_type\":\"low_precision_layernorm\",\"init_config\":{\"name\":\"kaiming_normal_\"},"
            "\"tokenizer_name\":\"EleutherAI/gpt-neox-20b\",\"verbose\":0,\"torch_dtype\":\"bfloat16\""},

    {"gpt_oss as published", "gpt_oss", .drop = " rope_parameters ",
     .add = "\"rope_theta\":10000,\"rope_scaling\":{\"beta_fast\":32.0,\"beta_slow\":1.0,"
            "\"rope_type\":\"yarn\",\"truncate\":false,"
            OLD_YARN "},\"initial_context_length\":16,\"experts_per_token\":2"},

    {"deepseek_v3 as published", "deepseek_v3",
     .drop = " rope_parameters head_dim qk_head_dim rope_interleave output_router_logits ",
     .add = "\"rope_theta\":10000,\"rope_scaling\":null,\"aux_loss_alpha\":0.001,\"ep_size\":1,\"moe_layer_freq\":1,"
            "\"scoring_func\":\"sigmoid\",\"seq_aux\":true,\"topk_method\":\"noaux_tc\"",
     .more = deepseek_next_token},

    {"qwen3_next with full_attention_interval", "qwen3_next", .drop = " layer_types rope_parameters ",
     .add = "\"full_attention_interval\":2,\"rope_theta\":10000,\"rope_scaling\":null,\"partial_rotary_factor\":0.25"},

    {"t5 of 2019", "t5", .drop = " scale_decoder_outputs dense_act_fn is_gated_act dtype classifier_dropout ",
     .add = "\"n_positions\":512,\"output_past\":true,\"task_specific_params\":{\"summarization\":{\"num_beams\":4}}",
     .more = t5_others},
};

/* ---- the test ---- */

static void remove_folder(const char *folder)
{
    char path[CASE_PATH + 300];
    DIR *d = opendir(folder);
    for (const struct dirent *entry; d && (entry = readdir(d));) {
        snprintf(path, sizeof path, "%.900s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(folder);
}

/* Write the run of the original to `out`, on the input of its reference. */
static void dump_original(const model *m, const char *path, const char *out)
{
    model_case refs[REFERENCES_MAX];
    reference_input in = {0};
    runtime *r = NULL;
    err e = {0};
    assert_true(list_references(refs, path) > 0);
    if (reference_input_open(&in, m, refs[0].path, &e) || runtime_new(&r, m, 2, PRECISION_F32, &e) ||
        dump_run(r, m, &in.in, true, out, NULL, &e))
        fail_msg("%s: %s", path, e.msg);
    runtime_free(r);
    reference_input_free(&in);
}

static void same_bits(const char *folder, const char *reference)
{
    model *m;
    runtime *r;
    verify_row *rows;
    int n = 0;
    err e = {0};
    if (model_open(&m, folder, &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    if (runtime_new(&r, m, 2, PRECISION_F32, &e) || verify_run(r, m, reference, &rows, &n, NULL, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(n, arrays_to_compare(m, reference));
    for (int i = 0; i < n; i++)
        if (rows[i].max_abs != 0)
            fail_msg("%s_%d differs by %g", rows[i].array, rows[i].layer, rows[i].max_abs);
    free(rows);
    runtime_free(r);
    model_free(m);
}

static void test_spelling(void **state)
{
    const spelling *s = *state;
    char original[CASE_PATH], folder[CASE_PATH], reference[CASE_PATH + 64];
    const char *tmp = getenv("TMPDIR");
    strbuf config = {0};
    model *m;
    err e = {0};
    carried_path(original, s->model);
    snprintf(folder, sizeof folder, "%.900s/attnscope-spelling-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(reference, sizeof reference, "%s/ours.npz", folder);
    if (model_open(&m, original, &e))
        fail_msg("%s", e.msg);
    dump_original(m, original, reference);
    if (s->wrap)
        strbuf_printf(&config, "{\"%s\":", s->wrap);
    edit_config(&config, m->ckpt->config, s->drop, s->wrap ? NULL : s->add);
    if (s->wrap)
        strbuf_printf(&config, ",%s}", s->add);
    write_text(folder, "config.json", strbuf_str(&config), config.len);
    rewrite_tensors(m, s, folder);
    same_bits(folder, reference);
    strbuf_free(&config);
    model_free(m);
    remove_folder(folder);
}

int main(void)
{
    enum { N = sizeof spellings / sizeof *spellings };
    static struct CMUnitTest tests[N];
    cmocka_set_message_output(CM_OUTPUT_TAP);
    for (int i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){.name = spellings[i].name, .test_func = test_spelling,
                                       .initial_state = (void *)(uintptr_t)&spellings[i]};
    return _cmocka_run_group_tests("spellings", tests, N, NULL, NULL);
}
