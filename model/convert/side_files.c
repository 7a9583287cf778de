/* The files beside the weights: copied, but for the element type that config.json states. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mapfile.h"
#include "model/convert/plan.h"
#include "model/locate.h"

static const char *const side_files[] = {
    "generation_config.json", "preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json",
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "source.spm",
    "qwen.tiktoken", "tiktoken.model", "tekken.json", "chat_template.jinja", "chat_template.json", "LICENSE",
    NULL,
};
static const char *const tokenizer_files[] = {
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt",
    "tiktoken.model", "qwen.tiktoken", "tekken.json", NULL,
};

static bool listed(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static int copy_file(outdir *d, const char *path, const char *name, err *e)
{
    mapfile m;
    outfile *f = NULL;
    int rc = mapfile_open(&m, path, e);
    if (rc)
        return rc;
    rc = outdir_create(&f, d, name, e);
    if (!rc)
        rc = outfile_write(f, m.data, m.size, e);
    if (rc)
        outfile_abandon(f);
    else
        rc = outfile_commit(f, e);
    mapfile_close(&m);
    return rc;
}

int side_files_copy(outdir *d, const checkpoint *c, char summary[128], err *e)
{
    strbuf found = {0};
    int rc = 0;
    for (int i = 0; side_files[i] && !rc && c->directory; i++) {
        char *path = path_join(c->directory, side_files[i], e);
        if (!path) {
            rc = ERR_RESOURCE;
        } else if (access(path, F_OK) == 0) {
            rc = copy_file(d, path, side_files[i], e);
            if (listed(tokenizer_files, side_files[i]))
                strbuf_printf(&found, "%s%s", found.len ? ", " : "", side_files[i]);
        }
        free(path);
    }
    snprintf(summary, 128, "%s", found.len ? strbuf_str(&found) : "none beside the weights");
    strbuf_free(&found);
    return rc;
}

/* ---- config.json ---- */

static void put_value(strbuf *b, const json *v, int depth);

static void put_indent(strbuf *b, int depth)
{
    strbuf_putc(b, '\n');
    for (int i = 0; i < depth; i++)
        strbuf_puts(b, "  ");
}

static void put_list(strbuf *b, const json *v, int depth)
{
    strbuf_putc(b, '[');
    for (size_t i = 0; i < json_count(v); i++) {
        if (i)
            strbuf_putc(b, ',');
        put_indent(b, depth + 1);
        put_value(b, json_at(v, i), depth + 1);
    }
    if (json_count(v))
        put_indent(b, depth);
    strbuf_putc(b, ']');
}

static void put_real(strbuf *b, double x)
{
    size_t at = b->len;
    strbuf_put_real(b, x);
    if (!b->failed && strspn(b->s + at, "-0123456789") == b->len - at)
        strbuf_puts(b, ".0"); /* stays a real number */
}

static void put_value(strbuf *b, const json *v, int depth)
{
    const char *s;
    size_t n;
    int64_t i;
    double x;
    bool yes;

    switch (json_kind_of(v)) {
    case JSON_BOOL:
        strbuf_puts(b, json_bool(&yes, v) && yes ? "true" : "false");
        break;
    case JSON_INT:
        strbuf_printf(b, "%lld", json_int(&i, v) ? (long long)i : 0);
        break;
    case JSON_REAL:
        put_real(b, json_real(&x, v) ? x : 0);
        break;
    case JSON_STR:
        s = json_str(v, &n);
        strbuf_put_json(b, s, n);
        break;
    case JSON_LIST:
        put_list(b, v, depth);
        break;
    case JSON_MAP: {
        void *it = NULL;
        const char *key;
        const json *value;
        bool first = true;
        strbuf_putc(b, '{');
        while (json_each(v, &it, &key, &value)) {
            if (!first)
                strbuf_putc(b, ',');
            first = false;
            put_indent(b, depth + 1);
            strbuf_put_json(b, key, strlen(key));
            strbuf_puts(b, ": ");
            put_value(b, value, depth + 1);
        }
        if (!first)
            put_indent(b, depth);
        strbuf_putc(b, '}');
        break;
    }
    default:
        strbuf_puts(b, "null");
    }
}

int side_config(strbuf *out, const checkpoint *c, const convert_options *o, err *e)
{
    static const char *const keys[] = {"dtype", "torch_dtype", NULL};
    void *it = NULL;
    const char *key;
    const json *value;
    bool first = true, said = false;

    if (json_kind_of(c->config) != JSON_MAP)
        return err_set(e, ERR_INPUT, "%s: no config.json beside it", c->path);
    strbuf_putc(out, '{');
    while (json_each(c->config, &it, &key, &value)) {
        strbuf_puts(out, first ? "\n  " : ",\n  ");
        first = false;
        strbuf_put_json(out, key, strlen(key));
        strbuf_puts(out, ": ");
        if (listed(keys, key) && !o->keep) {
            strbuf_printf(out, "\"%s\"", plan_type_name(o->type));
            said = true;
        } else {
            put_value(out, value, 1);
        }
    }
    if (!said && !o->keep)
        strbuf_printf(out, "%s\n  \"torch_dtype\": \"%s\"", first ? "" : ",", plan_type_name(o->type));
    strbuf_puts(out, "\n}\n");
    return out->failed ? err_nomem(e, "config.json") : 0;
}
