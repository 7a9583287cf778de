#include "cli/tokenize_cases.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cancel.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/json_line.h"
#include "cli/output.h"

int tokenize_ids(int32_t **out, const tokens *t, err *e)
{
    *out = mem_array((size_t)t->n, sizeof **out, e);
    if (!*out)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < t->n; i++)
        (*out)[i] = t->t[i].id;
    return 0;
}

int tokenize_put_ids(strbuf *b, const tokenizer *tok, const tokens *t, strbuf *decoded, err *e)
{
    int32_t *ids;
    int rc = tokenize_ids(&ids, t, e);
    if (rc)
        return rc;
    strbuf_clear(decoded);
    rc = tokenizer_decode(tok, ids, t->n, false, decoded, e);
    if (!rc) {
        json_line_begin(b, "attnscope.tokens/1");
        json_line_ids(b, "ids", ids, t->n);
        json_line_bytes(b, "decoded", strbuf_str(decoded), decoded->len);
    }
    free(ids);
    return rc;
}

/* ---- lines of a file, a pipe or standard input ---- */

typedef struct lines {
    FILE *f;
    const char *path;
    char *line;
    size_t cap, len;
    int64_t number;
    double done, total;            /* bytes; total 0: not known */
    char where[300];               /* "FILE:12" */
} lines;

static int lines_open(lines *l, const char *path, err *e)
{
    struct stat st = {0};
    *l = (lines){.path = strcmp(path, "-") ? path : "standard input"};
    l->f = strcmp(path, "-") ? fopen(path, "re") : stdin;
    if (!l->f) {
        err_errno(e, ERR_INPUT, errno, "%s", path);
        return err_hint(e, "check the path; - is standard input");
    }
    if (fstat(fileno(l->f), &st) == 0 && S_ISDIR(st.st_mode)) {
        fclose(l->f);
        err_set(e, ERR_INPUT, "%s: is a directory", path);
        return err_hint(e, "give a JSON Lines file, or - for standard input");
    }
    if (S_ISREG(st.st_mode))
        l->total = (double)st.st_size;
    return 0;
}

static void lines_close(lines *l)
{
    free(l->line);
    if (l->f && l->f != stdin)
        fclose(l->f);
}

/* The next line that is not blank, parsed; *out is NULL at the end. */
static int next_case(json **out, lines *l, session *s, err *e)
{
    *out = NULL;
    for (;;) {
        int rc = cancel_check(e);
        if (rc)
            return rc;
        errno = 0;
        ssize_t got = getline(&l->line, &l->cap, l->f);
        if (got < 0) {
            if (feof(l->f))
                return 0;
            return errno == ENOMEM ? err_nomem(e, "a line of the table")
                                   : err_errno(e, ERR_INPUT, errno, "%s", l->path);
        }
        l->len = (size_t)got;
        l->done += (double)got;
        l->number++;
        progress_step(&s->prog, "text", l->done, l->total);
        while (l->len && strchr(" \t\r\n", l->line[l->len - 1]) && l->line[l->len - 1])
            l->len--;
        if (!l->len)
            continue;
        snprintf(l->where, sizeof l->where, "%s:%" PRId64, l->path, l->number);
        return json_parse(out, l->line, l->len, l->where, e);
    }
}

static int case_text(const char **text, size_t *n, const json *j, const lines *l, err *e)
{
    *text = json_str(json_get(j, "text"), n);
    if (*text)
        return 0;
    err_set(e, ERR_INPUT, "%s: no string \"text\"", l->where);
    return err_hint(e, "each line is an object such as {\"text\": \"some text\"}");
}

/* ---- --file-jsonl ---- */

static int one_case(strbuf *out, strbuf *decoded, const tokenizer *tok, const json *j, bool special, bool as_json,
                    const lines *l, err *e)
{
    const char *text;
    size_t len;
    tokens t = {0};
    int rc = case_text(&text, &len, j, l, e);
    if (rc)
        return rc;
    rc = tokenizer_encode(tok, text, len, special, &t, e);
    if (rc)
        return err_prefix(e, "%s", l->where);
    if (as_json) {
        rc = tokenize_put_ids(out, tok, &t, decoded, e);
        json_line_end(out);
    } else {
        for (int64_t i = 0; i < t.n; i++)
            strbuf_printf(out, i ? " %" PRId32 : "%" PRId32, t.t[i].id);
        strbuf_putc(out, '\n');
    }
    tokens_free(&t);
    return rc;
}

