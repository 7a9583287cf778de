/* LLaVA: which hidden state of the image tower is read, what becomes of it, where it goes in the prompt, and
 * the spellings of its checkpoints. */
#include "tests/tiny_vision.h"

enum { W = 12, VOCAB = 20, IMAGE = 19, LAYERS = 3, TEXT = 6 };

static const char *const text_parts[] = {"q_proj", "k_proj", "v_proj", "o_proj"};

/* A tower of three layers, a projector and a Llama of two layers of width 12. */
static void make_llava(tiny *t, bool siglip)
{
    make_clip(t, siglip, LAYERS);
    tiny_rename(t, "", "vision_tower.");
    add_linear(t, "multi_modal_projector.linear_1", W, C, true);
    add_linear(t, "multi_modal_projector.linear_2", W, W, true);
    tiny_add(t, "language_model.model.embed_tokens.weight", 0, 1, VOCAB, W, 0, 0);
    for (int l = 0; l < 2; l++) {
        char at[60], name[120];
        snprintf(at, sizeof at, "language_model.model.layers.%d", l);
        for (int i = 0; i < 4; i++) {
            snprintf(name, sizeof name, "%s.self_attn.%s", at, text_parts[i]);
            add_linear(t, name, i == 1 || i == 2 ? W / 2 : W, W, false);
        }
        snprintf(name, sizeof name, "%s.input_layernorm.weight", at);
        tiny_add(t, name, 1, 0.2f, W, 0, 0, 0);
        snprintf(name, sizeof name, "%s.post_attention_layernorm.weight", at);
        tiny_add(t, name, 1, 0.2f, W, 0, 0, 0);
        snprintf(name, sizeof name, "%s.mlp.gate_proj", at);
        add_linear(t, name, 16, W, false);
        snprintf(name, sizeof name, "%s.mlp.up_proj", at);
        add_linear(t, name, 16, W, false);
        snprintf(name, sizeof name, "%s.mlp.down_proj", at);
        add_linear(t, name, W, 16, false);
    }
    tiny_add(t, "language_model.model.norm.weight", 1, 0.2f, W, 0, 0, 0);
    add_linear(t, "language_model.lm_head", VOCAB, W, false);
}

static char config[4096];

/* type: of the text model; tower: of the image model; more: members at the top. */
static const char *config_of(const char *type, const char *tower, const char *text_more, const char *more)
{
    snprintf(
        config, sizeof config,
        "{\"model_type\": \"llava\", \"image_token_index\": 19%s, \"text_config\": {\"model_type\": \"%s\", "
        "\"vocab_size\": 20, \"hidden_size\": 12, \"intermediate_size\": 16, \"num_hidden_layers\": 2, "
        "\"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"max_position_embeddings\": 64%s}, "
        "\"vision_config\": {\"model_type\": \"%s\", \"hidden_size\": 8, \"num_hidden_layers\": 3, "
        "\"num_attention_heads\": 2, \"intermediate_size\": 16, \"num_channels\": 2, \"patch_size\": 3, "
        "\"image_size\": 6}}",
        more, type, text_more, tower);
    return config;
}

/* Two tokens, the image, four tokens. */
static int64_t prompt(int32_t ids[16], int64_t patches)
{
    int64_t n = 0;
    ids[n++] = 1;
    ids[n++] = 7;
    while (n < 2 + patches)
        ids[n++] = IMAGE;
    for (int32_t i = 0; i < 4; i++)
        ids[n++] = 3 + 4 * i;
    return n;
}

static model_input llava_input(int32_t ids[16], int64_t patches)
{
    model_input in = image_input(6, 6);
    in.ids = ids;
    in.n = prompt(ids, patches);
    return in;
}

static double gelu(double x)
{
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}

