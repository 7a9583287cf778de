/* scale: attention to the first token turned up and down, head by head (ZeroTuning). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/head_changes.h"
#include "cli/head_rule.h"
#include "cli/json_line.h"
#include "cli/output.h"

enum { MAX_GAMMA = 32 };

typedef struct scaling {
    session *s;
    const command_args *a;
    loaded_model *lm;
    effect_input in;
    head_id *heads;       /* [n_head] */
    int n_head;
    bool together;
    double gamma[MAX_GAMMA];
    int n_gamma;
    edit_plan *plan;
    char *settings;
    int64_t run;
} scaling;

static const param *const *extra(void)
{
    static const param *const tables[] = {prompt_params, prompts_params, builtin_params, trials_params, head_choice_params,
                                          precision_params, config_params, tokenizer_params, experiment_params, NULL};
    return tables;
}

static int bad_gammas(const char *word, err *e)
{
    err_set(e, ERR_USAGE, "--gammas: '%s' is no factor", word);
    return err_hint(e, "write numbers from 0 on, other than 1, separated by commas: 0.3,0.6,1.5,3");
}

static int read_gammas(scaling *c, err *e)
{
    char *copy = mem_strdup(params_str(c->a->p, "gammas"), e), *save = NULL;
    int rc = copy ? 0 : ERR_RESOURCE;
    for (char *w = rc ? NULL : strtok_r(copy, ", ", &save); w && !rc; w = strtok_r(NULL, ", ", &save)) {
        double g;
        if (c->n_gamma == MAX_GAMMA)
            rc = err_set(e, ERR_USAGE, "--gammas: more than %d factors", MAX_GAMMA);
        else if (!parse_real(&g, w) || g < 0 || g > 1e6 || g == 1) /* 1 is the model as it is */
            rc = bad_gammas(w, e);
        else
            c->gamma[c->n_gamma++] = g;
    }
    if (!rc && c->n_gamma == 0)
        rc = bad_gammas(params_str(c->a->p, "gammas"), e);
    free(copy);
    return rc;
}

static int set_plan(scaling *c, const head_id *heads, int n, int gamma, err *e)
{
    strbuf g = {0}, keys = {0};
    params *values;
    strbuf_puts(&g, "gamma=");
    strbuf_put_real(&g, c->gamma[gamma]);
    strbuf_printf(&keys, "keys=%s", params_str(c->a->p, "keys"));
    const char *const texts[] = {strbuf_str(&g), strbuf_str(&keys), NULL};
    edit_plan_clear(c->plan);
    int rc = g.failed || keys.failed ? err_nomem(e, "values") : edit_params(&values, edit_find("scale_first"), texts, e);
    if (!rc)
        rc = edit_plan_add(c->plan, edit_find("scale_first"), heads, n, values, NULL, e);
    strbuf_free(&g);
    strbuf_free(&keys);
    return rc;
}

static int make_settings(scaling *c, err *e)
{
    strbuf b = {0}, heads = {0};
    put_heads(&heads, c->heads, c->n_head);
    json_line_begin(&b, NULL);
    json_line_text(&b, "heads", strbuf_str(&heads));
    json_line_bool(&b, "together", c->together);
    json_line_text(&b, "keys", params_str(c->a->p, "keys"));
    json_line_key(&b, "gammas");
    for (int i = 0; i < c->n_gamma; i++) {
        strbuf_putc(&b, i ? ',' : '[');
        strbuf_put_real(&b, c->gamma[i]);
    }
    strbuf_putc(&b, ']');
    effect_input_settings(&b, &c->in, c->a->p);
    strbuf_putc(&b, '}');
    strbuf_free(&heads);
    c->settings = strbuf_take(&b, e);
    return c->settings ? 0 : ERR_RESOURCE;
}

static int prepare(scaling *c, err *e)
{
    c->together = params_bool(c->a->p, "together");
    int rc = read_gammas(c, e);
    if (!rc)
        rc = choose_model(c->s, c->a, true, &c->lm, e);
    if (!rc)
        rc = head_choose(&c->heads, &c->n_head, c->s, c->a, c->lm->m, true, e);
    if (!rc)
        rc = edit_plan_new(&c->plan, c->lm->m, e);
    if (!rc)
        rc = set_plan(c, c->heads, c->n_head, 0, e); /* what is wrong with --keys is said before anything runs */
    if (!rc)
        rc = effect_input_read(&c->in, c->s, c->a, c->lm, e);
    return rc ? rc : make_settings(c, e);
}

