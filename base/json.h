/* Reading JSON (jansson behind it, seen only in base/json.c).  Writing goes through strbuf_put_json.
 *
 * Duplicate keys are refused, NUL inside strings is kept, nesting is limited.  Values are views that live
 * as long as the document.  Every accessor takes NULL for "absent" and answers as for a wrong type. */
#ifndef ATTNSCOPE_BASE_JSON_H
#define ATTNSCOPE_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* libjansson exports a json_real of its own, which ours must not replace at run time. */
#define json_real attnscope_json_real

typedef struct json json; /* a value; the root owns the document */

typedef enum json_kind {
    JSON_ABSENT, JSON_NULL_, JSON_BOOL, JSON_INT, JSON_REAL, JSON_STR, JSON_LIST, JSON_MAP
} json_kind;

/* Parse n bytes (must be UTF-8).  Errors name `what` and the line.  Free the root with json_free. */
int json_parse(json **out, const char *text, size_t n, const char *what, err *e);
/* Parse a file of at most max bytes. */
int json_load(json **out, const char *path, size_t max, err *e);
void json_free(json *root);
/* A map with all members of map, and those of the JSON text `defaults` (a map, part of the program) that map
 * does not name.  The result lives on its own: json_free. */
int json_complete(json **out, const json *map, const char *defaults, err *e);

json_kind json_kind_of(const json *v);
const json *json_get(const json *map, const char *key);          /* NULL when absent */
const json *json_at(const json *list, size_t i);                 /* NULL when out of range */
size_t json_count(const json *v);                                /* members or elements; 0 otherwise */
bool json_int(int64_t *out, const json *v);                      /* integer numbers only */
bool json_real(double *out, const json *v);                      /* any number */
bool json_bool(bool *out, const json *v);
const char *json_str(const json *v, size_t *len);                /* NULL when not a string; len may be NULL */
/* Members in file order: start with *it = NULL; false at the end. */
bool json_each(const json *map, void **it, const char **key, const json **value);

#endif