/* What the projector makes of a row of the tower. */
static void projected(double out[W], tiny *t, const float *x)
{
    const float *w1 = tiny_values(t, "multi_modal_projector.linear_1.weight");
    const float *b1 = tiny_values(t, "multi_modal_projector.linear_1.bias");
    const float *w2 = tiny_values(t, "multi_modal_projector.linear_2.weight");
    const float *b2 = tiny_values(t, "multi_modal_projector.linear_2.bias");
    double inner[W];
    for (int i = 0; i < W; i++) {
        inner[i] = (double)b1[i];
        for (int c = 0; c < C; c++)
            inner[i] += (double)w1[i * C + c] * (double)x[c];
        inner[i] = gelu(inner[i]);
    }
    for (int i = 0; i < W; i++) {
        out[i] = (double)b2[i];
        for (int k = 0; k < W; k++)
            out[i] += (double)w2[i * W + k] * inner[k];
    }
}

/* Hidden state `layer` of the tower, without its first row with drop, stands where the image tokens are. */
static void check_placed(tiny *t, const char *more, int layer, bool drop, bool siglip)
{
    int64_t rows = siglip ? 4 : 5, patches = rows - (drop ? 1 : 0);
    const char *tower = siglip ? "siglip_vision_model" : "clip_vision_model";
    int32_t ids[16];
    tiny_save(t, config_of("llama", tower, "", more));
    tiny_model o = tiny_open();
    assert_int_equal(o.m->needs, NEEDS_TOKENS | NEEDS_PIXELS);
    assert_int_equal(o.m->vision->n_run, layer);
    assert_null(model_attention(o.m, ATTN_VISION, layer));
    model_input in = llava_input(ids, patches);
    tiny_run r = tiny_forward(&o, &in);
    const struct tiny_hidden *seen = &r.hidden[ATTN_VISION][layer], *read = &r.hidden[ATTN_SELF][0];
    const float *tokens = tiny_values(t, "language_model.model.embed_tokens.weight");
    assert_int_equal(seen->n, rows);
    assert_null(r.hidden[ATTN_VISION][layer + 1].x);
    assert_int_equal(read->n, in.n);
    for (int64_t i = 0; i < in.n; i++) {
        double expected[W];
        bool from_image = ids[i] == IMAGE;
        if (from_image)
            projected(expected, t, seen->x + (i - 2 + (drop ? 1 : 0)) * C);
        for (int c = 0; c < W; c++)
            tiny_near(read->x[i * W + c], from_image ? expected[c] : (double)tokens[ids[i] * W + c],
                      from_image ? 2e-5 : 0, more, i * W + c);
    }
    tiny_run_free(&r);
    tiny_close(&o);
}

static void test_placed(void **state)
{
    tiny t = {0};
    (void)state;
    make_llava(&t, false);
    /* The defaults: the last hidden state but one, without the class token. */
    check_placed(&t, "", 2, true, false);
    check_placed(&t, ", \"vision_feature_layer\": -1", 3, true, false);
    check_placed(&t, ", \"vision_feature_layer\": 1, \"vision_feature_select_strategy\": \"full\"", 1, false,
                 false);
    check_placed(&t, ", \"vision_feature_layer\": -4, \"vision_feature_select_strategy\": \"default\"", 0,
                 true, false);
    tiny_free(&t);
    make_llava(&t, true);
    check_placed(&t, ", \"vision_feature_layer\": -1, \"vision_feature_select_strategy\": \"full\"", 3, false,
                 true);
    tiny_free(&t);
}

