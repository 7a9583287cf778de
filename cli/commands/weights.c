/* weights: what the weights alone say of the heads. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "base/mem.h"
#include "cli/experiment.h"
#include "cli/json_line.h"
#include "cli/metric_select.h"
#include "cli/output.h"

enum { N_KIND = ATTN_VISION + 1 };

/* A metric on one kind of attention. */
typedef struct unit { const metric *m; attn_kind kind; } unit;

typedef struct job {
    session *s;
    const command_args *a;
    loaded_model *lm;
    metric_choice metrics;
    unit *units;
    int64_t n_unit;
    int64_t run;
} job;

static const param *const *extra(void)
{
    static const param *tables[4];
    tables[0] = precision_params;
    tables[1] = config_params;
    tables[2] = metric_weights_params();
    return tables;
}

static char *settings_json(const job *j, err *e)
{
    strbuf b = {0};
    json_line_begin(&b, NULL);
    metric_put_settings(&b, &j->metrics, j->a->p);
    strbuf_putc(&b, '}');
    return strbuf_take(&b, e);
}

static int prepare(job *j, err *e)
{
    int rc = metric_choose_weights(&j->metrics, params_str(j->a->p, "metrics"), e);
    if (!rc)
        rc = metric_check_params(&j->metrics, j->a->p, e);
    if (!rc)
        rc = choose_model(j->s, j->a, true, &j->lm, e);
    if (!rc)
        rc = metric_fit(&j->metrics, j->lm->m, e);
    if (rc)
        return rc;
    if (j->metrics.n == 0) {
        err_set(e, ERR_USAGE, "no metric of weights makes sense for %s", j->lm->m->name);
        return err_hint(e, "`list metrics` says what each needs");
    }
    j->units = mem_array((size_t)j->metrics.n * N_KIND, sizeof *j->units, e);
    if (!j->units)
        return ERR_RESOURCE;
    for (int i = 0; i < j->metrics.n; i++)
        for (int kind = 0; kind < N_KIND; kind++)
            if (metric_weighs(j->metrics.list[i], j->lm->m, (attn_kind)kind))
                j->units[j->n_unit++] = (unit){j->metrics.list[i], (attn_kind)kind};
    if (j->metrics.left.len)
        say_once(j->s, "not measured, as it makes no sense for %s: %s", j->lm->m->name, strbuf_str(&j->metrics.left));
    return 0;
}

static int measure(void *ud, experiment *x, int64_t i, err *e)
{
    const job *j = ud;
    const unit *u = &j->units[i];
    metric_ctx c = {.m = u->m, .p = j->a->p, .n_layer = model_stack(j->lm->m, u->kind)->n_layer, .kind = u->kind,
                    .model = j->lm->m, .run = j->lm->rt, .tok = j->lm->tok, .placeholder = -1};
    int rc = experiment_nothing(x, u->m->name, e);
    if (!rc && u->m->prepare)
        rc = u->m->prepare(&c, e);
    if (!rc)
        rc = u->m->weights(&c, experiment_sink(x), experiment_progress(x), e);
    if (c.shared && u->m->release)
        u->m->release(&c);
    return rc;
}

/* The strongest of a metric: of pairs both heads are named, of spectra the largest value of each head; a metric of layers
 * has layers in place of heads. */
static int add_rows(table *t, const job *j, store *st, const metric *m, int64_t most, err *e)
{
    bool spectrum = m->axis == AXIS_RANK && most > 0;
    const cell bind[] = {cell_int(j->run), cell_text(m->name), cell_int(most > 0 ? most : INT64_MAX),
                         cell_index(spectrum ? 0 : NO_INDEX)};
    table *rows = NULL;
    int rc = store_query(st, &rows, "SELECT kind, ifnull(head_name, 'L' || layer), position, value FROM value_list WHERE"
                         " run = ?1 AND metric = ?2"
                         " AND (?4 IS NULL OR position IS NULL OR position = ?4)"
                         " ORDER BY value DESC, kind, layer, head, position LIMIT ?3", bind, 4, e);
    for (int64_t i = 0; !rc && i < rows->n_row; i++) {
        cell *row = table_row(t, e);
        const cell *position = table_cell(rows, i, 2);
        const char *head = cell_string(table_cell(rows, i, 1));
        head_text other;
        head_id site;
        if (!row)
            rc = ERR_RESOURCE;
        if (!rc)
            rc = table_text(t, &row[0], m->name, strlen(m->name), e);
        if (!rc)
            rc = table_text(t, &row[1], head, strlen(head), e);
        if (!rc && m->axis == AXIS_HEAD && position->kind == CELL_INT && head_parse(&site, head)) {
            head_format(other, head_of_index(j->lm->m, site.kind, position->u.i));
            rc = table_text(t, &row[2], other, strlen(other), e);
        } else if (!rc) {
            row[3] = *position;
        }
        if (!rc)
            row[4] = *table_cell(rows, i, 3);
    }
    table_free(rows);
    return rc;
}

