/* Image towers as files hold them: spellings of their tensors, the image side of models of image and text,
 * and configurations that are refused. */
#include "tests/tiny_vision.h"

/* ---- names ---- */

static void test_names(void **state)
{
    static const char *const renames[][2] = {
        {"attention.attention.query", "attention.q_proj"},
        {"attention.attention.key", "attention.k_proj"},
        {"attention.attention.value", "attention.v_proj"},
        {"attention.output.dense", "attention.o_proj"},
        {"intermediate.dense", "mlp.fc1"},
        {"output.dense", "mlp.fc2"},
        {"encoder.layer.", "layers."},
    };
    tiny t = {0};
    (void)state;
    make_vit(&t, 1, 0, vit_parts, 2, 2);
    model_input in = image_input(6, 6);
    float *first = NULL;
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            tiny_rename(&t, "", "vit.");
        for (size_t k = 0; i == 2 && k < sizeof renames / sizeof renames[0]; k++)
            tiny_rename(&t, renames[k][0], renames[k][1]);
        tiny_save(&t, tower_config("vit", "6", ""));
        tiny_model o = tiny_open();
        tiny_run r = tiny_forward(&o, &in);
        if (i == 0) {
            first = r.hidden[ATTN_VISION][2].x;
            r.hidden[ATTN_VISION][2].x = NULL;
        } else {
            assert_memory_equal(r.hidden[ATTN_VISION][2].x, first, 5 * C * sizeof(float));
        }
        tiny_run_free(&r);
        tiny_close(&o);
    }
    free(first);
    tiny_free(&t);
}

/* The image side of a model of both: nested configuration, prefix, and a text side that is left alone. */
static void test_image_side(void **state)
{
    model_input in = image_input(6, 6);
    (void)state;
    for (int siglip = 0; siglip < 2; siglip++) {
        const char *type = siglip ? "siglip_vision_model" : "clip_vision_model";
        tiny t = {0};
        make_clip(&t, siglip, 2);
        tiny_save(&t, tower_config(type, "6", ""));
        tiny_model o = tiny_open();
        tiny_run alone = tiny_forward(&o, &in);
        tiny_close(&o);
        tiny_rename(&t, "", "vision_model.");
        add_layer(&t, 0, clip_parts, C, 2 * C);
        for (int i = 0; i < t.n; i++)
            if (strncmp(t.t[i].name, "encoder.", 8) == 0) {
                memmove(t.t[i].name + 11, t.t[i].name, strlen(t.t[i].name) + 1);
                memcpy(t.t[i].name, "text_model.", 11);
            }
        tiny_add(&t, "logit_scale", 1, 0, 1, 0, 0, 0);
        tiny_add(&t, "vision_model.head.attention.in_proj_weight", 0, 1, 24, C, 0, 0);
        char inner[1024], whole[2048];
        strcpy(inner, tower_config(type, "6", ""));
        for (int old = 0; old < 2 - siglip; old++) {
            const char *outer = "\"vision_config\": ";
            if (!siglip)
                outer = old ? "\"vision_config\": {\"hidden_size\": 9}, \"vision_config_dict\": "
                            : "\"logit_scale_init_value\": 2.6, \"vision_config\": ";
            snprintf(whole, sizeof whole, "{\"model_type\": \"%s\", \"text_config\": {}, %s%s}",
                     siglip ? "siglip" : "clip", outer, inner);
            tiny_save(&t, whole);
            o = tiny_open();
            tiny_run side = tiny_forward(&o, &in);
            assert_memory_equal(side.hidden[ATTN_VISION][2].x, alone.hidden[ATTN_VISION][2].x,
                                (size_t)(siglip ? 4 : 5) * C * sizeof(float));
            tiny_run_free(&side);
            tiny_close(&o);
        }
        tiny_run_free(&alone);
        tiny_free(&t);
    }
}

/* ---- what is refused ---- */