/* A prompt without images, without and with pixels; images without their tokens, and the other way round. */
static void test_prompts(void **state)
{
    static const struct {
        int64_t tokens;
        bool pixels;
        const char *message;
    } cases[] = {
        {3, true, "the prompt has 3 image tokens (id 19), the image gives 4"},
        {0, true, "the prompt has 0 image tokens (id 19), the image gives 4"},
        {4, false, "reads an image and none is given"},
    };
    tiny t = {0};
    int32_t ids[16];
    (void)state;
    make_llava(&t, false);
    tiny_save(&t, config_of("llama", "clip_vision_model", "", ""));
    tiny_model o = tiny_open();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err e = {0};
        model_input in = llava_input(ids, cases[i].tokens);
        in.pixels = cases[i].pixels ? in.pixels : NULL;
        if (!forward(o.r, &in, NULL, NULL, &e) || !strstr(e.msg, cases[i].message))
            fail_msg("\"%s\", expected \"%s\"", e.msg, cases[i].message);
    }
    /* An image before leaves nothing behind. */
    model_input with = llava_input(ids, 4), without = {.ids = ids};
    tiny_run r = tiny_forward(&o, &with);
    tiny_run_free(&r);
    without.n = prompt(ids, 0);
    r = tiny_forward(&o, &without);
    assert_null(r.hidden[ATTN_VISION][0].x);
    assert_int_equal(r.n_logit, TEXT);
    const float *tokens = tiny_values(&t, "language_model.model.embed_tokens.weight");
    for (int64_t i = 0; i < TEXT; i++)
        assert_memory_equal(r.hidden[ATTN_SELF][0].x + i * W, tokens + ids[i] * W, W * sizeof(float));
    tiny_run_free(&r);
    tiny_close(&o);
    tiny_free(&t);
}

/* The cache continues behind the image as one pass does. */
static void test_decoding(void **state)
{
    tiny t = {0};
    int32_t ids[16];
    const float *logits;
    decoder *d;
    err e = {0};
    (void)state;
    make_llava(&t, false);
    tiny_save(&t, config_of("llama", "clip_vision_model", "", ""));
    tiny_model o = tiny_open();
    model_input in = llava_input(ids, 4);
    tiny_run r = tiny_forward(&o, &in);
    assert_int_equal(decoder_new(&d, o.r, &in, in.n, &e), 0);
    for (int64_t at = 0, n; at < in.n; at += n) {
        n = at == 0 ? 8 : 1;
        assert_int_equal(decoder_feed(d, ids + at, n, &logits, NULL, &e), 0);
        for (int v = 0; v < VOCAB; v++)
            tiny_near(logits[v], r.logits[(at + n - 1) * VOCAB + v], 1e-5, "logits", v);
    }
    decoder_free(d);
    tiny_run_free(&r);
    tiny_close(&o);
    tiny_free(&t);
}

/* Names as of the published files, of transformers 4 and of transformers 5; text models of other families
 * that compute the same. */
