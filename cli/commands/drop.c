/* drop: LLM-Drop, which layers a model can do without, and the loss without them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/experiments/drop_order.h"
#include "base/mem.h"
#include "cli/effect_table.h"
#include "cli/json_line.h"
#include "cli/output.h"

typedef struct dropping {
    session *s;
    const command_args *a;
    loaded_model *lm;
    effect_input in;
    drop_what what;
    dropped *order;       /* [n] */
    int n;
    prompt_input text;    /* at hand while the order is found */
    edit_plan *plan;
    char *settings, *edits;
    int64_t run;
} dropping;

static const param *const *extra(void)
{
    static const param *const tables[] = {prompt_params, prompts_params, builtin_params, trials_params, precision_params,
                                          config_params, tokenizer_params, experiment_params, NULL};
    return tables;
}

static int get_text(void *ud, int64_t i, const model_input **out, err *e)
{
    dropping *d = ud;
    *out = &d->text.in;
    return prompt_make(&d->text, d->lm, &d->in.request[i], &d->in.rules, e);
}

static void text_done(void *ud)
{
    dropping *d = ud;
    prompt_free(&d->text);
}

/* "L3 attention" */
static void put_dropped(strbuf *b, const dropped *x)
{
    strbuf_printf(b, "L%d %s", x->layer, drop_what_names[x->part]);
}

static int make_settings(dropping *d, err *e)
{
    const params *p = d->a->p;
    strbuf b = {0}, plan = {0};
    json_line_begin(&b, NULL);
    json_line_text(&b, "what", drop_what_names[d->what]);
    json_line_bool(&b, "iterative", params_bool(p, "iterative"));
    json_line_key(&b, "order");
    strbuf_putc(&b, '[');
    for (int i = 0; i < d->n; i++) {
        strbuf_puts(&b, i ? ",\"" : "\"");
        put_dropped(&b, &d->order[i]);
        strbuf_putc(&b, '"');
    }
    strbuf_putc(&b, ']');
    effect_input_settings(&b, &d->in, p);
    strbuf_putc(&b, '}');
    int rc = drop_plan(d->plan, d->lm->m, d->order, d->n, e);
    edit_plan_put_json(&plan, d->plan);
    d->settings = strbuf_take(&b, e);
    d->edits = strbuf_take(&plan, e);
    return rc || (d->settings && d->edits) ? rc : ERR_RESOURCE;
}

static int prepare(dropping *d, err *e)
{
    const params *p = d->a->p;
    const char *what = params_str(p, "what");
    for (d->what = DROP_ATTENTION; strcmp(what, drop_what_names[d->what]) != 0; d->what++)
        ;
    int rc = choose_model(d->s, d->a, true, &d->lm, e);
    if (!rc)
        rc = effect_input_read(&d->in, d->s, d->a, d->lm, e);
    if (!rc && d->in.n_text == 0) {
        err_set(e, ERR_USAGE, "the order of layers is found on texts, and there are only trials");
        rc = err_hint(e, "add --builtin, or texts with --prompts");
    }
    int layers = rc ? 0 : d->lm->m->main->n_run, all = d->what == DROP_BOTH ? 2 * layers : layers;
    int64_t most = params_given(p, "most") ? params_int(p, "most") : (all + 1) / 2;
    if (!rc && most > all) {
        err_set(e, ERR_USAGE, "--most %" PRId64 " is more than the %d there are", most, all);
        rc = err_hint(e, "%s has %d layers", d->lm->m->name, layers);
    }
    const drop_texts texts = {d->in.n_text, get_text, text_done, d};
    if (!rc)
        rc = drop_order(&d->order, &d->n, d->lm->rt, d->lm->m, &texts, d->what, (int)most, params_bool(p, "iterative"),
                        &d->s->prog, e);
    if (!rc)
        rc = edit_plan_new(&d->plan, d->lm->m, e);
    return rc ? rc : make_settings(d, e);
}

/* Values without the first k of the order are at position k. */
static int unit(void *ud, experiment *x, int64_t i, err *e)
{
    dropping *d = ud;
    effect_unit u;
    attn_kind kind = d->lm->m->main->kind;
    int rc = effect_unit_begin(&u, &d->in, x, i, e);
    if (!rc)
        rc = effect_unit_measure(&u, NULL, (effect_site){"", kind, NO_INDEX, NO_INDEX, NO_INDEX, false}, e);
    for (int k = 1; k <= d->n && !rc; k++) {
        effect_unit_step(&u, k, d->n + 1);
        edit_plan_clear(d->plan);
        rc = drop_plan(d->plan, d->lm->m, d->order, k, e);
        if (!rc)
            rc = effect_unit_measure(&u, d->plan, (effect_site){"_edited", kind, NO_INDEX, NO_INDEX, k, false}, e);
    }
    effect_unit_end(&u);
    return rc;
}

/* ---- what it prints ---- */

