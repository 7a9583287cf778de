/* Activation and path patching: identities that hold bit for bit, values of another implementation, what is refused. */
#include "tests/patch_double.h"

/* ---- identities, bit for bit, on models of many kinds ---- */

typedef struct whole { activation a[PATCH_WHATS]; float *logits; } whole;

static void run_whole(whole *w, const opened *o, const int32_t *ids, int64_t n, int layer)
{
    activation *keep[PATCH_WHATS];
    err e = {0};
    int n_keep = 0;
    for (int what = 0; what < PATCH_PATTERN; what++) {
        assert_int_equal(activation_new(&w->a[what], o->m, (patch_what)what, layer, n, &e), 0);
        keep[n_keep++] = &w->a[what];
    }
    w->logits = calloc((size_t)o->m->vocab, sizeof *w->logits);
    assert_non_null(w->logits);
    const patched_run run = {.r = o->r, .m = o->m, .ids = ids, .n = n, .keep = keep, .n_keep = n_keep, .position = n - 1,
                             .logits = w->logits};
    if (patched_run_do(&run, NULL, &e))
        fail_msg("%s: %s", o->m->name, e.msg);
}

static void whole_free(whole *w)
{
    for (int what = 0; what < PATCH_PATTERN; what++)
        activation_free(&w->a[what]);
    free(w->logits);
}

static void run_with(float *logits, const opened *o, const int32_t *ids, int64_t n, int start, const float *stream,
                     const replacement *put, int n_put)
{
    err e = {0};
    const patched_run run = {.r = o->r, .m = o->m, .ids = ids, .n = n, .start = start, .stream = stream, .put = put,
                             .n_put = n_put, .position = n - 1, .logits = logits};
    if (patched_run_do(&run, NULL, &e))
        fail_msg("%s: %s", o->m->name, e.msg);
}

static replacement put_of(const opened *o, const whole *w, patch_what what, int head, int64_t position)
{
    bool pattern = what == PATCH_PATTERN;
    return replace_with(o->m, what, &w->a[pattern ? PATCH_Q : what], pattern ? &w->a[PATCH_K] : NULL, head, position);
}

static void same_bits(const float *a, const float *b, const opened *o, const char *what)
{
    if (memcmp(a, b, (size_t)o->m->vocab * sizeof *a))
        fail_msg("%s: %s changes the logits", o->m->name, what);
}

/* A layer of a model, two prompts that differ everywhere. */
static void identities(const opened *o, const int32_t *ids, const int32_t *other, int64_t n, int layer)
{
    whole clean, corrupted;
    float *got = calloc((size_t)o->m->vocab, sizeof *got);
    assert_non_null(got);
    run_whole(&clean, o, ids, n, layer);
    run_whole(&corrupted, o, other, n, layer);
    bool heads = clean.a[PATCH_Q].x != NULL;
    assert_true(memcmp(clean.logits, corrupted.logits, (size_t)o->m->vocab * sizeof *got) != 0);

    run_with(got, o, ids, n, layer, clean.a[PATCH_RESID].x, NULL, 0);
    same_bits(got, clean.logits, o, "starting at a layer");
    for (int what = 0; what < PATCH_WHATS; what++) {
        if (what >= PATCH_Z && !heads)
            continue;
        const replacement all = put_of(o, &clean, (patch_what)what, NO_INDEX, NO_INDEX);
        const replacement one = put_of(o, &clean, (patch_what)what, what >= PATCH_Z ? 0 : NO_INDEX, n / 2);
        run_with(got, o, ids, n, layer, clean.a[PATCH_RESID].x, &all, 1);
        same_bits(got, clean.logits, o, patch_what_names[what]);
        run_with(got, o, ids, n, 0, NULL, &one, 1);
        same_bits(got, clean.logits, o, patch_what_names[what]);
    }

    /* the whole stream of the clean run is the clean run, whatever was read before */
    const replacement resid = put_of(o, &clean, PATCH_RESID, NO_INDEX, NO_INDEX);
    run_with(got, o, other, n, 0, NULL, &resid, 1);
    same_bits(got, clean.logits, o, "resid");
    if (heads) {
        /* z is made of weights and v, weights of q and k; what attention adds is made of z */
        float *want = calloc((size_t)o->m->vocab, sizeof *want);
        assert_non_null(want);
        const replacement z = put_of(o, &clean, PATCH_Z, NO_INDEX, NO_INDEX), q = put_of(o, &clean, PATCH_Q, NO_INDEX, NO_INDEX);
        const replacement k = put_of(o, &clean, PATCH_K, NO_INDEX, NO_INDEX), v = put_of(o, &clean, PATCH_V, NO_INDEX, NO_INDEX);
        const replacement p = put_of(o, &clean, PATCH_PATTERN, NO_INDEX, NO_INDEX), qk[2] = {q, k}, pv[2] = {p, v};
        const replacement added = put_of(o, &clean, PATCH_ATTN_OUT, NO_INDEX, NO_INDEX);
        run_with(want, o, other, n, 0, NULL, &p, 1);
        assert_true(memcmp(want, corrupted.logits, (size_t)o->m->vocab * sizeof *got) != 0);
        run_with(got, o, other, n, 0, NULL, qk, 2);
        same_bits(got, want, o, "weights against q and k together");
        const attention_block *b = model_attention(o->m, o->m->main->kind, layer);
        if (!b->gate.data) {
            run_with(want, o, other, n, 0, NULL, &z, 1);
            run_with(got, o, other, n, 0, NULL, pv, 2);
            same_bits(got, want, o, "z against weights and v together");
        }
        run_with(want, o, other, n, 0, NULL, &z, 1);
        run_with(got, o, other, n, 0, NULL, &added, 1);
        same_bits(got, want, o, "z of all heads against what attention adds");
        free(want);
    }
    whole_free(&clean);
    whole_free(&corrupted);
    free(got);
}

