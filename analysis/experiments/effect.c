#include "analysis/experiments/effect.h"

#include <stdlib.h>
#include "analysis/rouge.h"
#include "base/mem.h"
#include "base/rng.h"

int effect_on_text(loss *out, runtime *r, const model *m, const model_input *in, edit_plan *plan, const progress *p, err *e)
{
    runtime_set_edits(r, plan ? edit_plan_edits(plan) : NULL);
    int rc = loss_measure(out, NULL, r, m, in, p, e);
    runtime_set_edits(r, NULL);
    return rc;
}

int effect_on_trial(double *recall, int32_t *made, int64_t *n_made, runtime *r, const model *m, const trial *t,
                    edit_plan *plan, err *e)
{
    int64_t steps = t->n_answer + EFFECT_EXTRA_STEPS, n = 0;
    int32_t *own = made ? NULL : mem_array((size_t)steps, sizeof *own, e), *ids = made ? made : own;
    if (!ids)
        return ERR_RESOURCE;
    runtime_set_edits(r, plan ? edit_plan_edits(plan) : NULL);
    int rc = greedy_continue(ids, &n, r, m, NULL, t->ids, t->n, steps, e);
    runtime_set_edits(r, NULL);
    if (!rc)
        rc = token_recall(recall, t->answer_ids, t->n_answer, ids, n, e);
    if (n_made)
        *n_made = n;
    free(own);
    return rc && t->where[0] ? err_prefix(e, "%s", t->where) : rc;
}

static bool is_among(head_id h, const head_id *list, int n)
{
    for (int i = 0; i < n; i++)
        if (list[i].kind == h.kind && list[i].layer == h.layer && list[i].head == h.head)
            return true;
    return false;
}

/* The others of a layer in random order; *n_other of them. */
static int64_t *others_of(int *n_other, const model *m, head_id layer, const head_id *heads, int n, rng *draw, err *e)
{
    const attention_block *b = model_attention(m, layer.kind, layer.layer);
    int64_t *other = mem_array((size_t)b->plan.n_head + 1, sizeof *other, e);
    *n_other = 0;
    for (int h = 0; h < b->plan.n_head && other; h++)
        if (!is_among((head_id){layer.kind, layer.layer, h}, heads, n))
            other[(*n_other)++] = h;
    for (int i = *n_other - 1; i > 0; i--) {
        int64_t j = rng_below(draw, i + 1), keep = other[i];
        other[i] = other[j];
        other[j] = keep;
    }
    return other;
}

static bool same_layer(head_id a, head_id b)
{
    return a.kind == b.kind && a.layer == b.layer;
}

int matched_heads(head_id *out, const model *m, const head_id *heads, int n, uint64_t seed, uint64_t draw, err *e)
{
    rng r;
    rng_seed(&r, seed, draw);
    for (int i = 0; i < n; i++) {
        int n_other, want = 0;
        bool before = false;
        for (int j = 0; j < n; j++) {
            before |= j < i && same_layer(heads[i], heads[j]);
            want += same_layer(heads[i], heads[j]);
        }
        if (before)
            continue;
        int64_t *other = others_of(&n_other, m, heads[i], heads, n, &r, e);
        if (!other)
            return ERR_RESOURCE;
        for (int j = i, k = 0; j < n && want <= n_other; j++)
            if (same_layer(heads[i], heads[j]))
                out[j] = (head_id){heads[j].kind, heads[j].layer, (int)other[k++]};
        free(other);
        if (want > n_other) {
            err_set(e, ERR_USAGE, "layer %d has %d other head%s, and %d random one%s are wanted to match", heads[i].layer,
                    n_other, n_other == 1 ? "" : "s", want, want == 1 ? "" : "s");
            return err_hint(e, "name fewer heads of a layer, or leave the comparison out with --random 0");
        }
    }
    return 0;
}
