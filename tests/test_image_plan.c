/* model/input, preprocessing of pictures against transformers 5.23, whose results are written here as
 * numbers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/input/image.h"
#include "tests/image_samples.h"
#include "tests/test_base_folder.h"

static int read_plan(image_plan *p, const char *quoted, err *e)
{
    char text[1024];
    json *j;

    snprintf(text, sizeof text, "%s", quoted);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    assert_int_equal(json_parse(&j, text, strlen(text), "config", e), 0);
    int rc = image_plan_read(p, j, e);
    json_free(j);
    return rc;
}

/* What transformers's processors make of the pattern: four pixels, one in each corner of another channel
 * or row, and the sum. */
static const struct plan_case {
    const char *config;
    int height, width, to_height, to_width;
    float pixel[4]; /* [0][0][0], [1][H/2][W/3], [2][H-1][W/2], [0][H/4][W-1] */
    double sum;
} plan_cases[] = {
    {"{'image_processor_type':'ViTImageProcessor'}",
     120, 90, 224, 224, {-1, -0.615686297f, 0.709803939f, -0.717647076f}, -1383.0009},
    {"{'feature_extractor_type':'ViTFeatureExtractor','size':64,'resample':2}",
     37, 200, 64, 64, {-0.607843161f, 0.129411817f, 0.850980401f, -0.270588219f}, -207.003572},
    {"{'image_processor_type':'DeiTImageProcessor'}",
     90, 121, 224, 224, {-0.435294092f, 0.913725495f, -0.0588235259f, -0.270588219f}, -747.526659},
    {"{'image_processor_type':'CLIPImageProcessor'}",
     90, 121, 224, 224, {-1.19372702f, -1.48195732f, 0.26884836f, -0.420010418f}, 26438.206},
    {"{'feature_extractor_type':'CLIPFeatureExtractor','size':70,'crop_size':81,'resample':3}",
     120, 90, 81, 81, {-1.79226255f, 1.02434003f, -1.18159842f, -1.79226255f}, -1534.1638},
    {"{'image_processor_type':'SiglipImageProcessor','size':{'height':33,'width':48}}",
     61, 60, 33, 48, {-0.921568632f, -0.349019587f, 0.419607878f, -0.717647076f}, -9.82734978},
    {"{'image_processor_type':'SiglipImageProcessor','size':{'shortest_edge':60,'longest_edge':80}}",
     37, 200, 15, 80, {-0.694117665f, 0.105882406f, -0.0117647052f, -0.0352941155f}, -60.3685315},
    {"{'image_processor_type':'BitImageProcessor','size':{'shortest_edge':64},'crop_size':{'height':56,"
     "'width':56},'image_mean':[0.485,0.456,0.406],'image_std':[0.229,0.224,0.225]}",
     90, 121, 56, 56, {-0.696549356f, 1.50070024f, 1.38509822f, -0.559551358f}, 1980.61922},
    {"{'image_processor_type':'LlavaImageProcessor','do_pad':true,'size':{'shortest_edge':48},"
     "'crop_size':48}",
     37, 200, 48, 48, {-0.0112545202f, 0.649145842f, -0.00133289478f, -0.0112545202f}, 154.959073},
    {"{'image_processor_type':'ViTImageProcessor','size':{'max_height':50,'max_width':61},'do_pad':true,"
     "'pad_size':[64,64],'do_rescale':false}",
     90, 121, 64, 64, {67, 251, 0, 0}, 2085975},
    {"{'image_processor_type':'ViTImageProcessor','do_resize':false,'do_center_crop':true,'crop_size':[45,"
     "31],'do_normalize':false,'rescale_factor':0.0078125}",
     20, 40, 45, 31, {0, 1.8671875f, 0, 0}, 1835.92188},
    {"{'image_processor_type':'CLIPImageProcessorFast'}",
     90, 121, 224, 224, {-1.19372714f, -1.4819572f, 0.26884836f, -0.420010477f}, 26433.7709},
    {"{'image_processor_type':'CLIPImageProcessorFast','do_resize':false,'crop_size':{'height':45,"
     "'width':31}}",
     20, 40, 45, 31, {-1.79226255f, 1.87978256f, -1.48021984f, -1.79226255f}, -3576.54358},
};

