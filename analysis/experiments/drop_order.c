#include "analysis/experiments/drop_order.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "base/mem.h"

const char *const drop_what_names[] = {"attention", "mlp", "block", "both", NULL};
static const char *const metric_names[] = {"attention_similarity", "mlp_similarity", "block_similarity"};

/* Similarities of one part of each layer, over the texts so far. */
typedef struct sums { drop_what part; double *sum; int64_t *n; } sums; /* [n_layer] */

typedef struct gathering {
    const model *m;
    sums part[2];
    int n_part;
    params *p;
    const metric *metric[2];
} gathering;

static int take_value(void *ud, const result_value *v, err *e)
{
    gathering *g = ud;
    (void)e;
    for (int i = 0; i < g->n_part; i++)
        if (v->kind == g->m->main->kind && !strcmp(v->metric, metric_names[g->part[i].part])) {
            g->part[i].sum[v->layer] += v->value;
            g->part[i].n[v->layer]++;
        }
    return 0;
}

static void gathering_free(gathering *g)
{
    for (int i = 0; i < 2; i++) {
        free(g->part[i].sum);
        free(g->part[i].n);
    }
    params_free(g->p);
}

static int gathering_new(gathering *g, const model *m, drop_what what, err *e)
{
    size_t n = (size_t)m->main->n_layer;
    *g = (gathering){.m = m, .n_part = what == DROP_BOTH ? 2 : 1};
    int rc = params_new(&g->p, e);
    for (int i = 0; i < g->n_part && !rc; i++) {
        sums *s = &g->part[i];
        s->part = what == DROP_BOTH ? (i ? DROP_MLP : DROP_ATTENTION) : what;
        s->sum = mem_array(n, sizeof *s->sum, e);
        s->n = s->sum ? mem_array(n, sizeof *s->n, e) : NULL;
        g->metric[i] = metric_find(metric_names[s->part]);
        rc = s->n ? 0 : ERR_RESOURCE;
        if (!rc && g->metric[i]->params)
            rc = params_use(g->p, g->metric[i]->params, e);
    }
    return rc;
}

static int measure(gathering *g, runtime *r, const drop_texts *texts, const progress *p, err *e)
{
    const analysis_request req = {.metrics = g->metric, .n_metric = g->n_part, .p = g->p};
    const result_sink sink = {.value = take_value, .ud = g};
    int rc = 0;
    for (int i = 0; i < g->n_part; i++) {
        memset(g->part[i].sum, 0, (size_t)g->m->main->n_layer * sizeof *g->part[i].sum);
        memset(g->part[i].n, 0, (size_t)g->m->main->n_layer * sizeof *g->part[i].n);
    }
    for (int64_t i = 0; i < texts->n && !rc; i++) {
        const model_input *in;
        progress_step(p, "similarity of layers", (double)i, (double)texts->n);
        if ((rc = texts->get(texts->ud, i, &in, e)))
            break;
        rc = analyse(r, g->m, in, &req, &sink, NULL, e);
        texts->done(texts->ud);
    }
    return rc;
}

static bool is_dropped(const dropped *order, int n, int layer, drop_what part)
{
    for (int i = 0; i < n; i++)
        if (order[i].layer == layer && order[i].part == part)
            return true;
    return false;
}

/* The most similar that is not in order [n]; false: none is left. */
static bool most_similar(dropped *out, const gathering *g, const dropped *order, int n)
{
    bool any = false;
    for (int l = 0; l < g->m->main->n_run; l++)
        for (int i = 0; i < g->n_part; i++) {
            const sums *s = &g->part[i];
            if (s->n[l] == 0 || is_dropped(order, n, l, s->part))
                continue;
            double mean = s->sum[l] / (double)s->n[l];
            if (!any || mean > out->similarity)
                *out = (dropped){l, s->part, mean};
            any = true;
        }
    return any;
}

int drop_order(dropped **out, int *n, runtime *r, const model *m, const drop_texts *texts, drop_what what, int most,
               bool iterative, const progress *p, err *e)
{
    gathering g;
    edit_plan *plan = NULL;
    dropped *order = mem_array((size_t)most + 1, sizeof *order, e);
    int got = 0, rc = order ? gathering_new(&g, m, what, e) : ERR_RESOURCE;
    if (!order)
        return rc;
    if (!rc)
        rc = edit_plan_new(&plan, m, e);
    while (!rc && got < most) {
        if (got == 0 || iterative) {
            edit_plan_clear(plan);
            rc = drop_plan(plan, m, order, got, e);
            runtime_set_edits(r, edit_plan_edits(plan));
            rc = rc ? rc : measure(&g, r, texts, p, e);
        }
        if (rc || !most_similar(&order[got], &g, order, got))
            break;
        got++;
    }
    runtime_set_edits(r, NULL);
    edit_plan_free(plan);
    gathering_free(&g);
    if (rc) {
        free(order);
        return rc;
    }
    *out = order;
    *n = got;
    return 0;
}

int drop_plan(edit_plan *plan, const model *m, const dropped *order, int n, err *e)
{
    static const char *const names[] = {"drop_attention", "drop_mlp", "drop_block"};
    int rc = 0;
    for (int part = DROP_ATTENTION; part <= DROP_BLOCK && !rc; part++) {
        head_id *layers = mem_array((size_t)n, sizeof *layers, e);
        int k = 0;
        if (!layers)
            return ERR_RESOURCE;
        for (int i = 0; i < n; i++)
            if ((int)order[i].part == part)
                layers[k++] = (head_id){m->main->kind, order[i].layer, NO_INDEX};
        rc = k ? edit_plan_add(plan, edit_find(names[part]), layers, k, NULL, NULL, e) : 0;
        free(layers);
    }
    return rc;
}
