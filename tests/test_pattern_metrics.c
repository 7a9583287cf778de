/* Metrics about what the tokens are: classes, spans, copies and detection patterns, against straightforward
 * second implementations in double on dense attention, identities, and TransformerLens' detect_head. */
#include "tests/pattern_reference.h"
#include "base/npz.h"

enum view { CAUSAL, WINDOW, SINK, BOTH_SIDES, N_VIEW };

static dense random_dense(int64_t n, enum view view, uint64_t *seed)
{
    dense d = dense_new(n, view == WINDOW ? 6 : 0);
    for (int64_t i = 0; i < n; i++) {
        double z[64], sum = view == SINK ? exp(4 * feed_uniform(seed)) : 0;
        if (view == BOTH_SIDES)
            d.hi[i] = n;
        for (int64_t k = d.lo[i]; k < d.hi[i]; k++)
            sum += z[k] = exp(5 * feed_uniform(seed));
        for (int64_t k = d.lo[i]; k < d.hi[i]; k++)
            d.a[i * n + k] = (float)(z[k] / sum);
    }
    return d;
}

/* ---- second implementations on random attention ---- */

static const char *const class_names[][2] = {
    {"mass_bos", "b"}, {"mass_special", "s"}, {"mass_delimiter", "d"}, {"mass_punctuation", "p"},
    {"mass_digit", "n"}, {"mass_other", "o"}, {"mass_space", "w"},
};

static void test_classes_on_random_attention(void **state)
{
    (void)state;
    static const char *const pieces[] = {",", ".", " the",     " old", "\n", " ",
                                         "1", "?", " lantern", "a",    "\"", ";"};
    uint64_t seed = 3;
    use_lantern();
    int32_t choice[13];
    for (int i = 0; i < 12; i++) {
        tokens t;
        err e = {0};
        assert_int_equal(tokenizer_encode(lantern, pieces[i], strlen(pieces[i]), false, &t, &e), 0);
        choice[i] = t.t[0].id;
        tokens_free(&t);
    }
    choice[12] = tokenizer_bos(lantern);
    for (int round = 0; round < 12; round++) {
        int64_t n = (const int64_t[]){1, 2, 9, 33, 50, 64}[round % 6];
        int32_t ids[64], key_ids[64];
        for (int64_t i = 0; i < n; i++) {
            ids[i] = choice[feed_random(&seed) % 13];
            key_ids[i] = round % 2 ? choice[feed_random(&seed) % 13] : ids[i];
        }
        for (int view = 0; view < N_VIEW; view++) {
            dense d = random_dense(n, (enum view)view, &seed);
            attn_kind kind = round % 2 ? ATTN_CROSS : view == BOTH_SIDES ? ATTN_ENCODER : ATTN_SELF;
            for (size_t c = 0; c < sizeof class_names / sizeof *class_names; c++)
                for (int all = 0; all < 2; all++) {
                    bool keys[64];
                    for (int64_t i = 0; i < n; i++)
                        keys[i] = strchr(letters_of(key_ids[i]), class_names[c][1][0]) != NULL;
                    ask q = {.name = class_names[c][0],
                             .keys = keys,
                             .all = all,
                             .set = {all ? "mass-queries=all" : NULL}};
                    conform(&q, &d, ids, key_ids, kind);
                }
            bool keys[64];
            for (int64_t i = 0; i < n; i++)
                keys[i] = key_ids[i] == choice[2] || key_ids[i] == choice[9];
            ask words = {.name = "mass_words", .keys = keys, .set = {"mass-words=A,the,x"}};
            conform(&words, &d, ids, key_ids, kind);
            dense_free(&d);
        }
    }
}

