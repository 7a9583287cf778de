#include "cli/needle_plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/chat_input.h"
#include "cli/json_line.h"
#include "cli/number_list.h"
#include "cli/prompt_input.h"

#define MOST_TOKENS 16777216.0
static const char *const frame_choices[] = {"plain", "book", "tagged", NULL};

const param needle_trial_params[] = {
    {.name = "trials", .kind = PARAM_PATH, .value = "FILE.jsonl",
     .help = "your own trials, one object a line: ids, needle [begin, end), answer_ids; or text, needle_text, answer"},
    {.name = "match", .kind = PARAM_ENUM, .def = "bytes", .value = "HOW", .choices = needle_match_names,
     .help = "how tokens of a needle are found in a text: by its bytes, or as published by overlap of tokens above 0.9"},
    {.name = "haystack", .kind = PARAM_LIST, .value = "FILES",
     .help = "texts and folders of texts to hide needles in; without it plain English sentences are made up"},
    {.name = "needles", .kind = PARAM_PATH, .value = "FILE.jsonl",
     .help = "your own needles, one object a line: text, question, answer, and lead (how the answer begins)"},
    {.name = "wording", .kind = PARAM_ENUM, .value = "NAME", .choices = needle_wordings,
     .help = "built-in needles of one wording only; all in turn without it"},
    {.name = "count", .kind = PARAM_INT, .def = "4", .value = "N", .min = 1, .max = 48,
     .help = "how many built-in needles"},
    {.name = "lengths", .kind = PARAM_LIST, .value = "LIST",
     .help = "tokens of a prompt, as 128,256,500 or 1000:50000:20; four up to the context or 2,000 without it"},
    {.name = "depths", .kind = PARAM_LIST, .def = "0,25,50,75,100", .value = "LIST",
     .help = "per cent of the haystack before the needle, as 0,50,100 or 0:100:10"},
    {.name = "place", .kind = PARAM_ENUM, .def = "paragraph", .value = "HOW", .choices = needle_place_names,
     .help = "the needle as a paragraph of its own, or inline among the sentences"},
    {.name = "buffer", .kind = PARAM_INT, .value = "N", .min = 0, .max = MOST_TOKENS,
     .help = "tokens of the length kept for the question (published: 200); as many as it takes without it"},
    {.name = "frame", .kind = PARAM_STR, .value = "NAME|TEXT",
     .help = "plain, book (as published), tagged (book for chat models), or a text with {context}, {question}, {lead}; "
             "plain, with --chat tagged"},
    {.name = "special", .kind = PARAM_BOOL, .def = "true",
     .help = "add the tokenizer's special tokens (BOS) to texts"},
    {.name = NULL},
};

const param needle_score_params[] = {
    {.name = "steps", .kind = PARAM_INT, .def = "50", .value = "N", .min = 1, .max = 100000,
     .help = "tokens that are generated at most"},
    {.name = "newline", .kind = PARAM_BOOL, .def = "true",
     .help = "stop after a token that holds a newline (it is still scored)"},
    {.name = "success", .kind = PARAM_ENUM, .def = "tokens", .value = "RULE", .choices = success_rule_names,
     .help = "recall that decides whether a trial counts: of the answer's distinct tokens, or ROUGE-1 of its words"},
    {.name = "recall", .kind = PARAM_REAL, .def = "0.5", .value = "X", .min = 0, .max = 1,
     .help = "a trial counts when its recall is above this"},
    {.name = "stem", .kind = PARAM_BOOL, .def = "true", .help = "ROUGE-1 of stemmed words (Porter), as published"},
    {.name = NULL},
};

static int find_choice(const char *name, const char *const *choices)
{
    for (int i = 0; choices[i]; i++)
        if (strcmp(name, choices[i]) == 0)
            return i;
    return 0;
}

/* A prompt in the chat template of the model. */
static int render(void *ud, char **out, size_t *len, bool *special, const char *text, size_t n, err *e)
{
    const needle_plan *plan = ud;
    return chat_render_prompt(out, len, special, plan->lm->tok, plan->p, text, n, e);
}

