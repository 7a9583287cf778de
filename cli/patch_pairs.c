#include "cli/patch_pairs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/outfile.h"
#include "cli/json_line.h"
#include "cli/token_ids.h"

static const char *const tasks[] = {"ioi", "ioi-demo", "colored-objects", NULL};

const param patch_pair_params[] = {
    {.name = "clean", .kind = PARAM_STR, .value = "TEXT", .help = "the prompt whose answer is right"},
    {.name = "corrupted", .kind = PARAM_STR, .value = "TEXT", .help = "the prompt with another answer, of as many tokens"},
    {.name = "answer", .kind = PARAM_STR, .value = "TEXT", .help = "next token of the clean prompt, with its space: \" Mary\""},
    {.name = "wrong", .kind = PARAM_STR, .value = "LIST",
     .help = "next token of the corrupted prompt; of several, separated by commas, the mean logit is taken"},
    {.name = "clean-ids", .kind = PARAM_STR, .value = "LIST", .help = "the clean prompt as token ids, or a file of them"},
    {.name = "corrupted-ids", .kind = PARAM_STR, .value = "LIST", .help = "the corrupted prompt likewise"},
    {.name = "answer-id", .kind = PARAM_INT, .value = "ID", .max = INT32_MAX, .help = "the answer as a token id"},
    {.name = "wrong-ids", .kind = PARAM_STR, .value = "LIST", .help = "wrong answers as token ids"},
    {.name = "pairs", .kind = PARAM_PATH, .value = "FILE.jsonl",
     .help = "many pairs: an object a line with clean, corrupted, answer, wrong (or ..._ids)"},
    {.name = "task", .kind = PARAM_ENUM, .value = "TASK", .choices = tasks,
     .help = "make the pairs: indirect object identification, or colours of things"},
    {.name = "n", .kind = PARAM_INT, .value = "N", .min = 2, .max = 100000, .help = "prompts of --task; 16 when not given"},
    {.name = "template", .kind = PARAM_INT, .value = "N", .max = 100,
     .help = "sentence of --task, from 1; 0: all in turn (the default, but by position the first)"},
    {.name = "position", .kind = PARAM_INT, .def = "-1", .value = "P", .min = -1e9, .max = 1e9,
     .help = "where the logits are read; negative: from the end"},
    {.name = "special", .kind = PARAM_BOOL, .def = "true", .help = "let the tokenizer add its special tokens (--no-special)"},
    {.name = "bos", .kind = PARAM_BOOL, .help = "put the tokenizer's BOS in front where it does not do so itself"},
    {.name = NULL},
};

static void request_free(pair_request *q)
{
    free(q->clean.text);
    free(q->clean.ids);
    free(q->corrupted.text);
    free(q->corrupted.ids);
    free(q->answer);
    for (int i = 0; q->wrong && i < q->n_wrong; i++)
        free(q->wrong[i]);
    free(q->wrong);
    free(q->wrong_ids);
    free(q->label);
    *q = (pair_request){0};
}

void pair_set_free(pair_set *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        request_free(&s->request[i]);
        if (s->pair) {
            prompt_free(&s->pair[i].clean);
            prompt_free(&s->pair[i].corrupted);
            free(s->pair[i].wrong);
        }
    }
    free(s->request);
    free(s->pair);
    *s = (pair_set){0};
}

/* ---- one pair by options ---- */

static int take_tokens(given_tokens *out, const params *p, const char *text, const char *ids, err *e)
{
    const char *words = params_str(p, text), *list = params_str(p, ids);
    char option[32];
    if (words && list) {
        err_set(e, ERR_USAGE, "--%s excludes --%s", text, ids);
        return err_hint(e, "keep one of them");
    }
    if (words) {
        out->text_len = strlen(words);
        return (out->text = mem_strdup(words, e)) ? 0 : ERR_RESOURCE;
    }
    if (list) {
        snprintf(option, sizeof option, "--%s", ids);
        return token_ids_parse(&out->ids, &out->n, list, option, e);
    }
    err_set(e, ERR_USAGE, "no %s prompt given", text);
    return err_hint(e, "give --clean and --corrupted, --pairs FILE.jsonl, or --task ioi");
}