/* One row: without the first k. */
static int add_step(table *t, const dropping *d, const effect_view *v, int k, err *e)
{
    attn_kind kind = d->lm->m->main->kind;
    const dropped *x = &d->order[k ? k - 1 : 0];
    strbuf name = {0};
    cell *row = table_row(t, e);
    int rc = row ? 0 : ERR_RESOURCE;
    if (!rc && k > 0) {
        put_dropped(&name, x);
        rc = table_text(t, &row[1], strbuf_str(&name), name.len, e);
        row[2] = cell_real(x->similarity);
        row[3] = cell_real(1 - x->similarity);
    }
    if (!rc)
        row[0] = cell_int(k);
    for (int m = 0, col = 4; effect_measures[m].name && !rc; m++) {
        const measure *what = &effect_measures[m];
        series s = {0}, base = {0};
        stats own, change;
        rc = series_load(&base, v->st, v->run, what, &(condition){"", "", kind, NO_INDEX, NO_INDEX, NO_INDEX}, e);
        if (!rc && base.n && k > 0)
            rc = series_load(&s, v->st, v->run, what, &(condition){"", "_edited", kind, NO_INDEX, NO_INDEX, k}, e);
        bool there = !rc && base.n;
        if (there)
            rc = k > 0 ? stats_of(&own, s.x, s.n, v->seed, e) : stats_of(&own, base.x, base.n, v->seed, e);
        if (there && !rc && k > 0)
            rc = series_difference(&change, &s, &base, v->seed, e);
        if (there && !rc) {
            row[col] = cell_real(own.mean);
            if (k > 0)
                change_cells(&row[col + 1], &change);
            col += 4;
        }
        series_free(&s);
        series_free(&base);
    }
    strbuf_free(&name);
    return rc;
}

static int report(const dropping *d, err *e)
{
    static const char *const of_texts[] = {"nll", "nll_change", "nll_low", "nll_high", "accuracy", "accuracy_change",
                                           "accuracy_low", "accuracy_high"};
    static const char *const of_trials[] = {"recall", "recall_change", "recall_low", "recall_high", "success",
                                            "success_change", "success_low", "success_high"};
    const char *columns[20] = {"dropped", "what", "similarity", "importance"};
    int n_col = 4;
    effect_view v = {.run = d->run, .seed = (uint64_t)params_int(d->a->p, "seed")};
    table *t = NULL;
    for (int i = 0; i < 8; i++)
        columns[n_col++] = of_texts[i];
    for (int i = 0; i < 8 && d->in.trials.n; i++)
        columns[n_col++] = of_trials[i];
    int rc = session_store(d->s, &v.st, e);
    if (!rc && command_format(d->s, d->a) == FORMAT_TABLE)
        rc = effect_heading(d->s, &v, e);
    if (!rc)
        rc = table_new(&t, n_col, columns, e);
    for (int k = 0; k <= d->n && !rc; k++)
        rc = add_step(t, d, &v, k, e);
    if (!rc)
        rc = print_table(d->s, d->a, t, "attnscope.drop/1", e);
    if (!rc)
        say(d->s, "row k is the model without the first k, of highest similarity; importance is 1 - similarity%s",
            params_bool(d->a->p, "iterative") ? ", measured again after each" : "");
    table_free(t);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    dropping d = {.s = s, .a = a};
    int rc = prepare(&d, e);
    if (!rc) {
        const experiment_plan plan = {
            .s = s, .a = a, .lm = d.lm, .verb = "drop", .settings = d.settings, .edits = d.edits,
            .seed = params_int(a->p, "seed"), .n_unit = effect_units(&d.in), .unit = unit, .ud = &d, .what = "unit",
        };
        rc = experiment_run(&plan, &d.run, e);
    }
    if (!rc)
        rc = report(&d, e);
    edit_plan_free(d.plan);
    effect_input_free(&d.in);
    free(d.order);
    free(d.settings);
    free(d.edits);
    return rc;
}

static const param own[] = {
    {.name = "what", .kind = PARAM_ENUM, .def = "attention", .value = "WHAT", .choices = drop_what_names,
     .help = "what is left out: attention, MLPs, whole blocks, or attention and MLPs in one list"},
    {.name = "most", .kind = PARAM_INT, .value = "K", .min = 1, .max = 1e6, .help = "how many are dropped (half of them)"},
    {.name = "iterative", .kind = PARAM_BOOL, .help = "measure the others again after each that is dropped"},
    {.name = NULL},
};
static const char *const examples[] = {
    "drop examples/models/lantern-3m", "attention of layers left out one after another, and the loss",
    "drop examples/models/lantern-3m --what both --most 4 --iterative --truncate 64",
    "attention and MLPs in one list, measured again after each; texts cut to 64 tokens",
    "drop models/smollm --what both --most 20 --iterative --prompts texts.jsonl --store runs.db",
    "a larger model on texts of one's own, kept",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_drop = {
    .name = "drop", .group = "experiment", .usage = "[MODEL]",
    .summary = "leave out the layers that do least, and measure the loss (LLM-Drop)",
    .help = "The similarity of a sublayer is the mean cosine between the residual stream before and after it, over the tokens "
            "of each text and then over the texts; importance is 1 minus it. The sublayers of highest similarity are left out, "
            "with their norms, one after another, and the loss on the same texts (and recall of --trials) is measured after "
            "each. One measurement decides about all (one-shot) unless --iterative. The values are kept as nll_edited, "
            "accuracy_edited, recall_edited at the position of how many were dropped.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
