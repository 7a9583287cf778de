#include "cli/json_line.h"

#include <inttypes.h>

void json_line_begin(strbuf *b, const char *schema)
{
    strbuf_putc(b, '{');
    if (schema)
        json_line_text(b, "schema", schema);
}

void json_line_end(strbuf *b)
{
    strbuf_puts(b, "}\n");
}

void json_line_key(strbuf *b, const char *key)
{
    if (b->len && b->s[b->len - 1] != '{')
        strbuf_putc(b, ',');
    strbuf_put_json(b, key, strlen(key));
    strbuf_putc(b, ':');
}

void json_line_text(strbuf *b, const char *key, const char *s)
{
    json_line_bytes(b, key, s, s ? strlen(s) : 0);
}

void json_line_bytes(strbuf *b, const char *key, const char *s, size_t n)
{
    json_line_key(b, key);
    if (s)
        strbuf_put_json(b, s, n);
    else
        strbuf_puts(b, "null");
}

void json_line_int(strbuf *b, const char *key, int64_t v)
{
    json_line_key(b, key);
    strbuf_printf(b, "%" PRId64, v);
}

void json_line_real(strbuf *b, const char *key, double v)
{
    json_line_key(b, key);
    strbuf_put_real(b, v);
}

void json_line_bool(strbuf *b, const char *key, bool v)
{
    json_line_key(b, key);
    strbuf_puts(b, v ? "true" : "false");
}

void json_line_ids(strbuf *b, const char *key, const int32_t *ids, int64_t n)
{
    json_line_key(b, key);
    strbuf_putc(b, '[');
    for (int64_t i = 0; i < n; i++)
        strbuf_printf(b, i ? ",%" PRId32 : "%" PRId32, ids[i]);
    strbuf_putc(b, ']');
}