static void test_identities(void **state)
{
    (void)state;
    /* parallel layers, ALiBi, learned sinks, windows and soft caps, experts, latent attention, the delta rule, encoders */
    static const char *const names[] = {"bloom", "deepseek_v3", "falcon", "gemma3", "gpt2", "gpt_neo", "gpt_neox", "gpt_oss",
                                        "llama", "mixtral", "modernbert", "mpt", "qwen2", "qwen3_next"};
    int n_run = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path_text path;
        char name[64];
        snprintf(name, sizeof name, "tests/families/%.40s", names[i]);
        source_path(path, name);
        opened o = open_model(path, 2);
        int32_t ids[21], other[21];
        for (int t = 0; t < 21; t++) {
            ids[t] = (int32_t)((t * 37 + 11) % o.m->main->embed.tokens.n_out);
            other[t] = (int32_t)((t * 53 + 5) % o.m->main->embed.tokens.n_out);
        }
        if (o.m->head.unembedding.data) {
            int64_t n = o.m->main->context < 21 ? o.m->main->context : 21;
            for (int l = 0; l < o.m->main->n_run; l++)
                identities(&o, ids, other, n, l);
            n_run++;
        }
        close_model(&o);
    }
    assert_true(n_run >= 12);
}

/* ---- the bundled model ---- */

static opened lantern(int threads)
{
    path_text path;
    source_path(path, "examples/models/lantern-3m");
    return open_model(path, threads);
}

static const int32_t night[] = {0, 806, 308, 260, 1092, 793, 13, 278, 264, 693, 440};
static const int32_t day[] = {0, 806, 308, 260, 1101, 521, 13, 278, 264, 1210, 440};
enum { N_NIGHT = 11 };

/* Neighbours with prompts and answers exchanged: differences are exactly opposite, in both directions of patching. */
static void test_antisymmetry(void **state)
{
    (void)state;
    static const int32_t answer = 345, wrong = 1001;
    const patch_pair a = {.clean = night, .corrupted = day, .n = N_NIGHT, .position = N_NIGHT - 1, .answer = answer,
                          .wrong = &wrong, .n_wrong = 1};
    const patch_pair b = {.clean = day, .corrupted = night, .n = N_NIGHT, .position = N_NIGHT - 1, .answer = wrong,
                          .wrong = &answer, .n_wrong = 1};
    const patch_what what[] = {PATCH_Z, PATCH_V, PATCH_PATTERN};
    opened o = lantern(2);
    err e = {0};
    patch_base base_a, base_b;
    for (int l = 0; l < 4; l++) {
        static site_list in, out;
        in.n = out.n = 0;
        patch_sweep s = {.r = o.r, .m = o.m, .what = what, .n_what = 3, .by = PATCH_BY_HEAD};
        assert_int_equal(patch_sweep_layer(&s, &a, l, &base_a, take_site, &in, NULL, &e), 0);
        s.noise = true; /* of the neighbour: the same runs under other names */
        assert_int_equal(patch_sweep_layer(&s, &b, l, &base_b, take_site, &out, NULL, &e), 0);
        assert_true(base_a.clean == -base_b.corrupted && base_a.corrupted == -base_b.clean);
        assert_int_equal(in.n, 8 + 4 + 8); /* heads, key/value heads, heads */
        assert_int_equal(out.n, in.n);
        for (int i = 0; i < in.n; i++) {
            assert_true(in.at[i].score == -out.at[i].score);
            near(patch_recovery(&base_a, in.at[i].score) + patch_recovery(&base_b, out.at[i].score), 1, 1e-12, "recovery");
        }
    }
    close_model(&o);
}

