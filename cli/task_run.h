/* What `induction`, `mqar` and `copy` share: options, one unit a sequence, tables. */
#ifndef ATTNSCOPE_CLI_TASK_RUN_H
#define ATTNSCOPE_CLI_TASK_RUN_H

#include "analysis/experiments/task.h"
#include "cli/experiment.h"

/* --repeats --bos --id-min --id-max --emit --accuracy --top */
extern const param task_params[];

typedef struct task_job task_job;
typedef struct task_kind {
    const char *prefix;         /* of names in the store: "diagonal" gives diagonal_induction, diagonal_induction_top */
    const char *const *routes;  /* as the maker names them; heads are ranked by the first. NULL-terminated */
    const char *size;           /* what the task is sized by: "length", "pairs" */
    const char *schema;         /* of the table of heads: "attnscope.induction/1" */
    const char *lengths;        /* option that lists sizes */
    /* Make the task of this size. */
    int (*make)(task *out, const task_job *j, int64_t size, rng *r, err *e);
    /* Append what decides the numbers beside common options to a JSON object; may be NULL. */
    int (*settings)(strbuf *b, const task_job *j, err *e);
} task_kind;

struct task_job {
    session *s;
    const command_args *a;
    loaded_model *lm;
    const task_kind *kind;
    task_vocabulary vocabulary;
    double *sizes;              /* [n_size] */
    int64_t n_size, repeats;
    int32_t bos;                /* -1: none */
    void *ud;                   /* of the command */
};

/* The whole command. */
int task_command(session *s, const command_args *a, const task_kind *kind, void *ud, err *e);

#endif