/* "a,b" as a list of texts. */
static int split(pair_request *q, const char *list, err *e)
{
    int n = 1;
    for (const char *s = list; *s; s++)
        n += *s == ',';
    if (!(q->wrong = mem_array((size_t)n, sizeof *q->wrong, e)))
        return ERR_RESOURCE;
    for (; q->n_wrong < n; q->n_wrong++) {
        size_t len = strcspn(list, ",");
        if (!(q->wrong[q->n_wrong] = mem_strndup(list, len, e)))
            return ERR_RESOURCE;
        list += len + 1;
    }
    return 0;
}

static int take_answers(pair_request *q, const params *p, err *e)
{
    const char *answer = params_str(p, "answer"), *wrong = params_str(p, "wrong"), *ids = params_str(p, "wrong-ids");
    int64_t n = 0;
    int rc = 0;
    if ((answer && params_given(p, "answer-id")) || (wrong && ids)) {
        err_set(e, ERR_USAGE, "an answer is given as a text and as an id");
        return err_hint(e, "keep one of them");
    }
    if (params_given(p, "answer-id"))
        q->answer_id = (int32_t)params_int(p, "answer-id");
    if (answer && !(q->answer = mem_strdup(answer, e)))
        return ERR_RESOURCE;
    if (wrong)
        rc = split(q, wrong, e);
    if (ids) {
        rc = token_ids_parse(&q->wrong_ids, &n, ids, "--wrong-ids", e);
        q->n_wrong = (int)n;
    }
    return rc;
}

static int read_one(pair_set *out, const params *p, err *e)
{
    out->request = mem_array(1, sizeof *out->request, e);
    if (!out->request)
        return ERR_RESOURCE;
    out->n = 1;
    pair_request *q = &out->request[0];
    *q = (pair_request){.answer_id = -1, .position = params_int(p, "position")};
    int rc = take_tokens(&q->clean, p, "clean", "clean-ids", e);
    if (!rc)
        rc = take_tokens(&q->corrupted, p, "corrupted", "corrupted-ids", e);
    return rc ? rc : take_answers(q, p, e);
}

/* ---- generators ---- */

static int take_generated(pair_request *q, text_pair *t, const char *task, int64_t i, err *e)
{
    strbuf label = {0};
    *q = (pair_request){.answer_id = -1, .position = -1, .n_wrong = 1};
    if (!(q->wrong = mem_array(1, sizeof *q->wrong, e)))
        return ERR_RESOURCE;
    q->clean = (given_tokens){.text = t->clean, .text_len = strlen(t->clean)};
    q->corrupted = (given_tokens){.text = t->corrupted, .text_len = strlen(t->corrupted)};
    q->answer = t->answer;
    q->wrong[0] = t->wrong;
    *t = (text_pair){0};
    strbuf_printf(&label, "%s %" PRId64, task, i);
    return (q->label = strbuf_take(&label, e)) ? 0 : ERR_RESOURCE;
}

static int generate(pair_set *out, const params *p, const tokenizer *tok, bool one_template, err *e)
{
    const char *name = params_str(p, "task");
    const pair_task *task = NULL;
    text_pairs made = {0};
    for (int i = 0; pair_tasks[i]; i++)
        if (strcmp(pair_tasks[i]->name, name) == 0)
            task = pair_tasks[i];
    if (!task)
        return err_set(e, ERR_USAGE, "no task \"%s\"", name);
    int64_t n = params_given(p, "n") ? params_int(p, "n") : task->n_fixed ? task->n_fixed : 16;
    int template = params_given(p, "template") ? (int)params_int(p, "template") : one_template ? 1 : 0;
    int rc = pair_task_make(&made, task, tok, n, template, (uint64_t)params_int(p, "seed"), e);
    if (!rc && !(out->request = mem_array((size_t)made.n, sizeof *out->request, e)))
        rc = ERR_RESOURCE;
    for (int64_t i = 0; i < made.n && !rc; i++) {
        out->n = i + 1;
        rc = take_generated(&out->request[i], &made.pair[i], name, i, e);
    }
    text_pairs_free(&made);
    return rc;
}