int tokenize_cases(session *s, const command_args *a, const tokenizer *tok, const char *path, err *e)
{
    lines l;
    json *j;
    strbuf out = {0}, decoded = {0};
    bool special = params_bool(a->p, "special"), as_json = command_format(s, a) == FORMAT_JSON;
    int rc = lines_open(&l, path, e);
    if (rc)
        return rc;
    while (!(rc = next_case(&j, &l, s, e)) && j) {
        rc = one_case(&out, &decoded, tok, j, special, as_json, &l, e);
        json_free(j);
        if (!rc && (out.len > 1 << 16 || l.total == 0)) /* a pipe gets its answers at once */
            rc = output_flush(s->out, &out, e);
        if (rc)
            break;
    }
    int write_rc = output_flush(s->out, &out, rc ? NULL : e);
    strbuf_free(&out);
    strbuf_free(&decoded);
    lines_close(&l);
    return rc ? rc : write_rc;
}

/* ---- --check ---- */

enum { MOST_SHOWN = 5 };

typedef struct check {
    const tokenizer *tok;
    const lines *l;
    bool as_json;
    strbuf shown;                  /* the first differences */
    strbuf decoded;
    int64_t n, n_agree;            /* lines */
    int64_t n_compared, n_shown;   /* ids, ids_special, decoded: each counts */
} check;

static void put_token(strbuf *b, const tokenizer *tok, bool there, int64_t id)
{
    const char *piece = there && id >= 0 && id <= INT32_MAX ? tokenizer_piece(tok, (int32_t)id) : NULL;
    if (!there) {
        strbuf_puts(b, "nothing");
        return;
    }
    strbuf_printf(b, "%" PRId64, id);
    if (piece) {
        strbuf_puts(b, " (");
        strbuf_put_visible(b, piece, strlen(piece));
        strbuf_puts(b, ")");
    }
}

static void put_where(check *c, const char *key, int64_t at)
{
    if (c->as_json) {
        strbuf_puts(&c->shown, c->n_shown ? "," : "");
        json_line_begin(&c->shown, NULL);
        json_line_int(&c->shown, "line", c->l->number);
        json_line_text(&c->shown, "key", key);
        json_line_int(&c->shown, "position", at);
    } else {
        strbuf_printf(&c->shown, "%s: %s differs at position %" PRId64 ": ", c->l->where, key, at);
    }
}

/* Token `at` differs; either may be missing. */
static void show_ids(check *c, const char *key, const json *want, const tokens *t, int64_t at)
{
    int64_t id = -1;
    bool wanted = json_int(&id, json_at(want, (size_t)at)), got = at < t->n;
    if (c->n_shown >= MOST_SHOWN)
        return;
    put_where(c, key, at);
    if (c->as_json) {
        json_line_key(&c->shown, "expected");
        strbuf_printf(&c->shown, wanted ? "%" PRId64 : "null", id);
        json_line_key(&c->shown, "got");
        strbuf_printf(&c->shown, got ? "%" PRId32 : "null", got ? t->t[at].id : 0);
        strbuf_putc(&c->shown, '}');
    } else {
        strbuf_puts(&c->shown, "expected ");
        put_token(&c->shown, c->tok, wanted, id);
        strbuf_puts(&c->shown, ", got ");
        put_token(&c->shown, c->tok, got, got ? t->t[at].id : 0);
        strbuf_putc(&c->shown, '\n');
    }
    c->n_shown++;
}

static int check_ids(check *c, bool *same, const char *key, const json *want, const char *text, size_t len,
                     bool special, err *e)
{
    tokens t;
    int64_t id, at = 0;
    int rc = tokenizer_encode(c->tok, text, len, special, &t, e);
    if (rc)
        return err_prefix(e, "%s", c->l->where);
    while (at < t.n && json_int(&id, json_at(want, (size_t)at)) && id == t.t[at].id)
        at++;
    bool equal = at == t.n && (size_t)at == json_count(want);
    if (!equal)
        show_ids(c, key, want, &t, at);
    *same &= equal;
    c->n_compared++;
    tokens_free(&t);
    return 0;
}