static void test_spans_on_random_attention(void **state)
{
    (void)state;
    uint64_t seed = 5;
    use_lantern();
    for (int round = 0; round < 16; round++) {
        int64_t n = (const int64_t[]){3, 9, 33, 64}[round % 4],
                a = (int64_t)(feed_random(&seed) % (uint64_t)(n - 1));
        int64_t b = a + (int64_t)(feed_random(&seed) % (uint64_t)(n - a)), late = n - 1;
        int32_t ids[64] = {0};
        bool keys[64] = {false}, from[64] = {false};
        char name[64], name2[64];
        for (int64_t k = a; k <= b; k++)
            keys[k] = true;
        keys[late] = true;
        from[0] = from[n / 2] = true;
        snprintf(name, sizeof name, "span-tokens=%d-%d,-1", (int)a, (int)b);
        snprintf(name2, sizeof name2, "span-from-tokens=0,%d", (int)(n / 2));
        for (int view = 0; view < N_VIEW; view++)
            for (int cross = 0; cross < 2; cross++) {
                dense d = random_dense(n, (enum view)view, &seed);
                attn_kind kind = cross ? ATTN_CROSS : view == BOTH_SIDES ? ATTN_VISION : ATTN_SELF;
                for (int each = 0; each < 2; each++) {
                    const char *rows = each ? "span-rows=each" : "span-rows=mean";
                    ask mass = {.name = "span_mass",
                                .set = {name, rows},
                                .keys = keys,
                                .behind = b + 1,
                                .each = each};
                    ask rise = {.name = "span_shift",
                                .set = {name, rows},
                                .keys = keys,
                                .behind = b + 1,
                                .each = each};
                    conform(&mass, &d, ids, ids, kind);
                    conform(&rise, &d, ids, ids, kind);
                    rise.set[2] = "span-shift=keys";
                    rise.by_key = true;
                    conform(&rise, &d, ids, ids, kind);
                }
                ask two = {.name = "span_to_span", .set = {name, name2}, .keys = keys, .from = from};
                conform(&two, &d, ids, ids, kind);
                dense_free(&d);
            }
    }
}

static void test_copies_on_random_attention(void **state)
{
    (void)state;
    static const char *const lengths[] = {"prefix-length=1", "prefix-length=2", "prefix-length=3",
                                          "prefix-length=9"};
    static const int length[] = {1, 2, 3, 9};
    uint64_t seed = 7;
    for (int round = 0; round < 12; round++) {
        int64_t n = (const int64_t[]){1, 2, 9, 33, 64, 64}[round % 6];
        int32_t ids[64], others[64];
        for (int64_t i = 0; i < n; i++) {
            ids[i] = round < 6 || i < n / 3 ? (int32_t)(feed_random(&seed) % 4) : ids[i - n / 3];
            others[i] = (int32_t)(feed_random(&seed) % 4);
        }
        for (int view = 0; view < N_VIEW; view++) {
            dense d = random_dense(n, (enum view)view, &seed);
            attn_kind kind = view == BOTH_SIDES ? ATTN_ENCODER : ATTN_SELF;
            for (int i = 0; i < 4; i++) {
                ask q = {.name = "prefix_matching", .set = {lengths[i]}, .length = length[i]};
                conform(&q, &d, ids, ids, kind);
            }
            ask same = {.name = "same_token", .set = {"same-self=include"}};
            conform(&same, &d, ids, ids, kind);
            conform(&same, &d, ids, others, ATTN_CROSS);
            same = (ask){.name = "same_token", .set = {"same-self=exclude"}, .exclude = true};
            conform(&same, &d, ids, ids, kind);
            conform(&same, &d, ids, others, ATTN_CROSS);
            dense_free(&d);
        }
    }
}

static const char *const patterns[] = {"previous_token_head", "duplicate_token_head", "induction_head"};
static const char *const measures[] = {"mul", "abs", "abs_exact"};

