/* A session: what lives from one command to the next, in the shell as in a script. */
#ifndef ATTNSCOPE_CLI_SESSION_H
#define ATTNSCOPE_CLI_SESSION_H

#include <stdbool.h>
#include <stdio.h>
#include "base/param.h"
#include "base/progress.h"
#include "cli/name_list.h"
#include "db/store.h"
#include "model/forward.h"
#include "model/tokenizer/tokenizer.h"

extern const char *program_version; /* "0.1.0"; the program sets it to what it was built from (cli/build_version.h) */

typedef struct session session;

typedef struct loaded_model {
    char *path;
    char *config;         /* the configuration that the user named; NULL when none was */
    model *m;
    char *tokenizer;      /* the tokenizer that the user named; NULL when none was */
    char *quantize;       /* the form that its weights were rounded to, one of quantize_names; NULL: as stored */
    bool quantize_embeddings;
    tokenizer *tok;       /* NULL when the checkpoint has none */
    err tok_err;          /* why there is none */
    runtime *rt;          /* made when first needed, for the session's threads and precision */
    int rt_threads;
    precision rt_precision;
} loaded_model;

/* The model that a command found, kept while another is in use: a command that is cancelled gives it back. */
typedef struct model_hold {
    struct model_hold *outer; /* of the command that runs this one; NULL: none */
    bool changed;
    loaded_model *before;     /* once changed; NULL: none was loaded */
} model_hold;

struct session {
    FILE *out;                /* results; never anything else */
    bool interactive;         /* the prompt: unique prefixes, clear of errors */
    bool keep_going;
    bool quit;
    store *st;                /* opened when first needed */
    char *store_path;         /* ":memory:" unless named */
    loaded_model *current;    /* the model loaded last; NULL when none */
    model_hold *hold;         /* of the command that runs; NULL: what is replaced is freed */
    params *settings;         /* `set`: threads, precision, store, isa, colour, format */
    uint64_t config_settings; /* bit i: settings_params[i] has its value from the configuration file */
    bool reading_config;      /* lines of the configuration file are read (cli/user_config.h) */
    bool no_config;           /* --no-config */
    name_list variables;      /* `let` */
    name_list chosen;         /* names of the heads that the command chose, by option (cli/head_rule.h) */
    name_list aliases;        /* `alias`; texts of the command language */
    const struct alias_frame *alias; /* those that are running (cli/dispatch.c) */
    bool argument_noted;      /* it was said that the script's $1 stands as it is */
    int n_script_arg;         /* $1 ... of the script that runs */
    const char *const *script_arg; /* [n_script_arg] */
    int64_t last_run;
    struct progress_bar *bar;
    progress prog;            /* handed to library calls */
    bool quiet;               /* --quiet: no progress, no notes; of the command that runs, or of all */
    bool alone;               /* the other ranks (base/ranks.h) take no part in the command that runs */
    int depth;                /* scripts that run scripts (`source`) */
    struct run_part *part;    /* of a sweep, while it runs a command (cli/run_part.h); NULL otherwise */
    FILE *standard_out;       /* what `out` is when no --output is in effect */
};

int session_new(session **out, err *e);
void session_free(session *s);

/* The store of this session (opened or created on first use). */
int session_store(session *s, store **out, err *e);
/* Change it (--store FILE, `set store`): closes the open one. */
int session_use_store(session *s, const char *path, err *e);
/* Load a model, or the one already loaded when path is the same (or NULL: the current one; none: an error
 * with a hint).  Its tokenizer is opened with it. */
int session_model(session *s, const char *path, loaded_model **out, err *e);
/* How a model is to be loaded.  NULL: the model's own, or what it is loaded with already. */
typedef struct load_options {
    const char *config;        /* for weights that lie without one (checkpoint_options.config) */
    const char *tokenizer;     /* a path for tokenizer_open */
    const char *quantize;      /* one of quantize_names.  NULL for a model that is named: as stored, however it is loaded */
    bool quantize_embeddings;
    int threads;               /* for quantising, as in pool_new */
} load_options;
int session_model_with(session *s, const char *path, const load_options *options, loaded_model **out, err *e);
/* Keep what the session has loaded until session_release_model, which gives it back or lets it go. */
void session_hold_model(session *s, model_hold *h);
void session_release_model(session *s, model_hold *h, bool give_back);
/* Another model beside the session's, which stays as it is; loaded_model_free() it. */
int session_model_beside(session *s, const char *path, const load_options *options, loaded_model **out, err *e);
void loaded_model_free(loaded_model *lm);
/* Pool and scratch for a loaded model. */
int session_runtime(session *s, loaded_model *lm, int threads, precision prec, err *e);

/* Give a setting a value and let it take effect (another store, other kernels, ...); `set` and the
 * program's options before the verb come here. */
int session_set(session *s, const char *name, const char *value, err *e);

/* Run one line of the command language (may hold several commands separated by ';'). where: "script:12"
 * or NULL; it prefixes errors.  Prints the error; returns its code. */
int session_line(session *s, const char *line, const char *where);
/* Run already split words as one command (argv of the program). */
int session_words(session *s, int n, const char *const *words, const char *where);
/* Run a script as it comes in from f; name is what errors say ("script" in "script:12").  Stops at the
 * first error unless keep_going; returns the code of the first. */
int session_script(session *s, FILE *f, const char *name);
/* Print an error the way all are printed: "attnscope: WHERE: VERB: message" and its hint on standard error.
 * where and verb may be NULL; an empty message was printed already and is left out. */
void session_report(const session *s, const char *where, const char *verb, const err *e);
long session_reported(void); /* how many were */

#endif
