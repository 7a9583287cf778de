/* Configurations that contradict themselves or the weights, or say what this program does not know: one message each,
 * naming the key.  And published ones, which must all be understood. */
#include "tests/family_cases.h"

#include "base/mapfile.h"
#include "base/mem.h"
#include "tests/config_edit.h"

/* The model of a carried case with its configuration edited; NULL with e. */
static model *open_edited(const char *name, const char *drop, const char *add, err *e)
{
    char path[CASE_PATH];
    checkpoint *c;
    model *m = NULL;
    strbuf text = {0};
    json *config;
    *e = (err){0};
    carried_path(path, name);
    if (checkpoint_open(&c, path, e))
        fail_msg("%s", e->msg);
    edit_config(&text, c->config, drop, add);
    if (json_parse(&config, strbuf_str(&text), text.len, "config.json", e)) {
        checkpoint_close(c);
    } else {
        json_free(c->config);
        c->config = config;
        if (model_from_checkpoint(&m, c, e))
            m = NULL;
    }
    strbuf_free(&text);
    return m;
}

typedef struct refusal { const char *model, *drop, *add, *message; } refusal;

static bool is_refused(const refusal *r)
{
    err e;
    model *m = open_edited(r->model, r->drop, r->add, &e);
    bool as_expected = !m && e.code == ERR_INPUT && strstr(e.msg, r->message);
    if (!as_expected)
        fprintf(stderr, "# %s%s%s: \"%s\" was expected, this happened: %s\n", r->model, r->drop ? r->drop : " ",
                r->add ? r->add : "", r->message, m ? "opened" : e.msg);
    model_free(m);
    return as_expected;
}

static void check_all(const refusal *r)
{
    int wrong = 0;
    for (; r->model; r++)
        wrong += !is_refused(r);
    assert_int_equal(wrong, 0);
}

static void test_shapes(void **state)
{
    static const refusal rows[] = {
        {"llama", NULL, "\"num_attention_heads\":5,\"num_key_value_heads\":5,\"head_dim\":null", "width 32 is not a multiple of"
                                                                                                 " 5 heads"},
        {"llama", NULL, "\"num_attention_heads\":3", "3 attention heads cannot share 2 key/value heads evenly"},
        {"llama", NULL, "\"num_key_value_heads\":8", "num_key_value_heads is 8, out of range (1 to 4)"},
        {"llama", NULL, "\"num_key_value_heads\":0", "num_key_value_heads is 0, out of range"},
        {"llama", NULL, "\"num_key_value_heads\":1", "k_proj.weight has shape [16, 32], the configuration needs [8, 32]"},
        {"llama", " num_key_value_heads ", NULL, "k_proj.weight has shape [16, 32], the configuration needs [32, 32]"},
        {"llama", NULL, "\"head_dim\":7", "rotary embedding over 8 of 7 dimensions"},
        {"gpt_neox", NULL, "\"rope_parameters\":{\"rope_type\":\"default\",\"partial_rotary_factor\":0.1}", "rotary embedding"
                                                                                                            " over 0 of 8"},
        {"llama", NULL, "\"vocab_size\":49", "embed_tokens.weight has shape [48, 32], the configuration needs [49, 32]"},
        {"llama", NULL, "\"hidden_size\":16", "embed_tokens.weight has shape [48, 32], the configuration needs [48, 16]"},
        {"llama", NULL, "\"intermediate_size\":64", "gate_proj.weight has shape [48, 32], the configuration needs [64, 32]"},
        {"llama", NULL, "\"num_hidden_layers\":3", "tensor layers.2.input_layernorm.weight is missing"},
        {"gpt2", NULL, "\"n_positions\":15", "wpe.weight has shape [16, 32], the configuration needs [15, 32]"},
        {"llama", NULL, "\"tie_word_embeddings\":false,\"attention_bias\":true", "q_proj.bias is missing"},
        {"bert", NULL, "\"type_vocab_size\":3", "token_type_embeddings.weight has shape [2, 32], the configuration needs [96]"},
        {"t5", NULL, "\"relative_attention_num_buckets\":9", "relative_attention_bias.weight has shape [8, 4], the configuration"
                                                             " needs [36]"},
        {NULL, NULL, NULL, NULL},
    };
    (void)state;
    check_all(rows);
}