static int measure_heads(scaling *c, effect_unit *u, const head_id *heads, int n, head_id site, err *e)
{
    int rc = 0;
    for (int g = 0; g < c->n_gamma && !rc; g++) {
        rc = set_plan(c, heads, n, g, e);
        if (!rc)
            rc = effect_unit_measure(u, c->plan, (effect_site){"_edited", site.kind, site.layer, site.head, g, true}, e);
    }
    return rc;
}

static int unit(void *ud, experiment *x, int64_t i, err *e)
{
    scaling *c = ud;
    effect_unit u;
    const head_id all = {c->lm->m->main->kind, NO_INDEX, NO_INDEX};
    int rc = effect_unit_begin(&u, &c->in, x, i, e);
    if (!rc)
        rc = effect_unit_measure(&u, NULL, (effect_site){"", all.kind, NO_INDEX, NO_INDEX, NO_INDEX, true}, e);
    if (!rc && c->together)
        rc = measure_heads(c, &u, c->heads, c->n_head, all, e);
    for (int h = 0; h < c->n_head && !c->together && !rc; h++) {
        effect_unit_step(&u, h, c->n_head);
        rc = measure_heads(c, &u, &c->heads[h], 1, c->heads[h], e);
    }
    effect_unit_end(&u);
    return rc;
}

/* ---- what it prints ---- */

/* What decides: loss, or recall where there are only trials. */
typedef struct curve {
    head_id head;
    stats change[MAX_GAMMA];
    int best;                 /* gamma with the best mean */
    double gain;              /* of it: the loss that is saved, or the recall that is won */
} curve;

static int load_curve(curve *out, const effect_view *v, const scaling *c, const measure *what, const series *base, err *e)
{
    double sign = strcmp(what->name, "nll") == 0 ? -1 : 1;
    head_id h = out->head;
    int rc = 0;
    for (int g = 0; g < c->n_gamma && !rc; g++) {
        series s;
        rc = series_load(&s, v->st, v->run, what, &(condition){"", "_edited", h.kind, h.layer, h.head, g}, e);
        if (!rc)
            rc = series_difference(&out->change[g], &s, base, v->seed, e);
        series_free(&s);
        double gain = sign * out->change[g].mean;
        if (g == 0 || gain > out->gain) {
            out->gain = gain;
            out->best = g;
        }
    }
    return rc;
}

static int by_gain(const void *a, const void *b)
{
    const curve *x = a, *y = b;
    if (x->gain != y->gain)
        return (x->gain < y->gain) - (x->gain > y->gain);
    return x->head.layer != y->head.layer ? x->head.layer - y->head.layer : x->head.head - y->head.head;
}

/* Up- and down-effective: the best factor is above or below 1, and its interval leaves out 0. */
static const char *effective(const curve *x, const scaling *c)
{
    const stats *st = &x->change[x->best];
    bool certain = st->n > 1 && (st->low > 0 || st->high < 0);
    return !certain || x->gain <= 0 ? "no" : c->gamma[x->best] > 1 ? "up" : "down";
}

static int curve_table(table **out, const curve *rows, int n, const scaling *c, err *e)
{
    const char *columns[7 + MAX_GAMMA] = {"heads", "effective", "best_gamma", "n", "change", "low", "high"};
    char names[MAX_GAMMA][40];
    for (int g = 0; g < c->n_gamma; g++) {
        strbuf b = {0};
        strbuf_put_real(&b, c->gamma[g]);
        snprintf(names[g], sizeof names[g], "at_%s", strbuf_str(&b));
        columns[7 + g] = names[g];
        strbuf_free(&b);
    }
    int rc = table_new(out, 7 + c->n_gamma, columns, e);
    for (int i = 0; i < n && !rc; i++) {
        head_text name = "all together";
        const char *word = effective(&rows[i], c);
        const stats *st = &rows[i].change[rows[i].best];
        if (rows[i].head.head != NO_INDEX)
            head_format(name, rows[i].head);
        cell *row = table_row(*out, e);
        if (!row || table_text(*out, &row[0], name, strlen(name), e) || table_text(*out, &row[1], word, strlen(word), e)) {
            rc = ERR_RESOURCE;
            break;
        }
        row[2] = cell_real(c->gamma[rows[i].best]);
        row[3] = cell_int(st->n);
        change_cells(&row[4], st);
        for (int g = 0; g < c->n_gamma; g++)
            row[7 + g] = cell_real(rows[i].change[g].mean);
    }
    if (rc) {
        table_free(*out);
        *out = NULL;
    }
    return rc;
}

