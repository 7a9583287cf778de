#include "cli/head_list.h"
#include "cli/hook_name.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "cli/run_name.h"

typedef char place[160];

static int bad(const char *where, const char *what, err *e)
{
    err_set(e, ERR_INPUT, "%s: %s", where, what);
    return err_hint(e, "a head is written 10.7, L10H7, [10, 7] or {\"layer\": 10, \"head\": 7}; `help import` shows all forms");
}

static int add(head_list *l, attn_kind kind, int64_t layer, int64_t head, double score, const char *where, err *e)
{
    if (layer < 0 || head < 0 || layer >= INDEX_LIMIT || head >= INDEX_LIMIT)
        return bad(where, "layer or head is out of range", e);
    if (isinf(score))
        return bad(where, "the score is not a finite number", e);
    const head_id h = {kind, (int)layer, (int)head};
    for (int64_t i = 0; i < l->n; i++) {
        const head_id *x = &l->heads[i].head;
        if (x->kind == h.kind && x->layer == h.layer && x->head == h.head) {
            l->n_twice++;
            return 0;
        }
    }
    if ((l->n & (l->n - 1)) == 0) {
        store_head *heads = mem_grow(l->heads, l->n ? 2 * (size_t)l->n : 1, sizeof *heads, e);
        if (!heads)
            return ERR_RESOURCE;
        l->heads = heads;
    }
    l->heads[l->n++] = (store_head){h, score};
    return 0;
}

/* ---- a head in words ---- */

/* A name of TransformerLens, with the head as the only number of its index ("[:, :, 7]") or behind it.  *s ends after it. */
static bool hook_head(head_id *h, const char **s)
{
    hook_name x;
    const char *p = *s;
    if (!hook_name_read(&x, &p) || !x.attention || x.layer == NO_INDEX)
        return false;
    p += *p == '"';
    if (x.head == NO_INDEX) {
        p += strspn(p, " \t,");
        if (!index_read(&x.head, &p))
            return false;
    }
    *h = (head_id){x.kind, (int)x.layer, (int)x.head};
    *s = p;
    return true;
}

/* "a10.h7" */
static bool letters(head_id *h, const char *word)
{
    int64_t layer, head;
    if (*word != 'a' && *word != 'A')
        return false;
    word++;
    if (!index_read(&layer, &word) || word[0] != '.' || (word[1] != 'h' && word[1] != 'H'))
        return false;
    word += 2;
    *h = (head_id){ATTN_SELF, 0, 0};
    if (!index_read(&head, &word) || *word)
        return false;
    h->layer = (int)layer;
    h->head = (int)head;
    return true;
}

static bool word_head(head_id *h, const char *word)
{
    const char *s = word;
    return head_parse(h, word) || letters(h, word) || (hook_head(h, &s) && !*s);
}

static int add_word(head_list *l, const char *word, double score, const char *where, err *e)
{
    head_id h;
    if (!word_head(&h, word))
        return bad(where, "no head is named", e);
    return add(l, h.kind, h.layer, h.head, score, where, e);
}

/* ---- JSON ---- */

static int json_entry(head_list *l, const json *v, const char *where, err *e)
{
    int64_t layer, head;
    double score = NAN;
    const char *kind = json_str(json_get(v, "kind"), NULL);
    if (json_kind_of(v) == JSON_STR)
        return add_word(l, json_str(v, NULL), NAN, where, e);
    const bool map = json_kind_of(v) == JSON_MAP;
    const json *given = map ? json_get(v, "score") : json_at(v, 2);
    if (given && json_kind_of(given) != JSON_NULL_ && !json_real(&score, given))
        return bad(where, "the score is not a number", e);
    if (!map && (json_count(v) < 2 || json_count(v) > 3))
        return bad(where, "not a layer and a head", e);
    if (!json_int(&layer, map ? json_get(v, "layer") : json_at(v, 0)) ||
        !json_int(&head, map ? json_get(v, "head") : json_at(v, 1)))
        return bad(where, "not a layer and a head", e);
    attn_kind k = kind ? attn_kind_named(kind, ATTN_SELF) : ATTN_SELF;
    if (kind && strcmp(attn_kind_name(k), kind) != 0)
        return bad(where, "the kind is not self, enc, cross or vis", e);
    return add(l, k, layer, head, score, where, e);
}

