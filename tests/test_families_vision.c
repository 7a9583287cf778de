/* Image towers: what their first layer reads and a gated layer, against a second implementation; positions of
 * other image sizes, against the numbers of torch. */
#include "tests/tiny_vision.h"

#include "compute/kernels.h"

/* ---- what the first layer reads ---- */

/* A patch by the definition of a convolution. */
static double convolved(const float *w, const float *bias, int c, int64_t height, int64_t width, int64_t row,
                        int64_t column)
{
    double sum = bias ? (double)bias[c] : 0;
    for (int ch = 0; ch < CHANNELS; ch++)
        for (int y = 0; y < PATCH; y++)
            for (int x = 0; x < PATCH; x++)
                sum += (double)w[((c * CHANNELS + ch) * PATCH + y) * PATCH + x] *
                       (double)image[(ch * height + row * PATCH + y) * width + column * PATCH + x];
    return sum;
}

/* hidden_0 of a tower with tokens front[n_front] (positions from 0), registers behind the first, patches. */
static void check_embedding(tiny *t, const char *const *front, int n_front, int64_t registers, int64_t height,
                            int64_t width, const char *patch, const char *positions)
{
    char name[120];
    snprintf(name, sizeof name, "%s.bias", patch);
    const float *bias = tiny_find(t, name) ? tiny_values(t, name) : NULL;
    snprintf(name, sizeof name, "%s.weight", patch);
    const float *w = tiny_values(t, name), *p = tiny_values(t, positions);
    tiny_model o = tiny_open();
    model_input in = image_input(height, width);
    tiny_run r = tiny_forward(&o, &in);
    int64_t rows = height / PATCH, columns = width / PATCH, n = rows * columns + n_front + registers, at = 0;
    const struct tiny_hidden *h = &r.hidden[ATTN_VISION][0];
    assert_int_equal(h->n, n);
    assert_int_equal(h->width, C);
    assert_int_equal(r.n_logit, 0);
    for (int i = 0; i < n_front; i++) {
        for (int c = 0; c < C; c++)
            tiny_near(h->x[at * C + c], tiny_values(t, front[i])[c] + p[i * C + c], 1e-6, front[i], c);
        at++;
        for (int64_t k = 0; i == 0 && k < registers; k++, at++)
            for (int c = 0; c < C; c++)
                tiny_near(h->x[at * C + c], tiny_values(t, "embeddings.register_tokens")[k * C + c], 0,
                          "register", c);
    }
    for (int64_t i = 0; i < rows * columns; i++, at++)
        for (int c = 0; c < C; c++)
            tiny_near(h->x[at * C + c],
                      convolved(w, bias, c, height, width, i / columns, i % columns) +
                          (double)p[(n_front + i) * C + c],
                      2e-5, "patch", i * C + c);
    tiny_run_free(&r);
    tiny_close(&o);
}

static void test_embedding(void **state)
{
    static const char *const tokens[] = {"embeddings.cls_token", "embeddings.distillation_token"};
    const char *patch = "embeddings.patch_embeddings.projection",
               *positions = "embeddings.position_embeddings";
    tiny t = {0};
    (void)state;
    make_vit(&t, 1, 0, vit_parts, 2, 4);
    tiny_save(&t, tower_config("vit", "[6, 12]", ""));
    check_embedding(&t, tokens, 1, 0, 6, 12, patch, positions);
    tiny_free(&t);

    make_vit(&t, 2, 0, vit_parts, 2, 2);
    tiny_save(&t, tower_config("deit", "6", ""));
    check_embedding(&t, tokens, 2, 0, 6, 6, patch, positions);
    tiny_free(&t);

    make_vit(&t, 1, 3, dino_parts, 2, 2);
    add_layer_scale(&t);
    tiny_save(&t, tower_config("dinov2_with_registers", "6", ", \"num_register_tokens\": 3"));
    check_embedding(&t, tokens, 1, 3, 6, 6, patch, positions);
    tiny_free(&t);

    make_clip(&t, true, 2); /* 8 pixels are not whole patches: the last two are not read */
    tiny_save(&t, tower_config("siglip_vision_model", "8", ""));
    check_embedding(&t, NULL, 0, 0, 8, 8, "embeddings.patch_embedding",
                    "embeddings.position_embedding.weight");
    tiny_free(&t);
}