/* A model of fewer layers than the file holds would give wrong numbers in silence. */
static void test_too_few_layers(void **state)
{
    static const refusal rows[] = {
        {"llama", NULL, "\"num_hidden_layers\":1", "layers.1."},
        {"gpt2", NULL, "\"n_layer\":1", "h.1."},
        {"bert", NULL, "\"num_hidden_layers\":1", "layer.1."},
        {NULL, NULL, NULL, NULL},
    };
    (void)state;
    check_all(rows);
}

static void test_numbers(void **state)
{
    static const char *const wrong[] = {"\"12\"", "[12]", "{}", "true", "12.5"};
    static const char *const integers[] = {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                                           "num_key_value_heads", "head_dim", "intermediate_size", "max_position_embeddings"};
    static const refusal rows[] = {
        {"llama", NULL, "\"rms_norm_eps\":0", "rms_norm_eps is 0, out of range"},
        {"llama", NULL, "\"rms_norm_eps\":-1e-6", "rms_norm_eps is -1e-06, out of range"},
        {"llama", NULL, "\"rms_norm_eps\":1e-6,\"hidden_size\":1e3", "hidden_size is not an integer"},
        {"llama", NULL, "\"rms_norm_eps\":\"1e-6\"", "rms_norm_eps is not a number"},
        {"llama", NULL, "\"rms_norm_eps\":[1e-6]", "rms_norm_eps is not a number"},
        {"llama", NULL, "\"hidden_size\":9223372036854775807", "hidden_size is 9223372036854775807, out of range"},
        {"llama", NULL, "\"num_hidden_layers\":-1", "num_hidden_layers is -1, out of range"},
        {"llama", NULL, "\"num_hidden_layers\":4294967297", "num_hidden_layers is 4294967297, out of range"},
        {"llama", NULL, "\"num_attention_heads\":1000000", "num_attention_heads is 1000000, out of range"},
        {"llama", NULL, "\"tie_word_embeddings\":\"false\"", "tie_word_embeddings is not true or false"},
        {"llama", NULL, "\"tie_word_embeddings\":0", "tie_word_embeddings is not true or false"},
        {"llama", NULL, "\"attention_bias\":\"yes\"", "attention_bias is not true or false"},
        {"llama", NULL, "\"hidden_act\":\"mish\"", "hidden_act \"mish\" is not supported"},
        {"llama", NULL, "\"hidden_act\":7", "hidden_act \"(not a string)\" is not supported"},
        {"gpt2", NULL, "\"layer_norm_epsilon\":0", "layer_norm_epsilon is 0, out of range"},
        {NULL, NULL, NULL, NULL},
    };
    (void)state;
    check_all(rows);
    for (size_t k = 0; k < sizeof integers / sizeof *integers; k++)
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
            char add[128], message[128];
            snprintf(add, sizeof add, "\"%s\":%s", integers[k], wrong[i]);
            snprintf(message, sizeof message, "%s is not an integer", integers[k]);
            assert_true(is_refused(&(refusal){"llama", NULL, add, message}));
        }
    for (size_t k = 0; k < 4; k++) {
        char drop[80], message[128];
        snprintf(drop, sizeof drop, " %s ", integers[k]);
        snprintf(message, sizeof message, "config.json: %s is missing", integers[k]);
        assert_true(is_refused(&(refusal){"llama", drop, NULL, message}));
        snprintf(message, sizeof message, "\"%s\":null", integers[k]);
        snprintf(drop, sizeof drop, "config.json: %s is missing", integers[k]);
        assert_true(is_refused(&(refusal){"llama", NULL, message, drop}));
    }
}

