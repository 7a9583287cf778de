/* needle: which heads copy an answer out of a long text. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/outfile.h"
#include "cli/chat_input.h"
#include "cli/edit_select.h"
#include "cli/experiment.h"
#include "cli/needle_plan.h"
#include "cli/needle_tables.h"
#include "cli/output.h"

typedef struct job {
    session *s;
    const command_args *a;
    loaded_model *lm;
    needle_plan plan;
} job;

/* ---- one trial ---- */

static char *label_of(const trial *t, int64_t i, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, "%s%s%" PRId64 " tokens, depth %.4g %%, trial %" PRId64, t->label ? t->label : "",
                  t->label ? ", " : "", t->length, 100 * t->depth, i);
    return strbuf_take(&b, e);
}

/* The prompt as a row of the store: of a decoder its ids; of an encoder-decoder the source and the start token. */
static int store_prompt_of(const job *j, experiment *x, const trial *t, int64_t i, err *e)
{
    int32_t start = j->plan.score.start;
    char *label = label_of(t, i, e);
    bool *special = label ? mem_array((size_t)t->n, sizeof *special, e) : NULL, first = true;
    if (!special) {
        free(label);
        return ERR_RESOURCE;
    }
    for (int64_t k = 0; k < t->n && j->lm->tok; k++)
        special[k] = tokenizer_is_special(j->lm->tok, t->ids[k]);
    prompt_input in = {.in = {.ids = t->ids, .n = t->n}};
    token_list whole = {.ids = t->ids, .n = t->n, .special = special, .text = t->text, .text_len = t->text_len};
    snprintf(whole.policy, sizeof whole.policy, "%s", t->policy ? t->policy : "ids as they were given");
    in.main = whole;
    if (j->lm->m->encoder) {
        in.source = whole;
        in.main = (token_list){.ids = &start, .n = 1, .special = &first, .policy = "start token alone"};
        in.in = (model_input){.ids = &start, .n = 1, .source = t->ids, .n_source = t->n};
    }
    int rc = experiment_prompt(x, &in, label, e);
    free(special);
    free(label);
    return rc;
}

static int put_trial(experiment *x, attn_kind kind, const trial *t, const retrieval *r, const retrieval_rules *rules, err *e)
{
    const struct { const char *name; double value; bool there; } rows[] = {
        {"length", (double)t->length, true},
        {"depth", t->depth, true},
        {"recall", rules->success == SUCCESS_ROUGE1 ? r->rouge1 : r->token_recall, true},
        {"token_recall", r->token_recall, true},
        {"rouge1", r->rouge1, r->has_rouge},
        {"exact", r->exact, true},
        {"success", r->success, true},
        {"generated", (double)r->n_generated, true},
        {"needle_tokens", (double)(t->needle_end - t->needle_begin), true},
        {"needle_begin", (double)t->needle_begin, true},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !rc; i++)
        if (rows[i].there)
            rc = experiment_value(x, rows[i].name, kind, NO_INDEX, NO_INDEX, NO_INDEX, rows[i].value, e);
    if (!rc && r->text)
        rc = experiment_fact(x, "generated", r->text, r->text_len, e);
    if (!rc && t->answer)
        rc = experiment_fact(x, "answer", t->answer, t->answer_len, e);
    return rc ? rc : experiment_fact(x, "stopped", r->stopped, strlen(r->stopped), e);
}

static int put_heads(experiment *x, const trial *t, const retrieval *r, err *e)
{
    int rc = 0;
    for (int l = 0; l < r->n_layer; l++)
        for (int h = 0; h < r->layer_heads[l] && !rc; h++) {
            const head_retrieval *of = &r->heads[(int64_t)l * r->n_head + h];
            rc = experiment_value(x, "retrieval", r->kind, l, h, NO_INDEX, of->coded, e);
            if (!rc)
                rc = experiment_value(x, "retrieval_set", r->kind, l, h, NO_INDEX, of->set, e);
            if (!rc && of->n_hit > 0)
                rc = experiment_value(x, "copy_offset", r->kind, l, h, NO_INDEX, of->copy_offset, e);
        }
    /* Every hit: the key, at the position of the query. */
    for (int64_t i = 0; i < r->n_hits && !rc; i++) {
        const retrieval_hit *hit = &r->hits[i];
        int64_t query = hit->step + (r->kind == ATTN_CROSS ? 0 : t->n - 1);
        rc = experiment_value(x, "copy_position", r->kind, hit->layer, hit->head, query, (double)hit->key, e);
    }
    return rc;
}