/* The text that the table's own ids stand for. */
static int check_decoded(check *c, bool *same, const json *ids, const char *want, size_t n_want, err *e)
{
    size_t n = json_count(ids), at = 0;
    int32_t *list = mem_array(n, sizeof *list, e);
    if (!list)
        return ERR_RESOURCE;
    for (size_t i = 0; i < n; i++) {
        int64_t id;
        list[i] = json_int(&id, json_at(ids, i)) && id >= 0 && id <= INT32_MAX ? (int32_t)id : -1;
    }
    strbuf_clear(&c->decoded);
    int rc = tokenizer_decode(c->tok, list, (int64_t)n, false, &c->decoded, e);
    free(list);
    if (rc)
        return rc;
    const char *got = strbuf_str(&c->decoded);
    while (at < n_want && at < c->decoded.len && got[at] == want[at])
        at++;
    c->n_compared++;
    if (at == n_want && at == c->decoded.len)
        return 0;
    *same = false;
    if (c->n_shown++ >= MOST_SHOWN)
        return 0;
    c->n_shown--;
    put_where(c, "decoded", (int64_t)at);
    c->n_shown++;
    if (c->as_json) {
        json_line_bytes(&c->shown, "expected", want, n_want);
        json_line_bytes(&c->shown, "got", got, c->decoded.len);
        strbuf_putc(&c->shown, '}');
    } else {
        size_t most = 40;
        strbuf_puts(&c->shown, "expected \"");
        strbuf_put_visible(&c->shown, want + at, n_want - at < most ? n_want - at : most);
        strbuf_puts(&c->shown, "\", got \"");
        strbuf_put_visible(&c->shown, got + at, c->decoded.len - at < most ? c->decoded.len - at : most);
        strbuf_puts(&c->shown, "\"\n");
    }
    return 0;
}

static int check_line(check *c, const json *j, err *e)
{
    const json *ids = json_get(j, "ids"), *special = json_get(j, "ids_special");
    const char *text, *decoded;
    size_t len, n_decoded;
    bool same = true;
    int rc = case_text(&text, &len, j, c->l, e);
    if (rc)
        return rc;
    if (json_kind_of(ids) != JSON_LIST && json_kind_of(special) != JSON_LIST) {
        err_set(e, ERR_INPUT, "%s: neither \"ids\" nor \"ids_special\"", c->l->where);
        return err_hint(e, "each line is an object such as {\"text\": \"some text\", \"ids\": [12, 7]}");
    }
    if (json_kind_of(ids) == JSON_LIST)
        rc = check_ids(c, &same, "ids", ids, text, len, false, e);
    if (!rc && json_kind_of(special) == JSON_LIST)
        rc = check_ids(c, &same, "ids_special", special, text, len, true, e);
    decoded = json_str(json_get(j, "decoded"), &n_decoded);
    if (!rc && decoded && json_kind_of(ids) == JSON_LIST)
        rc = check_decoded(c, &same, ids, decoded, n_decoded, e);
    c->n++;
    c->n_agree += same;
    return rc;
}

static int print_check(session *s, check *c, err *e)
{
    strbuf out = {0};
    if (c->as_json) {
        json_line_begin(&out, "attnscope.token_check/1");
        json_line_int(&out, "cases", c->n);
        json_line_int(&out, "agree", c->n_agree);
        json_line_int(&out, "compared", c->n_compared);
        json_line_key(&out, "differences");
        strbuf_putc(&out, '[');
        strbuf_add(&out, strbuf_str(&c->shown), c->shown.len);
        strbuf_putc(&out, ']');
        json_line_end(&out);
    } else {
        strbuf_printf(&out, "%" PRId64 " of %" PRId64 " cases agree (%" PRId64 " comparisons)\n", c->n_agree, c->n,
                      c->n_compared);
        strbuf_add(&out, strbuf_str(&c->shown), c->shown.len);
    }
    out.failed |= c->shown.failed;
    int rc = output_flush(s->out, &out, e);
    strbuf_free(&out);
    return rc;
}

int tokenize_check(session *s, const command_args *a, const tokenizer *tok, const char *path, err *e)
{
    lines l;
    json *j;
    int rc = lines_open(&l, path, e);
    if (rc)
        return rc;
    check c = {.tok = tok, .l = &l, .as_json = command_format(s, a) == FORMAT_JSON};
    while (!(rc = next_case(&j, &l, s, e)) && j) {
        rc = check_line(&c, j, e);
        json_free(j);
        if (rc)
            break;
    }
    if (!rc && !c.n) {
        err_set(e, ERR_INPUT, "%s: no cases", l.path);
        rc = err_hint(e, "each line is an object such as {\"text\": \"some text\", \"ids\": [12, 7]}");
    }
    if (!rc)
        rc = print_check(s, &c, e);
    if (!rc && c.n_agree < c.n) {
        err_set(e, ERR_DIFFERS, "%" PRId64 " of %" PRId64 " cases differ", c.n - c.n_agree, c.n);
        rc = err_hint(e, "tokenizer: %s", tokenizer_kind(tok));
    }
    strbuf_free(&c.shown);
    strbuf_free(&c.decoded);
    lines_close(&l);
    return rc;
}
