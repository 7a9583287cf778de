#include "cli/experiment.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/haystack.h"
#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cli/json_line.h"
#include "cli/model_card.h"
#include "cli/output.h"
#include "compute/kernels.h"

const param experiment_params[] = {
    {.name = "seed", .kind = PARAM_INT, .def = "0", .value = "N", .min = 0, .max = 9e15,
     .help = "of the random numbers; recorded with the run"},
    {.name = "resume", .kind = PARAM_INT, .value = "RUN", .min = 1, .max = 9e15,
     .help = "go on with a run that was stopped: the same command, its store, only what is missing"},
    {.name = NULL},
};

struct experiment {
    const experiment_plan *plan;
    store *st;
    int64_t run, unit;
    bool open;                  /* a unit of the store is open */
    int64_t n_done, n_now;      /* units that were there before; that this call made */
    run_sink rows;
    result_sink sink;
    progress prog;              /* of the unit, as part of all */
};

static void step_of_unit(void *ud, const char *what, double done, double total)
{
    const experiment *x = ud;
    (void)what;
    progress_step(&x->plan->s->prog, x->plan->what, (double)x->unit + (total > 0 ? done / total : 0),
                  (double)x->plan->n_unit);
}

/* The command line that repeats this, with what came from elsewhere. */
static char *exact_command(const experiment_plan *p, err *e)
{
    const params *set = p->s->settings;
    const char *isa = params_str(set, "isa");
    const loaded_model *lm = p->lm;
    const repeat_facts f = {
        .model_path = p->a->n ? NULL : lm->path,
        .config = params_row(p->a->p, "config") && params_given(p->a->p, "config") ? NULL : lm->config,
        .tokenizer = params_row(p->a->p, "tokenizer") && params_given(p->a->p, "tokenizer") ? NULL : lm->tokenizer,
        .precision = (params_row(p->a->p, "precision") && params_given(p->a->p, "precision")) ||
                             lm->rt_precision == PRECISION_F32 ? NULL : precision_name(lm->rt_precision),
        .quantize = params_row(p->a->p, "quantize") && params_given(p->a->p, "quantize") ? NULL : lm->quantize,
        .quantize_embeddings = lm->quantize_embeddings,
        .isa = isa && strcmp(isa, "best") != 0 ? kernels_get()->isa : NULL,
    };
    return repeatable_command(p->a, &f, e);
}

static const char *verb_of(const command_args *a, char *out, size_t room)
{
    const char *line = a->line ? a->line : "experiment";
    size_t n = strcspn(line, " \t");
    snprintf(out, room, "%.*s", (int)n, line);
    return out;
}

/* Of files, and of folders' texts one behind the other.  False where one cannot be read: standard input, say. */
static bool hash_files(sha256_hex out, const char *list, bool several)
{
    size_t most = 1;
    for (const char *s = list; *s; s++)
        most += *s == ',';
    const char **paths = mem_array(most, sizeof *paths, NULL);
    char *copy = mem_strdup(list, NULL), *save = NULL;
    strbuf text = {0};
    int n = 0;
    for (char *one = several && copy ? strtok_r(copy, ",", &save) : copy; one && paths;
         one = several ? strtok_r(NULL, ",", &save) : NULL)
        paths[n++] = one;
    bool read = n > 0 && haystack_read(&text, paths, n, NULL) == 0 &&
                sha256_of(out, strbuf_str(&text), text.len, NULL) == 0;
    strbuf_free(&text);
    free(copy);
    free(paths);
    return read;
}

/* The settings, and what was read: texts as they were given, of files the digest, for the same name may hold other prompts
 * by the time that the run is resumed. */
static char *settings_with_inputs(const experiment_plan *p, err *e)
{
    static const char *const inputs[] = {"prompt", "prompt-file", "prompts", "ids", "source", "source-file", "source-ids",
                                         "target", "target-ids", "trials", "pairs", "needles", "haystack", "reference",
                                         "inputs", "text", "chat-file", "image", "audio", "pixels", "features", NULL};
    strbuf b = {0};
    bool any = false;
    size_t n = strlen(p->settings);
    strbuf_add(&b, p->settings, n - 1); /* without the closing brace */
    for (int i = 0; inputs[i]; i++) {
        const param *row = params_row(p->a->p, inputs[i]);
        const char *given = row && params_given(p->a->p, inputs[i]) ? params_str(p->a->p, inputs[i]) : NULL;
        bool files = given && (row->kind != PARAM_STR || strstr(inputs[i], "ids"));
        sha256_hex digest;
        if (!given)
            continue;
        const char *what = files && hash_files(digest, given, row->kind == PARAM_LIST) ? digest : given;
        strbuf_puts(&b, any ? "," : n > 2 ? ",\"inputs\":{" : "\"inputs\":{");
        any = true;
        strbuf_printf(&b, "\"%s\":", inputs[i]);
        strbuf_put_json(&b, what, strlen(what));
    }
    strbuf_puts(&b, any ? "}}" : "}");
    return strbuf_take(&b, e);
}

