/* census: one row a head, with all that is measured of it side by side. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "analysis/analyse.h"
#include "analysis/haystack.h"
#include "analysis/retrieval.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/builtin_prompts.h"
#include "cli/census_table.h"
#include "cli/edit_select.h"
#include "cli/json_line.h"
#include "cli/metric_select.h"
#include "cli/output.h"
#include "cli/terminal.h"

enum { TRIAL_STEPS = 24, HAYSTACK_BYTES = 1 << 16, N_LENGTH = 3 };

typedef struct census {
    session *s;
    const command_args *a;
    loaded_model *lm;
    metric_choice metrics;
    analysis_request measured;
    prompt_request *request;   /* [n_text] that are long enough, in their order */
    int64_t n_text, n_short;
    int64_t length;            /* tokens of every text */
    int64_t half;              /* random tokens, twice */
    int64_t n_random, n_trial;
    trials trials;
    char *settings;
    int64_t run;
} census;

static const param *const *extra(void)
{
    static const param *tables[9];
    tables[0] = prompts_params;
    tables[1] = builtin_params;
    tables[2] = precision_params;
    tables[3] = config_params;
    tables[4] = tokenizer_params;
    tables[5] = experiment_params;
    tables[6] = edit_option_params;
    tables[7] = metric_choice_params();
    return tables;
}

/* ---- what is asked for ---- */

static prompt_rules text_rules(const census *c)
{
    return (prompt_rules){.special = true, .truncate = c->length};
}

/* Texts of fewer tokens than the length are left out: alpha and entropy of different lengths do not compare. */
static int read_texts(census *c, err *e)
{
    const params *p = c->a->p;
    int64_t n = 0, kept = 0;
    const prompt_rules rules = text_rules(c);
    int rc = prompt_requests_chosen(&c->request, &n, p, true, e);
    for (int64_t i = 0; i < n && !rc; i++) {
        prompt_input in;
        rc = prompt_make(&in, c->lm, &c->request[i], &rules, e);
        if (rc && c->request[i].where[0])
            err_prefix(e, "%s", c->request[i].where);
        if (rc)
            break;
        if (in.main.n == c->length) {
            prompt_request keep = c->request[i];
            c->request[i] = c->request[kept];
            c->request[kept++] = keep;
        }
        prompt_free(&in);
    }
    c->n_text = kept;
    c->n_short = n - kept;
    for (int64_t i = kept; i < n; i++)
        prompt_request_free(&c->request[i]);
    if (rc || kept)
        return rc;
    err_set(e, ERR_INPUT, "none of %" PRId64 " prompts has %" PRId64 " tokens", n, c->length);
    return err_hint(e, "give a smaller --length, or longer prompts");
}

static int make_trials(census *c, err *e)
{
    const tokenizer *tok = c->lm->tok;
    const haystack_rules rules = {
        .trial = {.tok = tok, .match = NEEDLE_BYTES, .special = true, .vocab = c->lm->m->vocab},
        .frame = frame_plain, .place = NEEDLE_PARAGRAPH, .buffer = -1,
    };
    uint64_t seed = (uint64_t)params_int(c->a->p, "seed");
    int64_t context = c->lm->m->main->context - TRIAL_STEPS, longest = params_int(c->a->p, "trial-length");
    needles list = {0};
    strbuf text = {0};
    haystack h = {0};
    longest = longest < context ? longest : context;
    int rc = needles_builtin(&list, c->n_trial, params_str(c->a->p, "wording"), seed, e);
    if (!rc)
        rc = haystack_generate(&text, HAYSTACK_BYTES + (size_t)longest * 16, seed, 0, e);
    if (!rc)
        rc = haystack_open(&h, tok, strbuf_str(&text), text.len, e);
    c->trials.t = rc ? NULL : mem_array((size_t)c->n_trial, sizeof *c->trials.t, e);
    if (!rc && !c->trials.t)
        rc = ERR_RESOURCE;
    for (int64_t i = 0; i < c->n_trial && !rc; i++) {
        int64_t length = longest * (i % N_LENGTH + 1) / N_LENGTH;
        double depth = (double)(i % 5) / 4;
        rc = haystack_trial(&c->trials.t[i], &h, &list.list[i], length, depth, &rules, e);
        c->trials.n += rc == 0;
        if (rc == ERR_USAGE) /* of a length that no option names */
            err_hint(e, "the shortest haystack is a third of --trial-length (%" PRId64 "%s): give a larger one, or leave the "
                     "trials out with --trials 0", longest, longest == context ? ", what the context leaves room for" : "");
    }
    haystack_close(&h);
    strbuf_free(&text);
    needles_free(&list);
    return rc;
}