/* The whole stream of a layer brings back all: recovery exactly 1, noise leaves exactly 0. */
static void test_whole_stream(void **state)
{
    (void)state;
    static const int32_t wrong = 1001;
    const patch_pair pair = {.clean = night, .corrupted = day, .n = N_NIGHT, .position = N_NIGHT - 1, .answer = 345,
                             .wrong = &wrong, .n_wrong = 1};
    const patch_what what = PATCH_RESID;
    opened o = lantern(1);
    err e = {0};
    for (int k = 0; k < 4; k++) {
        const patch_sweep s = {.r = o.r, .m = o.m, .what = &what, .n_what = 1, .by = PATCH_BY_LAYER, .noise = k & 1,
                               .score = k & 2 ? SCORE_KL : SCORE_LOGIT_DIFF};
        for (int l = 0; l < 4; l++) {
            site_list sites = {0};
            patch_base base;
            assert_int_equal(patch_sweep_layer(&s, &pair, l, &base, take_site, &sites, NULL, &e), 0);
            assert_int_equal(sites.n, 1);
            assert_true(patch_recovery(&base, sites.at[0].score) == (k & 1 ? 0 : 1));
            patch_base_free(&base);
        }
    }
    /* positions that both prompts share read the same embeddings: nothing is replaced */
    const patch_sweep s = {.r = o.r, .m = o.m, .what = &what, .n_what = 1, .by = PATCH_BY_POSITION};
    site_list sites = {0};
    patch_base base;
    assert_int_equal(patch_sweep_layer(&s, &pair, 0, &base, take_site, &sites, NULL, &e), 0);
    assert_int_equal(sites.n, N_NIGHT);
    for (int t = 0; t < N_NIGHT; t++)
        if (night[t] == day[t])
            assert_true(patch_recovery(&base, sites.at[t].score) == 0);
        else
            assert_true(patch_recovery(&base, sites.at[t].score) != 0);
    close_model(&o);
}

static void test_threads(void **state)
{
    (void)state;
    static const int32_t wrong = 1001;
    const patch_pair pair = {.clean = night, .corrupted = day, .n = N_NIGHT, .position = N_NIGHT - 1, .answer = 345,
                             .wrong = &wrong, .n_wrong = 1};
    static const head_id to = {ATTN_SELF, 3, 2};
    static site_list sites[2];
    err e = {0};
    for (int i = 0; i < 2; i++) {
        opened o = lantern(i ? 3 : 1);
        const patch_what what[] = {PATCH_ATTN_OUT, PATCH_PATTERN};
        const patch_sweep s = {.r = o.r, .m = o.m, .what = what, .n_what = 2, .by = PATCH_BY_LAYER};
        const path_patch route = {.r = o.r, .m = o.m, .receivers = &to, .n_receiver = 1, .input = PATCH_K, .everywhere = true};
        patch_base base;
        sites[i].n = 0;
        assert_int_equal(patch_sweep_layer(&s, &pair, 1, &base, take_site, &sites[i], NULL, &e), 0);
        assert_int_equal(path_patch_layer(&route, &pair, 1, &base, take_site, &sites[i], NULL, &e), 0);
        close_model(&o);
    }
    assert_int_equal(sites[0].n, 2 + 8);
    for (int i = 0; i < sites[0].n; i++)
        assert_true(sites[0].at[i].score == sites[1].at[i].score);
}

/* Scores of these places from PyTorch: Hugging Face's eager model in float32 with forward hooks that write the clean run's
 * rows (k and v before they are repeated for the query heads). */
