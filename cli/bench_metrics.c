/* bench metrics: what each metric adds to a run, on the user's own machine and model. */
#include "cli/bench.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/census_set.h"
#include "cli/metric_select.h"
#include "cli/output.h"

typedef struct bench {
    session *s;
    const command_args *a;
    loaded_model *lm;
    int32_t *ids;
    int64_t n;
    double elements;      /* query-key pairs that are visible, over all heads and layers */
    double plain;         /* seconds without a metric */
    table *t;
    int64_t repeat;
    int n_done, n_all;
} bench;

static int run_once(bench *b, const metric *const *list, int n_list, double *seconds, err *e)
{
    const model_input in = {.ids = b->ids, .n = b->n};
    const analysis_request req = {.metrics = list, .n_metric = n_list, .p = b->a->p, .tok = b->lm->tok};
    double start = clock_seconds();
    int rc = n_list ? analyse(b->lm->rt, b->lm->m, &in, &req, &bench_no_results, NULL, e)
                    : forward(b->lm->rt, &in, NULL, NULL, e);
    *seconds = clock_seconds() - start;
    return rc;
}

/* The best of some runs with the metrics, each right behind one without: the machine may change its pace. */
static int measure(bench *b, const char *name, const metric *const *list, int n_list, err *e)
{
    double best = 0, plain = 0;
    for (int64_t i = 0; i < b->repeat; i++) {
        double with, without;
        progress_step(&b->s->prog, "metric", b->n_done + (double)i / (double)b->repeat, b->n_all);
        int rc = run_once(b, NULL, 0, &without, e);
        if (!rc)
            rc = run_once(b, list, n_list, &with, e);
        if (!rc)
            rc = cancel_check(e);
        if (rc)
            return rc;
        best = i == 0 || with < best ? with : best;
        plain = i == 0 || without < plain ? without : plain;
    }
    b->n_done++;
    cell *row = table_row(b->t, e);
    if (!row)
        return ERR_RESOURCE;
    row[1] = cell_real(best);
    row[2] = cell_real(plain);
    row[3] = cell_real(best / plain);
    row[4] = cell_real((best - plain) / b->elements * 1e9);
    return table_text(b->t, &row[0], name, strlen(name), e);
}

static void make_ids(bench *b)
{
    rng r;
    int64_t vocab = b->lm->m->main->embed.tokens.n_out, half = (b->n + 1) / 2;
    rng_seed(&r, 0, 0);
    for (int64_t i = 0; i < b->n; i++)
        b->ids[i] = i < half ? (int32_t)rng_below(&r, vocab) : b->ids[i - half];
}

static double count_elements(const bench *b)
{
    const model *m = b->lm->m;
    double pairs = 0;
    for (int l = 0; l < m->main->n_layer; l++) {
        const attention_block *k = model_attention(m, m->main->kind, l);
        double n = (double)b->n, w = k && k->plan.window > 0 && (double)k->plan.window < n ? (double)k->plan.window : n;
        double before = w * n - w * (w - 1) / 2; /* pairs with 0 <= query - key < w */
        if (k)
            pairs += k->plan.n_head * (k->plan.causal ? before : 2 * before - n);
    }
    return pairs;
}

static int named(bench *b, const char *name, const char *names, err *e)
{
    metric_choice c = {0};
    int rc = metric_choose(&c, names, e);
    c.named = false;
    if (!rc)
        rc = metric_fit(&c, b->lm->m, e);
    if (!rc)
        rc = metric_need(&c, b->a->p, b->lm->tok, e);
    if (!rc)
        rc = measure(b, name, c.list, c.n, e);
    strbuf_free(&c.left);
    return rc;
}

/* Does the metric take this prompt with the parameters as they are?  One that needs a span or a pattern does not. */
static bool takes(const bench *b, const metric *one)
{
    const model_input in = {.ids = b->ids, .n = b->n};
    const analysis_request req = {.metrics = &one, .n_metric = 1, .p = b->a->p, .tok = b->lm->tok};
    return analyse_check(b->lm->rt, b->lm->m, &in, &req, NULL) == 0;
}

static int measure_all(bench *b, err *e)
{
    metric_choice c = {0};
    int rc = metric_choose(&c, params_str(b->a->p, "metrics") ? params_str(b->a->p, "metrics") : "all", e);
    if (!rc)
        rc = metric_fit(&c, b->lm->m, e);
    if (!rc)
        rc = metric_need(&c, b->a->p, b->lm->tok, e);
    b->n_all = c.n + 2;
    if (!rc)
        rc = named(b, "(the defaults of run)", metric_defaults, e);
    if (!rc)
        rc = named(b, "(those of census)", census_metrics, e);
    for (int i = 0; i < c.n && !rc; i++)
        if (takes(b, c.list[i]))
            rc = measure(b, c.list[i]->name, &c.list[i], 1, e);
        else
            say(b->s, "left out, as it needs parameters of its own: %s", c.list[i]->name);
    strbuf_free(&c.left);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    static const char *const columns[] = {"metrics", "seconds", "plain", "ratio", "per_element"};
    bench b = {.s = s, .a = a, .n = params_int(a->p, "length"), .repeat = params_int(a->p, "repeat")};
    int rc = bench_model(s, a, &b.lm, e);
    if (!rc && b.n > b.lm->m->main->context)
        b.n = b.lm->m->main->context;
    if (!rc && !(b.ids = mem_array((size_t)b.n, sizeof *b.ids, e)))
        rc = ERR_RESOURCE;
    if (!rc)
        rc = table_new(&b.t, 5, columns, e);
    if (!rc) {
        make_ids(&b);
        b.elements = count_elements(&b);
        rc = measure_all(&b, e);
    }
    if (!rc && (!(rc = table_set_unit(b.t, 1, "s", e))) && !(rc = table_set_unit(b.t, 2, "s", e)))
        rc = table_set_unit(b.t, 4, "ns", e);
    if (!rc)
        rc = print_table(s, a, b.t, "attnscope.bench_metrics/1", e);
    if (!rc)
        say(s, "%s, %" PRId64 " tokens, %d thread%s, %.3g attention weights; the best of %" PRId64 " runs, each beside one"
            " without metrics", b.lm->m->name, b.n, runtime_threads(b.lm->rt), runtime_threads(b.lm->rt) == 1 ? "" : "s",
            b.elements, b.repeat);
    table_free(b.t);
    free(b.ids);
    return rc;
}

static const char *const options[] = {"metrics", "length", "repeat", "*", NULL};
const bench_form bench_metrics = {"metrics", true, options, run};
