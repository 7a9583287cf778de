/* calibrate: ACT, head by head: what becomes better when attention sinks other than the first are turned down. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/head_changes.h"
#include "cli/head_rule.h"
#include "cli/json_line.h"
#include "cli/output.h"

typedef struct calibration {
    session *s;
    const command_args *a;
    loaded_model *lm;
    effect_input in;
    head_id *heads;       /* [n_head] */
    int n_head;
    bool together;
    edit_plan *plan;
    char *settings;
    int64_t run;
} calibration;

static const param *const *extra(void)
{
    static const param *const tables[] = {prompt_params, prompts_params, builtin_params, trials_params, head_choice_params,
                                          precision_params, config_params, tokenizer_params, experiment_params, NULL};
    return tables;
}

/* The plan becomes ACT of heads [n], with the command's values. */
static int set_plan(calibration *c, const head_id *heads, int n, err *e)
{
    const params *p = c->a->p;
    strbuf beta = {0}, bound = {0}, keep = {0};
    params *values;
    strbuf_puts(&beta, "beta=");
    strbuf_put_real(&beta, params_real(p, "beta"));
    strbuf_puts(&bound, params_given(p, "relative") ? "relative=" : "threshold=");
    strbuf_put_real(&bound, params_real(p, params_given(p, "relative") ? "relative" : "threshold"));
    strbuf_printf(&keep, "keep=%s", params_str(p, "keep"));
    const char *const texts[] = {strbuf_str(&beta), strbuf_str(&bound), strbuf_str(&keep), NULL};
    edit_plan_clear(c->plan);
    int rc = beta.failed || bound.failed || keep.failed ? err_nomem(e, "values")
                                                        : edit_params(&values, edit_find("act"), texts, e);
    if (!rc)
        rc = edit_plan_add(c->plan, edit_find("act"), heads, n, values, NULL, e);
    strbuf_free(&beta);
    strbuf_free(&bound);
    strbuf_free(&keep);
    return rc;
}

static int make_settings(calibration *c, err *e)
{
    const params *p = c->a->p;
    strbuf b = {0}, heads = {0}, plan = {0};
    int rc = set_plan(c, c->heads, c->n_head, e);
    edit_plan_put_json(&plan, c->plan);
    put_heads(&heads, c->heads, c->n_head);
    json_line_begin(&b, NULL);
    json_line_text(&b, "heads", strbuf_str(&heads));
    json_line_bool(&b, "together", c->together);
    json_line_key(&b, "act");
    strbuf_puts(&b, strbuf_str(&plan));
    effect_input_settings(&b, &c->in, p);
    strbuf_putc(&b, '}');
    strbuf_free(&heads);
    strbuf_free(&plan);
    if (!rc && !(c->settings = strbuf_take(&b, e)))
        rc = ERR_RESOURCE;
    strbuf_free(&b);
    return rc;
}

/* A measure that nothing will give a value to. */
static int check_keep_by(const calibration *c, err *e)
{
    const char *name = params_str(c->a->p, "keep-by");
    bool of_trials = name && !strcmp(name, "recall");
    if (!name || (of_trials ? c->in.trials.n : c->in.n_text))
        return 0;
    err_set(e, ERR_USAGE, "there is no %s to decide by", name);
    return err_hint(e, of_trials ? "give needle trials with --trials" : "give texts with --prompts or --builtin");
}

static int prepare(calibration *c, err *e)
{
    const params *p = c->a->p;
    c->together = params_bool(p, "together");
    if (params_given(p, "relative") && params_given(p, "threshold")) {
        err_set(e, ERR_USAGE, "--threshold and --relative exclude each other");
        return err_hint(e, "--threshold is a weight (0.1), --relative a multiple of 1 / tokens (5)");
    }
    int rc = choose_model(c->s, c->a, true, &c->lm, e);
    if (!rc)
        rc = head_choose(&c->heads, &c->n_head, c->s, c->a, c->lm->m, true, e);
    if (!rc)
        rc = effect_input_read(&c->in, c->s, c->a, c->lm, e);
    if (!rc)
        rc = check_keep_by(c, e);
    if (!rc)
        rc = edit_plan_new(&c->plan, c->lm->m, e);
    return rc ? rc : make_settings(c, e);
}

static int unit(void *ud, experiment *x, int64_t i, err *e)
{
    calibration *c = ud;
    effect_unit u;
    attn_kind kind = c->lm->m->main->kind;
    int64_t n = 1 + (c->together ? 1 : c->n_head);
    int rc = effect_unit_begin(&u, &c->in, x, i, e);
    if (!rc)
        rc = effect_unit_measure(&u, NULL, (effect_site){"", kind, NO_INDEX, NO_INDEX, NO_INDEX, false}, e);
    if (!rc && c->together && !(rc = set_plan(c, c->heads, c->n_head, e)))
        rc = effect_unit_measure(&u, c->plan, (effect_site){"_edited", kind, NO_INDEX, NO_INDEX, NO_INDEX, false}, e);
    for (int h = 0; h < c->n_head && !c->together && !rc; h++) {
        effect_unit_step(&u, h + 1, n);
        rc = set_plan(c, &c->heads[h], 1, e);
        if (!rc)
            rc = effect_unit_measure(&u, c->plan, (effect_site){"_edited", c->heads[h].kind, c->heads[h].layer,
                                                                c->heads[h].head, NO_INDEX, false}, e);
    }
    effect_unit_end(&u);
    return rc;
}

/* ---- what it prints ---- */

/* Which measure decides: --keep-by, else accuracy, or recall where there are only trials. */
static int deciding(const calibration *c)
{
    const char *name = params_str(c->a->p, "keep-by");
    int by = 0;
    while (name && strcmp(effect_measures[by].name, name) != 0)
        by++;
    return name ? by : c->in.n_text ? 1 : 2;
}