/* What JSON itself does not allow never reaches the model. */
static void test_not_json(void **state)
{
    static const char *const texts[] = {"{\"rms_norm_eps\":NaN}", "{\"rms_norm_eps\":1e999}", "{\"rms_norm_eps\":Infinity}",
                                        "{\"hidden_size\":99999999999999999999}", "[]x", "{\"a\":1,\"a\":2}", ""};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json *config;
        err e = {0};
        assert_int_equal(json_parse(&config, texts[i], strlen(texts[i]), "config.json", &e), ERR_INPUT);
        assert_non_null(strstr(e.msg, "config.json"));
    }
}

#define ROPE "\"rope_parameters\":null,\"rope_scaling\":"

static void test_rope(void **state)
{
    static const refusal rows[] = {
        {"llama", NULL, ROPE "{\"rope_type\":\"spiral\",\"factor\":2}", "rope_type \"spiral\" is not supported"},
        {"llama", NULL, ROPE "{\"type\":\"ntk\",\"factor\":2}", "\"ntk\" is not supported"},
        {"llama", NULL, ROPE "{\"rope_type\":7}", "rope_type \"(not a string)\" is not supported"},
        {"llama", NULL, ROPE "{\"rope_type\":\"linear\"}", "factor is missing"},
        {"llama", NULL, ROPE "{\"rope_type\":\"dynamic\"}", "factor is missing"},
        {"llama", NULL, ROPE "{\"rope_type\":\"yarn\"}", "factor is missing"},
        {"llama", NULL, ROPE "{\"rope_type\":\"linear\",\"factor\":0}", "factor is 0, out of range"},
        {"llama", NULL, ROPE "{\"rope_type\":\"linear\",\"factor\":-2}", "factor is -2, out of range"},
        {"llama", NULL, ROPE "{\"rope_type\":\"linear\",\"factor\":\"2\"}", "factor is not a number"},
        {"llama", NULL, ROPE "{\"factor\":8}", "rope scaling has a factor but no rope_type"},
        {"llama", NULL, ROPE "\"linear\"", "rope_scaling is not an object"},
        {"llama", NULL, ROPE "[]", "rope_scaling is not an object"},
        {"llama", NULL, ROPE "{\"rope_type\":\"yarn\",\"factor\":2,\"swirl\":1}", "rope scaling key \"swirl\" is not supported"},
        {"llama", NULL, ROPE "{\"rope_type\":\"llama3\",\"factor\":2}", "original_max_position_embeddings is missing"},
        {"llama", NULL, ROPE "{\"rope_type\":\"llama3\",\"factor\":2,\"original_max_position_embeddings\":8}",
         "low_freq_factor is missing"},
        {"llama", NULL, ROPE "{\"rope_type\":\"llama3\",\"factor\":2,\"original_max_position_embeddings\":8,"
                             "\"low_freq_factor\":4,"
                             "\"high_freq_factor\":4}", "high_freq_factor must be above low_freq_factor"},
        {"llama", NULL, ROPE "{\"rope_type\":\"longrope\",\"factor\":2}", "longrope needs original_max_position_embeddings"},
        {"llama", NULL, ROPE "{\"rope_type\":\"longrope\",\"original_max_position_embeddings\":8,"
                             "\"short_factor\":[1,1,1],\"long_factor\":[1]}",
         "short_factor must be a list of 4 numbers"},
        {"llama", NULL, ROPE "{\"rope_type\":\"longrope\",\"original_max_position_embeddings\":8,\"short_factor\":[1,1,1,1],"
                             "\"long_factor\":[1,1,0,1]}", "long_factor holds an element that is not a positive number"},
        {"llama", NULL, "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2}", "both rope_parameters and rope_scaling are"
                                                                                    " given"},
        {"llama", NULL, "\"rope_parameters\":null,\"rope_theta\":0", "rope_theta is 0, out of range"},
        {"llama", NULL, "\"rope_parameters\":null,\"rope_theta\":\"10000\"", "rope_theta is not a number"},
        {"llama", NULL, "\"rope_parameters\":{\"sliding_attention\":{\"rope_type\":\"default\"}}",
         "rope scaling key \"sliding_attention\" is not supported"},
        {"gemma3", NULL, "\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\"}}", "factor is missing"},
        {NULL, NULL, NULL, NULL},
    };
    (void)state;
    check_all(rows);
}

