/* ablate: what a model loses without some of its heads, and what it loses without as many others. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"
#include "cli/edit_select.h"
#include "cli/head_changes.h"
#include "cli/head_rule.h"
#include "cli/json_line.h"
#include "cli/output.h"

typedef struct ablation {
    session *s;
    const command_args *a;
    loaded_model *lm;
    effect_input in;
    const edit *mode;
    bool each;
    head_id *heads;            /* [n_head] */
    int n_head;
    head_id *random;           /* [n_random, n_head] sets that match heads layer by layer */
    int64_t n_random;
    prompt_request *others;    /* [n_other] that mean and resample take outputs from */
    int64_t n_other;
    head_id *all;              /* [n_all] every head that is ever ablated */
    int n_all;
    head_reference *mean;
    edit_plan *plan;
    char *settings;
    int64_t run;
} ablation;

static const param *const *extra(void)
{
    static const param *const tables[] = {prompt_params, prompts_params, builtin_params, trials_params, head_choice_params,
                                          precision_params, config_params, tokenizer_params, experiment_params, NULL};
    return tables;
}

/* ---- what is asked for ---- */

static bool same_set(const head_id *a, const head_id *b, int n)
{
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (int j = 0; j < n && !found; j++)
            found = a[i].kind == b[j].kind && a[i].layer == b[j].layer && a[i].head == b[j].head;
        if (!found)
            return false;
    }
    return true;
}

/* Sets that differ from one another: where a layer has few other heads there may not be as many as were asked for. */
static int draw_random(ablation *b, err *e)
{
    enum { TRIES = 50 };
    uint64_t seed = (uint64_t)params_int(b->a->p, "seed");
    int64_t want = b->each ? 0 : params_int(b->a->p, "random");
    size_t n;
    if (!size_mul(&n, (size_t)want, (size_t)b->n_head))
        return err_nomem(e, "random heads");
    if (!(b->random = mem_array(n, sizeof *b->random, e)))
        return ERR_RESOURCE;
    int rc = 0;
    for (int64_t draw = 0; b->n_random < want && draw < TRIES * want && !rc; draw++) {
        head_id *set = b->random + b->n_random * b->n_head;
        bool again = false;
        rc = matched_heads(set, b->lm->m, b->heads, b->n_head, seed, (uint64_t)draw, e);
        for (int64_t i = 0; i < b->n_random && !rc && !again; i++)
            again = same_set(set, b->random + i * b->n_head, b->n_head);
        b->n_random += !rc && !again;
    }
    if (!rc && b->n_random < want)
        say(b->s, "the layers have %" PRId64 " different sets of other heads: all of them are compared with", b->n_random);
    return rc;
}

/* Heads and all that were drawn, each once. */
static int gather_heads(ablation *b, err *e)
{
    size_t n = (size_t)b->n_head * (size_t)(b->n_random + 1);
    if (!(b->all = mem_array(n, sizeof *b->all, e)))
        return ERR_RESOURCE;
    for (size_t i = 0; i < n; i++) {
        head_id h = i < (size_t)b->n_head ? b->heads[i] : b->random[i - (size_t)b->n_head];
        bool again = false;
        for (int j = 0; j < b->n_all; j++)
            again |= b->all[j].kind == h.kind && b->all[j].layer == h.layer && b->all[j].head == h.head;
        if (!again)
            b->all[b->n_all++] = h;
    }
    return 0;
}

/* Texts whose outputs stand in for those of ablated heads: of --reference, else those of the run, else the built-in. */
static int read_others(ablation *b, err *e)
{
    const char *file = params_str(b->a->p, "reference");
    if (!b->mode->needs_reference) {
        if (!file)
            return 0;
        err_set(e, ERR_USAGE, "--reference says what mean and resample take outputs from, and --mode is %s", b->mode->name);
        return err_hint(e, "add --mode mean or --mode resample");
    }
    int rc = file ? prompt_requests_load(&b->others, &b->n_other, file, PROMPT_USUAL, e)
                  : prompt_requests_chosen(&b->others, &b->n_other, b->a->p, true, e);
    if (!rc && b->n_other < 2 && !strcmp(b->mode->name, "resample") && !file) {
        err_set(e, ERR_USAGE, "resample takes outputs of another text, and there is only one");
        rc = err_hint(e, "give more texts with --prompts, or others with --reference");
    }
    if (!rc && !strcmp(b->mode->name, "mean"))
        rc = edit_reference_make(&b->mean, b->s, b->lm, b->all, b->n_all, b->others, b->n_other,
                                 !strcmp(params_str(b->a->p, "position"), "each"), false, 0, e);
    return rc;
}

