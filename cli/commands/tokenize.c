/* tokenize: text to ids, and where in the text each token is. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/json.h"
#include "base/mapfile.h"
#include "base/mem.h"
#include "cli/json_line.h"
#include "cli/output.h"
#include "cli/prompt_input.h"

static int ids_of(int32_t **out, const tokens *t, err *e)
{
    *out = mem_array((size_t)t->n, sizeof **out, e);
    if (!*out)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < t->n; i++)
        (*out)[i] = t->t[i].id;
    return 0;
}

/* {"schema":..., "ids":[...], "decoded":"..."} without its end. */
static int put_ids(strbuf *b, const tokenizer *tok, const tokens *t, strbuf *decoded, err *e)
{
    int32_t *ids;
    int rc = ids_of(&ids, t, e);
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

static int one_json(session *s, const tokenizer *tok, const char *text, const tokens *t, err *e)
{
    strbuf b = {0}, decoded = {0};
    int rc = put_ids(&b, tok, t, &decoded, e);
    json_line_text(&b, "policy", t->policy);
    json_line_key(&b, "tokens");
    strbuf_putc(&b, '[');
    for (int64_t i = 0; i < t->n; i++) {
        const token *k = &t->t[i];
        strbuf_puts(&b, i ? "," : "");
        json_line_begin(&b, NULL);
        json_line_int(&b, "id", k->id);
        json_line_text(&b, "piece", tokenizer_piece(tok, k->id));
        json_line_bytes(&b, "text", text + k->begin, (size_t)(k->end - k->begin));
        json_line_int(&b, "begin", k->begin);
        json_line_int(&b, "end", k->end);
        json_line_bool(&b, "special", k->special);
        strbuf_putc(&b, '}');
    }
    strbuf_putc(&b, ']');
    json_line_end(&b);
    if (!rc)
        rc = output_flush(s->out, &b, e);
    strbuf_free(&b);
    strbuf_free(&decoded);
    return rc;
}

static int visible_cell(table *t, cell *c, const char *s, size_t n, strbuf *b, err *e)
{
    strbuf_clear(b);
    strbuf_put_visible(b, s, n);
    return table_text(t, c, strbuf_str(b), b->len, e);
}

static int one_table(session *s, const command_args *a, const tokenizer *tok, const char *text,
                     const tokens *t, err *e)
{
    static const char *const columns[] = {"index", "id", "piece", "text", "begin", "end", "special"};
    table *rows = NULL;
    strbuf b = {0};
    int rc = table_new(&rows, 7, columns, e);
    for (int64_t i = 0; i < t->n && !rc; i++) {
        const token *k = &t->t[i];
        cell *row = table_row(rows, e);
        if (!row) {
            rc = ERR_RESOURCE;
            break;
        }
        const char *piece = tokenizer_piece(tok, k->id);
        row[0] = cell_int(i);
        row[1] = cell_int(k->id);
        row[4] = cell_int(k->begin);
        row[5] = cell_int(k->end);
        rc = visible_cell(rows, &row[2], piece ? piece : "", piece ? strlen(piece) : 0, &b, e);
        if (!rc)
            rc = visible_cell(rows, &row[3], text + k->begin, (size_t)(k->end - k->begin), &b, e);
        if (!rc)
            rc = table_text(rows, &row[6], k->special ? "yes" : "", k->special ? 3 : 0, e);
    }
    if (!rc)
        rc = print_table(s, a, rows, "attnscope.token/1", e);
    strbuf_free(&b);
    table_free(rows);
    return rc;
}

static int one_text(session *s, const command_args *a, const tokenizer *tok, const char *text, size_t len,
                    err *e)
{
    tokens t = {0};
    int rc = tokenizer_encode(tok, text, len, params_bool(a->p, "special"), &t, e);
    if (rc)
        return rc;
    if (command_format(s, a) == FORMAT_JSON) {
        rc = one_json(s, tok, text, &t, e);
    } else {
        rc = one_table(s, a, tok, text, &t, e);
        if (!rc)
            say(s, "%" PRId64 " token%s from %zu byte%s; %s; tokenizer: %s", t.n, t.n == 1 ? "" : "s", len,
                len == 1 ? "" : "s", t.policy, tokenizer_kind(tok));
    }
    tokens_free(&t);
    return rc;
}

/* One line of a JSON Lines file: its "text" in, a line out. */
static int one_case(strbuf *out, strbuf *decoded, const tokenizer *tok, const json *j, bool special,
                    bool as_json, const char *where, err *e)
{
    size_t len;
    const char *text = json_str(json_get(j, "text"), &len);
    if (!text) {
        err_set(e, ERR_INPUT, "%s: no string \"text\"", where);
        return err_hint(e, "each line is an object such as {\"text\": \"some text\"}");
    }
    tokens t = {0};
    int rc = tokenizer_encode(tok, text, len, special, &t, e);
    if (rc)
        return err_prefix(e, "%s", where);
    if (as_json) {
        rc = put_ids(out, tok, &t, decoded, e);
        json_line_end(out);
    } else {
        for (int64_t i = 0; i < t.n; i++)
            strbuf_printf(out, i ? " %" PRId32 : "%" PRId32, t.t[i].id);
        strbuf_putc(out, '\n');
    }
    tokens_free(&t);
    return rc;
}

static int all_cases(session *s, const command_args *a, const tokenizer *tok, const char *path, err *e)
{
    mapfile f;
    int rc = mapfile_open(&f, path, e);
    if (rc)
        return rc;
    bool special = params_bool(a->p, "special"), as_json = command_format(s, a) == FORMAT_JSON;
    strbuf out = {0}, decoded = {0};
    int64_t number = 0;
    for (size_t at = 0; at < f.size && !rc;) {
        const char *line = (const char *)f.data + at;
        const char *end = memchr(line, '\n', f.size - at);
        size_t len = end ? (size_t)(end - line) : f.size - at;
        at += len + 1;
        number++;
        bool blank = true;
        for (size_t i = 0; i < len && blank; i++)
            blank = strchr(" \t\r", line[i]) != NULL && line[i];
        if (blank)
            continue;
        char where[300];
        snprintf(where, sizeof where, "%s:%" PRId64, path, number);
        json *j = NULL;
        rc = json_parse(&j, line, len, where, e);
        if (!rc)
            rc = one_case(&out, &decoded, tok, j, special, as_json, where, e);
        json_free(j);
        if (!rc && out.len > 1 << 16)
            rc = output_flush(s->out, &out, e);
        if (!rc)
            rc = cancel_check(e);
        progress_step(&s->prog, "text", (double)at, (double)f.size);
    }
    int write_rc = output_flush(s->out, &out, rc ? NULL : e);
    strbuf_free(&out);
    strbuf_free(&decoded);
    mapfile_close(&f);
    return rc ? rc : write_rc;
}

/* The tokenizer of the first word, or of the loaded model. */
static int choose(session *s, const command_args *a, const tokenizer **tok, tokenizer **owned, err *e)
{
    const char *path = a->n > 0 ? a->word[0] : NULL;
    if (path && !(s->current && strcmp(s->current->path, path) == 0)) {
        int rc = tokenizer_open(owned, path, e);
        *tok = *owned;
        return rc;
    }
    loaded_model *lm;
    int rc = session_model(s, NULL, &lm, e);
    if (rc)
        return rc;
    if (!lm->tok) {
        if (e)
            *e = lm->tok_err;
        return lm->tok_err.code ? lm->tok_err.code : ERR_INPUT;
    }
    *tok = lm->tok;
    return 0;
}

static int run(session *s, const command_args *a, err *e)
{
    const char *text = params_str(a->p, "text"), *file = params_str(a->p, "file");
    const char *cases = params_str(a->p, "file-jsonl");
    if ((text != NULL) + (file != NULL) + (cases != NULL) != 1) {
        err_set(e, ERR_USAGE,
                text || file || cases ? "--text, --file and --file-jsonl exclude each other"
                                      : "no text given");
        return err_hint(e, "give one of --text \"some text\", --file FILE or --file-jsonl CASES.jsonl");
    }
    const tokenizer *tok = NULL;
    tokenizer *owned = NULL;
    char *content = NULL;
    size_t len = 0;
    int rc = choose(s, a, &tok, &owned, e);
    if (!rc && file)
        rc = prompt_read_text(&content, &len, file, e);
    if (rc)
        ;
    else if (cases)
        rc = all_cases(s, a, tok, cases, e);
    else
        rc = one_text(s, a, tok, file ? content : text, file ? len : strlen(text), e);
    free(content);
    tokenizer_free(owned);
    return rc;
}

static const param own[] = {
    {.name = "text", .kind = PARAM_STR, .value = "TEXT",
     .help = "the text"},
    {.name = "file", .kind = PARAM_PATH, .value = "FILE",
     .help = "a text file, taken whole (- is standard input)"},
    {.name = "file-jsonl", .kind = PARAM_PATH, .value = "FILE",
     .help = "JSON Lines: the \"text\" of each line, a line of output each"},
    {.name = "special", .kind = PARAM_BOOL, .def = "true",
     .help = "let the tokenizer add its special tokens (its own policy)"},
    {.name = NULL},
};
static const char *const examples[] = {
    "tokenize examples/models/lantern-3m --text \"The lamp went out.\"", "ids, pieces and byte ranges",
    "tokenize examples/models/lantern-3m --text \"The lamp\" --no-special --json",
    "one object with ids and decoding, nothing added",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_tokenize = {
    .name = "tokenize", .group = "model", .usage = "[MODEL|TOKENIZER_FILE]",
    .summary = "show the tokens of a text",
    .help = "Prints the id of each token, its spelling in the vocabulary, the text it stands for, the bytes "
            "of the input it covers (end excluded) and whether it is special. Tokens that the tokenizer "
            "adds by its own policy (BOS and the like) cover no bytes; the note says which were added. "
            "--no-special adds none. With --file-jsonl each line of the file gives one line: the ids, or "
            "with --json an object with `ids` and `decoded`.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1, .complete = complete, .run = run,
};