static void pixels_as_transformers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plan_cases / sizeof *plan_cases; i++) {
        const struct plan_case *c = &plan_cases[i];
        image im = pattern(c->height, c->width);
        image_plan p;
        float *x;
        int h = 0, w = 0;
        err e = {0};

        if (read_plan(&p, c->config, &e) || image_pixels(&x, &h, &w, &im, &p, &e))
            fail_msg("%s: %s", c->config, e.msg);
        assert_int_equal(h, c->to_height);
        assert_int_equal(w, c->to_width);
        int at[4] = {0, (h + h / 2) * w + w / 3, (2 * h + h - 1) * w + w / 2, h / 4 * w + w - 1};
        double sum = 0;
        for (int k = 0; k < 4; k++)
            if (!(fabsf(x[at[k]] - c->pixel[k]) <= 1e-6f))
                fail_msg("%s: pixel %d is %.9g, not %.9g", c->config, k, (double)x[at[k]],
                         (double)c->pixel[k]);
        for (int k = 0; k < 3 * h * w; k++)
            sum += (double)x[k];
        if (!(fabs(sum - c->sum) <= 1e-6 * 3 * h * w))
            fail_msg("%s: the sum is %.9g, not %.9g", c->config, sum, c->sum);
        free(x);
        image_free(&im);
    }
}

static void plan_spellings(void **state)
{
    image_plan p;

    (void)state;
    /* A processor_config.json; an object, a list, a number; what a class does without being told. */
    assert_int_equal(read_plan(&p, "{'image_processor':{'image_processor_type':'CLIPImageProcessorFast'},"
                                   "'processor_class':'LlavaProcessor'}", NULL), 0);
    assert_string_equal(p.type, "CLIPImageProcessor");
    assert_int_equal(p.backend, IMAGE_TORCHVISION);
    assert_true(p.resize && p.crop && p.rescale && p.normalize && !p.pad && !p.pad_square);
    assert_true(p.size == IMAGE_SIZE_SHORTEST && p.shortest == 224 && p.crop_height == 224 && p.filter == 3);
    assert_true(p.mean[2] == 0.40821073 && p.std[0] == 0.26862954 && p.rescale_factor == 1 / 255.0);
    assert_int_equal(read_plan(&p, "{'feature_extractor_type':'ViTFeatureExtractor','size':384,"
                                   "'resample':null}", NULL), 0);
    assert_true(p.size == IMAGE_SIZE_EXACT && p.height == 384 && p.width == 384);
    assert_int_equal(p.filter, IMAGE_BILINEAR);
    assert_int_equal(read_plan(&p, "{'image_processor_type':'ViTImageProcessor','size':384,"
                                   "'default_to_square':false}", NULL), 0);
    assert_true(p.size == IMAGE_SIZE_SHORTEST && p.shortest == 384);
    assert_int_equal(read_plan(&p, "{'do_resize':true,'size':{'height':3,'width':4},'resample':1,"
                                   "'do_normalize':true,'image_mean':0.5,'image_std':[0.5,0.25,1],"
                                   "'do_rescale':true}", NULL), 0);
    assert_true(!p.type[0] && p.height == 3 && p.width == 4 && p.filter == IMAGE_LANCZOS && !p.crop);
    assert_true(p.mean[2] == 0.5 && p.std[1] == 0.25);
}

static void plan_refusals(void **state)
{
    static const struct { const char *config, *part; } cases[] = {
        {"{'image_processor_type':'Qwen2VLImageProcessor'}",
         "the image processor Qwen2VLImageProcessor is not known"},
        {"{'do_resize':true}", "size is absent"},
        {"{'do_center_crop':true}", "crop_size is absent"},
        {"{'do_normalize':true}", "image_std is absent or zero"},
        {"{'image_processor_type':'CLIPImageProcessor','size':{'longest_edge':30}}", "size has neither"},
        {"{'image_processor_type':'CLIPImageProcessor','size':0}", "size is not"},
        {"{'image_processor_type':'CLIPImageProcessor','size':{'shortest_edge':99999}}", "size is not"},
        {"{'image_processor_type':'CLIPImageProcessor','size':[1,2,3]}", "size is not"},
        {"{'image_processor_type':'CLIPImageProcessor','crop_size':{'shortest_edge':3}}",
         "crop_size is not"},
        {"{'image_processor_type':'CLIPImageProcessor','resample':6}", "resample is not"},
        {"{'image_processor_type':'CLIPImageProcessorFast','resample':4}", "resample names a filter"},
        {"{'image_processor_type':'CLIPImageProcessor','do_resize':1}",
         "do_resize is neither true nor false"},
        {"{'image_processor_type':'CLIPImageProcessor','image_mean':[1,2]}",
         "image_mean is not three numbers"},
        {"{'image_processor_type':'CLIPImageProcessor','image_std':[1,0,1]}",
         "image_std is absent or zero"},
        {"{'image_processor_type':'CLIPImageProcessor','rescale_factor':0}", "rescale_factor is not"},
        {"{'image_processor_type':'LlavaImageProcessor','do_pad':true,'image_mean':[2,0,0]}",
         "image_mean is no colour"},
    };
    image_plan p;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        assert_int_equal(read_plan(&p, cases[i].config, &e), ERR_INPUT);
        if (!strstr(e.msg, cases[i].part) || !e.hint[0])
            fail_msg("%s: \"%s\"", cases[i].config, e.msg);
    }
}

