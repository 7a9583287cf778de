/* track: the same prompts and metrics through many checkpoints. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "base/mem.h"
#include "cli/builtin_prompts.h"
#include "cli/experiment.h"
#include "cli/json_line.h"
#include "cli/metric_select.h"
#include "cli/model_card.h"
#include "cli/output.h"
#include "cli/second_model.h"

typedef struct job {
    session *s;
    const command_args *a;
    loaded_model *first;       /* of the session: the one that prompts are read with */
    loaded_model *other;       /* the checkpoint at hand, NULL: the first */
    int at;                    /* its number */
    metric_choice metrics;
    prompt_request *request;
    int64_t n_request;
    prompt_rules rules;
    char *settings;
    int64_t run;
} job;

static const param *const *extra(void)
{
    static const param *tables[9];
    tables[0] = prompt_params;
    tables[1] = prompts_params;
    tables[2] = builtin_params;
    tables[3] = precision_params;
    tables[4] = config_params;
    tables[5] = tokenizer_params;
    tables[6] = experiment_params;
    tables[7] = metric_choice_params();
    return tables;
}

static analysis_request request_of(const job *j)
{
    return (analysis_request){.metrics = j->metrics.list, .n_metric = j->metrics.n, .p = j->a->p, .tok = j->first->tok};
}

static int make_input(prompt_input *in, const job *j, int64_t i, err *e)
{
    const prompt_request *q = &j->request[i];
    int rc = prompt_make(in, j->first, q, &j->rules, e);
    if (rc && q->where[0])
        err_prefix(e, "%s", q->where);
    return rc;
}

/* The checkpoint of this number, with its runtime: one beside the first at a time. */
static int turn_to(job *j, int number, const loaded_model **out, err *e)
{
    if (number && number != j->at) {
        loaded_model_free(j->other);
        j->other = NULL;
        j->at = 0;
        int rc = second_model_open(&j->other, j->s, j->a, j->a->word[number], params_str(j->a->p, "quantize"), j->first, e);
        if (rc)
            return rc;
        j->at = number;
    }
    *out = number ? j->other : j->first;
    return 0;
}

static int put_settings(job *j, strbuf *checkpoints, err *e)
{
    const params *p = j->a->p;
    strbuf b = {0};
    json_line_begin(&b, NULL);
    json_line_key(&b, "checkpoints");
    strbuf_printf(&b, "[%s]", strbuf_str(checkpoints));
    metric_put_settings(&b, &j->metrics, p);
    json_line_int(&b, "prompts", j->n_request);
    json_line_text(&b, "file", params_str(p, "prompts"));
    json_line_bool(&b, "special", j->rules.special);
    if (j->rules.truncate)
        json_line_int(&b, "truncate", j->rules.truncate);
    strbuf_putc(&b, '}');
    j->settings = strbuf_take(&b, e);
    return j->settings ? 0 : ERR_RESOURCE;
}

/* Every checkpoint is opened once before the store is touched: shapes, tokens, parameters of metrics. */
static int check_all(job *j, err *e)
{
    const analysis_request req = request_of(j);
    strbuf list = {0};
    int rc = 0;
    for (int c = 0; c < j->a->n && !rc; c++) {
        const loaded_model *lm;
        model_card card = {0};
        rc = turn_to(j, c, &lm, e);
        for (int64_t i = 0; i < j->n_request && !rc; i++) {
            prompt_input in;
            if ((rc = make_input(&in, j, i, e)))
                break;
            if (c)
                rc = second_model_tokens(lm, j->first, &j->request[i], &j->rules, &in, e);
            if (!rc)
                rc = analyse_check(lm->rt, lm->m, &in.in, &req, e);
            prompt_free(&in);
        }
        if (!rc)
            rc = model_card_make(&card, lm, true, &j->s->prog, e);
        if (!rc) {
            strbuf_puts(&list, c ? "," : "");
            json_line_begin(&list, NULL);
            json_line_text(&list, "path", j->a->word[c]);
            json_line_text(&list, "sha256", card.weights);
            json_line_text(&list, "dtype", card.dtype);
            strbuf_putc(&list, '}');
        }
        model_card_free(&card);
    }
    if (!rc)
        rc = put_settings(j, &list, e);
    strbuf_free(&list);
    return rc;
}

