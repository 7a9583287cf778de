#include "base/outdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strbuf.h"

enum { MAX_TRIES = 100 };

struct outdir {
    outdir *next;
    char *path;   /* without trailing slashes */
    char *temp;
    bool replace;
    const char *inner; /* the one directory inside, or NULL */
};

static outdir *open_dirs; /* all open ones, for outdir_abandon_all */

static int cannot(const char *path, const char *what, int why, err *e)
{
    bool room = why == ENOSPC || why == EDQUOT;

    err_errno(e, room ? ERR_RESOURCE : ERR_FAILED, why, "%s: %s", path, what);
    return err_hint(e, room ? "make room on that disk, or name a directory on another one"
                            : "name another directory, in one that exists and that this user may write to");
}

/* Remove a directory and the files in it; what is not a file stays, and the directory with it. */
static void remove_flat(const char *path, const char *inner)
{
    DIR *dir = opendir(path);
    struct dirent *x;
    strbuf b = {0};

    if (inner) {
        strbuf_printf(&b, "%s/%s", path, inner);
        if (!b.failed)
            remove_flat(strbuf_str(&b), NULL);
        strbuf_free(&b);
    }
    while (dir && (x = readdir(dir)))
        if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0)
            (void)unlinkat(dirfd(dir), x->d_name, 0);
    if (dir)
        closedir(dir);
    (void)rmdir(path);
}

static int check_flat(const char *path, const char *inner, err *e)
{
    DIR *dir = opendir(path);
    struct dirent *x;
    struct stat st;
    int rc = 0;

    if (!dir)
        return cannot(path, "cannot be replaced", errno, e);
    while (!rc && (x = readdir(dir))) {
        if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(dir), x->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
            if (inner && strcmp(x->d_name, inner) == 0) {
                strbuf b = {0};
                strbuf_printf(&b, "%s/%s", path, inner);
                rc = b.failed ? err_nomem(e, "output directory") : check_flat(strbuf_str(&b), NULL, e);
                strbuf_free(&b);
                continue;
            }
            err_set(e, ERR_FAILED, "%s: is not replaced, it holds the directory %s", path, x->d_name);
            rc = err_hint(e, "name another directory, or move that one away");
        }
    }
    closedir(dir);
    return rc;
}

static int check_target(const char *path, bool replace, const char *inner, err *e)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : cannot(path, "cannot be written", errno, e);
    if (!replace) {
        err_set(e, ERR_FAILED, "%s: exists", path);
        return err_hint(e, "name another directory, or replace this one with --force");
    }
    if (!S_ISDIR(st.st_mode)) {
        err_set(e, ERR_FAILED, "%s: is not a directory, so it is not replaced", path);
        return err_hint(e, "name another directory");
    }
    return check_flat(path, inner, e);
}

/* A name beside the target: ".NAME.PID.tmp", with a number when that one is taken. */
static int make_temp(outdir *d, err *e)
{
    const char *slash = strrchr(d->path, '/');
    size_t folder = slash ? (size_t)(slash - d->path) + 1 : 0;
    strbuf b = {0};
    int why = EEXIST;

    for (int i = 0; i < MAX_TRIES && why == EEXIST; i++) {
        strbuf_clear(&b);
        strbuf_add(&b, d->path, folder);
        strbuf_printf(&b, ".%s.%ld.%d.tmp", d->path + folder, (long)getpid(), i);
        if (b.failed) {
            strbuf_free(&b);
            return err_nomem(e, "output directory");
        }
        why = mkdir(strbuf_str(&b), 0777) < 0 ? errno : 0;
    }
    if (why) {
        strbuf_free(&b);
        return cannot(d->path, "cannot be written", why, e);
    }
    d->temp = strbuf_take(&b, e);
    return d->temp ? 0 : ERR_RESOURCE;
}

static void dispose(outdir *d)
{
    for (outdir **at = &open_dirs; *at; at = &(*at)->next)
        if (*at == d) {
            *at = d->next;
            break;
        }
    free(d->temp);
    free(d->path);
    free(d);
}

/* The directory inside, in the temporary one. */
static int make_inner(const outdir *d, err *e)
{
    strbuf b = {0};

    if (!d->inner)
        return 0;
    strbuf_printf(&b, "%s/%s", d->temp, d->inner);
    int rc = b.failed                            ? err_nomem(e, "output directory")
             : mkdir(strbuf_str(&b), 0777) < 0 ? cannot(d->path, "cannot be written", errno, e)
                                                 : 0;
    strbuf_free(&b);
    return rc;
}

int outdir_open(outdir **out, const char *path, bool replace, err *e)
{
    return outdir_open_with(out, path, replace, NULL, e);
}

int outdir_open_with(outdir **out, const char *path, bool replace, const char *inner, err *e)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n == 0 || strcmp(path, "-") == 0 || (n == 1 && path[0] == '/')) {
        err_set(e, ERR_USAGE, "'%s' is no name for an output directory", path);
        return err_hint(e, "name a directory that does not exist yet");
    }
    outdir *d = mem_array(1, sizeof *d, e);
    if (!d)
        return ERR_RESOURCE;
    d->replace = replace;
    d->inner = inner;
    d->path = mem_strndup(path, n, e);
    int rc = d->path ? check_target(d->path, replace, inner, e) : ERR_RESOURCE;
    if (!rc)
        rc = make_temp(d, e);
    if (!rc)
        rc = make_inner(d, e);
    if (rc) {
        if (d->temp)
            remove_flat(d->temp, NULL);
        dispose(d);
        return rc;
    }
    d->next = open_dirs;
    open_dirs = d;
    *out = d;
    return 0;
}

int outdir_create(outfile **out, outdir *d, const char *name, err *e)
{
    strbuf b = {0};

    strbuf_printf(&b, "%s/%s", d->temp, name);
    int rc = b.failed ? err_nomem(e, "output file") : outfile_open(out, strbuf_str(&b), e);
    strbuf_free(&b);
    return rc;
}

int outdir_explain(const outdir *d, err *e)
{
    char *at = strstr(e->msg, d->temp), *tail = at ? at + strlen(d->temp) : NULL;
    size_t n = strlen(d->path);

    if (at && n <= (size_t)(tail - at)) { /* a temporary name is the longer one */
        memcpy(at, d->path, n);
        memmove(at + n, tail, strlen(tail) + 1);
    }
    return e->code;
}

/* The old directory goes out of the way under the temporary name, in one step where the system can. */
static int swap(const outdir *d)
{
    struct stat st;

    if (!d->replace || lstat(d->path, &st) < 0)
        return renameat2(AT_FDCWD, d->temp, AT_FDCWD, d->path, RENAME_NOREPLACE) < 0 &&
                       (errno != EINVAL || rename(d->temp, d->path) < 0)
                   ? errno
                   : 0;
    if (renameat2(AT_FDCWD, d->temp, AT_FDCWD, d->path, RENAME_EXCHANGE) == 0) {
        remove_flat(d->temp, d->inner);
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    remove_flat(d->path, d->inner);
    return rename(d->temp, d->path) < 0 ? errno : 0;
}

int outdir_commit(outdir *d, err *e)
{
    int why = swap(d), rc = 0;

    if (why) {
        rc = cannot(d->path, "cannot be put in place", why, e);
        remove_flat(d->temp, d->inner);
    }
    dispose(d);
    return rc;
}

void outdir_abandon(outdir *d)
{
    if (!d)
        return;
    remove_flat(d->temp, d->inner);
    dispose(d);
}

void outdir_abandon_all(void)
{
    for (outdir *d = open_dirs; d; d = d->next)
        remove_flat(d->temp, d->inner);
}