static int unit(void *ud, experiment *x, int64_t i, err *e)
{
    job *j = ud;
    const trial *t;
    trial own;
    retrieval r = {0};
    int rc = needle_plan_trial(&j->plan, i, &t, &own, e);
    if (rc)
        return rc;
    rc = store_prompt_of(j, x, t, i, e);
    if (!rc)
        rc = retrieval_run(&r, j->lm->rt, j->lm->m, t, &j->plan.score, experiment_progress(x), e);
    if (!rc)
        rc = put_trial(x, j->lm->m->main->kind, t, &r, &j->plan.score, e);
    if (!rc)
        rc = put_heads(x, t, &r, e);
    retrieval_free(&r);
    trial_free(&own);
    return rc;
}

/* ---- what comes out ---- */

static int emit_trials(job *j, const char *path, err *e)
{
    outfile *f = NULL;
    int rc = outfile_open(&f, path, e);
    for (int64_t i = 0; i < j->plan.n_trial && !rc; i++) {
        const trial *t;
        trial own = {0};
        strbuf b = {0};
        rc = needle_plan_trial(&j->plan, i, &t, &own, e);
        if (!rc) {
            trial_put_json(&b, t);
            rc = b.failed ? err_nomem(e, "trial") : outfile_write(f, b.s, b.len, e);
        }
        strbuf_free(&b);
        trial_free(&own);
    }
    if (!rc)
        rc = outfile_commit(f, e);
    else
        outfile_abandon(f);
    if (!rc && strcmp(path, "-") != 0)
        say(j->s, "%" PRId64 " trials in %s", j->plan.n_trial, path);
    return rc;
}

static int none_counted(const job *j, const needle_counts *n, int64_t run, err *e)
{
    err_set(e, ERR_FAILED, "none of %" PRId64 " trials has a recall above %g: there are no scores (the best recall is %.3g)",
            n->all, j->plan.score.recall, n->best_recall);
    return err_hint(e, "--per-trial shows what was generated (run %" PRId64 "); try shorter --lengths, --chat, or a smaller "
                       "--recall", run);
}

static int print_and_free(job *j, table *t, const char *schema, err *e)
{
    int rc = print_table(j->s, j->a, t, schema, e);
    table_free(t);
    return rc;
}

/* For people: how the numbers were taken, and how many trials count. */
static int put_conditions(job *j, store *st, int64_t run, const needle_counts *n, err *e)
{
    strbuf b = {0};
    int rc = experiment_conditions(&b, st, run, e);
    if (j->plan.trial.render)
        strbuf_puts(&b, ", prompts in the chat template");
    strbuf_printf(&b, "\n%" PRId64 " of %" PRId64 " trials count (%s recall above %g), %" PRId64 " answers are exact; run %"
                  PRId64 "\n", n->counted, n->all, j->plan.score.success == SUCCESS_ROUGE1 ? "ROUGE-1" : "token",
                  j->plan.score.recall, n->exact, run);
    if (!rc)
        rc = output_prose(j->s, &b, e);
    strbuf_free(&b);
    return rc;
}

/* How the heads divide, at the limits that the authors use. */
static int put_shares(job *j, const table *heads, err *e)
{
    strbuf b = {0};
    int64_t n[4] = {0};
    for (int64_t i = 0; i < heads->n_row; i++) {
        double v = cell_number(table_cell(heads, i, 2));
        n[v <= 0 ? 0 : v <= 0.1 ? 1 : v <= 0.5 ? 2 : 3]++;
    }
    strbuf_printf(&b, "\n%" PRId64 " heads: %" PRId64 " score 0, %" PRId64 " up to 0.1, %" PRId64 " up to 0.5, %" PRId64
                  " more; %.1f %% are above 0.1\n", heads->n_row, n[0], n[1], n[2], n[3],
                  heads->n_row ? 100 * (double)(n[2] + n[3]) / (double)heads->n_row : 0);
    int rc = output_prose(j->s, &b, e);
    strbuf_free(&b);
    return rc;
}