static int prepare(job *j, err *e)
{
    const params *p = j->a->p;
    int rc = metric_choose(&j->metrics, params_str(p, "metrics"), e);
    j->rules = comparing_rules(p);
    if (!rc)
        rc = metric_check_params(&j->metrics, p, e);
    if (!rc)
        rc = choose_model(j->s, j->a, true, &j->first, e);
    if (!rc)
        rc = metric_fit(&j->metrics, j->first->m, e);
    if (!rc)
        rc = metric_need(&j->metrics, p, j->first->tok, e);
    if (!rc)
        rc = prompt_requests_chosen(&j->request, &j->n_request, p, true, e);
    return rc ? rc : check_all(j, e);
}

/* Units: the prompts of the first checkpoint, those of the second, ... */
static int unit(void *ud, experiment *x, int64_t i, err *e)
{
    job *j = ud;
    int number = (int)(i / j->n_request);
    const analysis_request req = request_of(j);
    const char *name = j->a->word[number];
    const loaded_model *lm;
    prompt_input in;
    int rc = turn_to(j, number, &lm, e);
    if (!rc)
        rc = make_input(&in, j, i % j->n_request, e);
    if (rc)
        return rc;
    rc = experiment_prompt(x, &in, NULL, e);
    if (!rc)
        rc = experiment_fact(x, "checkpoint", name, strlen(name), e);
    if (!rc)
        rc = analyse(lm->rt, lm->m, &in.in, &req, experiment_sink(x), experiment_progress(x), e);
    prompt_free(&in);
    return rc;
}

/* ---- the table ---- */

enum { COL_NUMBER, COL_CHECKPOINT, COL_METRIC, COL_PLACE, COL_POSITION, COL_N, COL_MEAN, COL_SD, COL_LOW, COL_HIGH, COLS };
static const char *const columns[] = {"number", "checkpoint", "metric", "place", "position", "n", "mean", "sd", "low", "high"};

static int put_row(table *t, const job *j, int number, const char *measure, const char *place, int64_t position,
                   const stats *st, err *e)
{
    cell *row = table_row(t, e);
    const char *name = j->a->word[number];
    if (!row)
        return ERR_RESOURCE;
    row[COL_NUMBER] = cell_int(number);
    row[COL_POSITION] = cell_index(position);
    stats_cells(row, COL_N, st);
    int rc = table_text(t, &row[COL_CHECKPOINT], name, strlen(name), e);
    if (!rc)
        rc = table_text(t, &row[COL_METRIC], measure, strlen(measure), e);
    if (!rc && place)
        rc = table_text(t, &row[COL_PLACE], place, strlen(place), e);
    return rc;
}

/* A metric of a checkpoint as one number a prompt: the mean over heads (and tokens).  Values of few key positions, as of
 * `sink`, stay apart. */
static int put_means(table *t, const job *j, store *st, int number, const metric *m, err *e)
{
    const cell bind[] = {cell_int(j->run), cell_text(m->name), cell_int(number * j->n_request),
                         cell_int((number + 1) * j->n_request), cell_int(m->axis == AXIS_KEY ? 8 : 0)};
    table *rows = NULL;
    stats s;
    int rc = store_query(st, &rows,
        "WITH v AS (SELECT prompt, value, CASE WHEN (SELECT count(DISTINCT position) FROM value_summary WHERE run = ?1 AND"
        "  metric = ?2) <= ?5 THEN position END AS position FROM value_list WHERE run = ?1 AND metric = ?2 AND prompt >= ?3"
        "  AND prompt < ?4)"
        " SELECT position, prompt, avg(value) FROM v GROUP BY position, prompt ORDER BY position, prompt", bind, 5, e);
    double *x = rc ? NULL : mem_array((size_t)rows->n_row + 1, sizeof *x, e);
    if (!rc && !x)
        rc = ERR_RESOURCE;
    for (int64_t i = 0, end; !rc && i < rows->n_row; i = end) {
        const cell *at = table_cell(rows, i, 0);
        int64_t position = at->kind == CELL_INT ? at->u.i : NO_INDEX;
        for (end = i; end < rows->n_row; end++) {
            const cell *next = table_cell(rows, end, 0);
            if ((next->kind == CELL_INT ? next->u.i : NO_INDEX) != position)
                break;
            x[end - i] = cell_number(table_cell(rows, end, 2));
        }
        rc = stats_of(&s, x, end - i, (uint64_t)params_int(j->a->p, "seed"), e);
        if (!rc)
            rc = put_row(t, j, number, m->name, NULL, position, &s, e);
    }
    free(x);
    table_free(rows);
    return rc;
}

