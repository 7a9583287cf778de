/* Heads, layers and runs to complete. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "analysis/edit.h"
#include "analysis/metric.h"
#include "base/strbuf.h"
#include "cli/command_util.h"
#include "cli/complete.h"

#define MAX_RUNS 200
#define MANY_HEADS 128 /* more are offered layer by layer */

int complete_query(table **out, const session *s, const line_context *at, const char *sql)
{
    const char *path = at->store[0] ? at->store : s->store_path;
    store *own = NULL, *st = s->st && !strcmp(path, s->store_path) ? s->st : NULL;
    *out = NULL;
    int rc = st || !strcmp(path, ":memory:") ? 0 : store_open(&own, path, true, NULL);
    st = st ? st : own;
    if (!rc)
        rc = st ? store_query(st, out, sql, NULL, 0, NULL) : ERR_FAILED;
    store_close(own);
    return rc;
}

static void add_query(word_list *out, const session *s, const line_context *at, const char *sql)
{
    table *t = NULL;
    if (complete_query(&t, s, at, sql) != 0)
        return;
    for (int64_t i = 0; i < t->n_row; i++) {
        const cell *c = table_cell(t, i, 0);
        char number[24];
        snprintf(number, sizeof number, "%" PRId64, c->kind == CELL_INT ? c->u.i : 0);
        word_list_describe(out, c->kind == CELL_TEXT ? c->u.s : number, cell_string(table_cell(t, i, 1)));
    }
    table_free(t);
}

void complete_runs(word_list *out, const session *s, const line_context *at)
{
    char sql[320];
    snprintf(sql, sizeof sql, "SELECT r.id, r.verb || ' of ' || m.name || "
             "CASE r.status WHEN 'done' THEN '' ELSE ', ' || r.status END || ', ' || r.started "
             "FROM run r JOIN model m ON m.id = r.model_id ORDER BY r.id DESC LIMIT %d", MAX_RUNS);
    word_list_describe(out, "last", "the newest run that is done");
    add_query(out, s, at, sql);
}

const char *complete_typed(const line_context *at)
{
    const char *piece = at->word + strlen(at->word);
    while (piece > at->word && !strchr(", =<>(", piece[-1]))
        piece--;
    return piece;
}

void complete_measured(word_list *out, const session *s, const line_context *at, const char *typed)
{
    table *t = NULL;
    bool any = false;
    if (complete_query(&t, s, at, "SELECT DISTINCT name FROM metric ORDER BY name") == 0) {
        for (int64_t i = 0; i < t->n_row; i++) {
            const char *name = cell_string(table_cell(t, i, 0));
            const metric *m = metric_find(name);
            any = any || !strncasecmp(name, typed, strlen(typed));
            word_list_describe(out, name, m ? m->summary : NULL);
        }
    }
    table_free(t);
    if (any)
        return;
    word_list_free(out);
    complete_metrics(out);
}

static int64_t count_heads(const model *m)
{
    int64_t n = 0;
    for (int k = ATTN_SELF; k <= ATTN_VISION; k++) {
        const stack *s = model_stack(m, (attn_kind)k);
        for (int l = 0; s && l < s->n_run; l++) {
            const attention_block *b = model_attention(m, (attn_kind)k, l);
            n += b ? b->plan.n_head : 0;
        }
    }
    return n;
}

/* typed: what is there of the word.  Many heads: the layers ("L3H") until one is typed. */
static void add_heads(word_list *out, const model *m, attn_kind kind, const char *typed, bool many)
{
    char text[32];
    const stack *s = model_stack(m, kind);
    for (int l = 0; s && l < s->n_run; l++) {
        const attention_block *b = model_attention(m, kind, l);
        for (int h = 0; b && h < b->plan.n_head; h++) {
            head_format(text, (head_id){kind, l, h});
            char *mark = strrchr(text, 'H');
            size_t stem = mark ? (size_t)(mark - text) + 1 : strlen(text);
            if (many && strncasecmp(text, typed, stem) != 0) {
                text[stem] = '\0';
                h = b->plan.n_head;
                out->stem = true;
            }
            word_list_add(out, text);
        }
    }
}

