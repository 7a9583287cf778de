/* One JSON object on one line, member by member:
 *
 *     json_line_begin(&b, "attnscope.model/1");
 *     json_line_text(&b, "name", m->name);
 *     json_line_end(&b);
 */
#ifndef ATTNSCOPE_CLI_JSON_LINE_H
#define ATTNSCOPE_CLI_JSON_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "base/strbuf.h"

/* schema NULL: an object without it (nested ones). */
void json_line_begin(strbuf *b, const char *schema);
void json_line_end(strbuf *b); /* "}" and a newline */

void json_line_key(strbuf *b, const char *key); /* the value follows by hand */
void json_line_text(strbuf *b, const char *key, const char *s);      /* NULL: null */
void json_line_bytes(strbuf *b, const char *key, const char *s, size_t n);
void json_line_int(strbuf *b, const char *key, int64_t v);
void json_line_real(strbuf *b, const char *key, double v);
void json_line_bool(strbuf *b, const char *key, bool v);
void json_line_ids(strbuf *b, const char *key, const int32_t *ids, int64_t n);

#endif
