/* copy: a segment that comes again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/haystack.h"
#include "base/mem.h"
#include "cli/edit_select.h"
#include "cli/json_line.h"
#include "cli/prompt_request.h"
#include "cli/task_run.h"

typedef struct copying {
    int32_t *sep; int64_t n_sep;
    char *text; size_t text_len;    /* --text FILE */
} copying;

/* size tokens of a text: of the user's from a random place, else of made-up sentences. */
static int text_segment(int32_t *out, const task_job *j, int64_t size, rng *r, err *e)
{
    const copying *c = j->ud;
    strbuf made = {0};
    const char *text = c->text;
    size_t n = c->text_len;
    tokens t = {0};
    int rc = 0;
    for (size_t bytes = 16 * (size_t)size + 64; !rc; bytes *= 2) {
        if (!c->text) {
            strbuf_clear(&made);
            uint64_t stream = rng_next(r);
            rc = haystack_generate(&made, bytes, (uint64_t)params_int(j->a->p, "seed"), stream, e);
            text = strbuf_str(&made);
            n = made.len;
        }
        tokens_free(&t);
        if (!rc)
            rc = tokenizer_encode(j->lm->tok, text, n, false, &t, e);
        if (t.n >= size || c->text)
            break;
    }
    if (!rc && t.n < size) {
        err_set(e, ERR_USAGE, "the text has %" PRId64 " tokens, a segment takes %" PRId64, t.n, size);
        rc = err_hint(e, "give a longer text, or smaller --lengths");
    }
    int64_t from = rc ? 0 : rng_below(r, t.n - size + 1);
    for (int64_t i = 0; i < size && !rc; i++)
        out[i] = t.t[from + i].id;
    tokens_free(&t);
    strbuf_free(&made);
    return rc;
}

static int make(task *out, const task_job *j, int64_t size, rng *r, err *e)
{
    const copying *c = j->ud;
    const params *p = j->a->p;
    int32_t *segment = mem_array((size_t)size, sizeof *segment, e);
    int rc = segment ? 0 : ERR_RESOURCE;
    if (!rc)
        rc = strcmp(params_str(p, "of"), "text") == 0
                 ? text_segment(segment, j, size, r, e)
                 : task_random_tokens(segment, &j->vocabulary, size, params_bool(p, "distinct"), r, e);
    if (!rc)
        rc = task_copy(out, segment, size, c->sep, c->n_sep, j->bos, e);
    free(segment);
    return rc;
}

static int settings(strbuf *b, const task_job *j, err *e)
{
    const copying *c = j->ud;
    const params *p = j->a->p;
    sha256_hex digest;
    int rc = 0;
    json_line_text(b, "of", params_str(p, "of"));
    json_line_bool(b, "distinct", params_bool(p, "distinct"));
    json_line_ids(b, "separator", c->sep, c->n_sep);
    if (c->text && !(rc = sha256_of(digest, c->text, c->text_len, e)))
        json_line_text(b, "text_sha256", digest);
    return rc;
}

static int read_options(copying *c, session *s, const command_args *a, err *e)
{
    const params *p = a->p;
    const char *sep = params_str(p, "separator"), *file = params_str(p, "text");
    bool of_text = strcmp(params_str(p, "of"), "text") == 0;
    loaded_model *lm;
    tokens t = {0};
    int rc = choose_model(s, a, false, &lm, e);
    if (!rc && file && !of_text) {
        err_set(e, ERR_USAGE, "--text is for --of text");
        rc = err_hint(e, "add --of text, or leave it out");
    }
    if (!rc && !lm->tok && (of_text || *sep)) {
        err_set(e, ERR_INPUT, "%s needs a tokenizer, and the model has none", of_text ? "--of text" : "--separator");
        rc = err_hint(e, "name one with --tokenizer, or copy random tokens without a separator");
    }
    if (!rc && *sep)
        rc = tokenizer_encode(lm->tok, sep, strlen(sep), false, &t, e);
    if (!rc && !(c->sep = mem_array((size_t)t.n, sizeof *c->sep, e)))
        rc = ERR_RESOURCE;
    for (int64_t i = 0; i < t.n && !rc; i++)
        c->sep[c->n_sep++] = t.t[i].id;
    tokens_free(&t);
    if (!rc && file)
        rc = prompt_read_text(&c->text, &c->text_len, file, e);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    static const char *const routes[] = {"source", "duplicate", NULL};
    static const task_kind kind = {.prefix = "copy", .routes = routes, .size = "length", .schema = "attnscope.copy/1",
                                   .lengths = "lengths", .make = make, .settings = settings};
    copying c = {0};
    int rc = read_options(&c, s, a, e);
    if (!rc)
        rc = task_command(s, a, &kind, &c, e);
    free(c.sep);
    free(c.text);
    return rc;
}

static const char *const of_choices[] = {"random", "text", NULL};
static const param own[] = {
    {.name = "lengths", .kind = PARAM_LIST, .def = "25,50,100", .value = "LIST", .help = "tokens of the segment"},
    {.name = "of", .kind = PARAM_ENUM, .def = "random", .value = "WHAT", .choices = of_choices,
     .help = "random tokens, or text: made-up English sentences or those of --text"},
    {.name = "text", .kind = PARAM_PATH, .value = "FILE", .help = "segments are taken from this text at random places"},
    {.name = "separator", .kind = PARAM_STR, .def = "", .value = "TEXT", .help = "what stands between the two copies"},
    {.name = "distinct", .kind = PARAM_BOOL, .help = "no random token twice in a segment"},
    {.name = NULL},
};
static const param *const *extra(void)
{
    static const param *const tables[] = {task_params, edit_option_params, experiment_params, precision_params, config_params,
                                          tokenizer_params, NULL};
    return tables;
}
static const char *const examples[] = {
    "copy examples/models/lantern-3m --lengths 50,100 --of text --separator \"\\n\\n\" --bos",
    "sentences that come again: accuracy, and which heads look at the source",
    "copy examples/models/lantern-3m --lengths 20 --emit copies.jsonl", "the sequences alone",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_copy = {
    .name = "copy", .group = "experiment", .usage = "[MODEL]",
    .summary = "the copying task: a segment that comes again",
    .help = "A segment, a separator (none unless asked for), the same segment. Accuracy: tokens of the second copy that "
            "have the largest logit, from the second on; the first too where a separator announces it. For every head "
            "`source` is the mean weight from a position of the second copy to the token in the first that comes next, "
            "`top` the share of positions whose largest weight is there, `duplicate` the mean weight to the same token. "
            "Text is partly predictable without looking back: compare with random tokens. In the store: copy_source, "
            "copy_source_top, copy_duplicate.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