/* The word of a selection before the one at the cursor, in lower case. */
static void word_before(char out[16], const char *text)
{
    size_t end = strlen(text);
    while (end > 0 && strchr(" \t\n(", text[end - 1]))
        end--;
    size_t begin = end;
    while (begin > 0 && !strchr(" \t\n(\"'=", text[begin - 1]))
        begin--;
    snprintf(out, 16, "%.*s", (int)(end - begin), text + begin);
    for (char *c = out; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
}

static bool one_of(const char *word, const char *const *words)
{
    for (; *words; words++) {
        if (!strcmp(word, *words))
            return true;
    }
    return false;
}

static const char *const words[] = {"all", "top", "bottom", "by", "where", "random", "seed", "in", "of", "run", "heads",
                                    "and", "or", "not", "except", NULL};

/* The grammar of cli/head_grammar.h: true when a metric, a run or a list is due, and no head. */
static bool add_grammar(word_list *out, const session *s, const line_context *at, const char *before)
{
    static const char *const metric_next[] = {"by", "where", NULL}, *const run_next[] = {"of", "run", NULL};
    char last[16];
    size_t end = strlen(before);
    word_before(last, before);
    if ((end > 0 && before[end - 1] == '@') || !strcmp(last, "heads")) {
        add_query(out, s, at, "SELECT name, count(*) || ' heads' FROM head_set_list GROUP BY name");
        return true;
    }
    if (one_of(last, metric_next)) {
        complete_measured(out, s, at, complete_typed(at));
        return true;
    }
    if (one_of(last, run_next)) {
        complete_runs(out, s, at);
        return true;
    }
    for (int i = 0; words[i]; i++)
        word_list_add(out, words[i]);
    return false;
}

void complete_heads(word_list *out, const session *s, const line_context *at, const char *before, bool layers)
{
    const model *m = s->current ? s->current->m : NULL;
    if (!layers && at->quoted && add_grammar(out, s, at, before))
        return;
    if (!layers && !at->quoted)
        word_list_add(out, "all");
    for (int l = 0; m && layers && l < m->main->n_run; l++) {
        char text[32];
        snprintf(text, sizeof text, "%d", l);
        word_list_add(out, text);
    }
    const char *piece = strrchr(at->word, ','), *blank = strrchr(at->word, ' ');
    const char *typed = piece || blank ? (piece > blank ? piece : blank) + 1 : at->word;
    const char *equals = strchr(typed, '=');
    bool many = m && count_heads(m) > MANY_HEADS;
    for (int k = ATTN_SELF; m && !layers && k <= ATTN_VISION; k++)
        add_heads(out, m, (attn_kind)k, equals ? equals + 1 : typed, many);
}

void complete_edits(word_list *out, const session *s, const line_context *at, const char *before)
{
    const char *begin = before + strlen(before);
    while (begin > before && !strchr(";\"'", begin[-1]))
        begin--;
    begin += strspn(begin, " \t\n");
    if (!at->quoted || !*begin) {
        for (int i = 0; edits[i]; i++)
            word_list_describe(out, edits[i]->name, edits[i]->summary);
        return;
    }
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(begin, " \t\n"), begin);
    const edit *kind = edit_find(name);
    for (const param *row = kind && kind->params ? kind->params : NULL; row && row->name; row++) {
        char value[80];
        snprintf(value, sizeof value, "%s=", row->name);
        word_list_describe(out, value, row->help);
    }
    if (kind)
        complete_heads(out, s, at, before, kind->target == EDIT_LAYERS);
}

bool complete_goes_on(const line_context *at, const char *word)
{
    return at->quoted && at->want != LINE_VARIABLE && strcmp(word, "all") != 0 && (one_of(word, words) || edit_find(word));
}
