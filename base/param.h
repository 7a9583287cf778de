/* Parameters: one table row describes an option wherever it appears: parsing, help, completion, the man
 * page, `list --json`, and the settings recorded with a run. */
#ifndef ATTNSCOPE_BASE_PARAM_H
#define ATTNSCOPE_BASE_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

typedef enum param_kind {
    PARAM_BOOL,  /* --name / --no-name */
    PARAM_INT,   /* integer within [min, max] */
    PARAM_REAL,  /* finite number within [min, max] */
    PARAM_ENUM,  /* one of choices */
    PARAM_STR,   /* any text */
    PARAM_PATH,  /* a file name (completed as such) */
    PARAM_LIST,  /* comma-separated words; `choices` or `complete` say which */
} param_kind;

typedef struct param {
    const char *name;      /* long option without dashes; NULL ends a table */
    param_kind kind;
    const char *def;       /* default as text; NULL: not given unless the user gives it */
    const char *value;     /* placeholder in help ("FILE", "N"); NULL for BOOL */
    const char *help;      /* one line, lower case, no full stop */
    double min, max;       /* INT and REAL; both 0 = no limit */
    const char *const *choices; /* NULL-terminated; NULL when free; "blocks.*": every word that begins so */
    const char *complete;  /* what fills the list: "metrics", "heads", "layers", "models", "figures",
                            * "runs", "commands"; NULL when nothing does */
} param;

/* Parsed values of one table (or several). */
typedef struct params params;

int params_new(params **out, err *e);
void params_free(params *p);
/* Describe what may be set: tables, searched in order.  Tables must outlive p. */
int params_use(params *p, const param *table, err *e);
/* Set by name; the value is checked against its row.  Unknown name: ERR_USAGE with a near-miss hint.
 * value NULL is allowed for BOOL only (means true). */
int params_set(params *p, const char *name, const char *value, err *e);
/* Errors of params_set speak of "NOUN name" ("setting threads") and not of "option --name".  noun must outlive p. */
void params_call(params *p, const char *noun);
/* Forget what the user gave, if anything: the default holds again. */
void params_unset(params *p, const char *name);
/* The row that describes name, NULL when there is none. */
const param *params_row(const params *p, const char *name);
/* True when the user gave it (a default does not count). */
bool params_given(const params *p, const char *name);
/* Readers give the user's value, else the default; a missing default reads as NULL / 0 / 0.0 / false.
 * Asking for a name that no table describes is a programming error (assert). */
const char *params_str(const params *p, const char *name);
int64_t params_int(const params *p, const char *name);
double params_real(const params *p, const char *name);
bool params_bool(const params *p, const char *name);

/* The nearest of NULL-terminated words to `word` within two edits, NULL when none is near. */
const char *nearest_word(const char *word, const char *const *words);

/* Strict number readers: the whole text must be the number.  False when it is not. */
bool parse_int(int64_t *out, const char *text);
bool parse_real(double *out, const char *text);

#endif
