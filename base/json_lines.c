#include "base/json_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"

#define MOST_BYTES ((size_t)64 << 20) /* of a line */

void json_lines_place(json_lines_where out, const char *path, int64_t line)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, sizeof(json_lines_where), "%.80s:%" PRId64, slash ? slash + 1 : path, line);
}

static int take_line(void *element, const char *line, size_t n, const char *where, json_lines_take *take, void *ud, err *e)
{
    json *root = NULL;
    if (n > MOST_BYTES) {
        err_set(e, ERR_INPUT, "%s: a line of %zu MiB, more than %zu MiB", where, n >> 20, MOST_BYTES >> 20);
        return err_hint(e, "is this a file of JSON Lines, an object a line?");
    }
    int rc = json_parse(&root, line, n, where, e);
    if (rc)
        return rc;
    if (json_kind_of(root) != JSON_MAP) {
        err_set(e, ERR_INPUT, "is no JSON object");
        rc = err_hint(e, "write an object a line, as {\"text\": \"Once upon a time\"}");
    }
    if (!rc)
        rc = take(element, root, where, ud, e);
    json_free(root);
    return rc && rc != ERR_RESOURCE ? err_prefix(e, "%s", where) : rc;
}

int json_lines_read(json_lines *out, size_t element_size, const char *text, size_t size, const char *path,
                    json_lines_take *take, void *ud, err *e)
{
    size_t cap = 0;
    int64_t number = 0;
    int rc = 0;
    *out = (json_lines){0};
    for (size_t at = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; at < size && !rc;) {
        const char *line = text + at, *end = memchr(line, '\n', size - at);
        size_t len = end ? (size_t)(end - line) : size - at, blank = 0;
        at += len + 1;
        number++;
        while (blank < len && (line[blank] == ' ' || line[blank] == '\t' || line[blank] == '\r'))
            blank++;
        if (blank == len)
            continue;
        if (out->n == JSON_LINES_MOST) {
            err_set(e, ERR_INPUT, "%s: holds more than %d objects", path, JSON_LINES_MOST);
            return err_hint(e, "split it into several files");
        }
        if ((size_t)out->n == cap) {
            cap = cap ? 2 * cap : 16;
            void *more = mem_grow(out->list, cap, element_size, e);
            if (!more)
                return ERR_RESOURCE;
            out->list = more;
        }
        json_lines_where where;
        void *element = (char *)out->list + (size_t)out->n++ * element_size;
        memset(element, 0, element_size);
        json_lines_place(where, path, number);
        rc = take_line(element, line, len, where, take, ud, e);
    }
    return rc;
}
