/* influence: AttentionInfluence, which texts need the heads that retrieve. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cli/effect_table.h"
#include "cli/head_rule.h"
#include "cli/json_line.h"
#include "cli/output.h"

typedef struct influence {
    session *s;
    const command_args *a;
    loaded_model *lm;
    effect_input in;
    head_id *heads;       /* [n_head] */
    int n_head;
    const edit *mode;
    bool by_masked;       /* the divisor is the loss of the masked model */
    edit_plan *plan;
    char *settings, *edits;
    int64_t run;
} influence;

static const param *const *extra(void)
{
    static const param *const tables[] = {prompt_params, prompts_params, builtin_params, head_choice_params, precision_params,
                                          config_params, tokenizer_params, experiment_params, NULL};
    return tables;
}

static int make_settings(influence *c, err *e)
{
    strbuf b = {0}, heads = {0}, plan = {0};
    put_heads(&heads, c->heads, c->n_head);
    json_line_begin(&b, NULL);
    json_line_text(&b, "heads", strbuf_str(&heads));
    json_line_text(&b, "mode", c->mode->name);
    json_line_text(&b, "divisor", params_str(c->a->p, "divisor"));
    effect_input_settings(&b, &c->in, c->a->p);
    strbuf_putc(&b, '}');
    strbuf_free(&heads);
    edit_plan_put_json(&plan, c->plan);
    c->settings = strbuf_take(&b, e);
    c->edits = c->settings ? strbuf_take(&plan, e) : NULL;
    strbuf_free(&plan);
    return c->edits ? 0 : ERR_RESOURCE;
}

static int prepare(influence *c, err *e)
{
    const params *p = c->a->p;
    c->mode = edit_find(params_str(p, "mode"));
    c->by_masked = !strcmp(params_str(p, "divisor"), "masked");
    int rc = choose_model(c->s, c->a, true, &c->lm, e);
    if (!rc)
        rc = head_choose(&c->heads, &c->n_head, c->s, c->a, c->lm->m, false, e);
    if (!rc && c->n_head == 0) {
        err_set(e, ERR_USAGE, "no heads are named to mask");
        rc = err_hint(e, "the paper masks the 5%% that retrieve best: `needle`, then --rule \"top 5%% by retrieval\"");
    }
    if (!rc)
        rc = effect_input_read(&c->in, c->s, c->a, c->lm, e);
    if (!rc)
        rc = edit_plan_new(&c->plan, c->lm->m, e);
    if (!rc)
        rc = edit_plan_add(c->plan, c->mode, c->heads, c->n_head, NULL, NULL, e);
    return rc ? rc : make_settings(c, e);
}

static int unit(void *ud, experiment *x, int64_t i, err *e)
{
    influence *c = ud;
    effect_unit u;
    loss base, masked;
    attn_kind kind = c->lm->m->main->kind;
    int rc = effect_unit_begin(&u, &c->in, x, i, e);
    if (!rc)
        rc = effect_on_text(&base, c->lm->rt, c->lm->m, &u.text.in, NULL, experiment_progress(x), e);
    if (!rc)
        rc = effect_on_text(&masked, c->lm->rt, c->lm->m, &u.text.in, c->plan, experiment_progress(x), e);
    double under = !rc ? (c->by_masked ? masked.nll : base.nll) : 1;
    if (!rc && !(under > 0)) {
        err_set(e, ERR_FAILED, "text %" PRId64 " has a loss of 0: its influence has no value", i);
        rc = err_hint(e, "leave it out; the model knows it by heart");
    }
    if (!rc)
        rc = experiment_value(x, "nll", kind, NO_INDEX, NO_INDEX, NO_INDEX, base.nll, e);
    if (!rc)
        rc = experiment_value(x, "nll_edited", kind, NO_INDEX, NO_INDEX, NO_INDEX, masked.nll, e);
    if (!rc)
        rc = experiment_value(x, "influence", kind, NO_INDEX, NO_INDEX, NO_INDEX, (masked.nll - base.nll) / under, e);
    effect_unit_end(&u);
    return rc;
}

/* ---- what it prints ---- */

/* Ranks within a domain, as texts of different domains do not compare; those without one are a domain of their own.
 * The best share of each (rounded up) is selected. */