static int report(const scaling *c, err *e)
{
    attn_kind kind = c->lm->m->main->kind;
    effect_view v = {.run = c->run, .seed = (uint64_t)params_int(c->a->p, "seed")};
    const measure *what = measure_find(c->in.n_text ? "nll" : "recall");
    int n = c->together ? 1 : c->n_head;
    curve *rows = mem_array((size_t)n, sizeof *rows, e);
    series base = {0};
    table *t = NULL;
    int rc = rows ? session_store(c->s, &v.st, e) : ERR_RESOURCE;
    if (!rc && command_format(c->s, c->a) == FORMAT_TABLE)
        rc = effect_heading(c->s, &v, e);
    if (!rc)
        rc = series_load(&base, v.st, v.run, what, &(condition){"", "", kind, NO_INDEX, NO_INDEX, NO_INDEX}, e);
    for (int i = 0; i < n && !rc; i++) {
        rows[i].head = c->together ? (head_id){kind, NO_INDEX, NO_INDEX} : c->heads[i];
        rc = load_curve(&rows[i], &v, c, what, &base, e);
    }
    if (!rc) {
        qsort(rows, (size_t)n, sizeof *rows, by_gain);
        rc = curve_table(&t, rows, n, c, e);
    }
    if (!rc)
        rc = print_table(c->s, c->a, t, "attnscope.scaling/1", e);
    if (!rc)
        say(c->s, "changes of %s against the model as it is at each gamma; effective: the best gamma is above (up) or below "
            "(down) 1 and its 95 %% interval leaves out 0; the best of %d was chosen on the same texts", what->name, c->n_gamma);
    series_free(&base);
    table_free(t);
    free(rows);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    scaling c = {.s = s, .a = a};
    int rc = prepare(&c, e);
    if (!rc) {
        const experiment_plan plan = {
            .s = s, .a = a, .lm = c.lm, .verb = "scale", .settings = c.settings, .seed = params_int(a->p, "seed"),
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

static const param own[] = {
    {.name = "gammas", .kind = PARAM_STR, .def = "0.3,0.6,0.8,1.25,1.6,3", .value = "LIST",
     .help = "what attention to the first token is multiplied by, before the row is normalised again"},
    {.name = "keys", .kind = PARAM_STR, .def = "0", .value = "RANGE", .help = "other keys in place of the first: 3, or 3-7"},
    {.name = "together", .kind = PARAM_BOOL, .help = "all heads at once, in place of each by itself"},
    {.name = NULL},
};
static const char *const examples[] = {
    "scale examples/models/lantern-3m --heads L1H2,L2H5 --truncate 64", "the loss at six factors for each of two heads",
    "scale examples/models/lantern-3m --together --gammas 0.5,0.7,1.4,2 --truncate 64", "one curve, all heads at once",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_scale = {
    .name = "scale", .group = "experiment", .usage = "[MODEL]",
    .summary = "turn attention to the first token up and down, head by head (ZeroTuning)",
    .help = "Multiplies the weight of each row on the first token by gamma and normalises the row again (edit scale_first of "
            "`list edits`), for one head at a time, and prints how the loss on the texts changes (recall, where only --trials "
            "are given). The values are kept as nll_edited, accuracy_edited and entropy_next_edited of the head, at the "
            "position of gamma in --gammas: the loss curve; entropy_next is the mean entropy of the predictions, by which gamma "
            "is chosen where there are no labels.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