static int make_settings(census *c, err *e)
{
    const params *p = c->a->p;
    strbuf b = {0};
    json_line_begin(&b, NULL);
    metric_put_settings(&b, &c->metrics, p);
    json_line_text(&b, "prompts", params_str(p, "prompts") ? params_str(p, "prompts") : "builtin");
    json_line_int(&b, "texts", c->n_text);
    json_line_int(&b, "length", c->length);
    json_line_int(&b, "random", c->n_random);
    json_line_int(&b, "random-length", c->half);
    json_line_int(&b, "trials", c->n_trial);
    json_line_int(&b, "trial-length", params_int(p, "trial-length"));
    json_line_text(&b, "wording", params_str(p, "wording"));
    strbuf_putc(&b, '}');
    c->settings = strbuf_take(&b, e);
    return c->settings ? 0 : ERR_RESOURCE;
}

static int require_text_model(census *c, err *e)
{
    const model *m = c->lm->m;
    if (m->needs != NEEDS_TOKENS) {
        err_set(e, ERR_USAGE, "a census takes models that read one text, %s reads more than that", m->name);
        return err_hint(e, "`run` measures it, with --prompts for many inputs");
    }
    if (!c->lm->tok) {
        err_set(e, ERR_USAGE, "%s has no tokenizer: %s", m->name, c->lm->tok_err.msg);
        return err_hint(e, "name one with --tokenizer FILE");
    }
    return 0;
}

static int prepare(census *c, err *e)
{
    const params *p = c->a->p;
    int rc = metric_choose(&c->metrics, params_str(p, "metrics") ? params_str(p, "metrics") : census_metrics, e);
    c->metrics.named = params_str(p, "metrics") != NULL;
    if (!rc)
        rc = metric_check_params(&c->metrics, p, e);
    if (!rc)
        rc = choose_model(c->s, c->a, true, &c->lm, e);
    if (!rc)
        rc = require_text_model(c, e);
    if (!rc)
        rc = metric_fit(&c->metrics, c->lm->m, e);
    if (!rc)
        rc = metric_need(&c->metrics, p, c->lm->tok, e);
    if (rc)
        return rc;
    int64_t context = c->lm->m->main->context;
    c->length = params_int(p, "length");
    c->half = params_int(p, "random-length");
    c->half = 2 * c->half + 1 > context ? (context - 1) / 2 : c->half;
    c->n_random = c->half > 1 ? params_int(p, "random") : 0;
    c->n_trial = retrieval_check_model(c->lm->m, NULL) == 0 ? params_int(p, "trials") : 0;
    if (c->length > context)
        return err_set(e, ERR_USAGE, "--length %" PRId64 " is above the context of %" PRId64, c->length, context);
    rc = read_texts(c, e);
    if (!rc && c->n_trial)
        rc = make_trials(c, e);
    return rc ? rc : make_settings(c, e);
}

/* ---- units ---- */

static int say_set(experiment *x, census_part part, err *e)
{
    return experiment_fact(x, "set", census_part_names[part], strlen(census_part_names[part]), e);
}

static int text_of(prompt_input *in, const census *c, int64_t i, err *e)
{
    const prompt_rules rules = text_rules(c);
    return prompt_make(in, c->lm, &c->request[i], &rules, e);
}

