#include "analysis/haystack.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mapfile.h"
#include "base/mem.h"

#define MAX_HAYSTACK_BYTES ((size_t)1 << 30)

const char *const needle_place_names[] = {"paragraph", "inline", NULL};
const char frame_plain[] = "{context}\n\n{question} {lead}";
const char frame_book[] = "{context}Based on the content of the book, Question: {question}\nAnswer:";
const char frame_tagged[] =
    "<book>{context}</book>\nBased on the content of the book, Question: {question}\nAnswer:";

/* ---- text ---- */

static int read_one(strbuf *out, const char *path, err *e)
{
    char *text;
    size_t n;
    int rc = read_file(&text, &n, path, MAX_HAYSTACK_BYTES, e);
    if (rc)
        return rc;
    strbuf_add(out, text, n);
    strbuf_putc(out, '\n');
    free(text);
    if (out->failed)
        return err_nomem(e, "the haystack");
    if (out->len > MAX_HAYSTACK_BYTES) {
        err_set(e, ERR_USAGE, "the haystack has more than %zu MiB", MAX_HAYSTACK_BYTES >> 20);
        return err_hint(e, "name fewer files: only as much of them is read as the longest trial has");
    }
    return 0;
}

static int visible_file(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static int read_folder(strbuf *out, const char *path, err *e)
{
    struct dirent **names;
    int n = scandir(path, &names, visible_file, alphasort), rc = 0, files = 0;
    if (n < 0) {
        err_errno(e, ERR_INPUT, errno, "%s", path);
        return err_hint(e, "name files, or a folder that can be read");
    }
    for (int i = 0; i < n; i++) {
        strbuf name = {0};
        struct stat st;
        strbuf_printf(&name, "%s/%s", path, names[i]->d_name);
        if (!rc && name.failed)
            rc = err_nomem(e, "path");
        if (!rc && stat(strbuf_str(&name), &st) == 0 && S_ISREG(st.st_mode)) {
            rc = read_one(out, strbuf_str(&name), e);
            files++;
        }
        strbuf_free(&name);
        free(names[i]);
    }
    free(names);
    if (!rc && files == 0) {
        err_set(e, ERR_INPUT, "%s: a folder without files", path);
        rc = err_hint(e, "name files of plain text, or the folder that they are in");
    }
    return rc;
}

int haystack_read(strbuf *out, const char *const *paths, int n, err *e)
{
    int rc = 0;
    for (int i = 0; i < n && !rc; i++) {
        struct stat st;
        bool folder = stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode);
        rc = folder ? read_folder(out, paths[i], e) : read_one(out, paths[i], e);
    }
    return rc;
}

/* ---- sentences ---- */