static int say_kept(const calibration *c, const head_change *rows, int by, err *e)
{
    strbuf b = {0};
    int n = 0;
    while (n < c->n_head && rows[n].order > 0)
        n++;
    head_id *kept = mem_array((size_t)n, sizeof *kept, e);
    if (!kept)
        return ERR_RESOURCE;
    for (int i = 0; i < n; i++)
        kept[i] = rows[i].head;
    strbuf_printf(&b, "kept, as %s is better with the head calibrated than without: %d of %d heads", effect_measures[by].name, n,
                  c->n_head);
    if (n) {
        strbuf_puts(&b, ": ");
        put_heads(&b, kept, n);
    }
    strbuf_puts(&b, "\n");
    int rc = output_prose(c->s, &b, e);
    if (!rc && n)
        say(c->s, "next: calibrate with --heads of these and --together, on other texts: on these they were chosen");
    strbuf_free(&b);
    free(kept);
    return rc;
}

static int report_each(const calibration *c, const effect_view *v, err *e)
{
    head_change *rows = NULL;
    bool any[N_MEASURE] = {false};
    table *t = NULL;
    int by = deciding(c), rc = head_changes_load(&rows, any, v, c->lm->m->main->kind, c->heads, c->n_head, e);
    for (int i = 0; i < c->n_head && !rc; i++)
        rows[i].order = by == 0 ? -rows[i].change[0].mean : rows[i].change[by].mean;
    if (!rc) {
        head_changes_sort(rows, c->n_head);
        rc = head_changes_table(&t, rows, c->n_head, any, e);
    }
    if (!rc)
        rc = print_table(c->s, c->a, t, "attnscope.calibration/1", e);
    if (!rc && command_format(c->s, c->a) == FORMAT_TABLE)
        rc = say_kept(c, rows, by, e);
    table_free(t);
    free(rows);
    return rc;
}

static int report(const calibration *c, err *e)
{
    attn_kind kind = c->lm->m->main->kind;
    const condition conditions[] = {{"as it is", "", kind, NO_INDEX, NO_INDEX, NO_INDEX},
                                    {"calibrated", "_edited", kind, NO_INDEX, NO_INDEX, NO_INDEX}};
    effect_view v = {.run = c->run, .seed = (uint64_t)params_int(c->a->p, "seed")};
    table *t = NULL;
    int rc = session_store(c->s, &v.st, e);
    if (!rc && command_format(c->s, c->a) == FORMAT_TABLE)
        rc = effect_heading(c->s, &v, e);
    if (rc || !c->together)
        return rc ? rc : report_each(c, &v, e);
    rc = effect_table(&t, &v, conditions, 2, e);
    if (!rc)
        rc = print_table(c->s, c->a, t, "attnscope.effect/1", e);
    table_free(t);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    calibration c = {.s = s, .a = a};
    int rc = prepare(&c, e);
    if (!rc) {
        const experiment_plan plan = {
            .s = s, .a = a, .lm = c.lm, .verb = "calibrate", .settings = c.settings, .seed = params_int(a->p, "seed"),
            .n_unit = effect_units(&c.in), .unit = unit, .ud = &c, .what = "unit",
        };
        rc = experiment_run(&plan, &c.run, e);
    }
    if (!rc)
        rc = report(&c, e);
    edit_plan_free(c.plan);
    effect_input_free(&c.in);
    free(c.heads);
    free(c.settings);
    return rc;
}

static const char *const keeps[] = {"detected", "zero", NULL};
static const char *const measures[] = {"nll", "accuracy", "recall", NULL};
static const param own[] = {
    {.name = "beta", .kind = PARAM_REAL, .def = "0.4", .value = "B", .min = 0, .max = 1,
     .help = "share of its weight that a sink keeps"},
    {.name = "threshold", .kind = PARAM_REAL, .def = "0.1", .value = "X", .min = 0, .max = 1,
     .help = "a key is a sink above this mean weight"},
    {.name = "relative", .kind = PARAM_REAL, .value = "A", .min = 0, .max = 1e9,
     .help = "in place of --threshold: a multiple of 1 / tokens (the paper's form, 5)"},
    {.name = "keep", .kind = PARAM_ENUM, .def = "detected", .value = "WHICH", .choices = keeps,
     .help = "the sink that is left alone: the first that was detected (as coded), or token 0 only"},
    {.name = "together", .kind = PARAM_BOOL, .help = "all heads at once, in place of each by itself"},
    {.name = "keep-by", .kind = PARAM_ENUM, .value = "MEASURE", .choices = measures,
     .help = "what must become better for a head to be kept (accuracy, or recall with trials alone)"},
    {.name = NULL},
};
static const char *const examples[] = {
    "calibrate examples/models/lantern-3m --heads L2H1,L2H2 --relative 5 --truncate 64",
    "two heads, each by itself, on the built-in texts; without --heads all of them",
    "calibrate examples/models/lantern-3m --heads L2H1,L3H4 --together --prompts held-out.jsonl",
    "chosen heads at once, on other texts",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_calibrate = {
    .name = "calibrate", .group = "experiment", .usage = "[MODEL]",
    .summary = "turn down attention sinks other than the first, head by head (ACT)",
    .help = "Runs the texts or trials with one head calibrated at a time (edit act of `list edits`) and prints what that "
            "changes: loss, next-token accuracy, recall of a needle, paired with the model as it is, with bootstrap 95 % "
            "intervals. A head is kept when the mean of --keep-by is better with it calibrated (the authors log accuracy per "
            "head and keep those that improve it; the rule itself is not in their code). Heads that were chosen on some texts "
            "look better on them than they are: --together on others tells. The prompt is calibrated, generated tokens are not.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
