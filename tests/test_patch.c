/* Activation and path patching: identities that hold bit for bit, and a second implementation in double of a small
 * decoder, in which every replacement is made by hand. */
#include "tests/model_run.h"
#include "analysis/experiments/path_patch.h"
#include "tests/tiny_model.h"

/* ---- a decoder of three layers, and the same in double ---- */

enum { C = TINY_WIDTH, H = TINY_HEADS, D = C / H, V = TINY_VOCAB, L = 3, N = 7 };

typedef struct decoder_case { tiny_model t; runtime *r; } decoder_case;

static void case_new(decoder_case *c)
{
    err e = {0};
    tiny_new(&c->t, TINY_DECODER);
    c->t.m.main = tiny_stack(&c->t, 0, ATTN_SELF, EMBED_TOKENS, L, false);
    for (int l = 0; l < L; l++) {
        c->t.layers[0][l].self.plan.scale = 0.5f;
        c->t.layers[0][l].at_self.pre.w = tiny_numbers(&c->t, C, 1);
    }
    assert_int_equal(runtime_new(&c->r, &c->t.m, 2, PRECISION_F32, &e), 0);
}

static void case_free(decoder_case *c)
{
    runtime_free(c->r);
    tiny_free(&c->t);
}

/* One run; members are what a replacement may change. */
typedef struct run_double {
    double x[L + 1][N][C], attn[L][N][C], mlp[L][N][C], z[L][N][C], q[L][N][C], k[L][N][C], v[L][N][C], p[L][H][N][N];
    double scale[L + 1][N];  /* what the norm divides by */
    double logits[N][V];
} run_double;

/* Called when an array is complete: changes it. */
typedef void (*change_fn)(void *ud, run_double *r, patch_what what, int layer);

static double cell_of(const weight *w, int64_t row, int64_t col)
{
    return (double)((const float *)w->data)[row * w->ld + col];
}

static void product(double *y, const weight *w, const double *x)
{
    for (int64_t i = 0; i < w->n_out; i++) {
        y[i] = 0;
        for (int64_t k = 0; k < w->n_in; k++)
            y[i] += cell_of(w, i, k) * x[k];
    }
}

static double rms(double *y, const norm *n, const double *x)
{
    double sum = 0;
    for (int i = 0; i < C; i++)
        sum += x[i] * x[i];
    double s = sqrt(sum / C + (double)n->eps);
    for (int i = 0; i < C; i++)
        y[i] = x[i] / s * (n->w ? (double)n->w[i] : 1);
    return s;
}

static void attend_double(run_double *r, const model_layer *y, int l, change_fn change, void *ud)
{
    double in[C];
    for (int t = 0; t < N; t++) {
        r->scale[l][t] = rms(in, &y->at_self.pre, r->x[l][t]);
        product(r->q[l][t], &y->self.q, in);
        product(r->k[l][t], &y->self.k, in);
        product(r->v[l][t], &y->self.v, in);
    }
    change(ud, r, PATCH_Q, l);
    change(ud, r, PATCH_K, l);
    change(ud, r, PATCH_V, l);
    for (int h = 0; h < H; h++)
        for (int t = 0; t < N; t++) {
            double sum = 0;
            for (int s = 0; s < N; s++) {
                double score = 0;
                for (int d = 0; d < D; d++)
                    score += r->q[l][t][h * D + d] * r->k[l][s][h * D + d];
                r->p[l][h][t][s] = s <= t ? exp((double)y->self.plan.scale * score) : 0;
                sum += r->p[l][h][t][s];
            }
            for (int s = 0; s < N; s++)
                r->p[l][h][t][s] /= sum;
        }
    change(ud, r, PATCH_PATTERN, l);
    for (int t = 0; t < N; t++)
        for (int i = 0; i < C; i++) {
            r->z[l][t][i] = 0;
            for (int s = 0; s <= t; s++)
                r->z[l][t][i] += r->p[l][i / D][t][s] * r->v[l][s][i];
        }
    change(ud, r, PATCH_Z, l);
    for (int t = 0; t < N; t++)
        product(r->attn[l][t], &y->self.out, r->z[l][t]);
    change(ud, r, PATCH_ATTN_OUT, l);
}