static void plan_files(void **state)
{
    static const char outer[] = "{\"processor_class\":\"CLIPProcessor\"}";
    static const char inner[] = "{\"image_processor_type\":\"SiglipImageProcessor\"}";
    static const char nested[] = "{\"image_processor\":{\"image_processor_type\":\"BitImageProcessor\"}}";
    image_plan p;
    err e = {0};

    (void)state;
    assert_int_equal(image_plan_load(&p, folder, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "no preprocessor_config.json"));
    write_bytes(in_folder("processor_config.json"), outer, sizeof outer - 1);
    write_bytes(in_folder("preprocessor_config.json"), inner, sizeof inner - 1);
    assert_int_equal(image_plan_load(&p, folder, &e), 0);
    assert_string_equal(p.type, "SiglipImageProcessor");
    write_bytes(in_folder("processor_config.json"), nested, sizeof nested - 1);
    assert_int_equal(image_plan_load(&p, folder, &e), 0);
    assert_string_equal(p.type, "BitImageProcessor");
}

static void impossible_shapes(void **state)
{
    image line = pattern(1, 4000);
    image_plan p;
    float *x;
    int h, w;
    err e = {0};

    (void)state;
    assert_int_equal(read_plan(&p, "{'image_processor_type':'CLIPImageProcessor','size':16384}", &e), 0);
    assert_int_equal(image_pixels(&x, &h, &w, &line, &p, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "would be resized to 65536000 x 16384"));
    assert_int_equal(read_plan(&p, "{'image_processor_type':'ViTImageProcessor',"
                                   "'size':{'max_height':9,'max_width':9}}", &e), 0);
    assert_int_equal(image_pixels(&x, &h, &w, &line, &p, &e), ERR_INPUT); /* no row would be left */
    assert_int_equal(read_plan(&p, "{'do_pad':true,'pad_size':5}", &e), 0);
    assert_int_equal(image_pixels(&x, &h, &w, &line, &p, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "does not fit into the pad_size"));
    image_free(&line);
}

/* Every allocation fails once; nothing leaks (the sanitizers look) and the last run succeeds. */
static void out_of_memory(void **state)
{
    static const image_plan p = {
        .pad_square = true, .resize = true, .filter = IMAGE_BICUBIC, .height = 5, .width = 4, .crop = true,
        .crop_height = 6, .crop_width = 6,
    };
    int rc = ERR_RESOURCE;
    long nth = 1;

    (void)state;
    for (; rc && nth < 100; nth++) {
        const struct jpeg_sample *s = &jpeg_samples[nth % 2 ? 1 : 3];
        image im;
        float *x;
        int h, w;
        err e = {0};

        mem_fail_at(nth);
        rc = image_load_memory(&im, s->bytes, s->n, &e);
        if (rc == 0) {
            rc = image_pixels(&x, &h, &w, &im, &p, &e);
            image_free(&im);
        }
        if (rc == 0)
            free(x);
        else
            assert_true(rc == ERR_RESOURCE && e.msg[0] && e.hint[0]);
    }
    mem_fail_at(0);
    assert_int_equal(rc, 0);
    assert_true(nth > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_as_transformers),
        cmocka_unit_test(plan_spellings),
        cmocka_unit_test(plan_refusals),
        FILE_TEST(plan_files),
        cmocka_unit_test(impossible_shapes),
        cmocka_unit_test(out_of_memory),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