static void test_detect_on_random_attention(void **state)
{
    (void)state;
    char folder[] = "/tmp/attnscope-pattern-XXXXXX", npy_path[64], csv_path[64], set[2][96];
    uint64_t seed = 9;
    assert_non_null(mkdtemp(folder));
    snprintf(npy_path, sizeof npy_path, "%s/p.npy", folder);
    snprintf(csv_path, sizeof csv_path, "%s/p.csv", folder);
    for (int round = 0; round < 4; round++) {
        int64_t n = (const int64_t[]){2, 9, 33, 64}[round];
        int32_t ids[64];
        float *file = calloc((size_t)(n * n), sizeof *file);
        err e = {0};
        FILE *csv = fopen(csv_path, "w");
        assert_true(file && csv);
        for (int64_t i = 0; i < n; i++)
            ids[i] = (int32_t)(feed_random(&seed) % 5);
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < n; k++) {
                file[i * n + k] = k <= i ? (float)(feed_random(&seed) % 9) / 8 : 0;
                fprintf(csv, "%g%s", (double)file[i * n + k], k + 1 < n ? ", " : "\n");
            }
        fclose(csv);
        assert_int_equal(npy_save(npy_path, NPY_F32, 2, (int64_t[]){n, n}, file, &e), 0);
        for (int view = 0; view < N_VIEW; view++) {
            dense d = random_dense(n, (enum view)view, &seed);
            attn_kind kind = view == BOTH_SIDES ? ATTN_ENCODER : ATTN_SELF;
            for (int p = 0; p < 5; p++)
                for (int m = 0; m < 3; m++)
                    for (int out = 0; out < 4; out++) {
                        snprintf(set[0], sizeof set[0], "detect-pattern=%s",
                                 p < 3    ? patterns[p]
                                 : p == 3 ? npy_path
                                          : csv_path);
                        snprintf(set[1], sizeof set[1], "detect-measure=%s", measures[m]);
                        ask q = {.name = "detect",
                                 .measure = measures[m],
                                 .pattern = p < 3 ? patterns[p] : NULL,
                                 .no_first = out & 1,
                                 .no_self = out & 2,
                                 .file = p < 3 ? NULL : file,
                                 .set = {set[0], set[1],
                                         out & 1 ? "detect-exclude-bos=yes" : "detect-exclude-bos=no",
                                         out & 2 ? "detect-exclude-current-token=yes" : NULL}};
                        conform(&q, &d, ids, ids, kind);
                    }
            dense_free(&d);
        }
        free(file);
    }
    unlink(npy_path);
    unlink(csv_path);
    rmdir(folder);
}

/* ---- identities ---- */

static double one(const ask *q, const dense *d, const int32_t *ids)
{
    wide w = wide_of(d, ids, ATTN_SELF);
    emitted out = {0};
    feed(&out, q, d, &w, &pattern_cuts[0]);
    assert_int_equal(out.n, 1);
    double v = out.v[0].value;
    emitted_free(&out);
    return v;
}

static void near(double value, double expected)
{
    if (!(fabs(value - expected) <= 2e-7 * (1 + fabs(expected))))
        fail_msg("%.12g, expected %.12g", value, expected);
}

