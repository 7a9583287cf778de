/* bench run: tokens a second of a model, prompts with and without statistics and decoding behind them. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "analysis/analyse.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "cli/command_util.h"
#include "cli/metric_select.h"
#include "cli/number_list.h"

typedef struct bench_job {
    session *s;
    const command_args *a;
    loaded_model *lm;
    metric_choice metrics;
    int32_t *ids;
    int64_t n, n_new;
    int64_t done, all;
    table *t;
} bench_job;

static int prompt_plain(bench_job *j, double *seconds, err *e)
{
    const model_input in = {.ids = j->ids, .n = j->n};
    const double start = clock_seconds();
    int rc = forward(j->lm->rt, &in, NULL, NULL, e);
    *seconds = clock_seconds() - start;
    return rc;
}

static int prompt_measured(bench_job *j, double *seconds, err *e)
{
    const model_input in = {.ids = j->ids, .n = j->n};
    const analysis_request req = {.metrics = j->metrics.list, .n_metric = j->metrics.n, .p = j->a->p, .tok = j->lm->tok};
    const double start = clock_seconds();
    int rc = analyse(j->lm->rt, j->lm->m, &in, &req, &bench_no_results, NULL, e);
    *seconds = clock_seconds() - start;
    return rc;
}

/* n_new tokens, one after the other, behind n that are in the cache. */
static int decode(bench_job *j, double *seconds, err *e)
{
    const float *logits;
    decoder *d;
    int rc = decoder_new(&d, j->lm->rt, NULL, j->n + j->n_new, e);
    if (rc)
        return rc;
    rc = decoder_feed(d, j->ids, j->n, &logits, NULL, e);
    const double start = clock_seconds();
    for (int64_t i = 0; i < j->n_new && !rc; i++)
        rc = decoder_feed(d, j->ids + i, 1, &logits, NULL, e);
    *seconds = clock_seconds() - start;
    decoder_free(d);
    return rc;
}

/* Most memory that the process has held so far, the pages of the mapped model that it touched included. */
static int64_t peak_bytes(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (int64_t)u.ru_maxrss * 1024;
}

static int measure(bench_job *j, const char *phase, int64_t n_token, int (*once)(bench_job *, double *, err *), err *e)
{
    double best = 0;
    for (int64_t i = 0; i < params_int(j->a->p, "repeat"); i++) {
        double seconds = 0;
        int rc = once(j, &seconds, e);
        if (!rc)
            rc = cancel_check(e);
        if (rc)
            return rc;
        best = i == 0 || seconds < best ? seconds : best;
    }
    progress_step(&j->s->prog, "phase", (double)++j->done, (double)j->all);
    cell *row = table_row(j->t, e);
    if (!row)
        return ERR_RESOURCE;
    row[1] = cell_int(j->n);
    row[2] = cell_int(n_token);
    row[3] = cell_real(best);
    row[4] = cell_real((double)n_token / best);
    row[5] = cell_int(peak_bytes());
    return table_text(j->t, &row[0], phase, strlen(phase), e);
}

static int measure_lengths(bench_job *j, const double *lengths, int64_t n, err *e)
{
    const bool decodes = j->lm->m->main->kind == ATTN_SELF && j->n_new > 0;
    int rc = 0;
    j->all = n * (decodes ? 3 : 2);
    for (int64_t i = 0; i < n && !rc; i++) {
        j->n = (int64_t)lengths[i];
        rc = measure(j, "prompt", j->n, prompt_plain, e);
        if (!rc)
            rc = measure(j, "prompt, measured", j->n, prompt_measured, e);
        if (!rc && decodes)
            rc = measure(j, "decoding", j->n_new, decode, e);
    }
    return rc;
}

static int prepare(bench_job *j, const double *lengths, int64_t n, err *e)
{
    static const char *const columns[] = {"phase", "length", "tokens", "seconds", "tokens_per_second", "memory"};
    const char *names = params_str(j->a->p, "metrics");
    int64_t most = j->n_new;
    rng r;
    for (int64_t i = 0; i < n; i++)
        most = (int64_t)lengths[i] > most ? (int64_t)lengths[i] : most;
    if (most + j->n_new > j->lm->m->main->context) {
        err_set(e, ERR_USAGE, "%lld tokens are more than the context of %s holds (%lld)", (long long)(most + j->n_new),
                j->lm->m->name, (long long)j->lm->m->main->context);
        return err_hint(e, "shorter --lengths, or fewer --new-tokens");
    }
    int rc = metric_choose(&j->metrics, names ? names : "entropy", e);
    if (!rc)
        rc = metric_fit(&j->metrics, j->lm->m, e);
    if (!rc)
        rc = metric_need(&j->metrics, j->a->p, j->lm->tok, e);
    if (!rc && !(j->ids = mem_array((size_t)most, sizeof *j->ids, e)))
        rc = ERR_RESOURCE;
    rng_seed(&r, 0, 0);
    for (int64_t i = 0; !rc && i < most; i++)
        j->ids[i] = (int32_t)rng_below(&r, j->lm->m->main->embed.tokens.n_out);
    if (!rc)
        rc = table_new(&j->t, sizeof columns / sizeof *columns, columns, e);
    if (!rc && !(rc = table_set_unit(j->t, 3, "s", e)))
        rc = table_set_unit(j->t, 5, "bytes", e);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    bench_job j = {.s = s, .a = a, .n_new = params_int(a->p, "new-tokens")};
    const char *text = params_str(a->p, "lengths");
    double *lengths = NULL;
    int64_t n = 0;
    int rc = number_list_parse(&lengths, &n, text ? text : "512", 1, 1e7, "--lengths", e);
    if (!rc)
        rc = bench_model(s, a, &j.lm, e);
    if (!rc)
        rc = prepare(&j, lengths, n, e);
    if (!rc)
        rc = measure_lengths(&j, lengths, n, e);
    if (!rc)
        rc = print_table(s, a, j.t, "attnscope.bench_run/1", e);
    if (!rc)
        say(s, "%s, %d thread%s; memory: the most so far, the model's file included", j.lm->m->name,
            runtime_threads(j.lm->rt), runtime_threads(j.lm->rt) == 1 ? "" : "s");
    strbuf_free(&j.metrics.left);
    table_free(j.t);
    free(j.ids);
    free(lengths);
    return rc;
}

static const char *const options[] = {"metrics", "repeat", "lengths", "new-tokens", NULL};
const bench_form bench_run = {"run", true, options, run};