static bool ends_in(const char *s, size_t n, const char *const *marks, size_t *len)
{
    for (; *marks; marks++) {
        size_t k = strlen(*marks);
        if (k <= n && memcmp(s + n - k, *marks, k) == 0) {
            *len = k;
            return true;
        }
    }
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static const char *const closing[] = {"\"", "'", ")", "]", "\xe2\x80\x9d", "\xe2\x80\x99", "\xc2\xbb", "\xe3\x80\x8d",
                                      "\xe3\x80\x8f", NULL};
static const char *const stops[] = {".", "!", "?", "\xe2\x80\xa6", "\xe0\xa5\xa4", "\xdb\x94", "\xd8\x9f", NULL};
static const char *const wide_stops[] = {"\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f", NULL};

/* Does a sentence end with these bytes, followed by `after` [n_after]? */
static bool ends_sentence(const char *s, size_t n, const char *after, size_t n_after)
{
    size_t k;
    bool open = true; /* no white space or closing mark has been seen behind the stop */
    for (; n > 0 && is_space(s[n - 1]); n--)
        open = false;
    while (ends_in(s, n, closing, &k)) {
        n -= k;
        open = false;
    }
    if (ends_in(s, n, wide_stops, &k))
        return true;
    if (!ends_in(s, n, stops, &k))
        return false;
    if (!open || n_after == 0 || is_space(after[0]))
        return true;
    for (const char *const *c = closing; *c; c++)
        if (strlen(*c) <= n_after && memcmp(after, *c, strlen(*c)) == 0)
            return false; /* the mark that closes it ends it */
    return false;
}

int haystack_open(haystack *out, const tokenizer *tok, const char *text, size_t n, err *e)
{
    *out = (haystack){.text = text, .n = n};
    int rc = tokenizer_encode(tok, text, n, false, &out->t, e);
    if (rc)
        return rc;
    out->sentence_end = mem_array((size_t)out->t.n, 1, e);
    if (!out->sentence_end) {
        haystack_close(out);
        return ERR_RESOURCE;
    }
    for (int64_t i = 0; i < out->t.n; i++) {
        const token *k = &out->t.t[i];
        /* A token that is only a closing mark is looked at with what it closes. */
        int64_t from = i > 0 && k->end - k->begin <= 4 ? out->t.t[i - 1].begin : k->begin;
        bool blank = true;
        for (int64_t b = k->begin; b < k->end; b++)
            blank &= is_space(text[b]);
        bool whole = i + 1 == out->t.n || out->t.t[i + 1].begin >= k->end; /* not within a character */
        out->sentence_end[i] = whole && !blank &&
                               ends_sentence(text + from, (size_t)(k->end - from), text + k->end,
                                             n - (size_t)k->end);
        out->n_end += out->sentence_end[i];
    }
    return 0;
}

void haystack_close(haystack *h)
{
    tokens_free(&h->t);
    free(h->sentence_end);
    *h = (haystack){0};
}

/* ---- trials ---- */

/* frame with its places filled; an empty lead takes the blank before it along. */
static int fill_frame(strbuf *out, const char *frame, const char *context, size_t n, const needle *what, err *e)
{
    static const char *const names[] = {"{context}", "{question}", "{lead}"};
    for (const char *s = frame; *s;) {
        int place = -1;
        for (int i = 0; i < 3; i++)
            if (strncmp(s, names[i], strlen(names[i])) == 0)
                place = i;
        if (place < 0) {
            strbuf_putc(out, *s++);
            continue;
        }
        if (place == 0)
            strbuf_add(out, context, n);
        else if (place == 1)
            strbuf_puts(out, what->question);
        else if (*what->lead)
            strbuf_puts(out, what->lead);
        else if (out->len > 0 && out->s[out->len - 1] == ' ')
            out->s[--out->len] = '\0';
        s += strlen(names[place]);
    }
    return out->failed ? err_nomem(e, "the prompt") : 0;
}

static int check_frame(const char *frame, err *e)
{
    if (strstr(frame, "{context}") && strstr(frame, "{question}"))
        return 0;
    err_set(e, ERR_USAGE, "the frame has no %s", strstr(frame, "{context}") ? "{question}" : "{context}");
    return err_hint(e, "write it as \"{context} Question: {question} Answer: {lead}\"; {lead} may be left out");
}

/* The context: the first bytes of the haystack with the needle at byte `at`. */
static int put_context(strbuf *out, const haystack *h, int64_t at, int64_t end, const needle *what, needle_place place,
                       err *e)
{
    int64_t left = at, right = at;
    while (left > 0 && is_space(h->text[left - 1]))
        left--;
    while (right < end && is_space(h->text[right]))
        right++;
    const char *gap = place == NEEDLE_PARAGRAPH ? "\n\n" : " ";
    strbuf_add(out, h->text, (size_t)left);
    if (left > 0 || place == NEEDLE_PARAGRAPH)
        strbuf_puts(out, gap);
    strbuf_puts(out, what->text);
    if (right < end) {
        strbuf_puts(out, gap);
        strbuf_add(out, h->text + right, (size_t)(end - right));
    }
    return out->failed ? err_nomem(e, "the prompt") : 0;
}

static int make_trial(trial *out, const char *context, size_t n, const needle *what, const haystack_rules *rules, err *e)
{
    strbuf text = {0};
    int rc = fill_frame(&text, rules->frame, context, n, what, e);
    if (!rc)
        rc = trial_of_text(out, strbuf_str(&text), text.len, what->text, strlen(what->text), what->answer,
                           strlen(what->answer), &rules->trial, e);
    strbuf_free(&text);
    return rc;
}

int haystack_overhead(int64_t *n, const needle *what, const haystack_rules *rules, err *e)
{
    static const haystack nothing = {.text = ""};
    strbuf context = {0};
    trial t;
    int rc = check_frame(rules->frame, e);
    if (!rc)
        rc = put_context(&context, &nothing, 0, 0, what, rules->place, e);
    if (!rc && !(rc = make_trial(&t, strbuf_str(&context), context.len, what, rules, e))) {
        *n = t.n;
        trial_free(&t);
    }
    strbuf_free(&context);
    return rc;
}

static int tokens_of_needle(int64_t *n, const needle *what, const haystack_rules *rules, err *e)
{
    tokens t;
    int rc = tokenizer_encode(rules->trial.tok, what->text, strlen(what->text), false, &t, e);
    if (rc)
        return rc;
    *n = t.n;
    tokens_free(&t);
    return 0;
}

int haystack_trial(trial *out, const haystack *h, const needle *what, int64_t length, double depth,
                   const haystack_rules *rules, err *e)
{
    strbuf context = {0};
    int64_t overhead, width = 0, room;
    int rc = haystack_overhead(&overhead, what, rules, e);
    if (!rc && rules->buffer >= 0)
        rc = tokens_of_needle(&width, what, rules, e);
    if (rc)
        return rc;
    room = length - (rules->buffer >= 0 ? rules->buffer + width : overhead);
    if (room < 1) {
        err_set(e, ERR_USAGE, "a length of %" PRId64 " tokens leaves no room for a haystack: needle and question take %"
                PRId64, length, length - room);
        return err_hint(e, "take lengths from %" PRId64 " on%s", length - room + 32,
                        rules->buffer > 0 ? ", or a smaller --buffer" : "");
    }
    if (room > h->t.n) {
        err_set(e, ERR_INPUT, "the haystack has %" PRId64 " tokens, a length of %" PRId64 " needs %" PRId64, h->t.n, length,
                room);
        return err_hint(e, "give more text, or shorter --lengths");
    }
    if (h->n_end == 0) {
        err_set(e, ERR_INPUT, "no sentence ends in the haystack: there is no place for a needle");
        return err_hint(e, "give text with full stops");
    }
    int64_t at = (int64_t)((double)room * depth), end = h->t.t[room - 1].end;
    if (depth >= 1)
        at = room;
    else
        while (at > 0 && !h->sentence_end[at - 1])
            at--;
    rc = put_context(&context, h, at > 0 ? h->t.t[at - 1].end : 0, end, what, rules->place, e);
    if (!rc)
        rc = make_trial(out, strbuf_str(&context), context.len, what, rules, e);
    strbuf_free(&context);
    if (rc)
        return rc;
    out->length = length;
    out->depth = depth;
    if (what->label && !(out->label = mem_strdup(what->label, e))) {
        trial_free(out);
        return ERR_RESOURCE;
    }
    return 0;
}