/* CLIP's first norm: every row of hidden_0 undone has mean 0 and variance 1. */
static void test_embedding_norm(void **state)
{
    tiny t = {0};
    (void)state;
    make_clip(&t, false, 2);
    tiny_save(&t, tower_config("clip_vision_model", "6", ""));
    tiny_model o = tiny_open();
    model_input in = image_input(6, 6);
    tiny_run r = tiny_forward(&o, &in);
    const struct tiny_hidden *h = &r.hidden[ATTN_VISION][0];
    assert_int_equal(h->n, 5);
    for (int64_t i = 0; i < h->n; i++) {
        double sum = 0, squares = 0;
        for (int c = 0; c < C; c++) {
            double x = (double)(h->x[i * C + c] - tiny_values(&t, "pre_layrnorm.bias")[c]) /
                       (double)tiny_values(&t, "pre_layrnorm.weight")[c];
            sum += x;
            squares += x * x;
        }
        tiny_near(sum / C, 0, 1e-6, "mean", i);
        tiny_near(squares / C, 1, 1e-3, "variance", i);
    }
    tiny_run_free(&r);
    tiny_close(&o);
    tiny_free(&t);
}

/* ---- positions of other image sizes ---- */

/* torch.nn.functional.interpolate(mode="bicubic", align_corners=False) of 1, 5, -2, 3 to n values. */
static const struct resampled {
    int n;
    bool antialias;
    double v[7];
} resampled[] = {
    {1, false, {1.40625}},
    {2, false, {3.65625, -0.15625}},
    {3, false, {1.6956024, 1.40625, 2.1608822}},
    {6, false, {0.65277791, 3.65625, 4.2557869, -1.3599538, -0.15625, 3.4340272}},
    {7, false, {0.60313463, 2.7934599, 5.0944796, 1.4062493, -2.0372627, 0.86579895, 3.4960823}},
    {1, true, {1.7150693}},
    {2, true, {2.4008265, 1.0206611}},
    {3, true, {2.3890159, 1.4647988, 1.3638453}},
    {6, true, {0.73684275, 3.2941179, 4.3310184, -1.4004635, 0.2352941, 3.3289478}},
    {7, true, {0.68269163, 2.4754798, 5.0339937, 1.4375, -1.9887292, 1.2224686, 3.3966351}},
};

/* The table holds along its rows, along its columns, a constant, and the product of the first two. */
static void check_resampled(const tiny_model *o, const struct resampled *down, const struct resampled *across,
                            int64_t registers)
{
    model_input in = image_input(down->n * PATCH, across->n * PATCH);
    tiny_run r = tiny_forward(o, &in);
    const struct tiny_hidden *h = &r.hidden[ATTN_VISION][0];
    assert_int_equal(h->n, 1 + registers + down->n * across->n);
    for (int64_t i = 0; i < down->n * across->n; i++) {
        const float *x = h->x + (1 + registers + i) * C;
        double a = down->v[i / across->n], b = across->v[i % across->n];
        tiny_near(x[0], a, 1e-5, "rows", i);
        tiny_near(x[1], b, 1e-5, "columns", i);
        tiny_near(x[2], 1.5, 5e-6, "constant", i);
        tiny_near(x[3], a * b, 4e-5, "product", i);
    }
    tiny_run_free(&r);
}

static void test_resampled_positions(void **state)
{
    static const float along[4] = {1, 5, -2, 3};
    (void)state;
    for (int antialias = 0; antialias < 2; antialias++) {
        tiny t = {0};
        make_vit(&t, 1, antialias ? 2 : 0, dino_parts, 4, 4);
        add_layer_scale(&t);
        memset(tiny_find(&t, "embeddings.patch_embeddings.projection.weight")->v, 0,
               C * CHANNELS * PATCH * PATCH * sizeof(float));
        memset(tiny_find(&t, "embeddings.patch_embeddings.projection.bias")->v, 0, C * sizeof(float));
        float *p = tiny_find(&t, "embeddings.position_embeddings")->v + C;
        for (int i = 0; i < 16; i++) {
            p[i * C] = along[i / 4];
            p[i * C + 1] = along[i % 4];
            p[i * C + 2] = 1.5f;
            p[i * C + 3] = along[i / 4] * along[i % 4];
        }
        tiny_save(&t, tower_config(antialias ? "dinov2_with_registers" : "dinov2", "12",
                                   antialias ? ", \"num_register_tokens\": 2" : ""));
        tiny_model o = tiny_open();
        for (int a = 0; a < 5; a++)
            for (int b = 0; b < 5; b++)
                check_resampled(&o, &resampled[5 * antialias + a], &resampled[5 * antialias + b],
                                antialias ? 2 : 0);
        tiny_close(&o);
        tiny_free(&t);
    }
}