/* BOS where the tokenizer adds one to a text, then random tokens that are not special, then the same again. */
static int random_tokens(prompt_input *in, const census *c, int64_t i, err *e)
{
    const tokenizer *tok = c->lm->tok;
    int64_t vocab = c->lm->m->main->embed.tokens.n_out, tried = 0, n = 0;
    int32_t *ids = mem_array((size_t)(2 * c->half + 1), sizeof *ids, e);
    tokens empty = {0};
    rng r;
    *in = (prompt_input){.main.ids = ids};
    if (!ids)
        return ERR_RESOURCE;
    int rc = tokenizer_encode(tok, "", 0, true, &empty, e);
    if (!rc && empty.n > 0)
        ids[n++] = empty.t[0].id;
    tokens_free(&empty);
    rng_seed(&r, (uint64_t)params_int(c->a->p, "seed"), (uint64_t)i);
    for (int64_t k = 0, front = n; k < c->half && !rc; tried++) {
        int32_t id = (int32_t)rng_below(&r, vocab);
        if (tokenizer_is_special(tok, id) && tried < 100 * c->half)
            continue;
        ids[front + k] = ids[front + c->half + k] = id;
        k++;
        n = front + 2 * k;
    }
    in->main.n = n;
    in->in = (model_input){.ids = ids, .n = n};
    return rc;
}

/* Texts and random tokens, which are measured alike and can pass together. */
static int input_of(void *ud, int64_t i, prompt_input *in, const analysis_request **request, err *e)
{
    const census *c = ud;
    *in = (prompt_input){0};
    if (i >= c->n_text + c->n_random)
        return 0;
    *request = &c->measured;
    return i < c->n_text ? text_of(in, c, i, e) : random_tokens(in, c, i - c->n_text, e);
}

static int measured_unit(census *c, experiment *x, int64_t i, err *e)
{
    const analysis_request *request = NULL;
    bool text = i < c->n_text;
    prompt_input in;
    int rc = input_of(c, i, &in, &request, e);
    if (!rc && text)
        rc = experiment_prompt(x, &in, NULL, e);
    else if (!rc)
        rc = experiment_ids(x, in.main.ids, in.main.n, "random tokens twice", e);
    if (!rc)
        rc = say_set(x, text ? PART_TEXT : PART_RANDOM, e);
    if (!rc)
        rc = experiment_measure(x, &in.in, request, e);
    prompt_free(&in);
    return rc;
}

static int put_scores(experiment *x, const retrieval *found, err *e)
{
    int rc = 0;
    for (int l = 0; l < found->n_layer && !rc; l++)
        for (int h = 0; h < found->layer_heads[l] && !rc; h++) {
            const head_retrieval *of = &found->heads[l * found->n_head + h];
            rc = experiment_value(x, "retrieval", found->kind, l, h, NO_INDEX, of->coded, e);
            if (!rc)
                rc = experiment_value(x, "retrieval_set", found->kind, l, h, NO_INDEX, of->set, e);
        }
    return rc;
}

static int trial_unit(census *c, experiment *x, int64_t i, err *e)
{
    const trial *t = &c->trials.t[i];
    const retrieval_rules rules = {.steps = TRIAL_STEPS, .stop_at_newline = true, .tok = c->lm->tok,
                                   .success = SUCCESS_TOKENS, .recall = .5};
    retrieval found = {0};
    int rc = experiment_ids(x, t->ids, t->n, "needle in a haystack", e);
    if (!rc)
        rc = say_set(x, PART_NEEDLE, e);
    if (!rc)
        rc = retrieval_run(&found, c->lm->rt, c->lm->m, t, &rules, experiment_progress(x), e);
    if (rc)
        return rc;
    rc = experiment_value(x, "success", c->lm->m->main->kind, NO_INDEX, NO_INDEX, NO_INDEX, found.success, e);
    if (!rc && found.text)
        rc = experiment_fact(x, "generated", found.text, found.text_len, e);
    if (!rc && found.success)
        rc = put_scores(x, &found, e);
    retrieval_free(&found);
    return rc;
}

