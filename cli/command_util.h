/* What most commands need: which model, which run, which format, and a note to the user. */
#ifndef ATTNSCOPE_CLI_COMMAND_UTIL_H
#define ATTNSCOPE_CLI_COMMAND_UTIL_H

#include "base/strbuf.h"
#include "cli/command.h"

typedef enum output_format { FORMAT_TABLE, FORMAT_CSV, FORMAT_TSV, FORMAT_JSON } output_format;
output_format command_format(const session *s, const command_args *a);

/* A line on standard error unless --quiet; for what is not a result. */
void say(const session *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same for warnings and advice that would be repeated: a text that was said already in this process is left out. */
void say_once(const session *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* --precision; threads and the rest are common options. */
extern const param precision_params[];
/* --config, --quantize, --quantize-embeddings: of every command that takes a MODEL and opens it with choose_model. */
extern const param config_params[];
/* --tokenizer: of those among them that need text. */
extern const param tokenizer_params[];
const char *precision_name(precision p);
/* Options first, then the session's settings. */
int64_t option_threads(const session *s, const command_args *a);
precision option_precision(const session *s, const command_args *a);

/* --config, --tokenizer, --quantize-embeddings (of weights rounded to `quantize`, NULL: as stored) and --threads, those that
 * the command has. */
load_options load_options_of(const session *s, const command_args *a, const char *quantize);
/* The model named by the first word, or the loaded one, with its runtime when `run` is set. */
int choose_model(session *s, const command_args *a, bool run, loaded_model **out, err *e);

/* The checkpoint named by the first word, opened with --config, or that of the loaded model, as stored; its family need
 * not be supported.  weights_only: nor need there be a configuration.  *opened: to close, NULL for the loaded model's. */
int choose_checkpoint(session *s, const command_args *a, bool weights_only, const checkpoint **out,
                      checkpoint **opened, err *e);

/* The store for a command that only reads: a file that is not there is an error and is not created. */
int store_to_read(session *s, store **out, err *e);
/* Option --run, else word (may be NULL), both read by cli/run_name.h; else the session's last run, else `last`. */
int choose_run(session *s, const command_args *a, store *st, const char *word, int64_t *run, err *e);
/* The session's last run where the store has it, else the newest that is done (the newest when none is). */
int session_latest_run(const session *s, store *st, int64_t *run, err *e);
/* Metrics of run ?1 that have values of heads, found without reading the values. */
#define HEAD_METRICS_SQL "SELECT metric FROM metric_list l WHERE run = ?1 AND EXISTS (SELECT 1 FROM head_value v" \
    " WHERE v.run = l.run AND v.metric = l.metric) ORDER BY metric"
/* In SQL, of a row r of table run: its units that are there; ", 12 of 40 units" of one that is not done, else "". */
#define RUN_UNITS_SQL "(SELECT count(*) FROM unit u WHERE u.run_id = r.id AND u.status = 'done')"
#define RUN_PROGRESS_SQL "CASE WHEN r.n_unit > 0 AND r.status <> 'done' THEN ', ' || " RUN_UNITS_SQL \
    " || ' of ' || r.n_unit || ' unit' || CASE r.n_unit WHEN 1 THEN '' ELSE 's' END ELSE '' END"
/* The first cell of what a query gives, as an integer: a count, or one number that is asked for; 0 where it is NULL or no
 * row came. */
int query_count(int64_t *out, store *st, const char *sql, const cell *bind, int n_bind, err *e);
/* Units of the run that are there. */
int run_units_done(int64_t *n, store *st, int64_t run, err *e);
/* Check that a run exists; the hint says which there are. */
int require_run(store *st, int64_t run, err *e);
/* The error for a run that holds no values at all: says how it ended. */
int run_without_values(store *st, int64_t run, err *e);

/* What the words of a command leave out; each may be NULL. */
typedef struct repeat_facts {
    const char *model_path;   /* of the loaded model: put behind the verb */
    const char *config;       /* with which the loaded model was opened */
    const char *tokenizer;    /* likewise */
    const char *precision;    /* from a setting */
    const char *quantize;     /* form that the weights of the loaded model were rounded to */
    bool quantize_embeddings;
    const char *isa;          /* from a setting: an option before the verb */
    const char *stdin_text;   /* what --prompt-file - read: put as --prompt in its place */
    const name_list *chosen;  /* what stands in place of an option's value: heads by their names */
} repeat_facts;
/* "attnscope VERB WORDS": the command as it can be pasted into a POSIX shell, and from the verb on into
 * ours.  facts may be NULL.  free() the result. */
char *repeatable_command(const command_args *a, const repeat_facts *facts, err *e);
/* The same, with the store named even where only the session knows it: what a figure or a report says of itself. */
char *repeatable_on_store(const session *s, const command_args *a, err *e);
/* One word quoted so that both languages read it back. */
void put_shell_word(strbuf *b, const char *word);

/* Append the rows of a table to rows [max + 1], names that are there already left out; returns the new
 * count.  rows stays a table (its last name is NULL). */
int append_params(param *rows, int n, int max, const param *more);

/* The metric called name: ERR_USAGE with a near miss otherwise. */
struct metric;
int require_metric(const struct metric **out, const char *name, err *e);
/* The command that forms a value of heads which is no metric, as retrieval; NULL: none is known. */
const char *measured_by(const char *name);

static inline cell cell_text(const char *s)
{
    return s ? (cell){CELL_TEXT, {.s = s}} : (cell){CELL_NULL, {0}};
}
static inline cell cell_index(int64_t i)
{
    return i == NO_INDEX ? (cell){CELL_NULL, {0}} : cell_int(i);
}
/* A text cell; "" for anything else. */
static inline const char *cell_string(const cell *c)
{
    return c->kind == CELL_TEXT ? c->u.s : "";
}

#endif