static void test_layer_lists(void **state)
{
    static const refusal rows[] = {
        {"gemma3", NULL, "\"sliding_window\":0", "sliding_window is 0, out of range"},
        {"gemma3", NULL, "\"sliding_window\":-4", "sliding_window is -4, out of range"},
        {"gemma3", NULL, "\"layer_types\":[\"full_attention\"]",
         "layer_types must be a list with one entry for each of 3 layers"},
        {"gemma3", NULL, "\"layer_types\":\"full_attention\"", "layer_types must be a list with one entry for each of 3 layers"},
        {"gemma3", NULL, "\"layer_types\":[\"full_attention\",\"full_attention\",\"chunked_attention\"]",
         "layer_types holds \"chunked_attention\", which is not supported"},
        {"gemma3", NULL, "\"layer_types\":[\"full_attention\",\"full_attention\",3]", "layer_types holds \"?\", which is not"
                                                                                      " supported"},
        {"llama", NULL, "\"layer_types\":[\"full_attention\",\"sliding_attention\"]", "layer_types"},
        {"qwen2", NULL, "\"sliding_window\":null", "layer 1 slides but there is no sliding_window"},
        {"gemma3", NULL, "\"layer_types\":[\"linear_attention\",\"full_attention\",\"full_attention\"]", "linear_attention"},
        {"gpt_neo", NULL, "\"attention_types\":[[[\"global\",\"local\"],2]]", "attention_types describes another number of"
                                                                              " layers than the 2"},
        {"gpt_neo", NULL, "\"attention_types\":[[[\"global\",\"far\"],1]]", "attention_types holds \"far\""},
        {"gpt_neo", NULL, "\"attention_types\":7", "attention_types"},
        {"gpt_neo", NULL, "\"attention_types\":[[[\"global\",\"local\"],1e18]]", "attention_types"},
        {"gpt_neo", NULL, "\"attention_layers\":[\"global\"]", "attention_layers must be a list with one entry for each of 2"
                                                               " layers"},
        {"gpt_neo", NULL, "\"attention_layers\":[\"global\",\"far\"]", "attention_layers holds \"far\""},
        {"gpt_neo", NULL, "\"window_size\":0", "window_size is 0, out of range"},
        {NULL, NULL, NULL, NULL},
    };
    (void)state;
    check_all(rows);
}

static void test_experts(void **state)
{
    static const refusal rows[] = {
        {"mixtral", NULL, "\"num_local_experts\":0", "num_local_experts is 0, out of range (1 to 1024)"},
        {"mixtral", NULL, "\"num_local_experts\":1025", "num_local_experts is 1025, out of range (1 to 1024)"},
        {"mixtral", " num_local_experts ", NULL, "num_experts is missing"},
        {"mixtral", NULL, "\"num_local_experts\":5", "block_sparse_moe.gate.weight has shape [4, 32], the configuration needs"
                                                     " [5, 32]"},
        {"mixtral", NULL, "\"num_experts_per_tok\":5", "5 of 4 experts cannot be chosen for each token"},
        {"mixtral", NULL, "\"num_experts_per_tok\":0", "num_experts_per_tok is 0, out of range"},
        {"mixtral", NULL, "\"num_experts_per_tok\":2.5", "num_experts_per_tok is not an integer"},
        {"gpt_oss", NULL, "\"num_experts_per_tok\":5", "5 of 4 experts cannot be chosen for each token"},
        {"deepseek_v3", NULL, "\"n_routed_experts\":2000", "n_routed_experts is 2000, out of range"},
        {"deepseek_v3", NULL, "\"n_group\":3", "group"},
        {"deepseek_v3", NULL, "\"topk_group\":3", "group"},
        {"deepseek_v3", NULL, "\"qk_rope_head_dim\":3", "rotary embedding over"},
        {"qwen3_next", NULL, "\"mlp_only_layers\":7", "mlp_only_layers is not a list"},
        {"qwen3_next", NULL, "\"decoder_sparse_step\":0", "decoder_sparse_step is 0, out of range"},
        {NULL, NULL, NULL, NULL},
    };
    (void)state;
    check_all(rows);
}

