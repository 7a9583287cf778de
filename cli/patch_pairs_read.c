/* Pairs of prompts from a file, and as tokens. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/json_lines.h"
#include "base/mem.h"
#include "cli/patch_pairs.h"

/* ---- a line of a file ---- */

static int take_text(char **out, size_t *len, const json *v, const char *key, err *e)
{
    size_t n;
    const char *s = json_str(v, &n);
    if (!s || strlen(s) != n)
        return err_set(e, ERR_INPUT, "\"%s\" is no text", key);
    if (!(*out = mem_strndup(s, n, e)))
        return ERR_RESOURCE;
    if (len)
        *len = n;
    return 0;
}

static int take_ids(int32_t **out, int64_t *n, const json *v, const char *key, err *e)
{
    size_t count = json_count(v);
    if (json_kind_of(v) != JSON_LIST)
        return err_set(e, ERR_INPUT, "\"%s\" is no list of token ids", key);
    if (!(*out = mem_array(count + 1, sizeof **out, e)))
        return ERR_RESOURCE;
    for (size_t i = 0; i < count; i++) {
        int64_t id;
        if (!json_int(&id, json_at(v, i)) || id < 0 || id > INT32_MAX)
            return err_set(e, ERR_INPUT, "element %zu of \"%s\" is no token id", i, key);
        (*out)[i] = (int32_t)id;
    }
    *n = (int64_t)count;
    return 0;
}

static int take_wrong(pair_request *q, const json *v, err *e)
{
    bool list = json_kind_of(v) == JSON_LIST;
    int n = list ? (int)json_count(v) : 1, rc = 0;
    if (q->n_wrong)
        return err_set(e, ERR_INPUT, "wrong answers are given as texts and as ids");
    if (!(q->wrong = mem_array((size_t)n + 1, sizeof *q->wrong, e)))
        return ERR_RESOURCE;
    for (; q->n_wrong < n && !rc; q->n_wrong++)
        rc = take_text(&q->wrong[q->n_wrong], NULL, list ? json_at(v, (size_t)q->n_wrong) : v, "wrong", e);
    return rc;
}

static int take_member(pair_request *q, const char *key, const json *v, err *e)
{
    struct { const char *text, *ids; given_tokens *to; } prompts[] = {
        {"clean", "clean_ids", &q->clean}, {"corrupted", "corrupted_ids", &q->corrupted}};
    int64_t n;
    for (int i = 0; i < 2; i++) {
        given_tokens *to = prompts[i].to;
        bool text = strcmp(key, prompts[i].text) == 0;
        if (!text && strcmp(key, prompts[i].ids) != 0)
            continue;
        if (to->text || to->ids)
            return err_set(e, ERR_INPUT, "has a text and ids for the same prompt");
        return text ? take_text(&to->text, &to->text_len, v, key, e) : take_ids(&to->ids, &to->n, v, key, e);
    }
    if (strcmp(key, "answer") == 0)
        return take_text(&q->answer, NULL, v, key, e);
    if (strcmp(key, "label") == 0)
        return take_text(&q->label, NULL, v, key, e);
    if (strcmp(key, "wrong") == 0)
        return take_wrong(q, v, e);
    if (strcmp(key, "wrong_ids") == 0) {
        if (q->n_wrong)
            return err_set(e, ERR_INPUT, "wrong answers are given as texts and as ids");
        int rc = take_ids(&q->wrong_ids, &n, v, key, e);
        if (!rc && n > INT32_MAX / 2)
            rc = err_set(e, ERR_INPUT, "\"%s\" is too long", key);
        q->n_wrong = rc ? 0 : (int)n;
        return rc;
    }
    if (strcmp(key, "answer_id") == 0 || strcmp(key, "position") == 0) {
        bool answer = *key == 'a';
        if (!json_int(&n, v) || n > INT32_MAX || n < (answer ? 0 : -INT32_MAX))
            return err_set(e, ERR_INPUT, "\"%s\" is no %s", key, answer ? "token id" : "position");
        if (answer)
            q->answer_id = (int32_t)n;
        else
            q->position = n;
        return 0;
    }
    err_set(e, ERR_INPUT, "key \"%.60s\" is not known", key);
    return err_hint(e, "a line has clean, corrupted, answer and wrong (or clean_ids, corrupted_ids, answer_id, wrong_ids), "
                       "and optionally label, position");
}