static int make_settings(ablation *b, err *e)
{
    const params *p = b->a->p;
    strbuf out = {0}, heads = {0};
    put_heads(&heads, b->heads, b->n_head);
    json_line_begin(&out, NULL);
    json_line_text(&out, "mode", b->mode->name);
    if (b->mean)
        json_line_text(&out, "position", params_str(p, "position"));
    if (b->mode->needs_reference)
        json_line_text(&out, "reference", params_str(p, "reference") ? params_str(p, "reference") : "the texts");
    json_line_text(&out, "heads", strbuf_str(&heads));
    json_line_bool(&out, "each", b->each);
    if (params_str(p, "rule"))
        json_line_text(&out, "rule", params_str(p, "rule"));
    json_line_key(&out, "random");
    strbuf_putc(&out, '[');
    for (int64_t i = 0; i < b->n_random; i++) {
        strbuf_puts(&out, i ? ",\"" : "\"");
        put_heads(&out, b->random + i * b->n_head, b->n_head);
        strbuf_putc(&out, '"');
    }
    strbuf_putc(&out, ']');
    effect_input_settings(&out, &b->in, p);
    strbuf_putc(&out, '}');
    strbuf_free(&heads);
    b->settings = strbuf_take(&out, e);
    return b->settings ? 0 : ERR_RESOURCE;
}

static int choose_heads(ablation *b, err *e)
{
    int rc = head_choose(&b->heads, &b->n_head, b->s, b->a, b->lm->m, b->each, e);
    if (!rc && b->n_head == 0) {
        err_set(e, ERR_USAGE, "no heads are named to ablate");
        rc = err_hint(e, "--heads L1H3,L2H5, --rule \"top 20 by retrieval\", or --each for all, one at a time");
    }
    return rc;
}

static int prepare(ablation *b, err *e)
{
    b->mode = edit_find(params_str(b->a->p, "mode"));
    b->each = params_bool(b->a->p, "each");
    int rc = choose_model(b->s, b->a, true, &b->lm, e);
    if (!rc)
        rc = choose_heads(b, e);
    if (!rc)
        rc = draw_random(b, e);
    if (!rc)
        rc = gather_heads(b, e);
    if (!rc)
        rc = effect_input_read(&b->in, b->s, b->a, b->lm, e);
    if (!rc)
        rc = read_others(b, e);
    if (!rc)
        rc = edit_plan_new(&b->plan, b->lm->m, e);
    return rc ? rc : make_settings(b, e);
}

/* ---- units ---- */

/* The plan becomes the ablation of heads [n]. */
static int set_plan(ablation *b, const head_id *heads, int n, const head_reference *ref, err *e)
{
    edit_plan_clear(b->plan);
    return edit_plan_add(b->plan, b->mode, heads, n, NULL, ref, e);
}

/* Outputs over another text, which is drawn by the unit. */
static int resampled(ablation *b, head_reference **out, int64_t unit, err *e)
{
    rng r;
    bool own = !params_str(b->a->p, "reference") && unit < b->n_other && b->in.n_text > 0;
    rng_seed(&r, (uint64_t)params_int(b->a->p, "seed"), (uint64_t)unit + ((uint64_t)1 << 32));
    int64_t i = rng_below(&r, own ? b->n_other - 1 : b->n_other);
    if (own && i >= unit)
        i++;
    return edit_reference_make(out, b->s, b->lm, b->all, b->n_all, b->others + i, 1, true, false, 0, e);
}

static int measure_all(ablation *b, effect_unit *u, const head_reference *ref, err *e)
{
    attn_kind kind = b->lm->m->main->kind;
    int64_t n = 1 + (b->each ? b->n_head : 1 + b->n_random), done = 0;
    int rc = effect_unit_measure(u, NULL, (effect_site){"", kind, NO_INDEX, NO_INDEX, NO_INDEX, false}, e);
    effect_unit_step(u, ++done, n);
    for (int i = 0; i < b->n_head && b->each && !rc; i++) {
        head_id h = b->heads[i];
        rc = set_plan(b, &h, 1, ref, e);
        if (!rc)
            rc = effect_unit_measure(u, b->plan, (effect_site){"_edited", h.kind, h.layer, h.head, NO_INDEX, false}, e);
        effect_unit_step(u, ++done, n);
    }
    if (b->each || rc)
        return rc;
    rc = set_plan(b, b->heads, b->n_head, ref, e);
    if (!rc)
        rc = effect_unit_measure(u, b->plan, (effect_site){"_edited", kind, NO_INDEX, NO_INDEX, NO_INDEX, false}, e);
    for (int64_t i = 0; i < b->n_random && !rc; i++) {
        effect_unit_step(u, ++done, n);
        rc = set_plan(b, b->random + i * b->n_head, b->n_head, ref, e);
        if (!rc)
            rc = effect_unit_measure(u, b->plan, (effect_site){"_random", kind, NO_INDEX, NO_INDEX, i, false}, e);
    }
    return rc;
}