/* Every instruction set, at a size that is resampled. */
static void test_same_everywhere(void **state)
{
    static const char *const sets[] = {"c", "avx2", "avx512"};
    tiny t = {0};
    tiny_run first = {0};
    const char *note;
    (void)state;
    make_vit(&t, 1, 2, dino_parts, 2, 2);
    add_layer_scale(&t);
    tiny_save(&t, tower_config("dinov2_with_registers", "6", ", \"num_register_tokens\": 2"));
    model_input in = image_input(33, 24);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kernels_select(sets[i], &note, NULL), 0);
        tiny_model o = tiny_open();
        tiny_run r = tiny_forward(&o, &in);
        if (i == 0)
            first = r;
        for (int64_t k = 0; i > 0 && k < 91 * C; k++)
            tiny_near(r.hidden[ATTN_VISION][2].x[k], first.hidden[ATTN_VISION][2].x[k], 1e-5, sets[i], k);
        if (i > 0)
            tiny_run_free(&r);
        tiny_close(&o);
    }
    kernels_select("best", &note, NULL);
    tiny_run_free(&first);
    tiny_free(&t);
}

/* ---- one layer by its definition ---- */

static void normed(double *y, const float *x, const float *w, const float *b)
{
    double mean = 0, var = 0;
    for (int c = 0; c < C; c++)
        mean += (double)x[c] / C;
    for (int c = 0; c < C; c++)
        var += ((double)x[c] - mean) * ((double)x[c] - mean) / C;
    for (int c = 0; c < C; c++)
        y[c] = ((double)x[c] - mean) / sqrt(var + 1e-6) * (double)w[c] + (double)b[c];
}

static void times(double *y, const float *w, const float *b, const double *x, int out, int in)
{
    for (int i = 0; i < out; i++) {
        y[i] = (double)b[i];
        for (int k = 0; k < in; k++)
            y[i] += (double)w[i * in + k] * x[k];
    }
}

/* Layer 0 of a tower whose queries are 0 (attention is uniform) and whose MLP is gated with 16 inner values;
 * gate, up and down as bound from either spelling. */
static void check_gated_layer(tiny *t, const float *gate, const float *gate_b, const float *up,
                              const float *up_b, const float *down, const float *down_b, const tiny_run *r,
                              int64_t n)
{
    const float *x = r->hidden[ATTN_VISION][0].x, *got = r->hidden[ATTN_VISION][1].x;
    double mean[C] = {0}, heads[C], added[C];
#define V(name) tiny_values(t, "encoder.layer.0." name)
    for (int64_t i = 0; i < n; i++) {
        double y[C], v[C];
        normed(y, x + i * C, V("norm1.weight"), V("norm1.bias"));
        times(v, V("attention.attention.value.weight"), V("attention.attention.value.bias"), y, C, C);
        for (int c = 0; c < C; c++)
            mean[c] += v[c] / (double)n;
    }
    memcpy(heads, mean, sizeof heads);
    times(added, V("attention.output.dense.weight"), V("attention.output.dense.bias"), heads, C, C);
    for (int64_t i = 0; i < n; i++) {
        float middle[C];
        double y[C], g[16], u[16], out[C];
        for (int c = 0; c < C; c++)
            middle[c] = (float)((double)x[i * C + c] + (double)V("layer_scale1.lambda1")[c] * added[c]);
        normed(y, middle, V("norm2.weight"), V("norm2.bias"));
        times(g, gate, gate_b, y, 16, C);
        times(u, up, up_b, y, 16, C);
        for (int k = 0; k < 16; k++)
            g[k] = g[k] / (1 + exp(-g[k])) * u[k];
        times(out, down, down_b, g, C, 16);
        for (int c = 0; c < C; c++)
            tiny_near(got[i * C + c], (double)middle[c] + (double)V("layer_scale2.lambda1")[c] * out[c], 5e-5,
                      "layer", i * C + c);
    }
#undef V
}

