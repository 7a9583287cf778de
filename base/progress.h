/* Progress of long work.  Library code calls progress_step; who draws it (cli/) installs a hook.
 * Nothing here prints. */
#ifndef ATTNSCOPE_BASE_PROGRESS_H
#define ATTNSCOPE_BASE_PROGRESS_H

typedef struct progress {
    /* what: a short phrase ("layer", "hashing"); done and total in the same unit.  Called from the thread
     * that runs the command, at most every few milliseconds of work. */
    void (*step)(void *ud, const char *what, double done, double total);
    void *ud;
} progress;

/* p may be NULL. */
static inline void progress_step(const progress *p, const char *what, double done, double total)
{
    if (p && p->step)
        p->step(p->ud, what, done, total);
}

#endif
