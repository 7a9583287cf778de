#include "cli/key_list.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/json_line.h"
#include "cli/output.h"
#include "model/gguf.h"

enum { SHOWN_ELEMENTS = 8, SHOWN_BYTES = 60 };

/* One key while it is printed. */
typedef struct entry {
    const char *key;
    size_t key_len;
    const char *type;
    int64_t count;
    strbuf value; /* JSON; shortened when that is asked for */
} entry;

typedef struct listing {
    session *s;
    const command_args *a;
    bool whole;    /* --json: nothing is shortened */
    table *t;      /* NULL with --json */
    strbuf line;
} listing;

static void put_text(strbuf *b, const char *s, size_t n, bool whole)
{
    if (whole || n <= SHOWN_BYTES) {
        strbuf_put_json(b, s, n);
        return;
    }
    size_t cut = SHOWN_BYTES;
    while (cut && ((unsigned char)s[cut] & 0xc0) == 0x80) /* between characters */
        cut--;
    strbuf_put_json(b, s, cut);
    strbuf_printf(b, " and %zu more bytes", n - cut);
}

/* The shortest text that reads back as the same float32. */
static void put_float(strbuf *b, float v)
{
    char text[32] = "null";
    for (int digits = 6; v - v == 0 && digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v)
            break;
    }
    strbuf_puts(b, text);
}

/* Element i of a GGUF value that is no string. */
static void put_gguf_number(strbuf *b, const gguf_kv *kv, uint64_t i)
{
    int64_t whole;
    double real;
    bool yes;
    if (gguf_bool(&yes, kv, i))
        strbuf_puts(b, yes ? "true" : "false");
    else if (gguf_int(&whole, kv, i))
        strbuf_printf(b, "%" PRId64, whole);
    else if (kv->element == GGUF_U64 && i < kv->count) { /* beyond int64 */
        uint64_t large;
        memcpy(&large, kv->data + i * sizeof large, sizeof large);
        strbuf_printf(b, "%" PRIu64, large);
    }
    else if (kv->element == GGUF_F32 && gguf_real(&real, kv, i))
        put_float(b, (float)real);
    else if (gguf_real(&real, kv, i))
        strbuf_put_real(b, real);
}

static int put_gguf_value(strbuf *b, const gguf_kv *kv, bool whole, err *e)
{
    gguf_string text;
    if (kv->type != GGUF_ARRAY) {
        if (gguf_text(&text, kv))
            put_text(b, text.s, text.len, whole);
        else
            put_gguf_number(b, kv, 0);
        return 0;
    }
    gguf_string *texts = NULL;
    if (kv->element == GGUF_STRING) {
        texts = mem_array((size_t)kv->count, sizeof *texts, e);
        if (!texts)
            return ERR_RESOURCE;
        gguf_texts(texts, kv);
    }
    uint64_t shown = whole || kv->count <= SHOWN_ELEMENTS ? kv->count : SHOWN_ELEMENTS;
    strbuf_putc(b, '[');
    for (uint64_t i = 0; i < shown; i++) {
        strbuf_puts(b, i ? ", " : "");
        if (texts)
            put_text(b, texts[i].s, texts[i].len, whole);
        else
            put_gguf_number(b, kv, i);
    }
    strbuf_puts(b, shown < kv->count ? ", ...]" : "]");
    free(texts);
    return 0;
}

/* The parser limits how deep values nest. */
static void put_json_value(strbuf *b, const json *v, bool whole)
{
    int64_t i;
    double r;
    bool yes;
    size_t n, shown = json_count(v);
    const char *s, *key;
    const json *member;
    void *it = NULL;
    if (!whole && shown > SHOWN_ELEMENTS)
        shown = SHOWN_ELEMENTS;
    switch (json_kind_of(v)) {
    case JSON_INT:
        json_int(&i, v);
        strbuf_printf(b, "%" PRId64, i);
        break;
    case JSON_REAL:
        json_real(&r, v);
        strbuf_put_real(b, r);
        break;
    case JSON_BOOL:
        json_bool(&yes, v);
        strbuf_puts(b, yes ? "true" : "false");
        break;
    case JSON_STR:
        s = json_str(v, &n);
        put_text(b, s, n, whole);
        break;
    case JSON_LIST:
        strbuf_putc(b, '[');
        for (size_t k = 0; k < shown; k++) {
            strbuf_puts(b, k ? ", " : "");
            put_json_value(b, json_at(v, k), whole);
        }
        strbuf_puts(b, shown < json_count(v) ? ", ...]" : "]");
        break;
    case JSON_MAP:
        strbuf_putc(b, '{');
        for (size_t k = 0; k < shown && json_each(v, &it, &key, &member); k++) {
            strbuf_puts(b, k ? ", " : "");
            strbuf_put_json(b, key, strlen(key));
            strbuf_puts(b, ": ");
            put_json_value(b, member, whole);
        }
        strbuf_puts(b, shown < json_count(v) ? ", ...}" : "}");
        break;
    default:
        strbuf_puts(b, "null");
    }
}