static int need_tokenizer(const loaded_model *lm, const char *what, err *e)
{
    if (lm->tok)
        return 0;
    err_set(e, ERR_INPUT, "%s needs a tokenizer: %s", what, lm->tok_err.msg[0] ? lm->tok_err.msg : "the model has none");
    return err_hint(e, "name one with --tokenizer, or give trials of ids: --trials FILE.jsonl");
}

/* Options of making that have no meaning beside --trials. */
static int check_words(const params *p, err *e)
{
    static const char *const making[] = {"haystack", "needles", "wording", "count", "lengths", "depths", "place", "buffer",
                                         "frame"};
    if (chat_from_file(p)) {
        err_set(e, ERR_USAGE, "--chat-file holds one conversation, and every trial is a prompt of its own");
        return err_hint(e, "--chat puts each into the chat template");
    }
    for (size_t i = 0; params_str(p, "trials") && i < sizeof making / sizeof *making; i++)
        if (params_given(p, making[i])) {
            err_set(e, ERR_USAGE, "--trials brings its prompts along: --%s does nothing", making[i]);
            return err_hint(e, "leave one of the two out");
        }
    if (params_str(p, "needles") && (params_given(p, "wording") || params_given(p, "count"))) {
        err_set(e, ERR_USAGE, "--needles brings its needles along: --%s is for those built in",
                params_given(p, "count") ? "count" : "wording");
        return err_hint(e, "leave one of the two out");
    }
    return 0;
}

/* Four lengths up to what the context holds. */
static int default_lengths(needle_plan *n, err *e)
{
    int64_t most = n->lm->m->main->context - n->score.steps;
    if (n->lm->m->encoder)
        most = n->lm->m->encoder->context;
    if (most > 2000)
        most = 2000;
    n->n_length = 4;
    n->lengths = mem_array(4, sizeof *n->lengths, e);
    if (!n->lengths)
        return ERR_RESOURCE;
    for (int i = 0; i < 4; i++)
        n->lengths[i] = floor((double)(most > 4 ? most : 4) * (i + 1) / 4);
    return 0;
}

static int read_paths(needle_plan *n, const char *list, err *e)
{
    char *copy = mem_strdup(list, e), *save = NULL;
    int rc = copy ? 0 : ERR_RESOURCE;
    for (char *w = copy ? strtok_r(copy, ",", &save) : NULL; w && !rc; w = strtok_r(NULL, ",", &save)) {
        const char *path = w;
        rc = haystack_read(&n->text, &path, 1, e);
    }
    free(copy);
    if (!rc && n->text.len == 0)
        rc = err_set(e, ERR_USAGE, "--haystack names no file");
    return rc;
}

static int choose_frame(needle_plan *n, err *e)
{
    static const char *const frames[] = {frame_plain, frame_book, frame_tagged};
    const char *frame = params_str(n->p, "frame");
    n->rules.frame = chat_asked(n->p) ? frame_tagged : frame_plain;
    if (!frame)
        return 0;
    n->rules.frame = frame;
    for (int i = 0; frame_choices[i]; i++)
        if (strcmp(frame, frame_choices[i]) == 0)
            n->rules.frame = frames[i];
    if (!strchr(n->rules.frame, '{')) {
        const char *near = nearest_word(frame, frame_choices);
        err_set(e, ERR_USAGE, "--frame: no frame is called '%s'", frame);
        return err_hint(e, near ? "did you mean %s?" : "plain, book, tagged, or a text with {context} and {question}%s",
                        near ? near : "");
    }
    return 0;
}