static int json_list(head_list *l, const json *list, const char *path, err *e)
{
    int rc = 0;
    for (size_t i = 0; i < json_count(list) && !rc; i++) {
        place where;
        snprintf(where, sizeof where, "%.100s, element %zu", path, i);
        rc = json_entry(l, json_at(list, i), where, e);
    }
    return rc;
}

/* {"L10H7": 0.5} or {"10": [7, 8]} */
static int json_map(head_list *l, const json *map, const char *path, err *e)
{
    void *it = NULL;
    const char *key;
    const json *v;
    int rc = 0;
    while (!rc && json_each(map, &it, &key, &v)) {
        place where;
        int64_t layer, head;
        double score = NAN;
        snprintf(where, sizeof where, "%.80s, \"%.60s\"", path, key);
        if (json_kind_of(v) == JSON_LIST && parse_int(&layer, key)) {
            for (size_t i = 0; i < json_count(v) && !rc; i++)
                rc = json_int(&head, json_at(v, i)) ? add(l, ATTN_SELF, layer, head, NAN, where, e)
                                                    : bad(where, "not a list of heads", e);
        } else if (json_kind_of(v) == JSON_NULL_ || json_real(&score, v)) {
            rc = add_word(l, key, score, where, e);
        } else {
            rc = bad(where, "neither a score nor a list of heads", e);
        }
    }
    return rc;
}

static int read_json(head_list *l, const char *text, size_t size, const char *path, err *e)
{
    json *root = NULL;
    int rc = json_parse(&root, text, size, path, e);
    if (rc)
        return rc;
    const json *heads = json_get(root, "heads");
    if (json_kind_of(root) == JSON_LIST || json_kind_of(heads) == JSON_LIST)
        rc = json_list(l, heads ? heads : root, path, e);
    else
        rc = json_map(l, root, path, e);
    json_free(root);
    return rc;
}

/* ---- lines ---- */

enum { MAX_FIELDS = 64 };
typedef struct columns { int layer, head, score, kind; bool known; char separator; } columns;

static char *trimmed(char *s)
{
    s += strspn(s, " \t\r\"");
    for (size_t n = strlen(s); n && strchr(" \t\r\"", s[n - 1]); n--)
        s[n - 1] = '\0';
    return s;
}

static int split(char *field[MAX_FIELDS], char *line, char separator)
{
    int n = 0;
    for (char *p = line; p && n < MAX_FIELDS; n++) {
        field[n] = p;
        p = strchr(p, separator);
        if (p)
            *p++ = '\0';
        field[n] = trimmed(field[n]);
    }
    return n;
}

/* A header names the columns; two or three numbers need none. */
static bool table_line(columns *c, const char *line)
{
    static const char separators[] = ",\t;";
    const char *at = strpbrk(line, separators);
    if (!at || strchr(line, '[') || strncmp(line, "blocks.", 7) == 0)
        return false;
    char *copy = mem_strdup(line, NULL), *field[MAX_FIELDS];
    if (!copy)
        return false;
    *c = (columns){-1, -1, -1, -1, false, *at};
    int64_t ignored;
    int n = split(field, copy, *at);
    for (int i = 0; i < n; i++) {
        c->layer = strcasecmp(field[i], "layer") == 0 ? i : c->layer;
        c->head = strcasecmp(field[i], "head") == 0 ? i : c->head;
        c->score = strcasecmp(field[i], "score") == 0 ? i : c->score;
        c->kind = strcasecmp(field[i], "kind") == 0 ? i : c->kind;
    }
    c->known = c->layer >= 0 && c->head >= 0;
    bool plain = !c->known && (n == 2 || n == 3) && parse_int(&ignored, field[0]) && parse_int(&ignored, field[1]);
    if (plain)
        *c = (columns){0, 1, n == 3 ? 2 : -1, -1, false, *at};
    free(copy);
    return c->known || plain;
}