static const char *json_type(const json *v)
{
    static const char *const names[] = {
        [JSON_ABSENT] = "null", [JSON_NULL_] = "null",  [JSON_BOOL] = "bool", [JSON_INT] = "int",
        [JSON_REAL] = "real",   [JSON_STR] = "string",  [JSON_LIST] = "list", [JSON_MAP] = "object",
    };
    return names[json_kind_of(v)];
}

static int put_entry(listing *l, const entry *x, err *e)
{
    if (x->value.failed)
        return err_nomem(e, "metadata");
    if (!l->t) {
        json_line_begin(&l->line, "attnscope.key/1");
        json_line_bytes(&l->line, "key", x->key, x->key_len);
        json_line_text(&l->line, "type", x->type);
        json_line_int(&l->line, "count", x->count);
        json_line_key(&l->line, "value");
        strbuf_add(&l->line, strbuf_str(&x->value), x->value.len);
        json_line_end(&l->line);
        return output_flush(l->s->out, &l->line, e);
    }
    cell *row = table_row(l->t, e);
    if (!row)
        return ERR_RESOURCE;
    strbuf key = {0};
    strbuf_put_visible(&key, x->key, x->key_len);
    int rc = table_text(l->t, &row[0], strbuf_str(&key), key.len, e);
    strbuf_free(&key);
    if (!rc)
        rc = table_text(l->t, &row[1], x->type, strlen(x->type), e);
    row[2] = cell_int(x->count);
    return rc ? rc : table_text(l->t, &row[3], strbuf_str(&x->value), x->value.len, e);
}

static int list_gguf(listing *l, const gguf_meta *m, err *e)
{
    int rc = 0;
    for (size_t i = 0; i < gguf_count(m) && !rc; i++) {
        const gguf_kv *kv = gguf_at(m, i);
        char type[32];
        snprintf(type, sizeof type, kv->type == GGUF_ARRAY ? "%s[]" : "%s", gguf_type_name(kv->element));
        entry x = {.key = kv->key.s, .key_len = kv->key.len, .type = type, .count = (int64_t)kv->count};
        rc = put_gguf_value(&x.value, kv, l->whole, e);
        if (!rc)
            rc = put_entry(l, &x, e);
        strbuf_free(&x.value);
    }
    return rc;
}

static int list_config(listing *l, const json *config, err *e)
{
    void *it = NULL;
    const char *key;
    const json *v;
    int rc = 0;
    while (!rc && json_each(config, &it, &key, &v)) {
        json_kind kind = json_kind_of(v);
        entry x = {.key = key, .key_len = strlen(key), .type = json_type(v), .count = 1};
        if (kind == JSON_LIST || kind == JSON_MAP)
            x.count = (int64_t)json_count(v);
        put_json_value(&x.value, v, l->whole);
        rc = put_entry(l, &x, e);
        strbuf_free(&x.value);
    }
    return rc;
}

int key_list(session *s, const command_args *a, const checkpoint *c, err *e)
{
    static const char *const columns[] = {"key", "type", "count", "value"};
    listing l = {.s = s, .a = a, .whole = command_format(s, a) == FORMAT_JSON};
    if (c->gguf ? gguf_count(c->gguf) == 0 : json_count(c->config) == 0) {
        say(s, "%s holds no metadata", c->path);
        return 0;
    }
    int rc = l.whole ? 0 : table_new(&l.t, 4, columns, e);
    if (!rc)
        rc = c->gguf ? list_gguf(&l, c->gguf, e) : list_config(&l, c->config, e);
    if (!rc && l.t)
        rc = print_table(s, a, l.t, "attnscope.key/1", e);
    strbuf_free(&l.line);
    table_free(l.t);
    return rc;
}