static int plan_making(needle_plan *n, err *e)
{
    const params *p = n->p;
    const char *file = params_str(p, "needles"), *hay = params_str(p, "haystack"), *lengths = params_str(p, "lengths");
    int rc = need_tokenizer(n->lm, "a needle in a haystack of text", e);
    if (!rc)
        rc = file ? needles_load(&n->needles, file, e)
                  : needles_builtin(&n->needles, params_int(p, "count"), params_str(p, "wording"), n->seed, e);
    if (!rc && hay)
        rc = read_paths(n, hay, e);
    if (!rc)
        rc = lengths ? number_list_parse(&n->lengths, &n->n_length, lengths, 1, MOST_TOKENS, "--lengths", e)
                     : default_lengths(n, e);
    if (!rc)
        rc = number_list_parse(&n->depths, &n->n_depth, params_str(p, "depths"), 0, 100, "--depths", e);
    for (int64_t i = 0; i < n->n_length; i++)
        n->lengths[i] = rint(n->lengths[i]);
    for (int64_t i = 0; i < n->n_depth; i++)
        n->depths[i] /= 100;
    n->rules.trial = n->trial;
    n->rules.place = (needle_place)find_choice(params_str(p, "place"), needle_place_names);
    n->rules.buffer = params_given(p, "buffer") ? params_int(p, "buffer") : -1;
    if (!rc)
        rc = choose_frame(n, e);
    if (!rc)
        n->n_trial = n->needles.n * n->n_length * n->n_depth;
    return rc;
}

/* The shortest and the longest trial of each needle are made before anything runs. */
static int check_trials(needle_plan *n, err *e)
{
    int64_t context = n->lm->m->encoder ? n->lm->m->encoder->context : n->lm->m->main->context;
    int rc = 0;
    for (int64_t i = 0; i < n->n_trial && !rc; i++) {
        trial own = {0};
        const trial *t;
        int64_t length = n->given.n ? 0 : i / n->n_depth % n->n_length;
        if (!n->given.n && (i % n->n_depth != 0 || (length != 0 && length != n->n_length - 1)))
            continue;
        rc = needle_plan_trial(n, i, &t, &own, e);
        if (!rc && t->n > context) {
            err_set(e, ERR_USAGE, "%s%sa prompt of %" PRId64 " tokens is longer than the context of %s (%" PRId64 ")",
                    t->where, *t->where ? ": " : "", t->n, n->lm->m->name, context);
            rc = err_hint(e, n->given.n ? "leave the longer trials out" : "take shorter --lengths");
        }
        trial_free(&own);
    }
    return rc;
}

int needle_plan_make(needle_plan *out, const loaded_model *lm, const params *p, err *e)
{
    *out = (needle_plan){.lm = lm, .p = p, .hay_of = NO_INDEX, .seed = (uint64_t)params_int(p, "seed")};
    const char *file = params_str(p, "trials");
    int rc = retrieval_check_model(lm->m, e);
    if (!rc)
        rc = check_words(p, e);
    if (!rc)
        rc = end_tokens_find(&out->ends, lm, e);
    if (rc)
        return rc;
    out->trial = (trial_rules){.tok = lm->tok, .match = (needle_match)find_choice(params_str(p, "match"), needle_match_names),
                               .special = params_bool(p, "special"), .vocab = lm->m->vocab, .ud = out};
    if (chat_asked(p)) {
        if ((rc = need_tokenizer(lm, "a chat template", e)))
            return rc;
        out->trial.render = render;
    }
    out->score = (retrieval_rules){
        .steps = params_int(p, "steps"), .stop_at_newline = params_bool(p, "newline"), .end_ids = out->ends.id,
        .n_end = out->ends.n, .tok = lm->tok, .stem = params_bool(p, "stem"),
        .success = (success_rule)find_choice(params_str(p, "success"), success_rule_names),
        .recall = params_real(p, "recall"),
    };
    if (file) {
        rc = trials_load(&out->given, file, &out->trial, e);
        out->n_trial = out->given.n;
    } else {
        rc = plan_making(out, e);
    }
    if (!rc && lm->m->encoder) { /* the token that the decoder starts from */
        prompt_input in;
        int32_t any = 0;
        const prompt_request q = {.source = {.ids = &any, .n = 1}};
        const prompt_rules rules = {0};
        if (!(rc = prompt_make(&in, lm, &q, &rules, e))) {
            out->score.start = in.main.ids[0];
            prompt_free(&in);
        }
    }
    return rc ? rc : check_trials(out, e);
}

void needle_plan_free(needle_plan *n)
{
    trials_free(&n->given);
    needles_free(&n->needles);
    free(n->lengths);
    free(n->depths);
    strbuf_free(&n->text);
    haystack_close(&n->hay);
    strbuf_free(&n->hay_text);
}