static void test_identities(void **state)
{
    (void)state;
    enum { N = 32 };
    int32_t ids[N], twice[N];
    use_lantern();
    for (int i = 0; i < N; i++) {
        ids[i] = i == 0 ? tokenizer_bos(lantern) : 300 + i;
        twice[i] = 300 + i % (N / 2);
    }
    dense shifted = dense_new(N, 0), sink = dense_new(N, 0), self = dense_new(N, 0),
          uniform = dense_new(N, 0), copy = dense_new(N, 0);
    double harmonic = 0;
    for (int64_t i = 0; i < N; i++) {
        shifted.a[i * N + (i > 0 ? i - 1 : 0)] = 1;
        sink.a[i * N] = 1;
        self.a[i * N + i] = 1;
        copy.a[i * N + (i < N / 2 ? i : i - N / 2 + 1)] = 1;
        for (int64_t k = 0; k <= i; k++)
            uniform.a[i * N + k] = (float)(1.0 / (double)(i + 1));
        harmonic += 1.0 / (double)(i + 1);
    }
    const ask mul = {.name = "detect", .set = {"detect-pattern=previous_token_head"}};
    const ask both = {.name = "detect",
                      .set = {"detect-pattern=previous_token_head", "detect-measure=abs_exact"}};
    const ask rest = {.name = "detect",
                      .set = {"detect-pattern=previous_token_head", "detect-exclude-current-token=yes"}};
    near(one(&mul, &shifted, ids), (N - 1.0) / N);
    near(one(&both, &shifted, ids), (N - 1.0) / N);
    near(one(&rest, &shifted, ids), 1);
    near(one(&mul, &self, ids), 0);
    near(one(&both, &self, ids), 1 - (2.0 * N - 1) / N); /* every row but the first is all wrong */
    near(one(&(ask){.name = "detect"}, &copy, twice), 0.5);
    near(one(&(ask){.name = "prefix_matching"}, &copy, twice), 1);
    /* two tokens of context are there from the second copy's second token on */
    near(one(&(ask){.name = "prefix_matching", .set = {"prefix-length=2"}}, &copy, twice), 1);
    near(one(&(ask){.name = "same_token"}, &self, ids), 1);
    near(one(&(ask){.name = "same_token"}, &uniform, ids), harmonic / N);
    near(one(&(ask){.name = "same_token", .set = {"same-self=exclude"}}, &self, twice), 0);
    near(one(&(ask){.name = "mass_bos"}, &sink, ids), 1);
    near(one(&(ask){.name = "mass_special"}, &uniform, ids), harmonic / N);
    near(one(&(ask){.name = "span_mass", .set = {"span-tokens=0"}}, &sink, ids), 1);
    near(one(&(ask){.name = "span_mass", .set = {"span-tokens=0"}}, &uniform, ids), (harmonic - 1) / (N - 1));
    near(one(&(ask){.name = "span_shift", .set = {"span-tokens=0"}}, &uniform, ids), 0); /* it only falls */
    near(one(&(ask){.name = "span_to_span", .set = {"span-tokens=3", "span-from-tokens=4"}}, &shifted, ids),
         1);
    near(feed_one("duplicate_token", "duplicate-match=period", twice, &copy), 0);
    near(feed_one("induction", "induction-match=period", twice, &copy), (N / 2.0) / (N / 2.0 + 1));
    for (int64_t i = N / 2; i < N; i++) { /* the diagonal one period back */
        copy.a[i * N + i - N / 2 + 1] = 0;
        copy.a[i * N + i - N / 2] = 1;
    }
    near(feed_one("duplicate_token", "duplicate-match=period", twice, &copy), 1);
    near(feed_one("duplicate_token", "duplicate-match=any", twice, &copy), 1);
    dense_free(&shifted);
    dense_free(&sink);
    dense_free(&self);
    dense_free(&uniform);
    dense_free(&copy);
}

/* A span that comes into sight late rises by all its weight, across any cut. */
static void test_span_shift_by_hand(void **state)
{
    (void)state;
    static const double on_span[] = {0, 1, 0.25, 0.75, 0.5, 1}, on_a[] = {0, 0, 0.25, 0, 0.5, 0};
    int32_t ids[6] = {0};
    dense d = dense_new(6, 0);
    use_lantern();
    d.a[0] = 1;
    for (int64_t i = 1; i < 6; i++) {
        d.a[i * 6] = (float)(1 - on_span[i]);
        d.a[i * 6 + 1] = (float)(i < 2 ? on_span[i] : on_a[i]);
        if (i >= 2)
            d.a[i * 6 + 2] = (float)(on_span[i] - on_a[i]);
    }
    /* span 1-2, queries 3, 4, 5; masses .75 .5 1: rises 0 and .5; by key 1: 0, .5, 0, by key 2: .75, 0, 1 */
    near(one(&(ask){.name = "span_shift", .set = {"span-tokens=1-2"}}, &d, ids), 0.25);
    near(one(&(ask){.name = "span_shift", .set = {"span-tokens=1-2", "span-shift=keys"}}, &d, ids),
         (0.5 + 1) / 2);
    near(one(&(ask){.name = "span_mass", .set = {"span-tokens=1-2"}}, &d, ids), 0.75);
    dense_free(&d);
}

/* ---- detect_head of TransformerLens ---- */