static int begin(experiment *x, err *e)
{
    const experiment_plan *p = x->plan;
    model_card card = {0};
    char verb[64];
    char *line = exact_command(p, e), *settings = line ? settings_with_inputs(p, e) : NULL;
    int rc = line && settings ? session_store(p->s, &x->st, e) : ERR_RESOURCE;
    if (!rc)
        rc = model_card_make(&card, p->lm, true, &p->s->prog, e);
    if (!rc) {
        const store_run r = {
            .verb = p->verb ? p->verb : verb_of(p->a, verb, sizeof verb),
            .command = line,
            .settings = settings,
            .precision = precision_name(p->lm->rt_precision),
            .isa = kernels_get()->isa,
            .version = program_version,
            .operator_name = "softmax",
            .edits = p->edits ? p->edits : "[]",
            .threads = p->lm->rt ? runtime_threads(p->lm->rt) : 1,
            .seed = p->seed,
        };
        int64_t resume = params_row(p->a->p, "resume") ? params_int(p->a->p, "resume") : 0;
        if (resume > 0) {
            rc = store_run_resume(x->st, resume, &card.m, &r, e);
            x->run = rc ? 0 : resume;
        } else {
            rc = store_run_begin(x->st, &card.m, &r, &x->run, e);
        }
    }
    model_card_free(&card);
    free(line);
    free(settings);
    return rc;
}

static int do_unit(experiment *x, int64_t i, err *e)
{
    bool there;
    int rc = store_unit_done(x->st, x->run, i, &there, e);
    if (rc || there) {
        x->n_done += there;
        return rc;
    }
    x->unit = i;
    x->rows.prompt = i;
    progress_step(&x->plan->s->prog, x->plan->what, (double)i, (double)x->plan->n_unit);
    rc = x->plan->unit(x->plan->ud, x, i, e);
    if (!rc)
        rc = cancel_check(e);
    if (!rc && !x->open)
        rc = experiment_nothing(x, NULL, e);
    if (!rc)
        rc = store_unit_commit(x->st, e);
    if (rc)
        store_unit_rollback(x->st);
    x->open = false;
    x->n_now += rc == 0;
    return rc;
}

int experiment_run(const experiment_plan *plan, int64_t *run, err *e)
{
    experiment x = {.plan = plan, .run = 0};
    int rc = begin(&x, e);
    *run = x.run;
    if (rc)
        return rc;
    x.rows = (run_sink){.st = x.st, .run = x.run, .bar = plan->s->bar};
    x.sink = run_sink_use(&x.rows);
    x.prog = (progress){step_of_unit, &x};
    for (int64_t i = 0; i < plan->n_unit && !rc; i++)
        rc = do_unit(&x, i, e);
    progress_step(&plan->s->prog, plan->what, (double)plan->n_unit, (double)plan->n_unit);
    run_sink_free(&x.rows);
    const char *status = rc == 0 ? "done" : rc == ERR_CANCELLED ? "cancelled" : "failed";
    int end_rc = store_run_end(x.st, x.run, status, rc ? e->msg : NULL, rc ? NULL : e);
    if (x.n_done)
        say(plan->s, "run %" PRId64 " resumed: %" PRId64 " of %" PRId64 " units were there", x.run, x.n_done, plan->n_unit);
    if (rc && x.n_done + x.n_now > 0 && x.n_done + x.n_now < plan->n_unit && strcmp(store_path(x.st), ":memory:") != 0)
        err_hint(e, "%" PRId64 " of %" PRId64 " units are kept; go on with the same command and --resume %" PRId64,
                 x.n_done + x.n_now, plan->n_unit, x.run);
    rc = rc ? rc : end_rc;
    if (!rc)
        plan->s->last_run = x.run;
    return rc;
}

/* ---- what a unit is about ---- */

int experiment_prompt(experiment *x, const prompt_input *in, const char *label, err *e)
{
    int rc = prompt_store_begin(x->st, x->run, x->unit, in, x->plan->lm, label, e);
    x->open = rc == 0;
    return rc;
}

int experiment_ids(experiment *x, const int32_t *ids, int64_t n, const char *label, err *e)
{
    const tokenizer *tok = x->plan->lm->tok;
    store_token *t = mem_array((size_t)n + 1, sizeof *t, e);
    if (!t)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < n; i++) {
        token_text text = {NULL, 0};
        if (tok)
            text = tokenizer_text(tok, ids[i]);
        const char *piece = tok && text.len == 0 ? tokenizer_piece(tok, ids[i]) : NULL;
        if (piece)
            text = (token_text){piece, strlen(piece)};
        t[i] = (store_token){ids[i], text.s, text.len, piece != NULL};
    }
    const store_sequence sequence = {x->plan->lm->m->main->kind, t, n};
    const store_prompt p = {.label = label, .policy = "ids as given", .sequences = &sequence, .n_sequence = 1};
    int rc = store_unit_begin(x->st, x->run, x->unit, &p, e);
    x->open = rc == 0;
    free(t);
    return rc;
}

int experiment_nothing(experiment *x, const char *label, err *e)
{
    return experiment_ids(x, NULL, 0, label, e);
}

int experiment_value(experiment *x, const char *name, attn_kind kind, int layer, int head, int64_t position, double value,
                     err *e)
{
    const result_value v = {kind, name, layer, head, position, value};
    return x->sink.value(x->sink.ud, &v, e);
}

int experiment_fact(experiment *x, const char *name, const char *text, size_t len, err *e)
{
    return store_fact(x->st, name, text, len, e);
}

const result_sink *experiment_sink(experiment *x)
{
    return &x->sink;
}

const progress *experiment_progress(experiment *x)
{
    return &x->prog;
}