static void test_against_hooks(void **state)
{
    (void)state;
    static const int32_t wrong = 1001;
    const patch_pair pair = {.clean = night, .corrupted = day, .n = N_NIGHT, .position = N_NIGHT - 1, .answer = 345,
                             .wrong = &wrong, .n_wrong = 1};
    static const struct { patch_what what; int layer, head; int64_t position; double score; } known[] = {
        {PATCH_RESID, 0, NO_INDEX, 4, 4.0940757},
        {PATCH_RESID, 2, NO_INDEX, 5, 4.0434327},
        {PATCH_RESID, 3, NO_INDEX, 10, 3.1359239},
        {PATCH_ATTN_OUT, 1, NO_INDEX, 9, 4.1410260},
        {PATCH_ATTN_OUT, 3, NO_INDEX, 10, 3.9453282},
        {PATCH_MLP_OUT, 0, NO_INDEX, 4, 4.1073618},
        {PATCH_MLP_OUT, 2, NO_INDEX, 10, 3.3935497},
        {PATCH_Z, 1, 3, NO_INDEX, 4.1058860},
        {PATCH_Z, 2, 5, NO_INDEX, 4.1053696},
        {PATCH_Z, 3, 7, NO_INDEX, 4.1365671},
        {PATCH_Q, 2, 1, NO_INDEX, 4.0963326},
        {PATCH_Q, 3, 6, 10, 4.1104765},
        {PATCH_K, 1, 2, NO_INDEX, 4.0844326},
        {PATCH_K, 3, 1, 9, 4.1045852},
        {PATCH_V, 0, 0, NO_INDEX, 3.5240431},
        {PATCH_V, 2, 3, 4, 4.1054001},
        {PATCH_PATTERN, 1, 3, NO_INDEX, 4.1059580},
        {PATCH_PATTERN, 2, 5, NO_INDEX, 4.1053691},
        {PATCH_PATTERN, 3, 4, 10, 4.1053491},
    };
    opened o = lantern(2);
    err e = {0};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        static site_list sites;
        bool found = false;
        patch_base base;
        sites.n = 0;
        const patch_sweep s = {.r = o.r, .m = o.m, .what = &known[i].what, .n_what = 1,
                               .by = known[i].position != NO_INDEX ? PATCH_BY_POSITION : PATCH_BY_HEAD};
        assert_int_equal(patch_sweep_layer(&s, &pair, known[i].layer, &base, take_site, &sites, NULL, &e), 0);
        for (int k = 0; k < sites.n; k++)
            if (sites.at[k].head == known[i].head && sites.at[k].position == known[i].position) {
                near(sites.at[k].score, known[i].score, 2e-5, patch_what_names[known[i].what]);
                found = true;
            }
        assert_true(found);
    }
    close_model(&o);
}

/* ---- what is refused ---- */

static void test_refused(void **state)
{
    (void)state;
    static const int32_t wrong = 1001;
    static const patch_what resid = PATCH_RESID;
    opened o = lantern(1);
    patch_base base;
    err e = {0};
    const patch_pair same = {.clean = night, .corrupted = night, .n = N_NIGHT, .position = 3, .answer = 345, .wrong = &wrong,
                             .n_wrong = 1};
    assert_int_equal(patch_both(&base, o.r, o.m, &same, SCORE_LOGIT_DIFF, NULL, 0, NULL, 0, &e), ERR_FAILED);
    assert_non_null(strstr(e.msg, "nothing to recover"));
    assert_int_equal(patch_both(&base, o.r, o.m, &same, SCORE_KL, NULL, 0, NULL, 0, &e), ERR_FAILED);
    assert_non_null(strstr(e.msg, "the same distribution"));
    const patch_sweep s = {.r = o.r, .m = o.m, .what = &resid, .n_what = 1, .by = PATCH_BY_HEAD};
    assert_int_equal(patch_sweep_check(&s, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "resid has no heads"));
    head_id to = {ATTN_SELF, 0, 2};
    path_patch route = {.r = o.r, .m = o.m, .receivers = &to, .n_receiver = 1, .input = PATCH_Q};
    assert_int_equal(path_patch_check(&route, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "layer 0"));
    to.layer = 9;
    assert_int_equal(path_patch_check(&route, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "no head L9H2"));
    close_model(&o);

    path_text path;
    source_path(path, "tests/families/t5");
    o = open_model(path, 1);
    assert_int_equal(patch_check_model(o.m, &e), ERR_USAGE);
    close_model(&o);
    source_path(path, "tests/families/qwen3_next");
    o = open_model(path, 1);
    for (int l = 1; l < o.m->main->n_run; l++)
        if (model_attention(o.m, ATTN_SELF, l)) {
            to = (head_id){ATTN_SELF, l, 0};
            route = (path_patch){.r = o.r, .m = o.m, .receivers = &to, .n_receiver = 1, .input = PATCH_Q, .mode = PATH_DIRECT};
            assert_int_equal(path_patch_check(&route, &e), ERR_USAGE);
            assert_non_null(strstr(e.msg, "no direct path: q"));
            route.input = PATCH_V;
            assert_int_equal(path_patch_check(&route, &e), 0);
        }
    close_model(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities), cmocka_unit_test(test_antisymmetry), cmocka_unit_test(test_whole_stream),
        cmocka_unit_test(test_threads),    cmocka_unit_test(test_against_hooks), cmocka_unit_test(test_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