static int unit(void *ud, experiment *x, int64_t i, err *e)
{
    census *c = ud;
    int64_t measured = c->n_text + c->n_random;
    return i < measured ? measured_unit(c, x, i, e) : trial_unit(c, x, i - measured, e);
}

/* ---- what it prints ---- */

static int put_rules(const census *c, const census_view *v, store *st, err *e)
{
    strbuf b = {0}, labels = {0};
    stats rate;
    value_groups success = {0};
    int rc = census_sink_rate(&rate, v, e);
    if (!rc)
        rc = experiment_means(&success, st, c->run, "success", NULL, NULL, e);
    if (!rc)
        rc = census_labels(&labels, v, e);
    if (!rc && rate.n)
        strbuf_printf(&b, "sink rate: %.1f %% of heads (%.1f to %.1f, 95 %%), alpha of key 0 above %g, T = %" PRId64 ", %"
                      PRId64 " texts\n", 100 * rate.mean, 100 * rate.low, 100 * rate.high, v->threshold, c->length, rate.n);
    if (!rc && success.n) {
        const stats *tried = &success.g[0].st;
        strbuf_printf(&b, "needle trials: %.0f of %" PRId64 " succeeded%s\n", tried->mean * (double)tried->n, tried->n,
                      tried->mean == 1 ? "" : tried->mean > 0 ? "; the others do not count"
                                                                : ", so there are no retrieval scores");
    }
    if (!rc)
        strbuf_puts(&b, strbuf_str(&labels));
    if (!rc)
        rc = output_prose(c->s, &b, e);
    free(success.g);
    strbuf_free(&b);
    strbuf_free(&labels);
    return rc;
}

/* A table of every shown score would come out as a block of lines a head. */
static bool narrow(session *s)
{
    enum { WIDE = 120 };
    int columns = terminal_output(s) ? terminal_size(STDOUT_FILENO).columns : 0;
    return columns > 0 && columns < WIDE;
}

static int report(const census *c, err *e)
{
    const params *p = c->a->p;
    output_format format = command_format(c->s, c->a);
    const char *by = params_str(p, "by");
    store *st;
    table *t = NULL;
    strbuf b = {0};
    int rc = session_store(c->s, &st, e);
    const census_view v = {
        .st = st, .run = c->run, .threshold = params_real(p, "sink-threshold"), .seed = (uint64_t)params_int(p, "seed"),
        .by_domain = by && strcmp(by, "domain") == 0, .labelled = params_bool(p, "labelled"),
        .all = params_bool(p, "all") || format != FORMAT_TABLE, .room = narrow(c->s) ? 1 : 2,
    };
    if (!rc)
        rc = census_table(&t, &v, e);
    if (!rc && format == FORMAT_TABLE) {
        strbuf_printf(&b, "run %" PRId64 ": ", c->run);
        rc = experiment_conditions(&b, st, c->run, e);
        strbuf_putc(&b, '\n');
        if (!rc)
            rc = output_prose(c->s, &b, e);
    }
    if (!rc)
        rc = print_table(c->s, c->a, t, "attnscope.census/1", e);
    if (!rc && format == FORMAT_TABLE)
        rc = put_rules(c, &v, st, e);
    if (!rc && c->n_short)
        say(c->s, "left out: %" PRId64 " prompt%s of fewer than %" PRId64 " tokens", c->n_short, c->n_short == 1 ? "" : "s",
            c->length);
    strbuf_free(&b);
    table_free(t);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    census c = {.s = s, .a = a};
    edit_choice changed = {0};
    int rc = prepare(&c, e);
    if (!rc)
        rc = edit_choose(&changed, s, a, c.lm, e);
    if (!rc) {
        c.measured = (analysis_request){.metrics = c.metrics.list, .n_metric = c.metrics.n, .p = a->p, .tok = c.lm->tok};
        const experiment_plan plan = {
            .s = s, .a = a, .lm = c.lm, .verb = "census", .settings = c.settings, .edits = edit_choice_json(&changed),
            .seed = params_int(a->p, "seed"), .n_unit = c.n_text + c.n_random + c.n_trial, .unit = unit, .input = input_of,
            .ud = &c, .what = "prompt",
        };
        rc = experiment_run(&plan, &c.run, e);
    }
    if (!rc)
        rc = report(&c, e);
    edit_choice_free(&changed);
    prompt_requests_free(c.request, c.n_text);
    trials_free(&c.trials);
    strbuf_free(&c.metrics.left);
    free(c.settings);
    return rc;
}

