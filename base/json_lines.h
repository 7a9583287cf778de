/* JSON Lines: an object a line, each of them an element of a list. */
#ifndef ATTNSCOPE_BASE_JSON_LINES_H
#define ATTNSCOPE_BASE_JSON_LINES_H

#include "base/json.h"

typedef struct json_lines { void *list; int64_t n; } json_lines; /* [n] elements; free(list) */
enum { JSON_LINES_MOST = 1000000 }; /* a few bytes of a packed file may hold more lines than there is memory for */

/* "stories.jsonl:3": the last part of a path and a line, counted from 1, for errors. */
typedef char json_lines_where[112];
void json_lines_place(json_lines_where out, const char *path, int64_t line);

/* Fill one element, which is zeroed.  Errors get `where` in front by themselves. */
typedef int json_lines_take(void *element, const json *object, const char *where, void *ud, err *e);
/* All lines of text [size] but empty ones; a byte order mark in front is skipped.  ERR_INPUT, naming the line: no JSON
 * object, longer than 64 MiB, more than JSON_LINES_MOST.  Also after an error *out holds all elements so far, the last one
 * perhaps half filled: they are for the caller to free. */
int json_lines_read(json_lines *out, size_t element_size, const char *text, size_t size, const char *path,
                    json_lines_take *take, void *ud, err *e);

#endif
