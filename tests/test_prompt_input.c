/* Prompts as they are asked for, and what models make of them: options, JSONL files, encoder-decoders, images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/npz.h"
#include "cli/head_select.h"
#include "cli/prompt_input.h"
#include "tests/test_base_folder.h"
#include "tests/tiny_model.h"

/* ---- JSONL ---- */

static void test_jsonl(void **state)
{
    static const char text[] =
        "{\"text\": \"one \\u00e9\\u0000x\", \"label\": \"first\"}\n"
        "\n  \t\r\n"
        "{\"ids\": [0, 17, 2147483647]}\r\n"
        "{\"source\": \"a\", \"target_ids\": [2, 3], \"image\": \"cat.png\", \"audio\": \"/abs/s.wav\"}";
    (void)state;
    prompt_request *q;
    int64_t n;
    err e = {0};
    assert_int_equal(prompt_requests_load(&q, &n, write_in_folder("p.jsonl", text, sizeof text - 1), PROMPT_USUAL, &e), 0);
    assert_int_equal(n, 3);
    assert_int_equal(q[0].prompt.text_len, 8);
    assert_memory_equal(q[0].prompt.text, "one \xc3\xa9\0x", 8);
    assert_string_equal(q[0].label, "first");
    assert_string_equal(q[0].where, "p.jsonl:1");
    assert_int_equal(q[1].prompt.n, 3);
    assert_int_equal(q[1].prompt.ids[2], 2147483647);
    assert_string_equal(q[1].where, "p.jsonl:4");
    assert_null(q[1].prompt.text);
    assert_string_equal(q[2].source.text, "a");
    assert_int_equal(q[2].target.n, 2);
    assert_string_equal(q[2].image, in_folder("cat.png"));
    assert_string_equal(q[2].audio, "/abs/s.wav");
    assert_false(is_given(&q[2].prompt));
    prompt_requests_free(q, n);
}

