/* tokenize: text to ids, and where in the text each token is. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/chat_input.h"
#include "cli/json_line.h"
#include "cli/model_search.h"
#include "cli/output.h"
#include "cli/prompt_input.h"
#include "cli/tokenize_cases.h"

static int one_json(session *s, const tokenizer *tok, const char *text, const tokens *t, err *e)
{
    strbuf b = {0}, decoded = {0};
    int rc = tokenize_put_ids(&b, tok, t, &decoded, e);
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
                    bool special, err *e)
{
    tokens t = {0};
    int rc = tokenizer_encode(tok, text, len, special, &t, e);
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

/* The tokenizer at a path or of a model by name, *owned; NULL where the loaded model's will do. */
static int open_named(session *s, tokenizer **owned, const char *name, const char *pattern, err *e)
{
    const tokenizer_options o = {.pattern = pattern};
    char *path = NULL;
    int rc = model_search(&path, name, e);
    if (!rc && (pattern || !s->current || strcmp(s->current->path, path) != 0)) {
        rc = tokenizer_open_with(owned, path, &o, e);
        if (rc == ERR_INPUT)
            model_search_near(name, e);
    }
    free(path);
    return rc;
}

/* The tokenizer of the first word, or of the loaded model. */
static int choose(session *s, const command_args *a, const tokenizer **tok, tokenizer **owned, err *e)
{
    const char *pattern = params_str(a->p, "pattern");
    const char *name = a->n > 0 ? a->word[0] : pattern && s->current ? s->current->path : NULL;
    loaded_model *lm;
    int rc = name ? open_named(s, owned, name, pattern, e) : 0;
    *tok = *owned;
    if (rc || *owned)
        return rc;
    rc = session_model(s, NULL, &lm, e);
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

/* One text, by way of the chat template when that is asked for; text is NULL with --chat-file. */
static int run_text(session *s, const command_args *a, const tokenizer *tok, const char *text, size_t len, err *e)
{
    bool special = params_bool(a->p, "special"), add = true;
    char *rendered = NULL;
    int rc = 0;
    if (chat_asked(a->p)) {
        rc = chat_render_prompt(&rendered, &len, &add, tok, a->p, text, len, e);
        text = rendered;
    }
    if (!rc)
        rc = one_text(s, a, tok, text, len, special && add, e);
    free(rendered);
    return rc;
}

/* The text or file under the name that all commands share, else under the one of this command alone. */
static const char *either(const params *p, const char *shared, const char *own)
{
    const char *value = params_str(p, shared);
    return value ? value : params_str(p, own);
}

static int n_given(const params *p, const char *shared, const char *own)
{
    return (params_str(p, shared) != NULL) + (params_str(p, own) != NULL);
}

static int run(session *s, const command_args *a, err *e)
{
    const char *text = either(a->p, "prompt", "text"), *file = either(a->p, "prompt-file", "file");
    const char *cases = params_str(a->p, "file-jsonl"), *check = params_str(a->p, "check");
    bool chat_file = chat_from_file(a->p);
    int given = n_given(a->p, "prompt", "text") + n_given(a->p, "prompt-file", "file") +
                (cases != NULL) + (check != NULL) + chat_file;
    if ((cases || check) && chat_asked(a->p)) {
        err_set(e, ERR_USAGE, "%s excludes --chat and its options", cases ? "--file-jsonl" : "--check");
        return err_hint(e, "give one text, or the lines as they are to be tokenised");
    }
    if (given != 1) {
        err_set(e, ERR_USAGE, given ? "--prompt, --prompt-file, --file-jsonl, --check and --chat-file exclude each other"
                                    : "no text given");
        return err_hint(e, "give one of --prompt \"some text\", --prompt-file FILE, --file-jsonl TEXTS.jsonl, "
                        "--check CASES.jsonl or --chat-file TALK.json");
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
        rc = tokenize_cases(s, a, tok, cases, e);
    else if (check)
        rc = tokenize_check(s, a, tok, check, e);
    else
        rc = run_text(s, a, tok, file ? content : text, file || !text ? len : strlen(text), e);
    free(content);
    tokenizer_free(owned);
    return rc;
}

static const param own[] = {
    {.name = "prompt", .kind = PARAM_STR, .value = "TEXT",
     .help = "the text"},
    {.name = "prompt-file", .kind = PARAM_PATH, .value = "FILE",
     .help = "a text file, taken whole (- is standard input)"},
    {.name = "text", .kind = PARAM_STR, .value = "TEXT",
     .help = "the same as --prompt"},
    {.name = "file", .kind = PARAM_PATH, .value = "FILE",
     .help = "the same as --prompt-file"},
    {.name = "file-jsonl", .kind = PARAM_PATH, .value = "FILE",
     .help = "JSON Lines: the \"text\" of each line, a line of output each (- is standard input)"},
    {.name = "check", .kind = PARAM_PATH, .value = "FILE",
     .help = "JSON Lines: hold \"ids\", \"ids_special\" and \"decoded\" of each line against the tokenizer"},
    {.name = "pattern", .kind = PARAM_STR, .value = "NAME",
     .help = "how a tiktoken file cuts text: gpt2, r50k, p50k, multilingual, cl100k, o200k, llama3, qwen"},
    {.name = "special", .kind = PARAM_BOOL, .def = "true",
     .help = "let the tokenizer add its special tokens (its own policy)"},
    {.name = NULL},
};
static const char *const examples[] = {
    "tokenize examples/models/lantern-3m --prompt \"The lamp went out.\"", "ids, pieces and byte ranges",
    "tokenize examples/models/lantern-3m --prompt \"The lamp\" --no-special --json",
    "one object with ids and decoding, nothing added",
    "tokenize examples/models/lantern-3m --check cases.jsonl", "a table of texts and the ids they must have",
    NULL,
};
static const char *const complete[] = {"models", NULL};
static const param *const *extra(void)
{
    static const param *const tables[] = {chat_params, NULL};
    return tables;
}

const command command_tokenize = {
    .name = "tokenize", .group = "model", .usage = "[MODEL|TOKENIZER_FILE]",
    .summary = "show the tokens of a text",
    .help = "Prints the id of each token, its spelling in the vocabulary, the text it stands for, the bytes "
            "of the input it covers (end excluded) and whether it is special. Tokens that the tokenizer "
            "adds by its own policy (BOS and the like) cover no bytes; the note says which were added. "
            "--no-special adds none. With --file-jsonl each line of the file gives one line: the ids, or "
            "with --json an object with `ids` and `decoded`. --check reads such lines with the expected `ids` (nothing "
            "added), `ids_special` (the tokenizer's own tokens added) and `decoded` (of `ids`), prints how many lines "
            "agree and the first that do not, and ends with 4 on a difference. A tokenizer.json, a SentencePiece "
            ".model, a .tiktoken file or a GGUF without weights will do in place of a model. --chat shows the text as the"
            " model's chat template puts it: the template's special tokens are in it, and none are added.",
    .examples = examples, .params = own, .extra_params = extra, .min_args = 0, .max_args = 1, .complete = complete, .run = run,
};