static int take_line(void *element, const json *line, const char *where, void *ud, err *e)
{
    pair_request *q = element;
    const char *key;
    const json *v;
    void *it = NULL;
    int rc = 0;
    (void)ud;
    *q = (pair_request){.answer_id = -1, .position = -1};
    snprintf(q->where, sizeof q->where, "%s", where);
    while (!rc && json_each(line, &it, &key, &v))
        rc = take_member(q, key, v, e);
    if (!rc && (!is_given(&q->clean) || !is_given(&q->corrupted))) {
        err_set(e, ERR_INPUT, "has no %s prompt", is_given(&q->clean) ? "corrupted" : "clean");
        rc = err_hint(e, "write {\"clean\": ..., \"corrupted\": ..., \"answer\": ..., \"wrong\": ...}");
    }
    if (!rc && q->answer && q->answer_id >= 0)
        rc = err_set(e, ERR_INPUT, "has an answer as a text and as an id");
    return rc;
}

int pair_requests_load(pair_set *out, const char *path, err *e)
{
    char *text = NULL;
    size_t size;
    json_lines lines = {0};
    int rc = prompt_read_text(&text, &size, path, e);
    if (!rc)
        rc = json_lines_read(&lines, sizeof *out->request, text, size, path, take_line, NULL, e);
    *out = (pair_set){.n = lines.n, .request = lines.list};
    if (!rc && out->n == 0) {
        err_set(e, ERR_INPUT, "%s: holds no pairs", path);
        rc = err_hint(e, "write an object a line: {\"clean\": ..., \"corrupted\": ..., \"answer\": ..., \"wrong\": ...}");
    }
    free(text);
    if (rc)
        pair_set_free(out);
    return rc;
}

/* ---- tokens ---- */

/* The one token that text is behind the prompt (ids alone: behind another word). */
static int next_token(int32_t *id, const loaded_model *lm, const given_tokens *prompt, const char *text, err *e)
{
    const char *before = prompt->text ? prompt->text : "and";
    size_t len = prompt->text ? prompt->text_len : 3;
    tokens head = {0}, all = {0};
    strbuf b = {0};
    if (!lm->tok) {
        err_set(e, ERR_USAGE, "an answer is given as a text, and the model has no tokenizer");
        return err_hint(e, "give --answer-id and --wrong-ids");
    }
    strbuf_add(&b, before, len);
    strbuf_puts(&b, text);
    int rc = b.failed ? err_nomem(e, "a text") : tokenizer_encode(lm->tok, before, len, false, &head, e);
    if (!rc)
        rc = tokenizer_encode(lm->tok, b.s, b.len, false, &all, e);
    bool same = !rc && all.n == head.n + 1;
    for (int64_t i = 0; same && i < head.n; i++)
        same = all.t[i].id == head.t[i].id;
    if (same) {
        *id = all.t[all.n - 1].id;
    } else if (!rc) {
        err_set(e, ERR_USAGE, "the answer \"%s\" is not one token behind the prompt (%" PRId64 " tokens more)", text,
                all.n - head.n);
        rc = err_hint(e, *text != ' ' ? "begin it with a space, as \" %.80s\"" : "take another answer than \"%.80s\"", text);
    }
    tokens_free(&head);
    tokens_free(&all);
    strbuf_free(&b);
    return rc;
}

static int check_id(int32_t id, const loaded_model *lm, err *e)
{
    if (id >= 0 && id < lm->m->vocab)
        return 0;
    return err_set(e, ERR_USAGE, "answer id %d is outside the vocabulary (0 to %" PRId64 ")", id, lm->m->vocab - 1);
}

static int make_answers(pair_input *out, const pair_request *q, const loaded_model *lm, err *e)
{
    patch_pair *p = &out->p;
    int rc = 0;
    if ((!q->answer && q->answer_id < 0) || !q->n_wrong) {
        err_set(e, ERR_USAGE, "the logit difference needs %s", q->n_wrong ? "an answer" : "a wrong answer");
        return err_hint(e, q->n_wrong ? "give --answer \" Mary\" (or \"answer\" in the file), or --metric kl"
                                      : "give --wrong \" John\" (or \"wrong\" in the file), or --metric kl");
    }
    if (!(out->wrong = mem_array((size_t)q->n_wrong, sizeof *out->wrong, e)))
        return ERR_RESOURCE;
    p->answer = q->answer_id;
    if (q->answer)
        rc = next_token(&p->answer, lm, &q->clean, q->answer, e);
    if (!rc)
        rc = check_id(p->answer, lm, e);
    for (int i = 0; i < q->n_wrong && !rc; i++) {
        if (q->wrong_ids)
            out->wrong[i] = q->wrong_ids[i];
        else
            rc = next_token(&out->wrong[i], lm, &q->clean, q->wrong[i], e);
        if (!rc)
            rc = check_id(out->wrong[i], lm, e);
        if (!rc && out->wrong[i] == p->answer) {
            err_set(e, ERR_USAGE, "answer and wrong answer are the same token (%d)", p->answer);
            rc = err_hint(e, "the wrong answer is what follows the corrupted prompt");
        }
    }
    p->wrong = out->wrong;
    p->n_wrong = q->n_wrong;
    return rc;
}