static void test_bad_jsonl(void **state)
{
    static const char *const cases[][2] = {
        {"{\"text\": 3}", "bad.jsonl:1: \"text\" is no string"},
        {"{\"text\": \"a\"}\n{\"txt\": \"a\"}", "bad.jsonl:2: gives no prompt"},
        {"[1]", "bad.jsonl:1: is no JSON object"},
        {"{\"ids\": \"1,2\"}", "is no list of token ids"},
        {"{\"ids\": [1, -2]}", "element 1 of \"ids\" is no token id"},
        {"{\"ids\": [1, 2147483648]}", "element 1"},
        {"{\"ids\": [1.5]}", "element 0"},
        {"{\"text\": \"a\", \"ids\": [1]}", "a text and ids"},
        {"{\"text\": \"a\", \"prompt\": \"b\"}", "says again"},
        {"{\"text\": \"a\", \"text\": \"b\"}", "bad.jsonl:1: line 1: duplicate"},
        {"{\"image\": \"a\\u0000b\"}", "NUL"},
        {"{\"text\": \"a\"", "bad.jsonl:1: line 1"},
        {"\n \n", "holds no prompts"},
        {"", "holds no prompts"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        prompt_request *q = NULL;
        int64_t n = 0;
        err e = {0};
        int rc = prompt_requests_load(&q, &n, write_in_folder("bad.jsonl", cases[i][0], strlen(cases[i][0])), PROMPT_USUAL, &e);
        if (rc != ERR_INPUT || !strstr(e.msg, cases[i][1]))
            fail_msg("%s: code %d, \"%s\"", cases[i][0], rc, e.msg);
        assert_null(q);
        assert_int_equal(n, 0);
    }
}

/* ---- options ---- */

static int read_options(prompt_request *q, const char *const *set, err *e)
{
    params *p;
    assert_int_equal(params_new(&p, e), 0);
    assert_int_equal(params_use(p, prompt_params, e), 0);
    for (; *set; set += 2)
        assert_int_equal(params_set(p, set[0], set[1], e), 0);
    int rc = prompt_request_read(q, p, e);
    params_free(p);
    return rc;
}

static void test_options(void **state)
{
    (void)state;
    prompt_request q;
    err e = {0};
    const char *file = write_in_folder("text.txt", "from a\0file", 11);
    assert_int_equal(read_options(&q, (const char *const[]){"prompt-file", file, "source-ids", "3,4", "target", "x", NULL},
                                  &e), 0);
    assert_int_equal(q.prompt.text_len, 11);
    assert_int_equal(q.source.n, 2);
    assert_string_equal(q.target.text, "x");
    prompt_request_free(&q);
    assert_int_equal(read_options(&q, (const char *const[]){"prompt", "a", "ids", "1", NULL}, &e), ERR_USAGE);
    assert_string_equal(e.msg, "--prompt, --prompt-file and --ids exclude each other");
    assert_int_equal(read_options(&q, (const char *const[]){"source", "a", "source-file", file, NULL}, &e), ERR_USAGE);
    assert_string_equal(e.msg, "--source, --source-file and --source-ids exclude each other");
    assert_int_equal(read_options(&q, (const char *const[]){"target", "a", "target-ids", "1", NULL}, &e), ERR_USAGE);
    assert_string_equal(e.msg, "--target and --target-ids exclude each other");
    assert_int_equal(read_options(&q, (const char *const[]){"source-ids", "1,x", NULL}, &e), ERR_USAGE);
    assert_string_equal(e.msg, "--source-ids: 'x' is no token id");
}

/* ---- what models take ---- */

typedef struct fixture {
    tiny_model t;
    loaded_model lm;
    prompt_input in;
    err e;
    int rc;
} fixture;

/* Make the prompt that the options ask for. */
static fixture *make(fixture *f, tiny_kind kind, const char *const *set)
{
    static const prompt_rules rules = {true, 0};
    static char path[] = "tiny";
    prompt_request q;
    *f = (fixture){0};
    tiny_new(&f->t, kind);
    f->lm = (loaded_model){.m = &f->t.m, .path = path};
    assert_int_equal(read_options(&q, set, &f->e), 0);
    f->rc = prompt_make(&f->in, &f->lm, &q, &rules, &f->e);
    prompt_request_free(&q);
    return f;
}

static void drop(fixture *f)
{
    prompt_free(&f->in);
    tiny_free(&f->t);
}

static void ids_are(const int32_t *ids, int64_t n, const char *want)
{
    char text[400] = "";
    size_t len = 0;
    for (int64_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%d", i ? "," : "", ids[i]);
    assert_string_equal(text, want);
}

static void test_translator(void **state)
{
    (void)state;
    fixture f;
    make(&f, TINY_TRANSLATOR, (const char *const[]){"ids", "5,6,7", NULL}); /* the prompt is the source */
    assert_int_equal(f.rc, 0);
    ids_are(f.in.in.source, f.in.in.n_source, "5,6,7");
    ids_are(f.in.in.ids, f.in.in.n, "2"); /* the start token alone */
    assert_string_equal(f.in.main.policy, "start token 2 alone");
    drop(&f);
    make(&f, TINY_TRANSLATOR, (const char *const[]){"source-ids", "5,6,7", "target-ids", "4,3", NULL});
    assert_int_equal(f.rc, 0);
    ids_are(f.in.in.ids, f.in.in.n, "4,3"); /* as they are */
    drop(&f);
    make(&f, TINY_SPEECH, (const char *const[]){"ids", "5,6", NULL});
    assert_int_equal(f.rc, ERR_USAGE);
    assert_non_null(strstr(f.e.msg, "no audio given"));
    drop(&f);
}

static const char *write_numbers(const char *name, int n_dim, const int64_t *shape)
{
    float numbers[128];
    const char *path = in_folder(name);
    for (int i = 0; i < 128; i++)
        numbers[i] = (float)i / 64 - 1;
    assert_int_equal(npy_save(path, NPY_F32, n_dim, shape, numbers, NULL), 0);
    return path;
}

static void test_media(void **state)
{
    (void)state;
    fixture f;
    const char *features = write_numbers("f.npy", 2, (const int64_t[]){4, 10});
    make(&f, TINY_SPEECH, (const char *const[]){"features", features, "ids", "5,6", NULL}); /* the prompt is the target */
    assert_int_equal(f.rc, 0);
    strbuf line = {0};
    prompt_describe(&line, &f.in, &f.lm);
    assert_string_equal(strbuf_str(&line), "5 frames of audio, target of 2 tokens (nothing added to ids)");
    strbuf_clear(&line);
    f.in.sound_seconds = 40.25; /* a file longer than what the model hears */
    f.in.most_seconds = 30;
    prompt_describe(&line, &f.in, &f.lm);
    assert_string_equal(strbuf_str(&line),
                        "5 frames of audio (the first 30 s of 40.25 s), target of 2 tokens (nothing added to ids)");
    strbuf_free(&line);
    ids_are(f.in.in.ids, f.in.in.n, "5,6");
    assert_true(f.in.in.n_mel == 4 && f.in.in.n_frame == 10 && f.in.in.features[1] == 1.0f / 64 - 1);
    assert_string_equal(f.in.file.role, "features");
    assert_int_equal(strlen(f.in.file.sha256), 64);
    drop(&f);
    const char *pixels = write_numbers("p.npy", 4, (const int64_t[]){1, 3, 6, 4});
    make(&f, TINY_TOWER, (const char *const[]){"pixels", pixels, NULL});
    assert_int_equal(f.rc, 0);
    assert_null(f.in.in.ids);
    assert_true(f.in.in.channels == 3 && f.in.in.height == 6 && f.in.in.width == 4);
    drop(&f);
}

static void test_image_places(void **state)
{
    static const char *const cases[][2] = {
        {"1,5,6", "1,19,19,19,19,19,19,5,6"},                   /* behind BOS */
        {"5,6", "19,19,19,19,19,19,5,6"},
        {"5,19,6", "5,19,19,19,19,19,19,6"},                     /* where the token stands */
        {"1,19,19,19,19,19,19,6", "1,19,19,19,19,19,19,6"},      /* room enough */
        {"19", "19,19,19,19,19,19"},
    };
    (void)state;
    fixture f;
    const char *pixels = write_numbers("q.npy", 3, (const int64_t[]){3, 6, 4});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make(&f, TINY_LLAVA, (const char *const[]){"pixels", pixels, "ids", cases[i][0], NULL});
        assert_int_equal(f.rc, 0);
        ids_are(f.in.in.ids, f.in.in.n, cases[i][1]);
        drop(&f);
    }
    make(&f, TINY_LLAVA, (const char *const[]){"pixels", pixels, "ids", "1,19,19,3", NULL});
    assert_int_equal(f.rc, ERR_USAGE);
    assert_string_equal(f.e.msg, "the prompt has 2 image tokens (id 19), the image takes 6");
    drop(&f);
    make(&f, TINY_LLAVA, (const char *const[]){"ids", "1,5,6", NULL}); /* text alone */
    assert_int_equal(f.rc, 0);
    ids_are(f.in.in.ids, f.in.in.n, "1,5,6");
    drop(&f);
    make(&f, TINY_LLAVA, (const char *const[]){"ids", "1,19,6", NULL});
    assert_int_equal(f.rc, ERR_USAGE);
    drop(&f);
}

/* A reader that fails may leave anything in its result; no part of it is the prompt's. */
static void test_bad_numbers(void **state)
{
    const char *last = write_numbers("hwc.npy", 3, (const int64_t[]){6, 4, 3}),
               *flat = write_numbers("flat.npy", 1, (const int64_t[]){72}),
               *cut = write_in_folder("cut.npy", "\x93NUMPY\1\0", 8), *lost = in_folder("lost.npy");
    const struct { tiny_kind kind; const char *option, *path, *msg; } cases[] = {
        {TINY_TOWER, "pixels", last, "6 channels; wanted is [3, height, width]"},
        {TINY_LLAVA, "pixels", last, "6 channels; wanted is [3, height, width]"},
        {TINY_TOWER, "pixels", flat, "an array of 1 dimensions"},
        {TINY_TOWER, "pixels", cut, "cut.npy"},
        {TINY_TOWER, "pixels", lost, "lost.npy"},
        {TINY_SPEECH, "features", last, "an array of 3 dimensions"},
        {TINY_SPEECH, "features", flat, "an array of 1 dimensions"},
        {TINY_SPEECH, "features", cut, "cut.npy"},
        {TINY_SPEECH, "audio", last, "nothing says how its inputs are prepared"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f;
        const bool reads = cases[i].kind != TINY_TOWER;
        make(&f, cases[i].kind,
             (const char *const[]){cases[i].option, cases[i].path, reads ? "ids" : NULL, "1,5", NULL});
        if (f.rc == 0 || !strstr(f.e.msg, cases[i].msg))
            fail_msg("%d: code %d, \"%s\"", (int)i, f.rc, f.e.msg);
        assert_null(f.in.pixels);
        assert_null(f.in.features);
        assert_null(f.in.file.path);
        drop(&f);
    }
}

static void test_refusals(void **state)
{
    const char *pixels = write_numbers("r.npy", 3, (const int64_t[]){3, 6, 4}),
               *wrong = write_numbers("w.npy", 3, (const int64_t[]){3, 4, 6});
    const struct { tiny_kind kind; const char *set[7]; const char *msg; } cases[] = {
        {TINY_DECODER, {NULL}, "no prompt given"},
        {TINY_DECODER, {"ids", "1", "pixels", pixels, NULL}, "tiny reads no images"},
        {TINY_DECODER, {"ids", "1", "features", pixels, NULL}, "tiny reads no audio"},
        {TINY_DECODER, {"ids", "1", "source-ids", "1", NULL}, "tiny has no text encoder"},
        {TINY_ENCODER, {"ids", "1", "target-ids", "1", NULL}, "tiny is no encoder-decoder"},
        {TINY_DECODER, {"ids", "1,20", NULL}, "token id 20 at index 1 is outside the vocabulary of tiny (0 to 19)"},
        {TINY_DECODER, {"ids", "", NULL}, "the prompt is empty"},
        {TINY_TOWER, {"ids", "1", "pixels", pixels, NULL}, "tiny reads images only"},
        {TINY_TOWER, {NULL}, "no image given"},
        {TINY_TOWER, {"pixels", wrong, NULL}, "pixels are [3, 4, 6]"},
        {TINY_TOWER, {"pixels", pixels, "image", "x.png", NULL}, "exclude each other"},
        {TINY_TOWER, {"image", "x.png", NULL}, "nothing says how its inputs are prepared"},
        {TINY_TRANSLATOR, {NULL}, "no source given"},
        {TINY_TRANSLATOR, {"ids", "1", "source-ids", "1", NULL}, "given twice"},
        {TINY_TRANSLATOR, {"ids", "", NULL}, "the source is empty"},
        {TINY_TRANSLATOR, {"ids", "1,20", NULL}, "outside the vocabulary"},
        {TINY_TRANSLATOR, {"ids", "1", "target-ids", "", NULL}, "the target is empty"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f;
        make(&f, cases[i].kind, cases[i].set);
        if (f.rc == 0 || !strstr(f.e.msg, cases[i].msg))
            fail_msg("%d: code %d, \"%s\"", (int)i, f.rc, f.e.msg);
        if (!f.e.hint[0])
            fail_msg("no hint: %s", f.e.msg);
        drop(&f);
    }
}

/* ---- heads of several kinds ---- */

static void test_heads(void **state)
{
    static const struct { tiny_kind kind; const char *text, *want; } cases[] = {
        {TINY_ENCODER, "L1H0", "enc.L1H0"},
        {TINY_TOWER, "L0H1,vis.L1H1", "vis.L0H1 vis.L1H1"},
        {TINY_TRANSLATOR, "L0H1,enc.L2,cross.L1H0", "L0H1 enc.L2H0 enc.L2H1 cross.L1H0"},
        {TINY_TRANSLATOR, "cross.all", "cross.L0H0 cross.L0H1 cross.L1H0 cross.L1H1"},
        {TINY_LLAVA, "all", "L0H0 L0H1 L1H0 L1H1 vis.L0H0 vis.L0H1 vis.L1H0 vis.L1H1"},
        {TINY_TRANSLATOR, "vis.L0H0", "'vis.L0H0': tiny has no attention of that kind"},
        {TINY_TRANSLATOR, "L2H0", "layer 2 out of range (model has 2 layers)"},
        {TINY_LLAVA, "vis.L2H0", "layer 2 out of range (model has 2 layers)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tiny_model t;
        head_id *heads;
        int n = 0;
        err e = {0};
        strbuf got = {0};
        tiny_new(&t, cases[i].kind);
        if (head_select(&heads, &n, &t.m, cases[i].text, &e) != 0) {
            strbuf_puts(&got, e.msg);
        } else {
            for (int k = 0; k < n; k++) {
                head_text text;
                head_format(text, heads[k]);
                strbuf_printf(&got, "%s%s", k ? " " : "", text);
            }
            free(heads);
        }
        assert_string_equal(strbuf_str(&got), cases[i].want);
        strbuf_free(&got);
        tiny_free(&t);
    }
    /* words that name no head: the kinds that the model has are offered */
    static const struct { tiny_kind kind; const char *want; } hints[] = {
        {TINY_DECODER, "or all; separate"},
        {TINY_ENCODER, "or all, with enc. before it; separate"},
        {TINY_TRANSLATOR, "or all, with enc. or cross. before it; separate"},
        {TINY_LLAVA, "or all, with vis. before it; separate"},
    };
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
        tiny_model m;
        head_id *none;
        int n_none;
        err why = {0};
        tiny_new(&m, hints[i].kind);
        assert_int_equal(head_select(&none, &n_none, &m.m, "foo.L0H9", &why), ERR_USAGE);
        if (!strstr(why.hint, hints[i].want))
            fail_msg("%d: hint \"%s\"", (int)i, why.hint);
        tiny_free(&m);
    }
    /* a recurrent layer is passed over */
    tiny_model t;
    delta_net recurrent = {0};
    head_id *heads;
    int n;
    err e = {0};
    tiny_new(&t, TINY_DECODER);
    t.m.main->layers[0].delta = &recurrent;
    assert_int_equal(head_select(&heads, &n, &t.m, "all", &e), 0);
    assert_int_equal(n, 2);
    assert_int_equal(heads[0].layer, 1);
    free(heads);
    assert_int_equal(head_select(&heads, &n, &t.m, "L0", &e), ERR_USAGE);
    assert_string_equal(e.msg, "'L0': the layer has no attention weights");
    tiny_free(&t);
}

/* ---- in the store ---- */

static void column(store *st, const char *sql, const char *want)
{
    table *t = NULL;
    strbuf got = {0};
    assert_int_equal(store_query(st, &t, sql, NULL, 0, NULL), 0);
    for (int64_t i = 0; i < t->n_row; i++)
        strbuf_printf(&got, "%s%s", i ? "|" : "", table_cell(t, i, 0)->kind == CELL_TEXT ? table_cell(t, i, 0)->u.s : "-");
    assert_string_equal(strbuf_str(&got), want);
    strbuf_free(&got);
    table_free(t);
}

static void test_store(void **state)
{
    (void)state;
    fixture f;
    store *st;
    int64_t run;
    err e = {0};
    const char *pixels = write_numbers("s.npy", 3, (const int64_t[]){3, 6, 4});
    const char *features = write_numbers("t.npy", 2, (const int64_t[]){4, 10});
    const store_model m = {.path = "tiny", .name = "tiny", .sha256 = "aa", .n_layer = 2, .n_head = 2, .n_kv_head = 2};
    const store_run r = {.verb = "run", .command = "run tiny", .settings = "{}", .precision = "f32", .isa = "c",
                         .version = "1", .operator_name = "softmax", .edits = "[]", .threads = 1, .seed = NO_INDEX};
    assert_int_equal(store_open(&st, ":memory:", false, &e), 0);
    assert_int_equal(store_run_begin(st, &m, &r, &run, &e), 0);
    const char *const llava[] = {"pixels", pixels, "ids", "1,5", NULL};
    const char *const speech[] = {"features", features, NULL};
    const char *const translator[] = {"source-ids", "5,6", "target-ids", "2,3", NULL};
    const char *const *sets[] = {llava, speech, translator};
    const tiny_kind kinds[] = {TINY_LLAVA, TINY_SPEECH, TINY_TRANSLATOR};
    for (int i = 0; i < 3; i++) {
        make(&f, kinds[i], sets[i]);
        assert_int_equal(f.rc, 0);
        assert_int_equal(prompt_store_begin(st, run, i, &f.in, &f.lm, i ? NULL : "mine", &e), 0);
        assert_int_equal(store_unit_commit(st, &e), 0);
        drop(&f);
    }
    column(st, "SELECT text FROM prompt_token WHERE prompt = 0 AND sequence = 'vis' ORDER BY position",
           "CLS|patch 0,0|patch 0,1|patch 1,0|patch 1,1|patch 2,0|patch 2,1");
    column(st, "SELECT CAST(id AS TEXT) FROM prompt_token WHERE prompt = 0 AND sequence = 'self' ORDER BY position",
           "1|19|19|19|19|19|19|5");
    column(st, "SELECT text FROM prompt_token WHERE prompt = 1 AND sequence = 'enc' ORDER BY position",
           "frame 0|frame 1|frame 2|frame 3|frame 4");
    column(st, "SELECT sequence || id FROM prompt_token WHERE prompt = 2 ORDER BY sequence, position",
           "enc5|enc6|self2|self3");
    column(st, "SELECT role || ':' || (path IS NOT NULL) || length(sha256) FROM input ORDER BY role",
           "features:164|pixels:164|source:064");
    column(st, "SELECT label FROM unit WHERE label IS NOT NULL", "mine");
    store_close(st);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsonl), cmocka_unit_test(test_bad_jsonl), cmocka_unit_test(test_options),
        cmocka_unit_test(test_translator), cmocka_unit_test(test_media), cmocka_unit_test(test_image_places),
        cmocka_unit_test(test_bad_numbers), cmocka_unit_test(test_refusals), cmocka_unit_test(test_heads),
        cmocka_unit_test(test_store),
    };
    return cmocka_run_group_tests_name("prompt input", tests, folder_setup, folder_teardown);
}
