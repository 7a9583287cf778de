#include "cli/effect_input.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "cli/json_line.h"

const param trials_params[] = {
    {.name = "trials", .kind = PARAM_PATH, .value = "FILE",
     .help = "needle trials, a JSON object a line: ids, needle, answer_ids, or text, needle_text, answer"},
    {.name = NULL},
};

static int hash_ids(sha256 *h, const int32_t *ids, int64_t n, err *e)
{
    int rc = sha256_add(h, &n, sizeof n, e);
    return rc || !n ? rc : sha256_add(h, ids, (size_t)n * sizeof *ids, e);
}

static int check_text(const effect_input *in, const prompt_request *q, sha256 *h, err *e)
{
    prompt_input made;
    int rc = prompt_make(&made, in->lm, q, &in->rules, e);
    if (!rc) {
        input_lengths n;
        rc = input_measure(&n, in->lm->m, &made.in, e);
        if (!rc && made.in.n < 2) {
            err_set(e, ERR_USAGE, "the text has %" PRId64 " token%s: there is no next token to predict", made.in.n,
                    made.in.n == 1 ? "" : "s");
            rc = err_hint(e, "give texts of two tokens or more");
        }
        if (!rc)
            rc = hash_ids(h, made.in.ids, made.in.n, e);
        if (!rc)
            rc = hash_ids(h, made.in.source, made.in.n_source, e);
        prompt_free(&made);
    }
    return rc && q->where[0] ? err_prefix(e, "%s", q->where) : rc;
}

static int check_trial(const effect_input *in, const trial *t, sha256 *h, err *e)
{
    int64_t context = in->lm->m->main->context;
    int rc = hash_ids(h, t->ids, t->n, e);
    if (!rc)
        rc = hash_ids(h, t->answer_ids, t->n_answer, e);
    if (rc || t->n + t->n_answer <= context)
        return rc;
    err_set(e, ERR_INPUT, "%s%s%" PRId64 " tokens leave no room for an answer of %" PRId64 " (context of %" PRId64 ")", t->where,
            t->where[0] ? ": " : "", t->n, t->n_answer, context);
    return err_hint(e, "make the trials shorter");
}

static int read_trials(effect_input *in, const command_args *a, err *e)
{
    const char *file = params_row(a->p, "trials") ? params_str(a->p, "trials") : NULL;
    const trial_rules rules = {.tok = in->lm->tok, .match = NEEDLE_BYTES, .special = in->rules.special,
                               .vocab = in->lm->m->main->embed.tokens.n_out};
    if (!file)
        return 0;
    if (in->lm->m->needs != NEEDS_TOKENS) {
        err_set(e, ERR_USAGE, "trials are for models that read one text, %s reads more than that", in->lm->m->name);
        return err_hint(e, "give texts with --prompts");
    }
    return trials_load(&in->trials, file, &rules, e);
}

int effect_input_read(effect_input *out, session *s, const command_args *a, loaded_model *lm, err *e)
{
    const params *p = a->p;
    sha256 *h = NULL;
    *out = (effect_input){.lm = lm, .rules = prompt_rules_of(p)};
    int rc = loss_check(lm->m, e);
    if (!rc)
        rc = read_trials(out, a, e);
    bool own = params_str(p, "prompts") || prompt_options_given(p), texts = own || params_bool(p, "builtin");
    if (!own && !params_given(p, "truncate"))
        out->rules.truncate = lm->m->main->context;
    if (!rc && (texts || out->trials.n == 0))
        rc = prompt_requests_chosen(&out->request, &out->n_text, p, true, e);
    if (!rc)
        rc = sha256_new(&h, e);
    for (int64_t i = 0; i < out->n_text && !rc; i++) {
        progress_step(&s->prog, "reading texts", (double)i, (double)out->n_text);
        rc = check_text(out, &out->request[i], h, e);
        rc = rc ? rc : cancel_check(e);
    }
    for (int64_t i = 0; i < out->trials.n && !rc; i++)
        rc = check_trial(out, &out->trials.t[i], h, e);
    if (rc)
        sha256_abandon(h);
    else
        rc = sha256_done(h, out->texts_hash, e);
    if (rc)
        effect_input_free(out);
    return rc;
}

void effect_input_free(effect_input *in)
{
    prompt_requests_free(in->request, in->n_text);
    trials_free(&in->trials);
    *in = (effect_input){0};
}

void effect_input_settings(strbuf *b, const effect_input *in, const params *p)
{
    json_line_int(b, "texts", in->n_text);
    json_line_int(b, "trials", in->trials.n);
    json_line_text(b, "input", in->texts_hash);
    json_line_bool(b, "special", in->rules.special);
    json_line_int(b, "truncate", in->rules.truncate);
    if (params_str(p, "prompts"))
        json_line_text(b, "prompts", params_str(p, "prompts"));
    if (in->trials.n)
        json_line_text(b, "trials-file", params_str(p, "trials"));
}

/* ---- a unit ---- */

int effect_unit_begin(effect_unit *u, const effect_input *in, experiment *x, int64_t i, err *e)
{
    *u = (effect_unit){.in = in, .x = x};
    if (i >= in->n_text) {
        u->t = &in->trials.t[i - in->n_text];
        int rc = experiment_ids(x, u->t->ids, u->t->n, u->t->label ? u->t->label : "trial", e);
        return rc ? rc : experiment_fact(x, "set", "trial", 5, e);
    }
    const prompt_request *q = &in->request[i];
    int rc = prompt_make(&u->text, in->lm, q, &in->rules, e);
    if (rc)
        return q->where[0] ? err_prefix(e, "%s", q->where) : rc;
    rc = experiment_prompt(x, &u->text, q->label, e);
    if (!rc)
        rc = experiment_fact(x, "set", "text", 4, e);
    return rc;
}

void effect_unit_end(effect_unit *u)
{
    if (!u->t && u->in)
        prompt_free(&u->text);
}

static int put(const effect_unit *u, const char *name, const effect_site *at, double value, err *e)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s", name, at->suffix);
    return experiment_value(u->x, full, at->kind, at->layer, at->head, at->position, value, e);
}

int effect_unit_measure(effect_unit *u, edit_plan *plan, effect_site at, err *e)
{
    runtime *r = u->in->lm->rt;
    const model *m = u->in->lm->m;
    int rc;
    if (u->t) {
        double recall;
        rc = effect_on_trial(&recall, NULL, NULL, r, m, u->t, plan, e);
        return rc ? rc : put(u, "recall", &at, recall, e);
    }
    loss l;
    rc = effect_on_text(&l, r, m, &u->text.in, plan, NULL, e);
    if (!rc)
        rc = put(u, "nll", &at, l.nll, e);
    if (!rc)
        rc = put(u, "accuracy", &at, l.accuracy, e);
    return rc || !at.entropy ? rc : put(u, "entropy_next", &at, l.entropy, e);
}

void effect_unit_step(const effect_unit *u, int64_t done, int64_t n)
{
    progress_step(experiment_progress(u->x), "", (double)done, (double)n);
}