static const char ranked[] =
    "WITH v AS (SELECT prompt, max(value) FILTER (WHERE metric = 'influence') AS influence,"
    " max(value) FILTER (WHERE metric = 'nll') AS nll, max(value) FILTER (WHERE metric = 'nll_edited') AS nll_masked"
    " FROM value_list WHERE run = ?1 GROUP BY prompt),"
    " d AS (SELECT v.*, u.label, p.n_token, (SELECT f.text FROM fact_list f WHERE f.run = ?1 AND f.prompt = v.prompt"
    " AND f.name = 'domain') AS domain FROM v JOIN unit u ON u.run_id = ?1 AND u.prompt_index = v.prompt"
    " JOIN prompt p ON p.id = u.prompt_id),"
    " r AS (SELECT *, row_number() OVER (PARTITION BY domain ORDER BY influence DESC, prompt) AS rank,"
    " count(*) OVER (PARTITION BY domain) AS of FROM d)"
    " SELECT domain, rank, CASE WHEN rank <= of * ?2 / 100.0 + 0.999999 THEN 'yes' ELSE 'no' END AS selected, prompt, label,"
    " n_token AS tokens, nll, nll_masked, influence FROM r ORDER BY domain, rank";

static int put_summary(const influence *c, const effect_view *v, err *e)
{
    value_groups g;
    strbuf b = {0};
    int rc = experiment_groups(&g, v->st, v->run, "influence", NULL, NULL, v->seed, e);
    if (rc)
        return rc;
    if (g.n)
        strbuf_printf(&b, "influence of %d masked heads (%s): mean %.4g (%.4g to %.4g), sd %.4g, %" PRId64 " texts; divided by "
                      "the loss of the %s model\n", c->n_head, c->mode->name, g.g[0].st.mean, g.g[0].st.low, g.g[0].st.high,
                      g.g[0].st.sd, g.g[0].st.n, c->by_masked ? "masked" : "plain");
    free(g.g);
    rc = output_prose(c->s, &b, e);
    strbuf_free(&b);
    return rc;
}

static int report(const influence *c, err *e)
{
    effect_view v = {.run = c->run, .seed = (uint64_t)params_int(c->a->p, "seed")};
    const cell bind[] = {cell_int(c->run), cell_real(params_real(c->a->p, "select"))};
    bool people = command_format(c->s, c->a) == FORMAT_TABLE;
    table *t = NULL;
    int rc = session_store(c->s, &v.st, e);
    if (!rc && people)
        rc = effect_heading(c->s, &v, e);
    if (!rc)
        rc = store_query(v.st, &t, ranked, bind, 2, e);
    if (!rc)
        rc = print_table(c->s, c->a, t, "attnscope.influence/1", e);
    if (!rc && people)
        rc = put_summary(c, &v, e);
    table_free(t);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    influence c = {.s = s, .a = a};
    int rc = prepare(&c, e);
    if (!rc) {
        const experiment_plan plan = {
            .s = s, .a = a, .lm = c.lm, .verb = "influence", .settings = c.settings, .edits = c.edits,
            .seed = params_int(a->p, "seed"), .n_unit = c.in.n_text, .unit = unit, .ud = &c, .what = "text",
        };
        rc = experiment_run(&plan, &c.run, e);
    }
    if (!rc)
        rc = report(&c, e);
    edit_plan_free(c.plan);
    effect_input_free(&c.in);
    free(c.heads);
    free(c.settings);
    free(c.edits);
    return rc;
}

static const char *const modes[] = {"uniform", "zero", "first", NULL};
static const char *const divisors[] = {"base", "masked", NULL};
static const param own[] = {
    {.name = "mode", .kind = PARAM_ENUM, .def = "uniform", .value = "MODE", .choices = modes,
     .help = "how heads are masked: weights uniform over the visible keys (the paper), output 0, or all on the first key"},
    {.name = "divisor", .kind = PARAM_ENUM, .def = "base", .value = "WHICH", .choices = divisors,
     .help = "loss that the difference is divided by: of the model as it is (the paper's equation 5), or of the masked one "
             "(its figure)"},
    {.name = "select", .kind = PARAM_REAL, .def = "20", .value = "PERCENT", .min = 0, .max = 100,
     .help = "share of each domain that is marked as selected"},
    {.name = NULL},
};
static const char *const examples[] = {
    "influence examples/models/lantern-3m --heads L1H2,L1H3,L2H5", "the built-in texts, ranked by domain",
    "influence models/smollm --rule \"top 5% by retrieval\" --run 2 --prompts corpus.jsonl --store runs.db",
    "a corpus, with the heads that `needle` found in run 2",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_influence = {
    .name = "influence", .group = "experiment", .usage = "[MODEL] --heads HEADS | --rule RULE",
    .summary = "rank texts by what a model loses on them without its retrieval heads (AttentionInfluence)",
    .help = "Measures the loss on each text with the model as it is and with the heads masked, and ranks the texts by "
            "(masked - base) / base within their domain (member \"domain\" of a line of --prompts): scores of different domains "
            "do not compare. Masked heads look at all visible keys alike; a weight of 1/L on keys behind the query too, as the "
            "paper's formula reads, would show the model the future. The values are kept as nll, nll_edited and influence.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