/* The giant model: 2/3 of 3 x 8, rounded up to eights, is 16.  In two spellings. */
static void test_gated_layer(void **state)
{
    const char *more = ", \"use_swiglu_ffn\": true, \"qkv_bias\": false";
    tiny t = {0};
    (void)state;
    make_vit(&t, 1, 0, dino_parts, 2, 2);
    add_layer_scale(&t);
    for (int i = t.n - 1; i >= 0; i--) {
        char *name = t.t[i].name;
        if (strstr(name, "query.weight"))
            memset(t.t[i].v, 0, (size_t)t.t[i].count * sizeof(float));
        if (strstr(name, "query.bias") || strstr(name, "key.bias"))
            snprintf(name, 120, "unused.%d", i);
        if (strstr(name, "value.bias")) /* none, but its zeros stand for it below */
            memset(t.t[i].v, 0, (size_t)t.t[i].count * sizeof(float));
    }
    for (int l = 0; l < 2; l++) {
        char name[120];
        snprintf(name, sizeof name, "encoder.layer.%d.mlp.weights_in", l);
        add_linear(&t, name, 32, C, true);
        snprintf(name, sizeof name, "encoder.layer.%d.mlp.weights_out", l);
        add_linear(&t, name, C, 16, true);
    }
    char text[2048];
    strcpy(text, tower_config("dinov2", "6", more));
    memcpy(strstr(text, "\"mlp_ratio\": 2"), "\"mlp_ratio\": 3", 14);
    tiny_save(&t, text);
    tiny_refused("tensor encoder.layer.0.attention.attention.value.bias is there");

    tiny_rename(&t, "value.bias", "value.bia"); /* out of the way of the checkpoint, not of the test */
    tiny_save(&t, text);
    tiny_rename(&t, "value.bia", "value.bias");
    tiny_model o = tiny_open();
    assert_int_equal(o.m->main->ffn, 16);
    assert_true(o.m->main->layers[0].mlp.gated);
    assert_int_equal(o.m->needs, NEEDS_PIXELS);
    assert_int_equal(o.m->vocab, 0);
    model_input in = image_input(6, 6);
    tiny_run fused = tiny_forward(&o, &in);
    const float *w = tiny_values(&t, "encoder.layer.0.mlp.weights_in.weight"),
                *b = tiny_values(&t, "encoder.layer.0.mlp.weights_in.bias");
    const float *down = tiny_values(&t, "encoder.layer.0.mlp.weights_out.weight");
    check_gated_layer(&t, w, b, w + 16 * C, b + 16, down,
                      tiny_values(&t, "encoder.layer.0.mlp.weights_out.bias"), &fused, 5);
    tiny_close(&o);

    for (int l = 0; l < 2; l++) /* the same in three */
        for (int part = 0; part < 4; part++) {
            static const char *const suffix[] = {"weight", "bias"};
            char name[120], made[120];
            int64_t half = part % 2 ? 16 : 16 * C;
            snprintf(name, sizeof name, "encoder.layer.%d.mlp.weights_in.%s", l, suffix[part % 2]);
            snprintf(made, sizeof made, "encoder.layer.%d.mlp.%s_proj.%s", l, part < 2 ? "gate" : "up",
                     suffix[part % 2]);
            float *v = tiny_add(&t, made, 0, 0, 16, part % 2 ? 0 : C, 0, 0);
            memcpy(v, tiny_values(&t, name) + (part < 2 ? 0 : half), (size_t)half * sizeof(float));
        }
    tiny_rename(&t, "mlp.weights_in", "unused");
    tiny_rename(&t, "mlp.weights_out", "mlp.down_proj");
    tiny_rename(&t, "attention.attention.query", "attention.q_proj");
    tiny_rename(&t, "attention.attention.key", "attention.k_proj");
    tiny_rename(&t, "attention.attention.value.weight", "attention.v_proj.weight");
    tiny_rename(&t, "attention.attention.value.bias", "spare");
    tiny_rename(&t, "attention.output.dense", "attention.o_proj");
    tiny_save(&t, text);
    o = tiny_open();
    tiny_run apart = tiny_forward(&o, &in);
    assert_memory_equal(apart.hidden[ATTN_VISION][2].x, fused.hidden[ATTN_VISION][2].x,
                        5 * C * sizeof(float));
    tiny_run_free(&apart);
    tiny_run_free(&fused);
    tiny_close(&o);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedding),           cmocka_unit_test(test_embedding_norm),
        cmocka_unit_test(test_resampled_positions), cmocka_unit_test(test_same_everywhere),
        cmocka_unit_test(test_gated_layer),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, tiny_folder_make, tiny_folder_remove);
}
