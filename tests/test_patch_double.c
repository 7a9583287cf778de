/* Activation and path patching against a second implementation in double of a small decoder, in which every replacement is
 * made by hand. */
#include "tests/patch_double.h"

/* ---- activation patching against it ---- */

typedef struct by_hand { const run_double *from; patch_what what; int layer, head; int64_t position; } by_hand;

static void replace_by_hand(void *ud, run_double *r, patch_what what, int layer)
{
    const by_hand *b = ud;
    if (what != b->what || layer != b->layer)
        return;
    run_double *from = (run_double *)(uintptr_t)b->from;
    for (int t = 0; t < N; t++) {
        if (b->position != NO_INDEX && b->position != t)
            continue;
        for (int h = 0; h < H && what == PATCH_PATTERN; h++)
            for (int s = 0; s < N && (b->head == NO_INDEX || b->head == h); s++)
                r->p[layer][h][t][s] = from->p[layer][h][t][s];
        for (int i = 0; i < C && what != PATCH_PATTERN; i++)
            if (b->head == NO_INDEX || b->head == i / D)
                array_of(r, what, layer)[t][i] = array_of(from, what, layer)[t][i];
    }
}

static double divergence(const run_double *clean, const run_double *r, int64_t t)
{
    double a = 0, b = 0, kl = 0;
    for (int i = 0; i < V; i++) {
        a += exp(clean->logits[t][i]);
        b += exp(r->logits[t][i]);
    }
    for (int i = 0; i < V; i++) {
        double p = exp(clean->logits[t][i]) / a;
        kl += p * (log(p) - (r->logits[t][i] - log(b)));
    }
    return kl;
}

static void sweep_against_double(patch_by by, bool noise, patch_score score, int expect)
{
    static run_double clean, corrupted, patched;
    const patch_what all[] = {PATCH_RESID, PATCH_ATTN_OUT, PATCH_MLP_OUT, PATCH_Z, PATCH_Q, PATCH_K, PATCH_V, PATCH_PATTERN};
    decoder_case c;
    err e = {0};
    case_new(&c);
    run_in_double(&clean, &c, clean_ids, no_change, NULL);
    run_in_double(&corrupted, &c, corrupted_ids, no_change, NULL);
    bool heads = by == PATCH_BY_HEAD;
    const patch_sweep s = {.r = c.r, .m = &c.t.m, .what = heads ? all + 3 : all, .n_what = heads ? 5 : 8, .by = by,
                           .score = score, .noise = noise};
    assert_int_equal(patch_sweep_check(&s, &e), 0);
    int n = 0;
    for (int l = 0; l < L; l++) {
        site_list sites = {0};
        patch_base base;
        assert_int_equal(patch_sweep_layer(&s, &tiny_pair, l, &base, take_site, &sites, NULL, &e), 0);
        bool kl = score == SCORE_KL;
        near(base.clean, kl ? 0 : difference(&clean, &tiny_pair), 1e-5, "clean score");
        near(base.corrupted, kl ? divergence(&clean, &corrupted, N - 1) : difference(&corrupted, &tiny_pair), 1e-5,
             "corrupted score");
        for (int i = 0; i < sites.n; i++, n++) {
            const patch_site *at = &sites.at[i];
            by_hand hand = {noise ? &corrupted : &clean, at->what, at->layer, at->head, at->position};
            run_in_double(&patched, &c, noise ? clean_ids : corrupted_ids, replace_by_hand, &hand);
            near(at->score, kl ? divergence(&clean, &patched, N - 1) : difference(&patched, &tiny_pair), 1e-5,
                 patch_what_names[at->what]);
            assert_int_equal(at->layer, l);
        }
        patch_base_free(&base);
    }
    assert_int_equal(n, expect);
    case_free(&c);
}

static void test_sweeps(void **state)
{
    (void)state;
    sweep_against_double(PATCH_BY_POSITION, false, SCORE_LOGIT_DIFF, L * (3 * N + 5 * N * H));
    sweep_against_double(PATCH_BY_HEAD, false, SCORE_LOGIT_DIFF, L * 5 * H);
    sweep_against_double(PATCH_BY_LAYER, false, SCORE_LOGIT_DIFF, L * 8);
    sweep_against_double(PATCH_BY_HEAD, true, SCORE_LOGIT_DIFF, L * 5 * H);
    sweep_against_double(PATCH_BY_POSITION, true, SCORE_KL, L * (3 * N + 5 * N * H));
    sweep_against_double(PATCH_BY_HEAD, false, SCORE_KL, L * 5 * H);
}

/* ---- path patching against it ---- */

typedef struct path_hand {
    const run_double *clean, *corrupted, *first; /* first: run 1, for run 2 */
    int layer, head;
    bool everywhere, mlps;
    const head_id *to;
    int n_to;
    patch_what input;
    bool second;
    bool direct;
    const decoder_case *c;
} path_hand;

static void send_by_hand(const path_hand *b, run_double *r, patch_what what, int layer)
{
    if (what == PATCH_Z)
        for (int t = 0; t < N; t++)
            for (int i = 0; i < C; i++) {
                bool sender = layer == b->layer && i / D == b->head && (b->everywhere || t == N - 1);
                r->z[layer][t][i] = sender ? b->corrupted->z[layer][t][i] : b->clean->z[layer][t][i];
            }
    if (what == PATCH_MLP_OUT && b->mlps)
        memcpy(r->mlp[layer], b->clean->mlp[layer], sizeof r->mlp[layer]);
}