static void test_refusals(void **state)
{
    static const struct {
        const char *type, *size, *more, *message;
    } cases[] = {
        {"vit", "2", "", "image_size is smaller than patch_size 3"},
        {"vit", "[6]", "", "image_size is not a pair of sizes"},
        {"vit", "[6, 0]", "", "image_size is not a pair of sizes"},
        {"vit", "[6, \"6\"]", "", "image_size is not a pair of sizes"},
        {"vit", "\"6\"", "", "image_size is not an integer"},
        {"vit", "9", "",
         "tensor embeddings.position_embeddings has shape [1, 5, 8], the configuration needs [10, 8]"},
        {"vit", "6", ", \"qkv_bias\": 1", "qkv_bias is not true or false"},
        {"vit", "6", ", \"qkv_bias\": false", "query.bias is there, but the configuration says"},
        {"vit", "6", ", \"rope_theta\": 10000", "key \"rope_theta\" may change attention"},
        {"vit", "6", ", \"hidden_act\": \"mish\"", "hidden_act \"mish\" is not supported"},
        {"vit", "6", ", \"head_dim\": 3", "query.weight has shape [8, 8], the configuration needs [6, 8]"},
        {"deit", "6", "", "tensor embeddings.distillation_token is missing"},
        {"dinov2", "[6, 9]", "", "positions need square images"},
        {"dinov2", "6", ", \"use_swiglu_ffn\": true", "tensor encoder.layer.0.norm1.weight is missing"},
        {"clip_vision_model", "6", ", \"qkv_bias\": true", "key \"qkv_bias\" may change attention"},
        {"clip_vision_model", "6", ", \"head_dim\": 4", "key \"head_dim\" may change attention"},
        {"clip", "6", "", "vision_config is missing"},
        {"siglip", "6", ", \"vision_config\": {\"model_type\": \"siglip2_vision_model\"}",
         "vision_config.model_type \"siglip2_vision_model\" is not supported"},
    };
    tiny t = {0};
    (void)state;
    make_vit(&t, 1, 0, vit_parts, 2, 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tiny_save(&t, tower_config(cases[i].type, cases[i].size, cases[i].more));
        if (strcmp(cases[i].type, "clip") == 0 || strcmp(cases[i].type, "siglip") == 0) {
            char nested[1024];
            snprintf(nested, sizeof nested, "{\"model_type\": \"%s\"%s}", cases[i].type, cases[i].more);
            tiny_save(&t, nested);
        }
        tiny_refused(cases[i].message);
    }
    tiny_save(&t, "{\"model_type\": \"vit\", \"image_size\": 6, \"patch_size\": [3, 2]}");
    tiny_refused("patch_size [3, 2]: only square patches are supported");
    tiny_save(&t, "{\"model_type\": \"vit\", \"hidden_size\": 9, \"num_attention_heads\": 2}");
    tiny_refused("width 9 is not a multiple of 2 heads");
    tiny_free(&t);
}

static void run_refused(const tiny_model *o, const model_input *in, const char *message)
{
    err e = {0};
    int rc = forward(o->r, in, NULL, NULL, &e);
    if (rc == 0 || !strstr(e.msg, message))
        fail_msg("code %d, \"%s\", expected \"%s\"", rc, e.msg, message);
}

static void test_image_sizes(void **state)
{
    tiny t = {0};
    (void)state;
    make_vit(&t, 1, 0, vit_parts, 2, 2);
    tiny_save(&t, tower_config("vit", "6", ""));
    tiny_model o = tiny_open();
    model_input in = image_input(6, 9);
    run_refused(&o, &in, "pixels are [2, 6, 9], the model reads [2, 6, 6]");
    run_refused(&o, &(model_input){0}, "reads an image and none is given");
    assert_int_equal(o.m->main->context, 5);
    tiny_close(&o);
    tiny_free(&t);

    make_vit(&t, 1, 0, dino_parts, 2, 2);
    add_layer_scale(&t);
    tiny_save(&t, tower_config("dinov2", "6", ""));
    o = tiny_open();
    in = image_input(6, 10);
    run_refused(&o, &in, "pixels are [2, 6, 10]");
    in.channels = 1;
    run_refused(&o, &in, "pixels are [1, 6, 10]");
    tiny_close(&o);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_image_side),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_image_sizes),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, tiny_folder_make, tiny_folder_remove);
}
