/* Writing a config.json again with some members changed. */
#ifndef ATTNSCOPE_TESTS_CONFIG_EDIT_H
#define ATTNSCOPE_TESTS_CONFIG_EDIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/strbuf.h"

static inline void put_json(strbuf *b, const json *v)
{
    void *it = NULL;
    const char *key, *s;
    const json *value;
    int64_t whole;
    double real;
    bool yes;
    size_t n;
    const char *mark = "";
    switch (json_kind_of(v)) {
    case JSON_MAP:
        strbuf_putc(b, '{');
        while (json_each(v, &it, &key, &value)) {
            strbuf_puts(b, mark);
            strbuf_put_json(b, key, strlen(key));
            strbuf_putc(b, ':');
            put_json(b, value);
            mark = ",";
        }
        strbuf_putc(b, '}');
        break;
    case JSON_LIST:
        strbuf_putc(b, '[');
        for (size_t i = 0; i < json_count(v); i++) {
            strbuf_puts(b, i ? "," : "");
            put_json(b, json_at(v, i));
        }
        strbuf_putc(b, ']');
        break;
    case JSON_STR:
        s = json_str(v, &n);
        strbuf_put_json(b, s, n);
        break;
    case JSON_INT:
        json_int(&whole, v);
        strbuf_printf(b, "%lld", (long long)whole);
        break;
    case JSON_REAL:
        json_real(&real, v);
        strbuf_printf(b, "%.17g", real);
        break;
    case JSON_BOOL:
        json_bool(&yes, v);
        strbuf_puts(b, yes ? "true" : "false");
        break;
    default:
        strbuf_puts(b, "null");
    }
}

/* The members of config without those in drop (keys with a space on both sides each; NULL: none) and without those that
 * add names; then add: members as JSON text, or NULL. */
static inline void edit_config(strbuf *out, const json *config, const char *drop, const char *add)
{
    strbuf map = {0};
    json *added = NULL;
    void *it = NULL;
    const char *key, *mark = "";
    const json *value;
    err e = {0};
    strbuf_printf(&map, "{%s}", add ? add : "");
    if (json_parse(&added, strbuf_str(&map), map.len, "members to add", &e)) {
        fprintf(stderr, "%s: %s\n", e.msg, strbuf_str(&map));
        abort();
    }
    strbuf_putc(out, '{');
    while (json_each(config, &it, &key, &value)) {
        char word[80];
        snprintf(word, sizeof word, " %s ", key);
        if ((drop && strstr(drop, word)) || json_get(added, key))
            continue;
        strbuf_puts(out, mark);
        strbuf_put_json(out, key, strlen(key));
        strbuf_putc(out, ':');
        put_json(out, value);
        mark = ",";
    }
    strbuf_printf(out, "%s%s}", add ? mark : "", add ? add : "");
    json_free(added);
    strbuf_free(&map);
}

#endif
