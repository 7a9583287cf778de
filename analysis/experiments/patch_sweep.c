#include "analysis/experiments/patch_sweep.h"

#include <math.h>
#include <stdlib.h>
#include "analysis/lens.h"
#include "base/cancel.h"
#include "base/mem.h"

const char *const patch_score_names[] = {"logit_diff", "kl", NULL};
const char *const patch_by_names[] = {"layer", "position", "head", NULL};

/* ---- scores ---- */

double patch_score_of(const patch_pair *pair, patch_score score, const patch_base *b, const float *logits, int64_t vocab)
{
    double sum = 0;
    if (score == SCORE_LOGIT_DIFF) {
        for (int i = 0; i < pair->n_wrong; i++)
            sum += (double)logits[pair->wrong[i]];
        return (double)logits[pair->answer] - sum / pair->n_wrong;
    }
    double lse = log_sum_exp(logits, vocab);
    for (int64_t i = 0; i < vocab; i++) {
        double p = exp(b->ln_clean[i]);
        if (p > 0)
            sum += p * (b->ln_clean[i] - ((double)logits[i] - lse));
    }
    return sum;
}

void patch_base_free(patch_base *b)
{
    free(b->ln_clean);
    *b = (patch_base){0};
}

static int keep_distribution(patch_base *b, const float *logits, int64_t vocab, err *e)
{
    b->ln_clean = mem_array((size_t)vocab, sizeof *b->ln_clean, e);
    if (!b->ln_clean)
        return ERR_RESOURCE;
    double lse = log_sum_exp(logits, vocab);
    for (int64_t i = 0; i < vocab; i++)
        b->ln_clean[i] = (double)logits[i] - lse;
    return 0;
}

static int check_difference(const patch_base *b, patch_score score, err *e)
{
    if (!isfinite(b->clean) || !isfinite(b->corrupted))
        return err_set(e, ERR_FAILED, "the model's logits are not finite");
    if (fabs(b->clean - b->corrupted) > 1e-6 * (1 + fabs(b->clean)))
        return 0;
    if (score == SCORE_KL)
        err_set(e, ERR_FAILED, "clean and corrupted prompt give the same distribution: there is nothing to recover");
    else
        err_set(e, ERR_FAILED, "clean and corrupted prompt give the same logit difference (%.6g): there is nothing to recover",
                b->clean);
    return err_hint(e, "change a token of the corrupted prompt that the answer depends on");
}

int patch_both(patch_base *b, runtime *r, const model *m, const patch_pair *pair, patch_score score,
               activation *const *keep_clean, int n_clean, activation *const *keep_corrupted, int n_corrupted, err *e)
{
    *b = (patch_base){0};
    float *logits = mem_array((size_t)m->vocab, sizeof *logits, e);
    if (!logits)
        return ERR_RESOURCE;
    patched_run run = {.r = r, .m = m, .ids = pair->clean, .n = pair->n, .keep = keep_clean, .n_keep = n_clean,
                       .position = pair->position, .logits = logits};
    int rc = patched_run_do(&run, NULL, e);
    if (!rc && score == SCORE_KL)
        rc = keep_distribution(b, logits, m->vocab, e);
    if (!rc) {
        b->clean = patch_score_of(pair, score, b, logits, m->vocab);
        run.ids = pair->corrupted;
        run.keep = keep_corrupted;
        run.n_keep = n_corrupted;
        rc = patched_run_do(&run, NULL, e);
    }
    if (!rc) {
        b->corrupted = patch_score_of(pair, score, b, logits, m->vocab);
        rc = check_difference(b, score, e);
    }
    free(logits);
    if (rc)
        patch_base_free(b);
    return rc;
}

/* ---- the sweep ---- */

static bool has_heads(patch_what what)
{
    return what >= PATCH_Z;
}

int patch_sweep_check(const patch_sweep *s, err *e)
{
    int rc = patch_check_model(s->m, e);
    for (int i = 0; i < s->n_what && !rc; i++)
        if (s->by == PATCH_BY_HEAD && !has_heads(s->what[i])) {
            rc = err_set(e, ERR_USAGE, "%s has no heads", patch_what_names[s->what[i]]);
            err_hint(e, "patch it by position or by layer, or take z, q, k, v or pattern");
        }
    return rc;
}