/* Its two functions run in torch on the attention of ref-story.npz: L0H1, L1H3, L2H5, L3H2. */
static const struct published {
    const char *pattern, *measure;
    bool bos, self;
    double score[4];
} published[] = {
    {"previous_token_head", "mul", false, false, {0.9845382, 0.02072324, 0.01351364, 0.2596454}},
    {"previous_token_head", "mul", true, false, {0.998028, 0.02060505, 5.02339e-07, 0.2631807}},
    {"previous_token_head", "mul", true, true, {0.9984891, 0.02078812, 5.027716e-07, 0.6647022}},
    {"previous_token_head", "abs", false, false, {0.983, -0.945, -0.959, -0.467}},
    {"previous_token_head", "abs", true, true, {0.997, -0.305, -0.229, 0.156}},
    {"duplicate_token_head", "mul", false, false, {3.813346e-07, 0.000322982, 0.0002902961, 3.588501e-09}},
    {"duplicate_token_head", "mul", true, false, {3.919111e-07, 0.00092303, 0.001130789, 3.637769e-09}},
    {"duplicate_token_head", "mul", true, true, {3.920921e-07, 0.0009312311, 0.001131763, 9.187731e-09}},
    {"duplicate_token_head", "abs", false, false, {-0.446, -0.445, -0.445, -0.446}},
    {"duplicate_token_head", "abs", true, true, {-0.419, 0.208, 0.298, 0.163}},
    {"induction_head", "mul", false, false, {1.383146e-05, 0.1801163, 0.2560633, 6.097381e-06}},
    {"induction_head", "mul", true, false, {1.421508e-05, 0.5147429, 0.9974426, 6.181095e-06}},
    {"induction_head", "mul", true, true, {1.422165e-05, 0.5193164, 0.9983014, 1.561128e-05}},
    {"induction_head", "abs", false, false, {-0.446, -0.086, 0.066, -0.446}},
    {"induction_head", "abs", true, true, {-0.418, 0.567, 0.81, 0.163}},
};

static void test_detect_equals_transformerlens(void **state)
{
    (void)state;
    static const int heads[4][2] = {{0, 1}, {1, 3}, {2, 5}, {3, 2}};
    path_text path;
    npz *z;
    npy a;
    err e = {0};
    source_path(path, "examples/models/lantern-3m-reference/ref-story.npz");
    if (npz_open(&z, path, &e) || npz_get(&a, z, "ids", &e))
        fail_msg("%s", e.msg);
    int32_t ids[128];
    int64_t n = a.count, id;
    assert_in_range(n, 2, 128);
    for (int64_t i = 0; i < n; i++) {
        assert_true(npy_int(&id, &a, i));
        ids[i] = (int32_t)id;
    }
    npy_free(&a);
    for (int h = 0; h < 4; h++) {
        char name[16], set[2][64];
        dense d = dense_new(n, 0);
        snprintf(name, sizeof name, "attn_%d", heads[h][0]);
        assert_int_equal(npz_get(&a, z, name, &e), 0);
        for (int64_t i = 0; i < n * n; i++)
            d.a[i] = (float)npy_real(&a, heads[h][1] * n * n + i);
        npy_free(&a);
        for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
            const struct published *x = &published[i];
            snprintf(set[0], sizeof set[0], "detect-pattern=%s", x->pattern);
            snprintf(set[1], sizeof set[1], "detect-measure=%s", x->measure);
            ask q = {.name = "detect",
                     .set = {set[0], set[1], x->bos ? "detect-exclude-bos=yes" : "detect-exclude-bos=no",
                             x->self ? "detect-exclude-current-token=yes" : NULL}};
            double ours = one(&q, &d, ids), theirs = x->score[h];
            if (!(fabs(ours - theirs) <= 1e-6))
                fail_msg("%s %s of L%dH%d: %.9g, detect_head %.9g", x->pattern, x->measure, heads[h][0],
                         heads[h][1], ours, theirs);
        }
        dense_free(&d);
    }
    npz_close(z);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_on_random_attention),
        cmocka_unit_test(test_spans_on_random_attention),
        cmocka_unit_test(test_copies_on_random_attention),
        cmocka_unit_test(test_detect_on_random_attention),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_span_shift_by_hand),
        cmocka_unit_test(test_detect_equals_transformerlens),
    };
    int failed = cmocka_run_group_tests_name("pattern metrics", tests, NULL, NULL);
    tokenizer_free(lantern);
    return failed;
}
