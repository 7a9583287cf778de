/* libjansson has an enumerator and a function with the names that our header uses; its own are not needed
 * here. */
#define JSON_REAL JANSSON_REAL
#define json_real jansson_real
#include <jansson.h>
#undef JSON_REAL
#undef json_real

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/mapfile.h"

/* A `json *` is a json_t * under another name: views cost nothing and the document is freed by its root. */
static const json_t *value_of(const json *v)
{
    return (const json_t *)(const void *)v;
}

static const json *view_of(const json_t *v)
{
    return (const json *)(const void *)v;
}

int json_parse(json **out, const char *text, size_t n, const char *what, err *e)
{
    json_error_t why;

    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark, as some editors leave */
        text += 3;
        n -= 3;
    }
    json_t *root = json_loadb(n ? text : "", n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (root) {
        *out = (json *)(void *)root;
        return 0;
    }
    if (json_error_code(&why) == json_error_out_of_memory)
        return err_nomem(e, what);
    err_set(e, ERR_INPUT, "%s: line %d: %s", what, why.line > 0 ? why.line : 1, why.text);
    return err_hint(e, "the file is no valid JSON: it may be damaged or incomplete, fetch or write it again");
}

int json_load(json **out, const char *path, size_t max, err *e)
{
    mapfile m;
    int rc = mapfile_open(&m, path, e);
    if (rc)
        return rc;
    if (m.size > max) {
        err_set(e, ERR_INPUT, "%s: larger than %zu bytes", path, max);
        rc = err_hint(e, "this is probably not the file that was meant");
    } else {
        rc = json_parse(out, (const char *)m.data, m.size, path, e);
    }
    mapfile_close(&m);
    return rc;
}

void json_free(json *root)
{
    json_decref((json_t *)(void *)root);
}

int json_complete(json **out, const json *map, const char *defaults, err *e)
{
    json_t *all = json_copy((json_t *)(uintptr_t)map), *more = json_loads(defaults, 0, NULL);
    int rc = all && more && json_object_update_missing(all, more) == 0 ? 0 : err_nomem(e, "configuration");
    json_decref(more);
    if (rc)
        json_decref(all);
    else
        *out = (json *)(void *)all;
    return rc;
}

json_kind json_kind_of(const json *v)
{
    const json_t *j = value_of(v);

    if (!j)
        return JSON_ABSENT;
    switch (json_typeof(j)) {
    case JSON_OBJECT: return JSON_MAP;
    case JSON_ARRAY: return JSON_LIST;
    case JSON_STRING: return JSON_STR;
    case JSON_INTEGER: return JSON_INT;
    case JANSSON_REAL: return JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return JSON_BOOL;
    case JSON_NULL: return JSON_NULL_;
    }
    return JSON_ABSENT;
}

const json *json_get(const json *map, const char *key)
{
    return view_of(json_object_get(value_of(map), key));
}

const json *json_at(const json *list, size_t i)
{
    return view_of(json_array_get(value_of(list), i));
}

size_t json_count(const json *v)
{
    const json_t *j = value_of(v);
    return json_is_object(j) ? json_object_size(j) : json_array_size(j);
}

bool json_int(int64_t *out, const json *v)
{
    const json_t *j = value_of(v);
    if (!json_is_integer(j))
        return false;
    *out = json_integer_value(j);
    return true;
}

bool json_real(double *out, const json *v)
{
    const json_t *j = value_of(v);
    if (!json_is_number(j))
        return false;
    *out = json_number_value(j);
    return true;
}

bool json_bool(bool *out, const json *v)
{
    const json_t *j = value_of(v);
    if (!json_is_boolean(j))
        return false;
    *out = json_is_true(j);
    return true;
}

const char *json_str(const json *v, size_t *len)
{
    const json_t *j = value_of(v);
    if (!json_is_string(j))
        return NULL;
    if (len)
        *len = json_string_length(j);
    return json_string_value(j);
}

bool json_each(const json *map, void **it, const char **key, const json **value)
{
    json_t *j = (json_t *)value_of(map); /* jansson's iterators take a mutable object but only read it */

    *it = *it ? json_object_iter_next(j, *it) : json_object_iter(j);
    if (!*it)
        return false;
    *key = json_object_iter_key(*it);
    *value = view_of(json_object_iter_value(*it));
    return true;
}