static void test_unknown(void **state)
{
    static const refusal rows[] = {
        {"llama", NULL, "\"model_type\":\"lama\"", "model_type \"lama\" is not supported"},
        {"llama", " model_type ", NULL, "model_type is missing"},
        {"llama", NULL, "\"model_type\":null", "model_type is missing"},
        {"llama", NULL, "\"model_type\":[\"llama\"]", "model_type is missing"},
        {"llama", NULL, "\"attn_logit_softcapping\":50.0", "key \"attn_logit_softcapping\" may change attention"},
        {"llama", NULL, "\"sliding_window\":4", "key \"sliding_window\" may change attention"},
        {"llama", NULL, "\"use_qk_norm\":true", "key \"use_qk_norm\" may change attention"},
        {"llama", NULL, "\"attention_multiplier\":2", "key \"attention_multiplier\" may change attention"},
        {"llama", NULL, "\"num_local_experts\":4", "key \"num_local_experts\" may change attention"},
        {"gpt2", NULL, "\"add_cross_attention\":true", "add_cross_attention = true is not supported"},
        {"bert", NULL, "\"position_embedding_type\":\"relative_key\"", "position_embedding_type \"relative_key\" is not"
                                                                       " supported"},
        {"bert", NULL, "\"is_decoder\":true", "is_decoder = true is not supported"},
        {"mpt", NULL, "\"attn_config\":{\"alibi\":false}", "alibi"},
        {"t5", NULL, "\"feed_forward_proj\":\"gated-mish\"", "feed_forward_proj \"mish\" is not supported"},
        {"llama", NULL, "\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4}", "quant_method \"gptq\" is not"
                                                                                          " supported"},
        {"llama", NULL, "\"quantization_config\":{\"quant_method\":\"bitsandbytes\"}", "quant_method \"bitsandbytes\" is not"
                                                                                       " supported"},
        {"llama", NULL, "\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[64]}", "weight_block_size must"
                                                                                                         " be"},
        {"llama", NULL, "\"quantization_config\":\"int8\"", "quantization_config"},
        {NULL, NULL, NULL, NULL},
    };
    (void)state;
    check_all(rows);
    err e;
    assert_null(open_edited("llama", NULL, "\"model_type\":\"lama\"", &e));
    assert_non_null(strstr(e.hint, "list families"));
    model *m = open_edited("llama", NULL, "\"sliding_window\":null,\"use_qk_norm\":false,\"favourite_colour\":\"blue\"", &e);
    assert_non_null(m);
    assert_int_equal(m->n_ignored, 3);
    assert_string_equal(m->ignored[0], "sliding_window");
    assert_string_equal(m->ignored[2], "favourite_colour");
    model_free(m);
}

/* What is left out follows from the rest. */
static void test_derived(void **state)
{
    (void)state;
    err e;
    model *m = open_edited("gpt_neox", " num_key_value_heads head_dim intermediate_size max_position_embeddings ",
                           "\"intermediate_size\":48", &e);
    assert_non_null(m);
    const attn_plan *p = &m->main->layers[1].self.plan;
    assert_int_equal(p->n_head, 4);
    assert_int_equal(p->n_kv_head, 4);
    assert_int_equal(p->d_qk, 8);
    assert_int_equal(p->d_v, 8);
    assert_true(p->scale == (float)(1 / 2.8284271247461903));
    assert_int_equal(m->ropes[p->rope].dim, 2);
    model_free(m);
    m = open_edited("qwen2", " use_sliding_window layer_types ", NULL, &e);
    assert_non_null(m);
    for (int l = 0; l < 2; l++)
        assert_int_equal(m->main->layers[l].self.plan.window, 0);
    model_free(m);
    m = open_edited("qwen2", " layer_types ", "\"max_window_layers\":0", &e);
    assert_non_null(m);
    for (int l = 0; l < 2; l++)
        assert_int_equal(m->main->layers[l].self.plan.window, 4);
    model_free(m);
}

