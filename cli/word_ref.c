#include "cli/word_ref.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool begins_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Bytes of the name at text. */
static size_t name_length(const char *text, size_t n)
{
    size_t len = 0;
    while (len < n && (begins_name(text[len]) || (len && is_digit(text[len]))))
        len++;
    return len;
}

bool word_ref_name(const char *name, size_t n)
{
    return n > 0 && name_length(name, n) == n;
}

/* What may stand in braces before their end or a ":-". */
static bool is_reference(const char *name, size_t n)
{
    static const char env[] = "env:";
    size_t skip = sizeof env - 1;
    if (n > skip && memcmp(name, env, skip) == 0)
        return word_ref_name(name + skip, n - skip);
    return word_ref_name(name, n) || (n == 1 && is_digit(*name) && *name != '0');
}

static int bad_braces(const char *text, size_t n, err *e)
{
    err_set(e, ERR_USAGE, "%.*s names no variable", (int)(n > 40 ? 40 : n), text);
    return err_hint(e, "as in ${model}, ${1}, ${env:HOME} or ${name:-otherwise}; \\$ is the sign itself");
}

static int read_braces(word_ref *out, const char *text, size_t n, arena *mem, err *e)
{
    size_t line = 0;
    while (line < n && text[line] != '\n' && text[line] != '\0')
        line++;
    const char *end = memchr(text, '}', line);
    if (!end)
        return bad_braces(text, line, e);
    const char *name = text + 2;
    size_t len = (size_t)(end - name), name_len = len;
    for (size_t i = 0; i + 1 < len && name_len == len; i++)
        if (name[i] == ':' && name[i + 1] == '-')
            name_len = i;
    if (!is_reference(name, name_len))
        return bad_braces(text, (size_t)(end - text) + 1, e);
    out->len = (size_t)(end - text) + 1;
    out->braces = true;
    out->name = arena_strndup(mem, name, name_len, e);
    if (name_len < len)
        out->otherwise = arena_strndup(mem, name + name_len + 2, len - name_len - 2, e);
    return out->name && (name_len == len || out->otherwise) ? 0 : ERR_RESOURCE;
}

int word_ref_read(word_ref *out, const char *text, size_t n, arena *mem, err *e)
{
    *out = (word_ref){0};
    if (n > 1 && text[1] == '{')
        return read_braces(out, text, n, mem, e);
    bool digit = n > 1 && is_digit(text[1]) && text[1] != '0' && !(n > 2 && is_digit(text[2])); /* $15 is money */
    size_t len = digit ? 1 : n > 1 ? name_length(text + 1, n - 1) : 0;
    if (!len)
        return 0;
    out->len = len + 1;
    out->name = arena_strndup(mem, text + 1, len, e);
    return out->name ? 0 : ERR_RESOURCE;
}