static int unit(void *ud, experiment *x, int64_t i, err *e)
{
    ablation *b = ud;
    effect_unit u;
    head_reference *ref = NULL;
    int rc = effect_unit_begin(&u, &b->in, x, i, e);
    if (!rc && b->mode->needs_reference && !b->mean)
        rc = resampled(b, &ref, i, e);
    if (!rc)
        rc = measure_all(b, &u, b->mean ? b->mean : ref, e);
    head_reference_free(ref);
    effect_unit_end(&u);
    return rc;
}

/* ---- what it prints ---- */

/* Random sets whose mean change is at least as bad as that of the heads; worse: nll up, everything else down. */
static int count_worse(int64_t *out, const ablation *b, const effect_view *v, const measure *what, const series *base,
                       double change, err *e)
{
    attn_kind kind = b->lm->m->main->kind;
    double sign = strcmp(what->metric, "nll") == 0 ? 1 : -1;
    int rc = 0;
    *out = 0;
    for (int64_t i = 0; i < b->n_random && !rc; i++) {
        series s;
        stats d;
        rc = series_load(&s, v->st, v->run, what, &(condition){"", "_random", kind, NO_INDEX, NO_INDEX, i}, e);
        if (!rc)
            rc = series_difference(&d, &s, base, v->seed, e);
        *out += !rc && sign * d.mean >= sign * change;
        series_free(&s);
    }
    return rc;
}

/* What the table means: the change against that of random sets.  Texts may vary by chance, and so may sets of heads: more
 * than chance is what both say, the interval over texts and the rank among the sets. */
static int compare(const ablation *b, const effect_view *v, const measure *what, const condition c[3], strbuf *out, err *e)
{
    series s[3] = {{0}};
    stats own, other, gap;
    int64_t worse = 0;
    int rc = 0;
    for (int i = 0; i < 3 && !rc; i++)
        rc = series_load(&s[i], v->st, v->run, what, &c[i], e);
    bool any = !rc && s[0].n > 1;
    if (any)
        rc = series_difference(&own, &s[1], &s[0], v->seed, e);
    if (any && !rc)
        rc = series_difference(&other, &s[2], &s[0], v->seed, e);
    if (any && !rc)
        rc = series_difference(&gap, &s[1], &s[2], v->seed, e);
    if (any && !rc)
        rc = count_worse(&worse, b, v, what, &s[0], own.mean, e);
    if (any && !rc) {
        double p = (double)(1 + worse) / (double)(1 + b->n_random);
        bool harm = strcmp(what->metric, "nll") == 0 ? gap.low > 0 : gap.high < 0;
        strbuf_printf(out, "%s: %+.3g without these heads, %+.3g without random heads of the same layers, difference %+.3g "
                      "(%+.3g to %+.3g); %" PRId64 " of %" PRId64 " random sets do at least as much harm (p = %.2g): %s\n",
                      what->name, own.mean, other.mean, gap.mean, gap.low, gap.high, worse, b->n_random, p,
                      harm && p <= .05 ? "these heads matter more than others"
                      : b->n_random < 19 ? "too few sets to show anything, --random 19 or more could"
                                         : "not shown to matter more than random heads");
    }
    for (int i = 0; i < 3; i++)
        series_free(&s[i]);
    return rc;
}

static int report_list(const ablation *b, const effect_view *v, err *e)
{
    attn_kind kind = b->lm->m->main->kind;
    char random[48];
    snprintf(random, sizeof random, "random, %" PRId64 " sets", b->n_random);
    const condition c[] = {{"as it is", "", kind, NO_INDEX, NO_INDEX, NO_INDEX},
                           {"without these heads", "_edited", kind, NO_INDEX, NO_INDEX, NO_INDEX},
                           {random, "_random", kind, NO_INDEX, NO_INDEX, ANY_POSITION}};
    table *t = NULL;
    strbuf out = {0};
    int rc = effect_table(&t, v, c, b->n_random ? 3 : 2, e);
    if (!rc)
        rc = print_table(b->s, b->a, t, "attnscope.ablation/1", e);
    for (const measure *m = effect_measures; m->name && b->n_random && !rc; m++)
        rc = compare(b, v, m, c, &out, e);
    if (!rc && command_format(b->s, b->a) == FORMAT_TABLE)
        rc = output_prose(b->s, &out, e);
    strbuf_free(&out);
    table_free(t);
    return rc;
}