static const char *const by_choices[] = {"head", "domain", NULL};
static const char *const wording_choices[] = {"fact", "place", "advice", "code", NULL};
static const param own[] = {
    {.name = "by", .kind = PARAM_ENUM, .def = "head", .value = "WHAT", .choices = by_choices,
     .help = "a row a head, or a row a head and domain of the texts"},
    {.name = "labelled", .kind = PARAM_BOOL, .help = "only heads that have a label"},
    {.name = "all", .kind = PARAM_BOOL, .help = "every score with n, sd and interval (CSV and JSON have them in any case)"},
    {.name = "metrics", .kind = PARAM_LIST, .value = "LIST", .complete = "metrics",
     .help = "what to measure of the texts and random tokens instead of the census' own list"},
    {.name = "length", .kind = PARAM_INT, .def = "64", .value = "T", .min = 2, .max = 1e9,
     .help = "tokens of every text; longer ones are cut, shorter ones left out"},
    {.name = "random", .kind = PARAM_INT, .def = "4", .value = "N", .min = 0, .max = 1e6,
     .help = "prompts of random tokens repeated once, for induction"},
    {.name = "random-length", .kind = PARAM_INT, .def = "64", .value = "N", .min = 2, .max = 1e9,
     .help = "random tokens before they are repeated"},
    {.name = "trials", .kind = PARAM_INT, .def = "24", .value = "N", .min = 0, .max = 1e6,
     .help = "needles in generated haystacks, for retrieval"},
    {.name = "trial-length", .kind = PARAM_INT, .def = "300", .value = "N", .min = 120, .max = 1e9,
     .help = "tokens of the longest haystack; a third of the trials has a third of it, another two thirds"},
    {.name = "wording", .kind = PARAM_ENUM, .def = "fact", .value = "W", .choices = wording_choices,
     .help = "how the needles are worded"},
    {.name = NULL},
};
static const char *const examples[] = {
    "census examples/models/lantern-3m", "every head of the bundled model, with the names it earns",
    "census examples/models/lantern-3m --labelled --json", "heads with a label, all scores with their intervals",
    "census examples/models/lantern-3m --edit \"zero L0H1\" --labelled", "which names are left when a head is taken out",
    "census models/smollm --prompts mine.jsonl --by domain --store census.db", "own texts, by domain, kept",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_census = {
    .name = "census", .group = "measure", .usage = "[MODEL]",
    .summary = "name the heads: sinks, previous token, induction, retrieval",
    .help = "Runs short texts (--prompts, or those that come with the program), random tokens repeated once, and needle "
            "trials, and prints a row for each head: the means of its scores over the prompts, and labels by these rules. "
            "previous-token, current-token: mean weight on the token before, or on itself, above .5 on the texts. "
            "induction, duplicate-token: mean weight on the token after the earlier copy, or on the copy, above .3 on random "
            "tokens. sink: alpha of key 0 is above --sink-threshold in more than half of the texts, each counted 0 or 1 "
            "before anything is averaged. retrieval: mean score above .1 over the trials that succeeded. delimiter: weight "
            "on delimiters above .5. uniform: entropy above .9 of the log of the visible keys. A label says what a head "
            "looks at, not that the model needs it: `ablate` asks that. Every value is kept in the store; CSV and JSON give "
            "n, mean, standard deviation and a bootstrap 95 % interval of every score.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