static const char *const of_one[] = {"clean", "corrupted", "answer", "wrong", "clean-ids", "corrupted-ids", "answer-id",
                                     "wrong-ids", NULL};

int pair_set_read(pair_set *out, const params *p, const tokenizer *tok, bool one_template, err *e)
{
    const char *file = params_str(p, "pairs"), *task = params_str(p, "task"), *one = NULL;
    *out = (pair_set){0};
    for (int i = 0; of_one[i]; i++)
        one = !one && params_given(p, of_one[i]) ? of_one[i] : one;
    if ((file && task) || ((file || task) && one)) {
        err_set(e, ERR_USAGE, "--%s excludes --%s", file ? "pairs" : "task", file && task ? "task" : one);
        return err_hint(e, "keep one of them");
    }
    if (!task && (params_given(p, "n") || params_given(p, "template"))) {
        err_set(e, ERR_USAGE, "--%s is for --task", params_given(p, "n") ? "n" : "template");
        return err_hint(e, "add --task ioi or --task colored-objects, or leave it out");
    }
    int rc = file ? pair_requests_load(out, file, e) : task ? generate(out, p, tok, one_template, e) : read_one(out, p, e);
    for (int64_t i = 0; i < out->n && !rc; i++)
        if (params_given(p, "position"))
            out->request[i].position = params_int(p, "position");
    if (rc)
        pair_set_free(out);
    return rc;
}

/* ---- writing ---- */

static void put_tokens(strbuf *b, const char *text, const char *ids, const given_tokens *g)
{
    if (g->ids)
        json_line_ids(b, ids, g->ids, g->n);
    else
        json_line_bytes(b, text, g->text, g->text_len);
}

static void put_request(strbuf *b, const pair_request *q)
{
    json_line_begin(b, NULL);
    if (q->label)
        json_line_text(b, "label", q->label);
    put_tokens(b, "clean", "clean_ids", &q->clean);
    put_tokens(b, "corrupted", "corrupted_ids", &q->corrupted);
    if (q->answer)
        json_line_text(b, "answer", q->answer);
    else if (q->answer_id >= 0)
        json_line_int(b, "answer_id", q->answer_id);
    if (q->wrong_ids) {
        json_line_ids(b, "wrong_ids", q->wrong_ids, q->n_wrong);
    } else if (q->n_wrong) {
        json_line_key(b, "wrong");
        for (int i = 0; i < q->n_wrong; i++) {
            strbuf_putc(b, i ? ',' : '[');
            strbuf_put_json(b, q->wrong[i], strlen(q->wrong[i]));
        }
        strbuf_putc(b, ']');
    }
    if (q->position != -1)
        json_line_int(b, "position", q->position);
    json_line_end(b);
}

int pair_set_write(const pair_set *s, const char *path, err *e)
{
    outfile *f;
    strbuf b = {0};
    int rc = outfile_open(&f, path, e);
    for (int64_t i = 0; i < s->n && !rc; i++) {
        strbuf_clear(&b);
        put_request(&b, &s->request[i]);
        rc = b.failed ? err_nomem(e, "a line of text") : outfile_write(f, b.s, b.len, e);
        if (rc)
            outfile_abandon(f);
    }
    strbuf_free(&b);
    return rc ? rc : outfile_commit(f, e);
}

int pair_set_hash(sha256_hex out, const pair_set *s, err *e)
{
    sha256 *h;
    int rc = sha256_new(&h, e);
    for (int64_t i = 0; i < s->n && !rc; i++) {
        const patch_pair *p = &s->pair[i].p;
        const int64_t head[] = {p->n, p->position, p->answer, p->n_wrong};
        if ((rc = sha256_add(h, head, sizeof head, e)) ||
            (rc = sha256_add(h, p->clean, (size_t)p->n * sizeof *p->clean, e)) ||
            (rc = sha256_add(h, p->corrupted, (size_t)p->n * sizeof *p->corrupted, e)) ||
            (rc = sha256_add(h, p->wrong, (size_t)p->n_wrong * sizeof *p->wrong, e)))
            sha256_abandon(h);
    }
    return rc ? rc : sha256_done(h, out, e);
}