static int show(job *j, store *st, int64_t run, err *e)
{
    const params *p = j->a->p;
    bool people = command_format(j->s, j->a) == FORMAT_TABLE;
    uint64_t seed = j->plan.seed;
    needle_counts n;
    table *t = NULL;
    int rc = needle_count(&n, st, run, e);
    if (!rc && people)
        rc = put_conditions(j, st, run, &n, e);
    if (!rc && params_bool(p, "per-trial") && !(rc = needle_trial_table(&t, st, run, e)))
        return print_and_free(j, t, "attnscope.needle_trial/1", e);
    if (!rc && (people || params_bool(p, "grid")) && !(rc = needle_grid_table(&t, st, run, people, seed, e)))
        rc = print_and_free(j, t, "attnscope.needle_cell/1", e);
    if (rc || params_bool(p, "grid"))
        return rc;
    if (n.counted == 0)
        return none_counted(j, &n, run, e);
    int64_t top = params_given(p, "top") || people ? params_int(p, "top") : 0;
    if ((rc = needle_head_table(&t, st, run, seed, e)))
        return rc;
    if (people)
        rc = put_shares(j, t, e);
    if (top > 0 && top < t->n_row)
        t->n_row = top;
    if (!rc)
        return print_and_free(j, t, "attnscope.needle_head/1", e);
    table_free(t);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    job j = {.s = s, .a = a};
    const char *emit = params_str(a->p, "emit"), *scores = params_str(a->p, "scores");
    int64_t id = 0;
    store *st;
    char *settings = NULL;
    edit_choice changed = {0};
    int rc = choose_model(s, a, true, &j.lm, e);
    if (rc)
        return rc;
    rc = needle_plan_make(&j.plan, j.lm, a->p, e);
    if (!rc && emit) {
        rc = edits_without_run(a, e);
        if (!rc)
            rc = emit_trials(&j, emit, e);
        needle_plan_free(&j.plan);
        return rc;
    }
    if (!rc && !(settings = needle_plan_settings(&j.plan, e)))
        rc = e->code ? e->code : ERR_RESOURCE;
    if (!rc)
        rc = edit_choose(&changed, s, a, j.lm, e);
    const experiment_plan plan = {
        .s = s, .a = a, .lm = j.lm, .settings = settings, .edits = edit_choice_json(&changed),
        .seed = params_int(a->p, "seed"), .n_unit = j.plan.n_trial, .unit = unit, .ud = &j, .what = "trial",
    };
    if (!rc)
        rc = experiment_run(&plan, &id, e);
    if (!rc)
        rc = session_store(s, &st, e);
    if (!rc && scores)
        rc = needle_write_scores(st, id, scores, params_bool(a->p, "append-scores"), e);
    if (!rc)
        rc = show(&j, st, id, e);
    edit_choice_free(&changed);
    free(settings);
    needle_plan_free(&j.plan);
    return rc;
}

static const param own[] = {
    {.name = "per-trial", .kind = PARAM_BOOL, .help = "one row a trial instead of one a head"},
    {.name = "grid", .kind = PARAM_BOOL, .help = "the success rate by length and depth alone"},
    {.name = "top", .kind = PARAM_INT, .def = "20", .value = "N", .min = 0, .max = 1e9,
     .help = "heads that are shown to people, the best first; 0: all (files get all unless this is given)"},
    {.name = "scores", .kind = PARAM_PATH, .value = "FILE.json",
     .help = "also write {\"layer-head\": [score of each trial that counts]}, the layout of published head_score files"},
    {.name = "append-scores", .kind = PARAM_BOOL, .help = "behind the lists of --scores' file, if it is there"},
    {.name = "emit", .kind = PARAM_PATH, .value = "FILE.jsonl", .help = "write the trials and stop: --trials reads them"},
    {.name = NULL},
};
static const param *const *extra(void)
{
    static const param *const tables[] = {needle_trial_params, needle_score_params, chat_params, edit_option_params,
                                          experiment_params, precision_params, config_params, tokenizer_params, NULL};
    return tables;
}
static const char *const examples[] = {
    "needle examples/models/lantern-3m --lengths 128,256 --wording fact",
    "built-in needles in made-up text: heads, and success by length and depth",
    "needle examples/models/lantern-3m --trials my-trials.jsonl --steps 24 --per-trial",
    "your own trials, one row each",
    "needle examples/models/SmolLM2-135M-Instruct.Q4_1.gguf --chat --store needles.db --lengths 300:1000:3",
    "in the chat template, kept for `plot needle_grid`",
    "needle examples/models/lantern-3m --lengths 128 --wording fact --edit \"zero L2H5\"",
    "what is still found without a head",
    "needle examples/models/lantern-3m --lengths 128 --dry-run", "what the trials will take, told by trying three",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_needle = {
    .name = "needle", .group = "experiment", .usage = "[MODEL]",
    .summary = "needle in a haystack: the retrieval score of every head, and what is found at which length and depth",
    .help = "A statement is hidden in a long text and asked for; the answer is decoded greedily. A head scores when its "
            "largest weight lies on a token of the needle that the model emits in the same step. `retrieval` is the score "
            "as the authors' code counts it (hits over tokens of the needle; repeats count again), `set` as their paper "
            "writes it (distinct tokens), `activation` the share of trials with a score above 0, `copy_offset` where in "
            "the needle the head looked on average. Trials whose recall does not pass the success rule are left out of "
            "scores, not counted as 0. Heads of an encoder-decoder are those of its cross attention. Every trial is a unit "
            "of the store with its values: retrieval, retrieval_set, copy_position, recall, rouge1, success, length, "
            "depth. A high score says where a head looks, not that the answer depends on it.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