/* Run 2.  A direct path: to the clean input is added what the change of the stream, over the clean scale, makes. */
static void receive_by_hand(const path_hand *b, run_double *r, patch_what what, int layer)
{
    for (int i = 0; i < b->n_to && what == b->input; i++) {
        if (b->to[i].layer != layer || layer <= b->layer)
            continue;
        const attention_block *y = &b->c->t.m.main->layers[layer].self;
        const norm *pre = &b->c->t.m.main->layers[layer].at_self.pre;
        const weight *w = what == PATCH_Q ? &y->q : what == PATCH_K ? &y->k : &y->v;
        run_double *first = (run_double *)(uintptr_t)b->first, *clean = (run_double *)(uintptr_t)b->clean;
        for (int t = 0; t < N; t++) {
            double delta[C], moved[C];
            for (int d = 0; d < C; d++)
                delta[d] = (first->x[layer][t][d] - clean->x[layer][t][d]) / clean->scale[layer][t] * (double)pre->w[d];
            product(moved, w, delta);
            for (int d = b->to[i].head * D; d < (b->to[i].head + 1) * D; d++)
                array_of(r, what, layer)[t][d] = b->direct ? array_of(clean, what, layer)[t][d] + moved[d]
                                                           : array_of(first, what, layer)[t][d];
        }
    }
}

static void path_by_hand(void *ud, run_double *r, patch_what what, int layer)
{
    const path_hand *b = ud;
    if (b->second)
        receive_by_hand(b, r, what, layer);
    else
        send_by_hand(b, r, what, layer);
}

static double path_score(path_hand *b)
{
    static run_double first, second;
    b->second = false;
    run_in_double(&first, b->c, clean_ids, path_by_hand, b);
    if (!b->n_to && b->direct) /* logits of the clean run and what the change, over the clean scale, adds */
        for (int i = 0; i < C; i++)
            first.x[L][N - 1][i] = (first.x[L][N - 1][i] - b->clean->x[L][N - 1][i]) / b->clean->scale[L][N - 1];
    if (!b->n_to && b->direct) {
        double moved[V];
        product(moved, &b->c->t.m.head.unembedding, first.x[L][N - 1]);
        for (int i = 0; i < V; i++)
            first.logits[N - 1][i] = b->clean->logits[N - 1][i] + moved[i];
    }
    if (!b->n_to)
        return difference(&first, &tiny_pair);
    b->first = &first;
    b->second = true;
    run_in_double(&second, b->c, clean_ids, path_by_hand, b);
    return difference(&second, &tiny_pair);
}

static void path_against_double(const head_id *to, int n_to, patch_what input, path_mode mode, bool everywhere)
{
    static run_double clean, corrupted;
    decoder_case c;
    err e = {0};
    double most = 0;
    case_new(&c);
    run_in_double(&clean, &c, clean_ids, no_change, NULL);
    run_in_double(&corrupted, &c, corrupted_ids, no_change, NULL);
    const path_patch s = {.r = c.r, .m = &c.t.m, .receivers = to, .n_receiver = n_to, .input = input, .mode = mode,
                          .everywhere = everywhere};
    assert_int_equal(path_patch_check(&s, &e), 0);
    assert_int_equal(path_senders(&s), n_to ? 2 : L);
    for (int l = 0; l < path_senders(&s); l++) {
        site_list sites = {0};
        patch_base base;
        assert_int_equal(path_patch_layer(&s, &tiny_pair, l, &base, take_site, &sites, NULL, &e), 0);
        assert_int_equal(sites.n, H);
        for (int h = 0; h < H; h++) {
            path_hand b = {.clean = &clean, .corrupted = &corrupted, .layer = l, .head = h, .everywhere = everywhere,
                           .mlps = mode != PATH_HEADS, .to = to, .n_to = n_to, .input = input, .direct = mode == PATH_DIRECT,
                           .c = &c};
            double want = path_score(&b), span = difference(&corrupted, &tiny_pair) - difference(&clean, &tiny_pair);
            near(sites.at[h].score, want, 1e-5, path_mode_names[mode]);
            near(path_effect(&base, sites.at[h].score), (want - difference(&clean, &tiny_pair)) / span, 1e-4, "effect");
            double effect = fabs(path_effect(&base, sites.at[h].score));
            most = effect > most ? effect : most;
        }
        patch_base_free(&base);
    }
    assert_true(most > 1e-4); /* the paths carry something */
    case_free(&c);
}

static void test_paths(void **state)
{
    (void)state;
    static const head_id to[] = {{ATTN_SELF, 2, 1}, {ATTN_SELF, 1, 0}};
    const patch_what inputs[] = {PATCH_Q, PATCH_K, PATCH_V};
    for (int mode = PATH_HEADS; mode <= PATH_DIRECT; mode++) {
        for (int i = 0; i < 3; i++)
            path_against_double(to, 2, inputs[i], (path_mode)mode, true);
        path_against_double(to, 1, PATCH_Q, (path_mode)mode, false);
        path_against_double(NULL, 0, PATCH_Q, (path_mode)mode, false);
        path_against_double(NULL, 0, PATCH_Q, (path_mode)mode, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sweeps), cmocka_unit_test(test_paths)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