static int read_row(head_list *l, const columns *c, char *line, const char *where, err *e)
{
    char *field[MAX_FIELDS];
    int64_t layer, head;
    double score = NAN;
    attn_kind kind = ATTN_SELF;
    int n = split(field, line, c->separator);
    if (c->layer >= n || c->head >= n || !parse_int(&layer, field[c->layer]) || !parse_int(&head, field[c->head]))
        return bad(where, "not a layer and a head", e);
    if (c->score >= 0 && c->score < n && *field[c->score] && strcasecmp(field[c->score], "NA") != 0 &&
        !parse_real(&score, field[c->score]))
        return bad(where, "the score is not a number", e);
    if (c->kind >= 0 && c->kind < n) {
        kind = attn_kind_named(field[c->kind], ATTN_SELF);
        if (strcmp(attn_kind_name(kind), field[c->kind]) != 0)
            return bad(where, "the kind is not self, enc, cross or vis", e);
    }
    return add(l, kind, layer, head, score, where, e);
}

/* A head in words, then perhaps a score. */
static int read_words(head_list *l, char *line, const char *where, err *e)
{
    head_id h;
    double score = NAN;
    const char *s = line + strspn(line, "\""), *rest;
    if (hook_head(&h, &s)) {
        rest = s;
    } else {
        char *end = line + strcspn(line, " \t,;=");
        const char after = *end;
        *end = '\0';
        if (!word_head(&h, trimmed(line)))
            return bad(where, "no head is named", e);
        rest = after ? end + 1 : end;
    }
    rest += strspn(rest, " \t,;:=\"");
    if (*rest && !parse_real(&score, rest))
        return bad(where, "what follows the head is no score", e);
    return add(l, h.kind, h.layer, h.head, score, where, e);
}

static int read_lines(head_list *l, char *text, const char *path, err *e)
{
    columns c = {0};
    bool first = true, rows = false;
    int64_t n = 0;
    int rc = 0;
    for (char *line = text, *next; line && !rc; line = next) {
        place where;
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        n++;
        line = trimmed(line);
        if (!*line || *line == '#')
            continue;
        snprintf(where, sizeof where, "%.120s:%" PRId64, path, n);
        if (first)
            rows = table_line(&c, line);
        bool header = first && rows && c.known;
        first = false;
        if (!header)
            rc = rows ? read_row(l, &c, line, where, e) : read_words(l, line, where, e);
    }
    return rc;
}

int head_list_read(head_list *out, const char *text, size_t size, const char *path, err *e)
{
    *out = (head_list){0};
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        size -= 3;
    }
    if (memchr(text, '\0', size))
        return bad(path, "not a text", e);
    size_t lead = strspn(text, " \t\r\n");
    int rc;
    if (text[lead] == '[' || text[lead] == '{') {
        rc = read_json(out, text, size, path, e);
    } else {
        char *copy = mem_strndup(text, size, e);
        rc = copy ? read_lines(out, copy, path, e) : ERR_RESOURCE;
        free(copy);
    }
    if (!rc && out->n == 0)
        rc = bad(path, "it names no head", e);
    if (rc) {
        free(out->heads);
        *out = (head_list){0};
    }
    return rc;
}

/* ---- lists in the store ---- */

static int no_list(store *st, const char *name, err *e)
{
    table *t = NULL;
    err_set(e, ERR_USAGE, "no list of heads called %s in %s", name, store_words(st));
    if (store_query(st, &t, "SELECT group_concat(name, ', ') FROM (SELECT name FROM head_set ORDER BY name LIMIT 8)", NULL, 0,
                    NULL) == 0 &&
        *cell_string(table_cell(t, 0, 0)))
        err_hint(e, "there are: %s", cell_string(table_cell(t, 0, 0)));
    else
        err_hint(e, "make one with `import heads FILE --name %s`", name);
    table_free(t);
    return ERR_USAGE;
}

int head_list_stored(head_id **out, int *n, session *s, const char *name, err *e)
{
    store *st;
    table *t = NULL;
    const cell bind[] = {cell_text(name)};
    *out = NULL;
    *n = 0;
    int rc = session_store(s, &st, e);
    if (!rc)
        rc = store_query(st, &t, "SELECT head_name FROM head_set_list WHERE name = ?1 ORDER BY place", bind, 1, e);
    if (!rc && t->n_row == 0)
        rc = no_list(st, name, e);
    if (!rc && !(*out = mem_array((size_t)t->n_row, sizeof **out, e)))
        rc = ERR_RESOURCE;
    for (int64_t i = 0; !rc && i < t->n_row; i++)
        if (head_parse(&(*out)[*n], cell_string(table_cell(t, i, 0))))
            ++*n;
    table_free(t);
    return rc;
}
