#include "cli/line_context.h"

#include <ctype.h>
#include <string.h>
#include "base/strbuf.h"

typedef struct reader {
    line_context *out;
    int n;             /* words of the command so far */
    int n_positional;
    bool options;      /* no "--" yet */
    bool prefix;
    bool begun;        /* the command has a word, or the cursor's */
    const param *pending; /* option whose value is the next word */
} reader;

static const param *find_row(const command *c, const char *name)
{
    command_tables tables;
    command_get_tables(c, tables);
    for (int t = 0; tables[t]; t++) {
        for (const param *r = tables[t]; r->name; r++) {
            if (!strcmp(r->name, name))
                return r;
        }
    }
    return NULL;
}

/* The row of "--name", "--name=value" or "-o"; *value: offset of the value behind '=', 0 without. */
static const param *option_row(const command *c, const char *word, size_t *value)
{
    char name[64];
    const char *equals = strchr(word, '=');
    *value = 0;
    if (!strcmp(word, "-o"))
        return find_row(c, "output");
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    if (word[0] == '-' && isalpha((unsigned char)word[1]) && !word[2])
        return find_row(c, word + 1);
    if (strncmp(word, "--", 2) != 0 || n < 3 || n - 2 >= sizeof name)
        return NULL;
    memcpy(name, word + 2, n - 2);
    name[n - 2] = '\0';
    *value = equals ? n + 1 : 0;
    return find_row(c, name);
}

static bool is_list(const param *row)
{
    const char *source = row->complete ? row->complete : "";
    return row->kind == PARAM_LIST || !strcmp(source, "heads") || !strcmp(source, "layers");
}

static bool is_command(const line_context *at, const char *name)
{
    return at->c && !strcmp(at->c->name, name);
}

static void note_store(line_context *out, const param *row, const char *value)
{
    if (row && !strcmp(row->name, "store"))
        snprintf(out->store, sizeof out->store, "%s", value);
}

/* A word that is finished. */
static void take_word(reader *r, const char *word)
{
    line_context *out = r->out;
    size_t value;
    /* the command behind `watch` is one of its own */
    if (r->n > 0 && out->c && out->c->literal_after == 1 && out->c->min_args == 1 && !r->pending &&
        !(r->options && word[0] == '-' && word[1])) {
        r->n = r->n_positional = 0;
        r->options = true;
    }
    if (r->n > 0 && is_command(out, "alias") && !strcmp(word, "=")) { /* and so is what an alias stands for */
        *r = (reader){.out = out, .options = true, .prefix = r->prefix, .begun = true};
        out->c = NULL;
        out->verb[0] = '\0';
        return;
    }
    if (r->n++ == 0) {
        snprintf(out->verb, sizeof out->verb, "%s", word);
        out->c = command_find(word, r->prefix);
    } else if (!out->c) {
        return;
    } else if (r->pending) {
        note_store(out, r->pending, word);
        r->pending = NULL;
    } else if (r->options && !strcmp(word, "--")) {
        r->options = false;
    } else if (r->options && word[0] == '-' && word[1]) {
        const param *row = option_row(out->c, word, &value);
        r->pending = row && row->kind != PARAM_BOOL && !value ? row : NULL;
        if (value)
            note_store(out, row, word + value);
    } else {
        if (r->n_positional++ == 0)
            snprintf(out->first, sizeof out->first, "%s", word);
    }
}

/* Where the name of a variable begins that is typed at the end of raw; 0: there is none. */
static size_t variable_at(const char *raw)
{
    const char *sign = strrchr(raw, '$');
    if (!sign || raw[0] == '\'' || (sign > raw && sign[-1] == '\\'))
        return 0;
    const char *name = sign + 1 + (sign[1] == '{');
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            return 0;
    return (size_t)(name - raw);
}

/* The word under the cursor; begin: where it starts in the line, text: what it is without quotes. */
static void take_last(reader *r, const char *text, size_t begin, const char *raw)
{
    line_context *out = r->out;
    size_t value = 0;
    const param *row;
    out->begin = begin;
    if (!r->begun)
        out->command = begin;
    snprintf(out->word, sizeof out->word, "%s", text);
    if (raw[0] == '"' || raw[0] == '\'')
        out->begin++;
    size_t variable = variable_at(raw);
    if (variable) {
        out->want = LINE_VARIABLE;
        out->begin = begin + variable;
        return;
    }
    if (r->n == 0) {
        out->want = LINE_VERB;
        return;
    }
    if (!out->c)
        return;
    if (r->pending) {
        out->want = LINE_VALUE;
        out->row = r->pending;
    } else if (r->options && text[0] == '-') {
        row = option_row(out->c, text, &value);
        if (!strchr(text, '=')) {
            out->want = LINE_OPTION;
        } else if (row && value) {
            out->want = LINE_VALUE;
            out->row = row;
            out->begin = begin + (size_t)(strchr(raw, '=') - raw) + 1;
        }
    } else {
        out->want = LINE_ARGUMENT;
        out->argument = r->n_positional;
        const char *equals = is_command(out, "set") && r->n_positional == 0 ? strchr(raw, '=') : NULL;
        if (equals) { /* set NAME=VALUE */
            out->argument = 1;
            snprintf(out->first, sizeof out->first, "%.*s", (int)(equals - raw), raw);
            out->begin = begin + (size_t)(equals - raw) + 1;
        }
    }
    if (raw[0] == '@' && out->want != LINE_NOTHING && out->want != LINE_OPTION) {
        out->want = raw[1] == '@' ? LINE_NOTHING : LINE_FILE;
        out->begin = begin + 1;
    } else if (out->want == LINE_VALUE && is_list(out->row)) {
        out->list = true;
        const char *comma = strrchr(raw, ',');
        if (comma && begin + (size_t)(comma - raw) >= out->begin)
            out->begin = begin + (size_t)(comma - raw) + 1;
    }
}

void line_context_get(line_context *out, const char *line, size_t point, bool prefix)
{
    strbuf word = {0}, raw = {0};
    size_t begin = 0;
    char quote = '\0';
    bool in_word = false, comment = false;
    reader r = {.out = out, .options = true, .prefix = prefix};
    *out = (line_context){0};

    for (size_t i = 0; i < point; i++) {
        char c = line[i];
        bool ends = !quote && (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';');
        if (comment && c != '\n')
            continue;
        if (ends) {
            if (in_word)
                take_word(&r, strbuf_str(&word));
            in_word = comment = false;
            if (c == '\n' || c == ';') {
                *out = (line_context){0};
                r = (reader){.out = out, .options = true, .prefix = prefix};
            }
            continue;
        }
        if (!in_word) {
            if (c == '#') {
                comment = true;
                continue;
            }
            if (!r.begun)
                out->command = i;
            r.begun = true;
            in_word = true;
            begin = i;
            strbuf_clear(&word);
            strbuf_clear(&raw);
        }
        strbuf_putc(&raw, c);
        if (quote ? c == quote : c == '"' || c == '\'') {
            quote = quote ? '\0' : c;
        } else if (c == '\\' && quote != '\'' && i + 1 < point) {
            if (line[i + 1] == '\n') {
                i++;
                continue;
            }
            strbuf_putc(&raw, line[i + 1]);
            strbuf_putc(&word, line[++i]);
        } else {
            strbuf_putc(&word, c);
        }
    }
    out->quoted = quote != '\0';
    if (!comment && in_word)
        take_last(&r, strbuf_str(&word), begin, strbuf_str(&raw));
    else if (!comment)
        take_last(&r, "", point, "");
    strbuf_free(&word);
    strbuf_free(&raw);
}