static int put_heads(table *t, const job *j, store *st, int number, const metric *m, err *e)
{
    char units[96];
    value_groups g;
    snprintf(units, sizeof units, "prompt >= %" PRId64 " AND prompt < %" PRId64, number * j->n_request,
             (number + 1) * j->n_request);
    int rc = experiment_groups(&g, st, j->run, m->name, units, NULL, (uint64_t)params_int(j->a->p, "seed"), e);
    for (int64_t i = 0; i < g.n && !rc; i++) {
        head_text name = "";
        if (g.g[i].head.head != NO_INDEX)
            head_format(name, g.g[i].head);
        else if (g.g[i].head.layer != NO_INDEX)
            snprintf(name, sizeof name, "L%d", g.g[i].head.layer);
        rc = put_row(t, j, number, m->name, name[0] ? name : NULL, g.g[i].position, &g.g[i].st, e);
    }
    free(g.g);
    return rc;
}

/* For people: without columns that hold nothing, or say again what another one says. */
static int narrow(table *t, err *e)
{
    int use[COLS], n = 0;
    for (int c = 0; c < COLS; c++)
        if (c != COL_NUMBER && !((c == COL_PLACE || c == COL_POSITION) && table_column_empty(t, c)))
            use[n++] = c;
    return table_keep(t, use, NULL, n, e);
}

static int print(const job *j, err *e)
{
    bool people = command_format(j->s, j->a) == FORMAT_TABLE, heads = params_bool(j->a->p, "heads");
    store *st;
    table *t = NULL;
    strbuf b = {0};
    int rc = session_store(j->s, &st, e);
    if (!rc)
        rc = table_new(&t, COLS, columns, e);
    for (int i = 0; i < j->metrics.n && !rc; i++)
        for (int c = 0; c < j->a->n && !rc; c++)
            rc = heads ? put_heads(t, j, st, c, j->metrics.list[i], e) : put_means(t, j, st, c, j->metrics.list[i], e);
    if (!rc && people) {
        strbuf_printf(&b, "run %" PRId64 ": %d checkpoints, %" PRId64 " prompt%s each; ", j->run, j->a->n, j->n_request,
                      j->n_request == 1 ? "" : "s");
        rc = experiment_conditions(&b, st, j->run, e);
        strbuf_printf(&b, "\n%s\n", heads ? "values over the prompts" : "mean over heads and tokens of each prompt, then over"
                                                                        " the prompts");
    }
    if (!rc && people)
        rc = output_prose(j->s, &b, e);
    if (!rc && people)
        rc = narrow(t, e);
    if (!rc)
        rc = print_table(j->s, j->a, t, "attnscope.track/1", e);
    strbuf_free(&b);
    table_free(t);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    job j = {.s = s, .a = a};
    int rc = prepare(&j, e);
    if (!rc) {
        const experiment_plan plan = {.s = s, .a = a, .lm = j.first, .verb = "track", .settings = j.settings,
                                      .seed = params_int(a->p, "seed"), .n_unit = a->n * j.n_request, .unit = unit, .ud = &j,
                                      .what = "prompt"};
        rc = experiment_run(&plan, &j.run, e);
    }
    if (!rc)
        rc = print(&j, e);
    free(j.settings);
    strbuf_free(&j.metrics.left);
    prompt_requests_free(j.request, j.n_request);
    loaded_model_free(j.other);
    return rc;
}

static const param own[] = {
    {.name = "metrics", .kind = PARAM_LIST, .value = "LIST", .complete = "metrics",
     .help = "what is measured in each"},
    {.name = "heads", .kind = PARAM_BOOL, .help = "a row for each head and position, not their mean"},
    {.name = NULL},
};
static const char *const examples[] = {
    "track step-1000/ step-2000/ step-4000/ --prompts probe.jsonl --metrics induction,prev_token,nll --store run.db",
    "how heads come to be while a model is trained",
    "track step-1000/ step-4000/ --metrics sink --heads --csv", "every head of two of them",
    NULL,
};
static const char *const complete[] = {"models", "models", "models", NULL};

const command command_track = {
    .name = "track", .group = "measure", .usage = "MODEL MODEL ...",
    .summary = "the same prompts and metrics through many checkpoints",
    .help = "All read the same prompts (--prompts, --prompt, or the first 64 tokens of the built-in ones). A row for each"
            " checkpoint and metric: the mean over heads (and tokens, where a metric has a value for each) of a "
            "prompt, then mean, sd and bootstrap 95 % interval over the prompts; --heads: a row for each head and position. "
            "All must have the same layers, heads, vocabulary and tokenizer. One run of the store holds them all: a unit is a "
            "prompt of a checkpoint, named by its fact `checkpoint`; the run's model is the first. --quantize rounds all of "
            "them. Two checkpoints with paired differences and their maps held against each other: `compare`.",
    .examples = examples, .params = own, .min_args = 2, .max_args = -1, .complete = complete, .extra_params = extra, .run = run,
};