static void test_spellings(void **state)
{
    static const char *const renames[][2] = {
        {"vision_tower.", "vision_tower.vision_model."},
        {"language_model.lm_head", "lm_head"},
        {"language_model.model.", "model.language_model."},
        {"vision_tower.vision_model.", "model.vision_tower."},
        {"multi_modal_projector", "model.multi_modal_projector"},
        {"", "module."},
    };
    tiny t = {0};
    int32_t ids[16];
    float *first = NULL;
    (void)state;
    make_llava(&t, false);
    model_input in = llava_input(ids, 4);
    for (int i = -2; i < 6; i++) {
        if (i >= 0)
            tiny_rename(&t, renames[i][0], renames[i][1]);
        if (i == 1)
            continue; /* half of a pair */
        tiny_save(&t, config_of(i == -1 ? "mistral" : "llama", "clip_vision_model",
                                i == -1 ? ", \"sliding_window\": null" : "", ""));
        tiny_model o = tiny_open();
        tiny_run r = tiny_forward(&o, &in);
        assert_int_equal(r.n_logit, in.n);
        if (first)
            assert_memory_equal(r.logits, first, (size_t)in.n * VOCAB * sizeof(float));
        else {
            first = r.logits;
            r.logits = NULL;
        }
        tiny_run_free(&r);
        tiny_close(&o);
    }
    free(first);
    tiny_free(&t);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *type, *tower, *text, *more, *message;
    } cases[] = {
        {"llama", "clip_vision_model", "", ", \"vision_feature_layer\": [-2, -1]",
         "vision_feature_layer is a list"},
        {"llama", "clip_vision_model", "", ", \"vision_feature_layer\": 4",
         "vision_feature_layer is 4, out of range (-4 to 3)"},
        {"llama", "clip_vision_model", "", ", \"vision_feature_layer\": -5", "out of range"},
        {"llama", "clip_vision_model", "", ", \"vision_feature_select_strategy\": \"cls\"",
         "vision_feature_select_strategy \"cls\" is not supported"},
        {"llama", "clip_vision_model", "", ", \"projector_hidden_act\": \"mish\"",
         "projector_hidden_act \"mish\" is not supported"},
        {"llama", "clip_vision_model", "", ", \"multimodal_projector_bias\": false",
         "multi_modal_projector.linear_1.bias is there"},
        {"llama", "clip_vision_model", "", ", \"image_head\": 3", "key \"image_head\" may change attention"},
        {"llama", "pixtral", "", "", "vision_config.model_type \"pixtral\" is not supported"},
        {"llamas", "clip_vision_model", "", "", "text_config.model_type \"llamas\" is not supported"},
        {"llava", "clip_vision_model", "", "", "text_config.model_type \"llava\" is not supported"},
        {"llama", "clip_vision_model", ", \"attention_sinks\": 4", "",
         "key \"attention_sinks\" may change attention"},
    };
    tiny t = {0};
    (void)state;
    make_llava(&t, false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tiny_save(&t, config_of(cases[i].type, cases[i].tower, cases[i].text, cases[i].more));
        tiny_refused(cases[i].message);
    }
    tiny_save(
        &t, "{\"model_type\": \"llava\", \"vision_config\": {}, \"text_config\": {\"model_type\": \"vit\"}}");
    tiny_refused("text_config.model_type \"vit\" is no decoder");
    tiny_save(&t, "{\"model_type\": \"llava\", \"text_config\": {}}");
    tiny_refused("vision_config is missing");
    tiny_save(&t, "{\"model_type\": \"llava\", \"vision_config\": {}}");
    tiny_refused("text_config is missing");
    tiny_free(&t);
}

/* Published configurations state of the text model what differs from its family's defaults. */
static void test_sparse_text_config(void **state)
{
    static const struct {
        const char *type, *message;
    } cases[] = {
        {"\"model_type\": \"llama\", \"vocab_size\": 20",
         "embed_tokens.weight has shape [20, 12], the configuration needs [20, 4096]"},
        {"\"hidden_size\": 12, \"num_attention_heads\": 2",
         "embed_tokens.weight has shape [20, 12], the configuration needs [32000, 12]"},
        {"\"model_type\": \"mistral\", \"vocab_size\": 20, \"hidden_size\": 12, \"num_attention_heads\": 6, "
         "\"num_key_value_heads\": 3",
         "mlp.gate_proj.weight has shape [16, 12], the configuration needs [14336, 12]"},
        {"\"model_type\": \"qwen2\", \"hidden_size\": 12, \"num_attention_heads\": 6, "
         "\"num_key_value_heads\": 3",
         "embed_tokens.weight has shape [20, 12], the configuration needs [151936, 12]"},
        {"\"model_type\": \"stablelm\", \"vocab_size\": 20", "hidden_size is missing"},
    };
    tiny t = {0};
    (void)state;
    make_llava(&t, false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char whole[1024];
        snprintf(
            whole, sizeof whole,
            "{\"model_type\": \"llava\", \"ignore_index\": -100, \"text_config\": {%s}, "
            "\"vision_config\": {\"hidden_size\": 8, \"num_hidden_layers\": 3, \"num_attention_heads\": 2, "
            "\"intermediate_size\": 16, \"num_channels\": 2, \"patch_size\": 3, \"image_size\": 6}}",
            cases[i].type);
        tiny_save(&t, whole);
        tiny_refused(cases[i].message);
    }
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_placed),   cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_decoding), cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_sparse_text_config),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, tiny_folder_make, tiny_folder_remove);
}
