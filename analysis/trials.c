#include "analysis/trials.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json_lines.h"
#include "base/mapfile.h"
#include "base/mem.h"

#define MAX_TRIALS_BYTES ((size_t)1 << 30)

const char *const needle_match_names[] = {"bytes", "overlap", NULL};

void trial_free(trial *t)
{
    free(t->ids);
    free(t->answer_ids);
    free(t->answer);
    free(t->text);
    free(t->label);
    *t = (trial){0};
}

void trials_free(trials *s)
{
    for (int64_t i = 0; i < s->n; i++)
        trial_free(&s->t[i]);
    free(s->t);
    *s = (trials){0};
}

/* ---- the needle among the tokens ---- */

static int by_id(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

int trial_find_overlap(int64_t *begin, const int32_t *ids, int64_t n, const int32_t *needle, int64_t width, err *e)
{
    *begin = -1;
    if (width < 1 || width > n)
        return 0;
    /* Distinct ids of the needle, and how often each is in the window. */
    int32_t *set = mem_array((size_t)width, sizeof *set, e);
    int64_t *count = set ? mem_array((size_t)width, sizeof *count, e) : NULL;
    int64_t distinct = 0, shared = 0;
    if (!count) {
        free(set);
        return ERR_RESOURCE;
    }
    memcpy(set, needle, (size_t)width * sizeof *set);
    qsort(set, (size_t)width, sizeof *set, by_id);
    for (int64_t i = 0; i < width; i++)
        if (i == 0 || set[i] != set[i - 1])
            set[distinct++] = set[i];
    for (int64_t i = 0; i < n && *begin < 0; i++) {
        const int32_t *in = bsearch(&ids[i], set, (size_t)distinct, sizeof *set, by_id);
        if (in && count[in - set]++ == 0)
            shared++;
        const int32_t *left = i >= width ? bsearch(&ids[i - width], set, (size_t)distinct, sizeof *set, by_id) : NULL;
        if (left && --count[left - set] == 0)
            shared--;
        if (i >= width - 1 && (double)shared / (double)distinct > 0.9)
            *begin = i - width + 1;
    }
    free(set);
    free(count);
    return 0;
}

/* Bytes [a, b) of the text are held by tokens [*begin, *end). */
static bool tokens_of_bytes(int64_t *begin, int64_t *end, const tokens *t, int64_t a, int64_t b)
{
    *begin = -1;
    for (int64_t i = 0; i < t->n; i++) {
        const token *k = &t->t[i];
        if (k->begin == k->end || k->end <= a || k->begin >= b)
            continue;
        if (*begin < 0)
            *begin = i;
        *end = i + 1;
    }
    return *begin >= 0;
}

static const char *find_bytes(const char *text, size_t n, const char *part, size_t n_part, bool last)
{
    const char *found = NULL;
    for (size_t i = 0; n_part > 0 && n_part <= n && i <= n - n_part && !(found && !last); i++)
        if (text[i] == part[0] && memcmp(text + i, part, n_part) == 0)
            found = text + i;
    return found;
}

static int copy_ids(int32_t **out, const tokens *t, int64_t begin, int64_t end, err *e)
{
    *out = mem_array((size_t)(end - begin), sizeof **out, e);
    if (!*out)
        return ERR_RESOURCE;
    for (int64_t i = begin; i < end; i++)
        (*out)[i - begin] = t->t[i].id;
    return 0;
}

static int tokenise(int32_t **ids, int64_t *n, const tokenizer *tok, const char *text, size_t len, err *e)
{
    tokens t;
    int rc = tokenizer_encode(tok, text, len, false, &t, e);
    if (rc)
        return rc;
    *n = t.n;
    rc = copy_ids(ids, &t, 0, t.n, e);
    tokens_free(&t);
    return rc;
}

static double depth_of(const trial *t)
{
    int64_t beside = t->n - (t->needle_end - t->needle_begin);
    return beside > 0 ? (double)t->needle_begin / (double)beside : 0;
}

static int find_needle(trial *out, const tokens *t, const char *text, const char *at, const char *needle,
                       size_t n_needle, const trial_rules *rules, err *e)
{
    int rc = 0;
    bool found;
    if (rules->match == NEEDLE_BYTES) {
        found = tokens_of_bytes(&out->needle_begin, &out->needle_end, t, at - text, at - text + (int64_t)n_needle);
    } else {
        int32_t *ids = NULL;
        int64_t width = 0;
        rc = tokenise(&ids, &width, rules->tok, needle, n_needle, e);
        if (!rc)
            rc = trial_find_overlap(&out->needle_begin, out->ids, out->n, ids, width, e);
        free(ids);
        found = out->needle_begin >= 0;
        out->needle_end = out->needle_begin + width;
    }
    if (!rc && !found) {
        err_set(e, ERR_INPUT, "the needle is not among the tokens of the text");
        rc = err_hint(e, rules->match == NEEDLE_OVERLAP ? "find it by its bytes instead: --match bytes"
                                                        : "a normaliser of the tokenizer may have removed it");
    }
    return rc;
}

int trial_of_text(trial *out, const char *text, size_t n, const char *needle, size_t n_needle, const char *answer,
                  size_t n_answer, const trial_rules *rules, err *e)
{
    tokens t = {0};
    bool special = rules->special;
    *out = (trial){0};
    int rc = ERR_RESOURCE;
    if (rules->render) {
        rc = rules->render(rules->ud, &out->text, &out->text_len, &special, text, n, e);
    } else if ((out->text = mem_strndup(text, n, e))) {
        out->text_len = n;
        rc = 0;
    }
    const char *at = rc ? NULL : find_bytes(out->text, out->text_len, needle, n_needle, false);
    if (!rc && !at) {
        err_set(e, ERR_INPUT, "the needle does not stand in the text");
        rc = err_hint(e, "both must agree byte by byte, line ends included");
    }
    if (!rc && n_answer == 0) {
        err_set(e, ERR_INPUT, "the answer is empty");
        rc = err_hint(e, "write the words that a model which found the needle would give");
    }
    if (!rc)
        rc = tokenizer_encode(rules->tok, out->text, out->text_len, special, &t, e);
    if (!rc && t.n < 2) {
        err_set(e, ERR_INPUT, "the text has fewer than two tokens");
        rc = err_hint(e, "it must hold the needle and end where the answer is to begin");
    }
    if (!rc)
        rc = copy_ids(&out->ids, &t, 0, t.n, e);
    if (!rc) {
        out->n = t.n;
        rc = find_needle(out, &t, out->text, at, needle, n_needle, rules, e);
    }
    const char *in_needle = rc ? NULL : find_bytes(at, n_needle, answer, n_answer, true);
    int64_t begin, end, blank = in_needle && in_needle > at && in_needle[-1] == ' ' && answer[0] != ' ';
    if (!rc && in_needle &&
        tokens_of_bytes(&begin, &end, &t, in_needle - out->text - blank, in_needle - out->text + (int64_t)n_answer)) {
        out->n_answer = end - begin;
        rc = copy_ids(&out->answer_ids, &t, begin, end, e);
    } else if (!rc) {
        rc = tokenise(&out->answer_ids, &out->n_answer, rules->tok, answer, n_answer, e);
        if (!rc && out->n_answer == 0) {
            err_set(e, ERR_INPUT, "the answer has no tokens");
            rc = err_hint(e, "the tokenizer drops what it is made of");
        }
    }
    if (!rc && !(out->answer = mem_strndup(answer, n_answer, e)))
        rc = ERR_RESOURCE;
    out->policy = t.policy;
    tokens_free(&t);
    if (rc) {
        trial_free(out);
        return rc;
    }
    out->answer_len = n_answer;
    out->length = out->n;
    out->depth = depth_of(out);
    return 0;
}

/* ---- files ---- */

static int read_ids(int32_t **out, int64_t *n, const json *list, const char *name, int64_t vocab, err *e)
{
    size_t count = json_count(list);
    if (json_kind_of(list) != JSON_LIST || count == 0) {
        err_set(e, ERR_INPUT, "\"%s\" is no list of token ids", name);
        return err_hint(e, "write \"%s\": [17, 42, 5]", name);
    }
    *out = mem_array(count, sizeof **out, e);
    if (!*out)
        return ERR_RESOURCE;
    *n = (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        int64_t id;
        if (!json_int(&id, json_at(list, i)) || id < 0 || id > INT32_MAX) {
            err_set(e, ERR_INPUT, "\"%s\": element %zu is no token id", name, i);
            return err_hint(e, "ids are integers from 0");
        }
        if (vocab > 0 && id >= vocab) {
            err_set(e, ERR_INPUT, "\"%s\": %" PRId64 " is outside of the vocabulary of %" PRId64 " tokens", name, id,
                    vocab);
            return err_hint(e, "the ids were made for another model");
        }
        (*out)[i] = (int32_t)id;
    }
    return 0;
}

static int trial_of_ids(trial *out, const json *v, const trial_rules *rules, err *e)
{
    const json *span = json_get(v, "needle");
    size_t len = 0;
    const char *answer = json_str(json_get(v, "answer"), &len);
    int rc = read_ids(&out->ids, &out->n, json_get(v, "ids"), "ids", rules->vocab, e);
    if (!rc)
        rc = read_ids(&out->answer_ids, &out->n_answer, json_get(v, "answer_ids"), "answer_ids", rules->vocab, e);
    if (rc)
        return rc;
    if (json_count(span) != 2 || !json_int(&out->needle_begin, json_at(span, 0)) ||
        !json_int(&out->needle_end, json_at(span, 1))) {
        err_set(e, ERR_INPUT, "\"needle\" is no pair of positions");
        return err_hint(e, "write \"needle\": [12, 36]: tokens 12 to 35 of ids");
    }
    if (out->n < 2) {
        err_set(e, ERR_INPUT, "\"ids\" has fewer than two tokens");
        return err_hint(e, "it must hold the needle and end where the answer is to begin");
    }
    if (out->needle_begin < 0 || out->needle_begin >= out->needle_end || out->needle_end > out->n) {
        err_set(e, ERR_INPUT, "the needle [%" PRId64 ", %" PRId64 ") is not within the %" PRId64 " tokens of \"ids\"",
                out->needle_begin, out->needle_end, out->n);
        return err_hint(e, "write begin and end, 0 <= begin < end <= number of ids");
    }
    out->length = out->n;
    out->depth = depth_of(out);
    if (answer) {
        out->answer = mem_strndup(answer, len, e);
        out->answer_len = len;
    } else if (rules->tok) {
        strbuf b = {0};
        if ((rc = tokenizer_decode(rules->tok, out->answer_ids, out->n_answer, true, &b, e))) {
            strbuf_free(&b);
            return rc;
        }
        out->answer_len = b.len;
        out->answer = strbuf_take(&b, e);
    } else {
        return 0;
    }
    return out->answer ? 0 : ERR_RESOURCE;
}

static int read_text_trial(trial *out, const json *v, const trial_rules *rules, err *e)
{
    size_t n[3];
    static const char *const names[3] = {"text", "needle_text", "answer"};
    const char *s[3];
    for (int i = 0; i < 3; i++) {
        s[i] = json_str(json_get(v, names[i]), &n[i]);
        if (!s[i]) {
            err_set(e, ERR_INPUT, "no \"%s\"", names[i]);
            return err_hint(e, "a trial has ids, needle and answer_ids, or text, needle_text and answer");
        }
    }
    if (!rules->tok) {
        err_set(e, ERR_INPUT, "a trial of text, and the model has no tokenizer");
        return err_hint(e, "name one with --tokenizer, or write trials of ids");
    }
    return trial_of_text(out, s[0], n[0], s[1], n[1], s[2], n[2], rules, e);
}

static int read_optional(trial *out, const json *v, err *e)
{
    size_t len;
    const json *label = json_get(v, "label"), *length = json_get(v, "length"), *depth = json_get(v, "depth");
    const char *text = json_str(label, &len);
    if (label && !text)
        return err_set(e, ERR_INPUT, "\"label\" is no text");
    if (text && !(out->label = mem_strndup(text, len, e)))
        return ERR_RESOURCE;
    if (length && (!json_int(&out->length, length) || out->length < 1))
        return err_set(e, ERR_INPUT, "\"length\" is no number of tokens");
    if (depth && (!json_real(&out->depth, depth) || !(out->depth >= 0 && out->depth <= 1))) {
        err_set(e, ERR_INPUT, "\"depth\" is no share of the haystack");
        return err_hint(e, "write a number from 0 (needle first) to 1 (needle last)");
    }
    return 0;
}

static int read_line(void *element, const json *line, const char *where, void *ud, err *e)
{
    trial *out = element;
    const trial_rules *rules = ud;
    int rc = json_get(line, "ids") ? trial_of_ids(out, line, rules, e) : read_text_trial(out, line, rules, e);
    if (!rc)
        rc = read_optional(out, line, e);
    snprintf(out->where, sizeof out->where, "%s", where);
    return rc;
}

int trials_load(trials *out, const char *path, const trial_rules *rules, err *e)
{
    char *text;
    size_t size;
    json_lines lines;
    trial_rules own = *rules;
    *out = (trials){0};
    int rc = read_file(&text, &size, path, MAX_TRIALS_BYTES, e);
    if (rc)
        return rc;
    rc = json_lines_read(&lines, sizeof *out->t, text, size, path, read_line, &own, e);
    *out = (trials){lines.n, lines.list};
    free(text);
    if (!rc && out->n == 0) {
        err_set(e, ERR_INPUT, "%s: holds no trials", path);
        rc = err_hint(e, "write a JSON object a line: ids, needle [begin, end) and answer_ids, or text, needle_text and "
                         "answer");
    }
    if (rc)
        trials_free(out);
    return rc;
}

static void put_ids(strbuf *b, const char *name, const int32_t *ids, int64_t n)
{
    strbuf_printf(b, "\"%s\": [", name);
    for (int64_t i = 0; i < n; i++)
        strbuf_printf(b, i ? ", %" PRId32 : "%" PRId32, ids[i]);
    strbuf_puts(b, "]");
}

void trial_put_json(strbuf *b, const trial *t)
{
    strbuf_putc(b, '{');
    put_ids(b, "ids", t->ids, t->n);
    strbuf_printf(b, ", \"needle\": [%" PRId64 ", %" PRId64 "], ", t->needle_begin, t->needle_end);
    put_ids(b, "answer_ids", t->answer_ids, t->n_answer);
    strbuf_printf(b, ", \"length\": %" PRId64 ", \"depth\": ", t->length);
    strbuf_put_real(b, t->depth);
    if (t->answer) {
        strbuf_puts(b, ", \"answer\": ");
        strbuf_put_json(b, t->answer, t->answer_len);
    }
    if (t->label) {
        strbuf_puts(b, ", \"label\": ");
        strbuf_put_json(b, t->label, strlen(t->label));
    }
    strbuf_puts(b, "}\n");
}
