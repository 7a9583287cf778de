/* Sweep files: many runs in a few lines.
 *
 *     # how far do precision and quantisation move the heads?
 *     command   = run
 *     model     = examples/models/lantern-3m
 *     prompts   = examples/prompts/census.jsonl
 *     metrics   = sink,entropy
 *     precision = [f32, bf16]
 *     quantize  = [none, q8_0, q4_0]
 *     edit      = [as it is: "", no sinks: "scale_first 0 all"]
 *     exclude   = precision=bf16, quantize=q4_0
 *
 * A line is `key = value`, as in a theme of figures; quotes around a value are optional, lines that begin
 * with # are comments.  A value in brackets is a list, and its key an axis: there is a cell for every
 * combination of the axes.  The list may go over several lines, with comments where an item could begin; an
 * item may have a name in front of it ("no sinks: ") and stands in quotes where it holds a comma.
 *
 * Keys: `command` (the verb), `model` (its first word), `arguments` (its other words), the options of the
 * verb without dashes, and VERB.OPTION for one verb alone where there are several.  An empty value leaves the
 * option out. `name` is what the sweep is called (otherwise as the file), `zip = model, prompts` makes axes
 * of the same length go together, `exclude = KEY=VALUE, ...` leaves out the cells for which all of these
 * hold; both may stand several times. */
#ifndef ATTNSCOPE_CLI_SWEEP_FILE_H
#define ATTNSCOPE_CLI_SWEEP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/mem.h"

typedef struct sweep_value { const char *label, *text; } sweep_value; /* label: its name, else the text */

typedef struct sweep_entry {
    const char *key;
    int line;
    bool axis;
    sweep_value *value;       /* [n] n >= 1; of a constant one */
    int n;
    int group;                /* axes of one group go together: the entry that the group counts by */
} sweep_entry;

typedef struct sweep_pair { const sweep_entry *axis; const char *value; } sweep_pair;
typedef struct sweep_exclude { sweep_pair *pair; int n; } sweep_exclude;

typedef struct sweep_file {
    const char *path;         /* as errors name it */
    const char *name;
    char *text;               /* the whole file */
    sweep_entry *entry;       /* [n_entry] in the order of the file, without name, zip, exclude */
    int n_entry;
    sweep_exclude *exclude;   /* [n_exclude] */
    int n_exclude;
    arena mem;                /* of all of it */
} sweep_file;

/* Errors name file and line: ERR_INPUT no text; ERR_USAGE no such form, a key twice.  What the keys mean is
 * not looked at here.  sweep_file_free in any case. */
int sweep_file_load(sweep_file *out, const char *path, err *e);
int sweep_file_parse(sweep_file *out, const char *text, size_t size, const char *path, err *e);
void sweep_file_free(sweep_file *f);

const sweep_entry *sweep_file_find(const sweep_file *f, const char *key); /* NULL: there is none */
/* The one of NULL-terminated names that is meant by a key: by another word for it (verb for command), or one that is
 * written much the same.  NULL: there is none. */
const char *sweep_key_meant(const char *key, const char *const *names);

#endif
