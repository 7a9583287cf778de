/* Errors: one struct, filled where the failure is understood, printed once by the program.
 *
 * Convention of the whole project: a function that can fail returns int, 0 for success or one of the
 * codes below, and takes `err *e` last.  Out-parameters come first.  e may be NULL when the caller does
 * not care for the text.  A code is also the program's exit status (cli/), so choose by what the user
 * has to change. */
#ifndef ATTNSCOPE_BASE_ERR_H
#define ATTNSCOPE_BASE_ERR_H

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum err_code {
    ERR_NONE = 0,
    ERR_FAILED = 1,      /* the operation failed for a reason of its own */
    ERR_USAGE = 2,       /* wrong words: unknown option, value out of range */
    ERR_INPUT = 3,       /* a file is missing, damaged or not supported */
    ERR_DIFFERS = 4,     /* verify / compare found a difference */
    ERR_RESOURCE = 5,    /* out of memory or disk */
    ERR_CANCELLED = 130, /* the user pressed Ctrl-C */
};

typedef struct err {
    int code;       /* 0 while nothing failed */
    char msg[512];  /* lower case, one line, no full stop; control characters of file content escaped */
    char hint[256]; /* what to do next, one line; empty when there is nothing to say */
} err;

/* Store code and message, clear the hint; return code.  The message is made safe for a terminal:
 * control characters become \xHH.  What does not fit loses its middle. */
int err_set(err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same with ": REASON" behind it, what the operating system says of errno `why`, in lower case. */
int err_errno(err *e, int code, int why, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Add a hint to the error already in e; return e's code. */
int err_hint(err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Put "WHERE: " before the message already in e (a file name, a layer); return e's code. */
int err_prefix(err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The usual out-of-memory error; return ERR_RESOURCE. */
int err_nomem(err *e, const char *what);

#endif