static void run_in_double(run_double *r, const decoder_case *c, const int32_t *ids, change_fn change, void *ud)
{
    const stack *s = c->t.m.main;
    double in[C], mid[C];
    for (int t = 0; t < N; t++)
        for (int i = 0; i < C; i++)
            r->x[0][t][i] = cell_of(&s->embed.tokens, ids[t], i) + cell_of(&s->embed.positions, t, i);
    for (int l = 0; l < L; l++) {
        const model_layer *y = &s->layers[l];
        change(ud, r, PATCH_RESID, l);
        attend_double(r, y, l, change, ud);
        for (int t = 0; t < N; t++) {
            double x[C];
            for (int i = 0; i < C; i++)
                x[i] = r->x[l][t][i] + r->attn[l][t][i];
            rms(in, &y->at_mlp.pre, x);
            product(mid, &y->mlp.up, in);
            for (int i = 0; i < C; i++)
                mid[i] = mid[i] > 0 ? mid[i] : 0;
            product(r->mlp[l][t], &y->mlp.down, mid);
        }
        change(ud, r, PATCH_MLP_OUT, l);
        for (int t = 0; t < N; t++)
            for (int i = 0; i < C; i++)
                r->x[l + 1][t][i] = r->x[l][t][i] + r->attn[l][t][i] + r->mlp[l][t][i];
    }
    for (int t = 0; t < N; t++) {
        r->scale[L][t] = rms(in, &s->final_norm, r->x[L][t]);
        product(r->logits[t], &c->t.m.head.unembedding, in);
    }
}

static void no_change(void *ud, run_double *r, patch_what what, int layer)
{
    (void)ud;
    (void)r;
    (void)what;
    (void)layer;
}

/* ---- activation patching against it ---- */

typedef struct by_hand { const run_double *from; patch_what what; int layer, head; int64_t position; } by_hand;

static double (*array_of(run_double *r, patch_what what, int l))[C]
{
    switch (what) {
    case PATCH_RESID: return r->x[l];
    case PATCH_ATTN_OUT: return r->attn[l];
    case PATCH_MLP_OUT: return r->mlp[l];
    case PATCH_Z: return r->z[l];
    case PATCH_Q: return r->q[l];
    case PATCH_K: return r->k[l];
    case PATCH_V: return r->v[l];
    case PATCH_PATTERN: case PATCH_WHATS: break;
    }
    return NULL;
}

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

static const int32_t clean_ids[N] = {1, 5, 9, 5, 3, 11, 7}, corrupted_ids[N] = {1, 8, 9, 2, 3, 11, 7};
static const int32_t wrong_ids[2] = {4, 13};
static const patch_pair tiny_pair = {.clean = clean_ids, .corrupted = corrupted_ids, .n = N, .position = N - 1, .answer = 6,
                                     .wrong = wrong_ids, .n_wrong = 2};

static double difference(const run_double *r, const patch_pair *p)
{
    double sum = 0;
    for (int i = 0; i < p->n_wrong; i++)
        sum += r->logits[p->position][p->wrong[i]];
    return r->logits[p->position][p->answer] - sum / p->n_wrong;
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

typedef struct site_list { int n; patch_site at[512]; } site_list;

static int take_site(void *ud, const patch_site *at, err *e)
{
    site_list *s = ud;
    (void)e;
    assert_in_range(s->n, 0, 511);
    s->at[s->n++] = *at;
    return 0;
}

static void near(double ours, double want, double gate, const char *what)
{
    if (!(fabs(ours - want) <= gate * (1 + fabs(want))))
        fail_msg("%s: %.12g, wanted %.12g", what, ours, want);
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
        path_text path, name;
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
        cmocka_unit_test(test_sweeps),       cmocka_unit_test(test_paths),   cmocka_unit_test(test_identities),
        cmocka_unit_test(test_antisymmetry), cmocka_unit_test(test_whole_stream), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_against_hooks), cmocka_unit_test(test_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
