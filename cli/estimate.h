/* What prompts will take, told before they run: operations and bytes from the model's shapes (model/cost.h), seconds from
 * rates that are measured on the spot, in some tenths of a second, with the code that will run. */
#ifndef ATTNSCOPE_CLI_ESTIMATE_H
#define ATTNSCOPE_CLI_ESTIMATE_H

#include "analysis/analyse.h"
#include "cli/command.h"
#include "cli/run_part.h"

/* Lengths of a prompt, and what is measured of it. */
typedef struct estimate_prompt {
    input_lengths n;
    const analysis_request *request;
} estimate_prompt;

/* Seconds are those of a prompt alone or, where short prompts pass together, its share. */
typedef struct prompt_estimate {
    int64_t tokens;            /* positions of all stacks */
    double product_flop, attention_flop;
    double product_seconds;    /* products of activations with weights */
    double attention_seconds;  /* scores, softmax and weighted sums */
    double other_seconds;      /* norms, rotations, activations; what a layer takes beside both */
    double metric_seconds;     /* what metrics add to attention and logits; NAN: not known */
    double store_seconds;      /* writing the rows; NAN: not known */
    double values;             /* rows in the store; NAN: not known */
    forward_bytes bytes;       /* logits 0 where none are formed */
    double kept;               /* bytes of the states of metrics and of maps; NAN: not known */
} prompt_estimate;

double prompt_seconds(const prompt_estimate *p);

typedef struct run_estimate {
    int64_t n;
    prompt_estimate *each;     /* [n] */
    prompt_estimate all;       /* sums; bytes and kept: of the prompt that takes most */
    double held;               /* bytes that the process holds before the prompts run, without pages of files */
    double stored;             /* bytes of the rows: in memory where the store is, else in its file; NAN: not known */
    bool rows_in_memory;
    double waiting;            /* bytes of rows that wait for the end of their prompt */
    double memory;             /* the most that it will hold, without pages of files */
    uint64_t weights;          /* bytes of the weight files, mapped */
    char type[32];             /* of the weights that most is multiplied with */
} run_estimate;

/* All of prompts [n].  ERR_CANCELLED, ERR_RESOURCE. */
int estimate_run(run_estimate *out, session *s, loaded_model *lm, const estimate_prompt *prompts, int64_t n, err *e);
void run_estimate_free(run_estimate *r);
/* All operations at the rate of the product that most is spent in, which takes some milliseconds: whether to ask for more.
 * 0 without measuring anything where it is less than `from` seconds on any machine. */
int estimate_least(double *seconds, session *s, loaded_model *lm, const estimate_prompt *prompts, int64_t n, double from, err *e);

/* "will take about 12 s (products 9.1 s, attention 2.2 s), 210 MiB of memory beside the weights" */
void estimate_put_line(strbuf *b, const run_estimate *r);
/* A row a prompt and one of the whole. */
int estimate_print(session *s, const command_args *a, const run_estimate *r, err *e);
/* Of units that were tried, or whose like is stored: one row. */
int estimate_print_tried(session *s, const command_args *a, const run_part *part, err *e);
/* "3.2 ms", "0.32 s", "4.5 s", "45 s", "3 min", "2 h 10 min", "3 d 4 h" */
void put_seconds(strbuf *b, double seconds);

#endif
