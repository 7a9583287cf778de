/* compare: two checkpoints on the same prompts, or two stored runs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "analysis/analyse.h"
#include "analysis/drift.h"
#include "base/mem.h"
#include "cli/builtin_prompts.h"
#include "cli/compare_table.h"
#include "cli/json_line.h"
#include "cli/metric_select.h"
#include "cli/model_card.h"
#include "cli/run_name.h"
#include "cli/second_model.h"

typedef struct job {
    session *s;
    const command_args *a;
    loaded_model *first, *second;
    metric_choice metrics;
    char (*second_name)[64];  /* [metrics.n] */
    prompt_request *request;
    int64_t n_request;
    prompt_rules rules;
    const result_sink *out;   /* of the unit at hand */
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

static int open_models(job *j, err *e)
{
    const params *p = j->a->p;
    const char *quantize = params_str(p, "quantize");
    const load_options o = {.config = params_str(p, "config"), .tokenizer = params_str(p, "tokenizer")};
    for (int i = 0; i < j->a->n && i < 2; i++) {
        const char *word = j->a->word[i];
        if (!run_name_like(word) || access(word, F_OK) == 0)
            continue;
        err_set(e, ERR_USAGE, j->a->n < 2 ? "only run %s is named" : "%s is a run, the other one is none", word);
        return err_hint(e, "compare two runs (compare 3 5 --store FILE; `runs` lists them) or two models");
    }
    if (j->a->n < 2 && !quantize) {
        err_set(e, ERR_USAGE, "only one checkpoint is named");
        return err_hint(e, "name the second one, or what it is to be: --quantize q4_0");
    }
    if (params_bool(p, "quantize-embeddings") && !quantize) {
        err_set(e, ERR_USAGE, "--quantize-embeddings without --quantize");
        return err_hint(e, "name the form, for example --quantize q4_0");
    }
    int rc = session_model_with(j->s, j->a->n ? j->a->word[0] : NULL, &o, &j->first, e);
    if (!rc)
        rc = second_model_open(&j->second, j->s, j->a, j->a->n > 1 ? j->a->word[1] : j->first->path, quantize, j->first, e);
    if (!rc)
        rc = session_runtime(j->s, j->first, (int)option_threads(j->s, j->a), option_precision(j->s, j->a), e);
    return rc;
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

/* Everything that can be wrong with the words is found before the store is touched. */
static int check_prompts(job *j, err *e)
{
    const analysis_request req = request_of(j);
    int rc = 0;
    for (int64_t i = 0; i < j->n_request && !rc; i++) {
        prompt_input in;
        if ((rc = make_input(&in, j, i, e)))
            break;
        rc = second_model_tokens(j->second, j->first, &j->request[i], &j->rules, &in, e);
        for (int k = 0; k < 2 && !rc; k++) {
            const loaded_model *lm = k ? j->second : j->first;
            rc = analyse_check(lm->rt, lm->m, &in.in, &req, e);
        }
        prompt_free(&in);
    }
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
        rc = open_models(j, e);
    if (!rc)
        rc = metric_fit(&j->metrics, j->first->m, e);
    if (!rc)
        rc = metric_need(&j->metrics, p, j->first->tok, e);
    if (!rc)
        rc = prompt_requests_chosen(&j->request, &j->n_request, p, true, e);
    if (!rc && !(j->second_name = mem_array((size_t)j->metrics.n + 1, sizeof *j->second_name, e)))
        rc = ERR_RESOURCE;
    for (int i = 0; i < j->metrics.n && !rc; i++)
        snprintf(j->second_name[i], sizeof *j->second_name, "%.48s" SECOND_SUFFIX, j->metrics.list[i]->name);
    return rc ? rc : check_prompts(j, e);
}

static char *settings_json(const job *j, err *e)
{
    const params *p = j->a->p;
    model_card card;
    strbuf b = {0};
    if (model_card_make(&card, j->second, true, &j->s->prog, e))
        return NULL;
    json_line_begin(&b, NULL);
    json_line_text(&b, "second", j->second->path);
    json_line_text(&b, "second-sha256", card.weights);
    json_line_text(&b, "second-dtype", card.dtype);
    metric_put_settings(&b, &j->metrics, p);
    json_line_int(&b, "prompts", j->n_request);
    json_line_text(&b, "file", params_str(p, "prompts"));
    json_line_bool(&b, "special", j->rules.special);
    if (j->rules.truncate)
        json_line_int(&b, "truncate", j->rules.truncate);
    strbuf_putc(&b, '}');
    model_card_free(&card);
    return strbuf_take(&b, e);
}

/* Values of the second model under names of their own. */
static int second_value(void *ud, const result_value *v, err *e)
{
    const job *j = ud;
    result_value named = *v;
    for (int i = 0; i < j->metrics.n; i++)
        if (strcmp(v->metric, j->metrics.list[i]->name) == 0)
            named.metric = j->second_name[i];
    return j->out->value(j->out->ud, &named, e);
}

static int unit(void *ud, experiment *x, int64_t i, err *e)
{
    job *j = ud;
    const analysis_request req = request_of(j);
    const result_sink renamed = {.value = second_value, .ud = j};
    const progress *p = experiment_progress(x);
    prompt_input in;
    int rc = make_input(&in, j, i, e);
    if (rc)
        return rc;
    j->out = experiment_sink(x);
    rc = experiment_prompt(x, &in, NULL, e);
    if (!rc)
        rc = drift_run(j->first->rt, j->first->m, j->second->rt, j->second->m, &in.in, 0, j->out, p, e);
    if (!rc && j->metrics.n)
        rc = analyse(j->first->rt, j->first->m, &in.in, &req, j->out, p, e);
    if (!rc && j->metrics.n)
        rc = analyse(j->second->rt, j->second->m, &in.in, &req, &renamed, p, e);
    prompt_free(&in);
    return rc;
}

static int report(session *s, const command_args *a, int64_t first, int64_t second, const char *suffix, err *e)
{
    store *st;
    int rc = session_store(s, &st, e);
    if (rc)
        return rc;
    compare_report r = {.s = s, .a = a, .st = st, .first = first, .second = second, .suffix = suffix,
                        .metrics = first == second ? NULL : params_str(a->p, "metrics"),
                        .seed = (uint64_t)params_int(a->p, "seed")};
    rc = compare_print(&r, e);
    if (!rc && !r.equal && params_bool(a->p, "expect-equal"))
        rc = err_set(e, ERR_DIFFERS, "the two are not equal");
    return rc;
}

static int compare_models(session *s, const command_args *a, err *e)
{
    job j = {.s = s, .a = a};
    int64_t run = 0;
    char *settings = NULL;
    int rc = prepare(&j, e);
    if (!rc && !(settings = settings_json(&j, e)))
        rc = e->code ? e->code : ERR_RESOURCE;
    if (!rc) {
        const experiment_plan plan = {.s = s, .a = a, .lm = j.first, .verb = "compare", .settings = settings,
                                      .seed = params_int(a->p, "seed"), .n_unit = j.n_request, .unit = unit, .ud = &j,
                                      .what = "prompt"};
        rc = experiment_run(&plan, &run, e);
    }
    if (!rc)
        rc = report(s, a, run, run, SECOND_SUFFIX, e);
    free(settings);
    free(j.second_name);
    strbuf_free(&j.metrics.left);
    prompt_requests_free(j.request, j.n_request);
    loaded_model_free(j.second);
    return rc;
}

static int compare_runs(session *s, const command_args *a, err *e)
{
    int64_t first = 0, second = 0;
    store *st;
    int rc = store_to_read(s, &st, e);
    if (!rc)
        rc = run_name_read(&first, st, a->word[0], e);
    if (!rc)
        rc = run_name_read(&second, st, a->word[1], e);
    if (!rc && first == second) {
        err_set(e, ERR_USAGE, "run %" PRId64 " is named twice", first);
        rc = err_hint(e, "name two runs; `runs` lists them");
    }
    return rc ? rc : report(s, a, first, second, "", e);
}

static int run(session *s, const command_args *a, err *e)
{
    if (a->n == 0 && !s->current) {
        err_set(e, ERR_USAGE, "needs two models, one model and --quantize, or two runs");
        return err_hint(e, "compare base/ tuned/, compare MODEL --quantize q4_0, or compare 3 5 --store FILE");
    }
    bool runs = a->n == 2 && run_name_like(a->word[0]) && run_name_like(a->word[1]);
    return runs ? compare_runs(s, a, e) : compare_models(s, a, e);
}

static const param own[] = {
    {.name = "metrics", .kind = PARAM_LIST, .value = "LIST", .complete = "metrics",
     .help = "what is measured in both; of two runs: what is shown"},
    {.name = "top", .kind = PARAM_INT, .def = "10", .value = "N", .max = 1e9,
     .help = "heads whose maps are furthest apart; 0: all"},
    {.name = "expect-equal", .kind = PARAM_BOOL, .help = "exit status 4 unless nothing differs, to the last bit"},
    {.name = NULL},
};
static const char *const examples[] = {
    "compare examples/models/lantern-3m --quantize q4_0", "what rounding the weights to 4 bits does to each head",
    "compare base/ tuned/ --prompts chat.jsonl --metrics sink,entropy,induction", "two checkpoints, base and tuned",
    "compare 3 5 --store heads.db", "two stored runs: the paired difference of every value",
    NULL,
};
static const char *const complete[] = {"compared", "compared", NULL};

const command command_compare = {
    .name = "compare", .group = "measure", .usage = "[MODEL_A] [MODEL_B] | RUN_1 RUN_2",
    .summary = "two checkpoints on the same prompts, head by head; or two stored runs",
    .help = "Both checkpoints read the same prompts (--prompts, --prompt, or the first 64 tokens of the built-in ones), with the"
            " same metrics. For each "
            "head: the Jensen-Shannon divergence of its two maps (map_jsd: mean over queries, nats, both maps formed side by "
            "side, exact, in memory that grows with n). For each metric and place: the second checkpoint's value less the "
            "first's, paired by prompt, with sd and a bootstrap 95 % interval. For predictions: the KL divergence of the second "
            "from the first at each position, in nats, and how often the most likely token is the same.\n\n"
            "With one checkpoint, --quantize makes the second out of it: what rounding its weights changes. With two, it "
            "rounds the second. They must have the same layers, heads, vocabulary and tokenizer.\n\n"
            "Two numbers are stored runs: values of the same metric on the same prompt are paired.\n\n"
            "In --json, --csv and --tsv a row is a place: of map_jsd, logit_kl and top1_agree `mean` is the value, of a metric"
            " the change, and `first` and `second` are the means of the two; a metric of tokens (nll) has, "
            "before its positions, a "
            "row without a position for the mean over them. The table for people shows the place where a metric "
            "changes most: that one was chosen, which its interval does not account for.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 2, .complete = complete, .extra_params = extra, .run = run,
};
