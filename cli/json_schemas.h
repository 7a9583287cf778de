/* The shapes of --json: every line is an object whose member "schema" names one of these.  A new schema is one row here;
 * tests/cli_json.sh holds what the commands print against the table. */
#ifndef ATTNSCOPE_CLI_JSON_SCHEMAS_H
#define ATTNSCOPE_CLI_JSON_SCHEMAS_H

#include "base/table.h"

typedef struct json_schema {
    const char *name;   /* "attnscope.value/1"; NULL ends the table */
    const char *from;   /* commands that print it */
    const char *what;   /* one object is ... */
    /* "run:i layer:i?": names and types.  i integer, r number (an integer where it is whole), t text, b true or false,
     * l list, m object; several letters: one of them.  ? may be null, ~ may be absent.  "*:r": further members, named by
     * what was asked for. */
    const char *fields;
} json_schema;

/* What a member of that name is, in all schemas that have it. */
typedef struct json_field {
    const char *name;
    const char *unit;     /* NULL: none, or that of the metric */
    const char *meaning;
} json_field;

extern const json_schema json_schemas[]; /* sorted by name */
extern const json_field json_fields[];   /* ended by NULL */

const json_field *json_field_find(const char *name, size_t n); /* of n bytes; NULL when unknown */
/* columns: of (the schema), member, type, null, absent, unit, meaning, from */
int json_schema_table(table **out, err *e);

#endif