/* What a layer's places are made of. */
typedef struct layer_job {
    const patch_sweep *s;
    const patch_pair *pair;
    int layer;
    patch_base *base;
    activation from[PATCH_PATTERN];  /* of the run that activations are taken from; x NULL: not wanted */
    activation stream;               /* of the other: what the layer reads */
    float *logits;
    int (*site)(void *ud, const patch_site *at, err *e);
    void *ud;
    const progress *p;
    int64_t done, total;
} layer_job;

static int one_site(layer_job *j, patch_what what, int head, int64_t position, err *e)
{
    const patch_sweep *s = j->s;
    bool pattern = what == PATCH_PATTERN;
    const replacement put = replace_with(s->m, what, &j->from[pattern ? PATCH_Q : what], pattern ? &j->from[PATCH_K] : NULL,
                                         head, position);
    const patched_run run = {
        .r = s->r, .m = s->m, .ids = s->noise ? j->pair->clean : j->pair->corrupted, .n = j->pair->n, .start = j->layer,
        .stream = j->stream.x, .put = &put, .n_put = 1, .position = j->pair->position, .logits = j->logits,
    };
    int rc = patched_run_do(&run, NULL, e);
    if (rc)
        return rc;
    const patch_site at = {what, j->layer, head, position,
                           patch_score_of(j->pair, s->score, j->base, j->logits, s->m->vocab)};
    if (!isfinite(at.score))
        return err_set(e, ERR_FAILED, "%s of layer %d patched: the model's logits are not finite", patch_what_names[what],
                       j->layer);
    progress_step(j->p, "place", (double)++j->done, (double)j->total);
    rc = j->site(j->ud, &at, e);
    return rc ? rc : cancel_check(e);
}

/* Heads that are patched one by one; 1 with first NO_INDEX: all together. */
static int heads_of(const layer_job *j, patch_what what)
{
    bool each = has_heads(what) && j->s->by != PATCH_BY_LAYER;
    int n = activation_heads(j->s->m, what, j->layer);
    return each ? n : n > 0;
}

static int all_sites(layer_job *j, err *e)
{
    int rc = 0;
    int64_t positions = j->s->by == PATCH_BY_POSITION ? j->pair->n : 1;
    for (int i = 0; i < j->s->n_what; i++)
        j->total += positions * heads_of(j, j->s->what[i]);
    for (int i = 0; i < j->s->n_what; i++) {
        patch_what what = j->s->what[i];
        int n = heads_of(j, what);
        bool each = has_heads(what) && j->s->by != PATCH_BY_LAYER;
        for (int64_t t = 0; t < positions && !rc; t++)
            for (int h = 0; h < n && !rc; h++)
                rc = one_site(j, what, each ? h : NO_INDEX, j->s->by == PATCH_BY_POSITION ? t : NO_INDEX, e);
    }
    return rc;
}

static int wanted(layer_job *j, patch_what what, activation **list, int *n, err *e)
{
    if (j->from[what].x)
        return 0;
    int rc = activation_new(&j->from[what], j->s->m, what, j->layer, j->pair->n, e);
    if (!rc && j->from[what].x)
        list[(*n)++] = &j->from[what];
    return rc;
}

int patch_sweep_layer(const patch_sweep *s, const patch_pair *pair, int layer, patch_base *base,
                      int (*site)(void *ud, const patch_site *at, err *e), void *ud, const progress *p, err *e)
{
    layer_job j = {.s = s, .pair = pair, .layer = layer, .base = base, .site = site, .ud = ud, .p = p};
    activation *take[PATCH_PATTERN], *stream = &j.stream;
    int n_take = 0;
    *base = (patch_base){0};
    int rc = activation_new(&j.stream, s->m, PATCH_RESID, layer, pair->n, e);
    for (int i = 0; i < s->n_what && !rc; i++) {
        bool pattern = s->what[i] == PATCH_PATTERN;
        rc = wanted(&j, pattern ? PATCH_Q : s->what[i], take, &n_take, e);
        if (!rc && pattern)
            rc = wanted(&j, PATCH_K, take, &n_take, e);
    }
    if (!rc && !(j.logits = mem_array((size_t)s->m->vocab, sizeof *j.logits, e)))
        rc = ERR_RESOURCE;
    if (!rc)
        rc = s->noise ? patch_both(base, s->r, s->m, pair, s->score, &stream, 1, take, n_take, e)
                      : patch_both(base, s->r, s->m, pair, s->score, take, n_take, &stream, 1, e);
    if (!rc)
        rc = all_sites(&j, e);
    for (int i = 0; i < PATCH_PATTERN; i++)
        activation_free(&j.from[i]);
    activation_free(&j.stream);
    free(j.logits);
    return rc;
}