/* The tokenizer's BOS in front, unless it is there. */
static int put_bos(prompt_input *in, const loaded_model *lm, err *e)
{
    int32_t bos = lm->tok ? tokenizer_bos(lm->tok) : -1;
    token_list *t = &in->main;
    if (bos < 0) {
        err_set(e, ERR_USAGE, "--bos: %s", lm->tok ? "the tokenizer names no BOS" : "the model has no tokenizer");
        return err_hint(e, "leave --bos out");
    }
    if (t->n && t->ids[0] == bos)
        return 0;
    int32_t *ids = mem_array((size_t)t->n + 1, sizeof *ids, e);
    bool *special = mem_array((size_t)t->n + 1, sizeof *special, e);
    if (!ids || !special) {
        free(ids);
        free(special);
        return ERR_RESOURCE;
    }
    ids[0] = bos;
    special[0] = true;
    memcpy(ids + 1, t->ids, (size_t)t->n * sizeof *ids);
    if (t->special)
        memcpy(special + 1, t->special, (size_t)t->n * sizeof *special);
    free(t->ids);
    free(t->special);
    t->ids = ids;
    t->special = special;
    t->n++;
    snprintf(t->policy, sizeof t->policy, "bos put in front (--bos)");
    in->in.ids = ids;
    in->in.n = t->n;
    return 0;
}

static int make_prompt(prompt_input *out, const loaded_model *lm, const given_tokens *g, const params *p, err *e)
{
    const prompt_request q = {.prompt = *g};
    const prompt_rules rules = {.special = params_bool(p, "special")};
    input_lengths n;
    int rc = prompt_make(out, lm, &q, &rules, e);
    if (!rc && params_bool(p, "bos"))
        rc = put_bos(out, lm, e);
    return rc ? rc : input_measure(&n, lm->m, &out->in, e);
}

static int make_pair(pair_input *out, const pair_request *q, const loaded_model *lm, const params *p, bool answers,
                     int64_t index, err *e)
{
    int rc = make_prompt(&out->clean, lm, &q->clean, p, e);
    if (!rc)
        rc = make_prompt(&out->corrupted, lm, &q->corrupted, p, e);
    if (rc)
        return rc;
    int64_t n = out->clean.in.n;
    out->p = (patch_pair){.clean = out->clean.in.ids, .corrupted = out->corrupted.in.ids, .n = n, .answer = -1,
                          .position = q->position < 0 ? n + q->position : q->position};
    if (q->label)
        snprintf(out->label, sizeof out->label, "%.63s", q->label);
    else
        snprintf(out->label, sizeof out->label, "pair %" PRId64, index);
    if (out->corrupted.in.n != n) {
        err_set(e, ERR_USAGE, "the clean prompt has %" PRId64 " tokens, the corrupted one %" PRId64, n, out->corrupted.in.n);
        return err_hint(e, "both must have the same number, so that positions match: `tokenize` shows them");
    }
    if (out->p.position < 0 || out->p.position >= n) {
        err_set(e, ERR_USAGE, "position %" PRId64 " is outside the prompt of %" PRId64 " tokens", q->position, n);
        return err_hint(e, "positions go from 0 to %" PRId64 ", or from -1 back", n - 1);
    }
    return answers ? make_answers(out, q, lm, e) : 0;
}

int pair_set_tokens(pair_set *s, const loaded_model *lm, const params *p, bool answers, err *e)
{
    int rc = 0;
    if (!(s->pair = mem_array((size_t)s->n, sizeof *s->pair, e)))
        return ERR_RESOURCE;
    for (int64_t i = 0; i < s->n && !rc; i++) {
        rc = make_pair(&s->pair[i], &s->request[i], lm, p, answers, i, e);
        if (rc && s->request[i].where[0])
            err_prefix(e, "%s", s->request[i].where);
        else if (rc && s->request[i].label)
            err_prefix(e, "%s", s->request[i].label);
    }
    return rc;
}