/* ---- published configurations: tests/families/published.jsonl ---- */

/* The structure alone, without weights. */
static int configure_alone(model *m, checkpoint *c, const json *config, err *e)
{
    strbuf text = {0};
    int rc;
    put_json(&text, config);
    *m = (model){.ckpt = c, .image_token = -1, .head = {.in_scale = 1, .scale = 1}, .arena_ = calloc(1, sizeof(arena))};
    json_free(c->config);
    c->config = NULL;
    rc = json_parse(&c->config, strbuf_str(&text), text.len, "config.json", e);
    strbuf_free(&text);
    m->config = c->config;
    for (const family *const *f = families; *f && !m->family; f++)
        for (const char *const *type = (*f)->model_types; type && *type; type++)
            if (strcmp(*type, json_str(json_get(config, "model_type"), NULL)) == 0)
                m->family = *f;
    if (!rc && !m->family)
        return err_set(e, ERR_INPUT, "no family");
    return rc ? rc : m->family->configure(m, e);
}

static void forget(model *m)
{
    json_free(m->completed);
    arena_free(m->arena_);
    free(m->arena_);
    free(m->ignored);
}

/* Learned positions show only with the weights. */
static void cut_positions(char *text)
{
    static const char words[] = ", no positions";
    char *at = strstr(text, words);
    if (at)
        memmove(at, at + sizeof words - 1, strlen(at + sizeof words - 1) + 1);
}

static bool check_published(const char *line, size_t n, checkpoint *c)
{
    json *row;
    int64_t layer = 0;
    strbuf plan = {0};
    model m;
    err e = {0};
    if (json_parse(&row, line, n, "published.jsonl", &e))
        fail_msg("%s", e.msg);
    const char *name = json_str(json_get(row, "name"), NULL), *want = json_str(json_get(row, "plan"), NULL);
    assert_true(name && want && json_int(&layer, json_get(row, "layer")));
    if (configure_alone(&m, c, json_get(row, "config"), &e))
        strbuf_puts(&plan, e.msg);
    else
        model_describe_layer(&m, m.main->kind, (int)layer, &plan);
    char *got = strbuf_take(&plan, &e);
    assert_non_null(got);
    cut_positions(got);
    bool same = strcmp(got, want) == 0;
    if (!same)
        fprintf(stderr, "# %s, layer %d: %s; expected %s\n", name, (int)layer, got, want);
    forget(&m);
    free(got);
    json_free(row);
    return same;
}

static void test_published(void **state)
{
    static const char nothing[] = "\2\0\0\0\0\0\0\0{}";
    char path[CASE_PATH], *text, *save = NULL;
    size_t n;
    checkpoint *c;
    err e = {0};
    int wrong = 0;
    (void)state;
    carried_path(path, "published.jsonl");
    if (read_file(&text, &n, path, 1 << 20, &e) || checkpoint_open_memory(&c, nothing, sizeof nothing - 1, "x.safetensors", &e))
        fail_msg("%s", e.msg);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        wrong += !check_published(line, strlen(line), c);
    checkpoint_close(c);
    free(text);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_too_few_layers), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_not_json), cmocka_unit_test(test_rope), cmocka_unit_test(test_layer_lists),
        cmocka_unit_test(test_experts), cmocka_unit_test(test_unknown), cmocka_unit_test(test_derived),
        cmocka_unit_test(test_published),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