/* The haystack of a needle: the user's for all, else one of its own. */
static int open_haystack(needle_plan *n, int64_t which, err *e)
{
    enum { BYTES_A_TOKEN = 8 };
    double most = 0;
    if (n->text.len > 0 && n->hay_of != NO_INDEX)
        return 0;
    if (n->hay_of == which)
        return 0;
    haystack_close(&n->hay);
    n->hay_of = NO_INDEX;
    for (int64_t i = 0; i < n->n_length; i++)
        most = n->lengths[i] > most ? n->lengths[i] : most;
    int rc = 0;
    /* A long text takes long to tokenise: no more of it than the longest trial needs. */
    for (size_t bytes = (size_t)most * BYTES_A_TOKEN; !rc; bytes *= 2) {
        const char *text = strbuf_str(&n->text);
        size_t len = n->text.len < bytes ? n->text.len : bytes;
        if (n->text.len == 0) {
            strbuf_clear(&n->hay_text);
            rc = haystack_generate(&n->hay_text, bytes, n->seed, (uint64_t)which, e);
            text = strbuf_str(&n->hay_text);
            len = n->hay_text.len;
        }
        while (len < n->text.len && ((unsigned char)text[len] & 0xc0) == 0x80)
            len++; /* not within a character */
        haystack_close(&n->hay);
        if (!rc)
            rc = haystack_open(&n->hay, n->lm->tok, text, len, e);
        if (n->hay.t.n >= (int64_t)most || len == n->text.len)
            break;
    }
    if (!rc)
        n->hay_of = which;
    return rc;
}

int needle_plan_trial(needle_plan *n, int64_t i, const trial **out, trial *owned, err *e)
{
    *owned = (trial){0};
    if (n->given.n) {
        *out = &n->given.t[i];
        return 0;
    }
    int64_t which = i / (n->n_depth * n->n_length);
    int rc = open_haystack(n, which, e);
    if (!rc)
        rc = haystack_trial(owned, &n->hay, &n->needles.list[which], (int64_t)n->lengths[i / n->n_depth % n->n_length],
                            n->depths[i % n->n_depth], &n->rules, e);
    *out = owned;
    return rc;
}

/* ---- settings ---- */

static void put_numbers(strbuf *b, const char *key, const double *x, int64_t n)
{
    json_line_key(b, key);
    for (int64_t i = 0; i < n; i++) {
        strbuf_putc(b, i ? ',' : '[');
        strbuf_put_real(b, x[i]);
    }
    strbuf_putc(b, ']');
}

char *needle_plan_settings(const needle_plan *n, err *e)
{
    const params *p = n->p;
    const char *const texts[] = {"system", "template"};
    strbuf b = {0};
    json_line_begin(&b, NULL);
    if (!n->given.n) {
        if (!params_str(p, "needles"))
            json_line_int(&b, "count", params_int(p, "count"));
        json_line_text(&b, "wording", params_str(p, "wording"));
        put_numbers(&b, "lengths", n->lengths, n->n_length);
        put_numbers(&b, "depths", n->depths, n->n_depth);
        json_line_text(&b, "place", params_str(p, "place"));
        json_line_int(&b, "buffer", n->rules.buffer);
        json_line_text(&b, "frame", n->rules.frame);
    }
    json_line_text(&b, "match", params_str(p, "match"));
    json_line_bool(&b, "special", n->trial.special);
    json_line_bool(&b, "chat", n->trial.render != NULL);
    for (int i = 0; i < 2; i++)
        if (params_str(p, texts[i]))
            json_line_text(&b, texts[i], params_str(p, texts[i]));
    json_line_int(&b, "steps", n->score.steps);
    json_line_bool(&b, "newline", n->score.stop_at_newline);
    json_line_text(&b, "success", params_str(p, "success"));
    json_line_real(&b, "recall", n->score.recall);
    json_line_bool(&b, "stem", n->score.stem);
    strbuf_putc(&b, '}');
    return strbuf_take(&b, e);
}