static int report(const job *j, err *e)
{
    static const char *const columns[] = {"metric", "head", "reads", "rank", "value"};
    store *st;
    table *t = NULL;
    strbuf how = {0};
    int rc = session_store(j->s, &st, e);
    if (!rc)
        rc = table_new(&t, 5, columns, e);
    for (int i = 0; i < j->metrics.n && !rc; i++)
        rc = add_rows(t, j, st, j->metrics.list[i], params_int(j->a->p, "n"), e);
    if (!rc)
        rc = experiment_conditions(&how, st, j->run, e);
    if (!rc)
        say(j->s, "run %" PRId64 ": %s", j->run, strbuf_str(&how));
    if (!rc && table_column_empty(t, 2))
        say(j->s, "the highest values of each metric");
    else if (!rc)
        say(j->s, "the highest values of each metric; `reads`: the earlier head, whose output it takes in");
    if (!rc)
        rc = print_table(j->s, j->a, t, "attnscope.weights/1", e);
    strbuf_free(&how);
    table_free(t);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    job j = {.s = s, .a = a};
    char *settings = NULL;
    int rc = prepare(&j, e);
    if (!rc) {
        settings = settings_json(&j, e);
        rc = settings ? 0 : ERR_RESOURCE;
    }
    if (!rc) {
        const experiment_plan plan = {.s = s, .a = a, .lm = j.lm, .settings = settings, .seed = NO_INDEX, .n_unit = j.n_unit,
                                      .unit = measure, .ud = &j, .what = "metric"};
        rc = experiment_run(&plan, &j.run, e);
    }
    if (!rc)
        rc = report(&j, e);
    free(settings);
    free(j.units);
    strbuf_free(&j.metrics.left);
    return rc;
}

static const param own[] = {
    {.name = "metrics", .kind = PARAM_LIST, .value = "LIST", .complete = "metrics",
     .help = "which of the metrics of weights; all when none is named"},
    {.name = "n", .kind = PARAM_INT, .def = "10", .value = "N", .max = 1e15,
     .help = "how many values of each metric are shown, the highest; 0: all"},
    {.name = "resume", .kind = PARAM_INT, .value = "RUN", .min = 1, .max = 9e15,
     .help = "go on with a run that was stopped: the same command, its store, only what is missing"},
    {.name = "dry-run", .kind = PARAM_BOOL, .help = "only tell what it will take, by trying a few metrics: nothing is stored"},
    {.name = NULL},
};
static const char *const examples[] = {
    "weights examples/models/lantern-3m", "composition, copying and spectra of all heads",
    "weights examples/models/lantern-3m --metrics composition_k --n 5 --store heads.db",
    "the five pairs of heads that compose most through keys",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_weights = {
    .name = "weights", .group = "measure", .usage = "[MODEL]",
    .summary = "measure the heads by their weights alone",
    .help = "Metrics that need no prompt: how heads compose with heads of earlier layers, how much they copy, and the "
            "spectra of what they compare and write. Each metric is a unit of the run, so that a long one can be stopped "
            "and resumed. The table shows the highest values; the store holds all (`top`, `sql`, `export`). "
            "By default norms are folded into the weights as TransformerLens does when it loads a model; options of the "
            "metrics turn that off. Products of pairs of heads are formed in the precision of the run (--precision).",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