static int report_each(const ablation *b, const effect_view *v, err *e)
{
    head_change *rows = NULL;
    bool any[N_MEASURE] = {false};
    table *t = NULL;
    int rc = head_changes_load(&rows, any, v, b->lm->m->main->kind, b->heads, b->n_head, e);
    for (int i = 0; i < b->n_head && !rc; i++)
        rows[i].order = any[2] ? -rows[i].change[2].mean : rows[i].change[0].mean;
    if (!rc) {
        head_changes_sort(rows, b->n_head);
        rc = head_changes_table(&t, rows, b->n_head, any, e);
    }
    if (!rc)
        rc = print_table(b->s, b->a, t, "attnscope.ablation_each/1", e);
    if (!rc)
        say(b->s, "changes against the model as it is, paired, with 95 %% intervals; the most harmful first");
    table_free(t);
    free(rows);
    return rc;
}

static int report(const ablation *b, err *e)
{
    effect_view v = {.run = b->run, .seed = (uint64_t)params_int(b->a->p, "seed")};
    int rc = session_store(b->s, &v.st, e);
    if (!rc && command_format(b->s, b->a) == FORMAT_TABLE)
        rc = effect_heading(b->s, &v, e);
    if (!rc)
        rc = b->each ? report_each(b, &v, e) : report_list(b, &v, e);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    ablation b = {.s = s, .a = a};
    strbuf edits_json = {0};
    int rc = prepare(&b, e);
    if (!rc && !b.each && (!b.mode->needs_reference || b.mean)) {
        rc = set_plan(&b, b.heads, b.n_head, b.mean, e);
        if (!rc)
            edit_plan_put_json(&edits_json, b.plan);
    }
    if (!rc) {
        const experiment_plan plan = {
            .s = s, .a = a, .lm = b.lm, .verb = "ablate", .settings = b.settings,
            .edits = edits_json.len ? strbuf_str(&edits_json) : NULL, .seed = params_int(a->p, "seed"),
            .n_unit = effect_units(&b.in), .unit = unit, .ud = &b, .what = "unit",
        };
        rc = experiment_run(&plan, &b.run, e);
    }
    if (!rc)
        rc = report(&b, e);
    strbuf_free(&edits_json);
    edit_plan_free(b.plan);
    head_reference_free(b.mean);
    prompt_requests_free(b.others, b.n_other);
    effect_input_free(&b.in);
    free(b.heads);
    free(b.random);
    free(b.all);
    free(b.settings);
    return rc;
}

static const char *const modes[] = {"zero", "uniform", "mean", "first", "keep", "resample", NULL};
static const char *const positions[] = {"pooled", "each", NULL};
static const param own[] = {
    {.name = "mode", .kind = PARAM_ENUM, .def = "zero", .value = "MODE", .choices = modes,
     .help = "what becomes of a head; `list edits` explains each"},
    {.name = "each", .kind = PARAM_BOOL, .help = "every head (or those chosen) by itself, in place of all at once"},
    {.name = "random", .kind = PARAM_INT, .def = "20", .value = "K", .min = 0, .max = 1e6,
     .help = "different random sets of other heads, as many of each layer, to compare with"},
    {.name = "reference", .kind = PARAM_PATH, .value = "FILE",
     .help = "texts that mean and resample take outputs from (those of the run unless given)"},
    {.name = "position", .kind = PARAM_ENUM, .def = "pooled", .value = "WHICH", .choices = positions,
     .help = "of --mode mean: one mean over all positions, or one for each position"},
    {.name = NULL},
};
static const char *const examples[] = {
    "ablate examples/models/lantern-3m --heads L1H2,L1H3,L2H5 --truncate 64 --random 4",
    "loss and accuracy on the built-in texts without three heads, and without four random sets",
    "ablate examples/models/lantern-3m --each --trials needles.jsonl", "what recall of a needle loses without each head",
    "ablate models/smollm --rule \"top 20 by retrieval\" --run 3 --mode mean --store runs.db",
    "the heads that run 3 gave the highest retrieval score",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_ablate = {
    .name = "ablate", .group = "experiment", .usage = "[MODEL] --heads HEADS | --rule RULE | --each",
    .summary = "measure what a model loses without some of its heads",
    .help = "Takes heads out and measures the loss on each text (nats a token), next-token accuracy and, with --trials, "
            "recall of a needle: a greedy continuation two tokens longer than the answer, and the share of the distinct "
            "tokens of the answer in it. The same is done without heads that were drawn at random, as many in each layer and "
            "never the same ones: only what is more than that is about these heads. It is called so where the interval of the "
            "difference over the texts leaves out 0 and no more than one in twenty of the sets (these heads counted) does as "
            "much harm; fewer than 19 sets cannot show it. Changes are paired, text by text, with bootstrap 95 % intervals. "
            "The values are kept as nll, accuracy, recall, with _edited for the heads and _random for the random sets "
            "(position: the set).",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
