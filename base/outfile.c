#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { BUFFER = 64 << 10, MAX_LINKS = 40, MAX_TRIES = 100, NAME_PART = 200 };

struct outfile {
    struct outfile *next, **link; /* registry of open files, under files_lock */
    FILE *stream;
    int fd;          /* -1: standard output */
    char *path;      /* as the user wrote it, for messages */
    char *target;    /* where symbolic links lead; NULL when written in place */
    char *temp;      /* NULL when written in place (standard output, devices, pipes) */
    bool removed;    /* outfile_abandon_all took the temporary file away; under files_lock */
    int why;         /* errno of the first write that failed */
};

static outfile *files;
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;

/* A signal handler may call outfile_abandon_all: it must not come while this thread holds the lock, for then it would wait for
 * itself. */
static void lock_files(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
    pthread_mutex_lock(&files_lock);
}

static void unlock_files(const sigset_t *before)
{
    pthread_mutex_unlock(&files_lock);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* --- messages --- */

static bool folder_exists(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat st;
    char *folder = slash ? strndup(path, slash > path ? (size_t)(slash - path) : 1) : NULL;
    bool there = slash ? folder && stat(folder, &st) == 0 && S_ISDIR(st.st_mode) : true;
    free(folder);
    return there;
}

static int cannot_write(const char *path, int why, err *e)
{
    switch (why) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        err_errno(e, ERR_RESOURCE, why, "%s: cannot be written", path);
        return err_hint(e, "make room on that disk, or name a file on another one");
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        err_errno(e, ERR_RESOURCE, why, "%s: cannot be written", path);
        return err_hint(e, "close other programs or raise the limits (ulimit -n, ulimit -v)");
    case ENOENT:
        if (folder_exists(path)) { /* as in /proc, where no file can be made */
            err_set(e, ERR_FAILED, "%s: no file can be made in that folder", path);
            return err_hint(e, "name a file in a folder that you may write to");
        }
        err_set(e, ERR_FAILED, "%s: the folder does not exist", path);
        return err_hint(e, "make the folder first (mkdir -p), or name another one");
    case ENOTDIR:
        err_set(e, ERR_FAILED, "%s: part of the path is a file, not a folder", path);
        return err_hint(e, "name a file in a folder that exists");
    case EISDIR:
        err_set(e, ERR_FAILED, "%s: is a directory", path);
        return err_hint(e, "name a file inside it");
    case EACCES:
    case EPERM:
    case EROFS:
        err_errno(e, ERR_FAILED, why, "%s: cannot be written", path);
        return err_hint(e, "name a file in a folder that this user may write to");
    case EPIPE:
        err_errno(e, ERR_FAILED, why, "%s: cannot be written", path);
        return err_hint(e, "the program that reads this output ended first");
    default:
        err_errno(e, ERR_FAILED, why, "%s: cannot be written", path);
        return err_hint(e, "check the path and the disk, or name another file");
    }
}

/* --- the stream --- */

/* The stream stands on these functions, so that the reason of a failed write is known even when stdio
 * found it in the middle of somebody's fprintf. */
static ssize_t stream_write(void *cookie, const char *bytes, size_t n)
{
    outfile *f = cookie;
    size_t done = 0;

    while (done < n) {
        ssize_t w = write(f->fd, bytes + done, n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            if (!f->why)
                f->why = w < 0 ? errno : EIO;
            return done ? (ssize_t)done : 0; /* 0 is how a cookie reports an error */
        }
        done += (size_t)w;
    }
    return (ssize_t)n;
}

static int stream_seek(void *cookie, off64_t *offset, int whence)
{
    outfile *f = cookie;
    off_t at = lseek(f->fd, (off_t)*offset, whence);

    if (at < 0)
        return -1;
    *offset = at;
    return 0;
}

static int open_stream(outfile *f)
{
    cookie_io_functions_t io = {.write = stream_write, .seek = stream_seek};

    f->stream = fopencookie(f, "w", io);
    if (!f->stream)
        return ENOMEM;
    setvbuf(f->stream, NULL, _IOFBF, BUFFER);
    return 0;
}

/* --- names --- */

/* Follow symbolic links of the last component, also when the end does not exist yet. */
static int resolve(char **out, const char *path, err *e)
{
    char *at = mem_strdup(path, e);
    if (!at)
        return ERR_RESOURCE;

    for (int links = 0;; links++) {
        char to[PATH_MAX];
        ssize_t n = readlink(at, to, sizeof to - 1);
        if (n < 0)
            break; /* no link, or nothing there: whoever opens it will say so */
        if (links == MAX_LINKS) {
            free(at);
            return cannot_write(path, ELOOP, e);
        }
        to[n] = '\0';
        const char *slash = strrchr(at, '/');
        size_t folder = to[0] == '/' || !slash ? 0 : (size_t)(slash - at) + 1;
        char *joined = mem_array(folder + (size_t)n + 1, 1, e);
        if (!joined) {
            free(at);
            return ERR_RESOURCE;
        }
        memcpy(joined, at, folder);
        memcpy(joined + folder, to, (size_t)n);
        free(at);
        at = joined;
    }
    *out = at;
    return 0;
}

/* Length of the folder part of path, its slash included. */
static int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

/* Under the lock. */
static void enlist(outfile *f)
{
    f->next = files;
    f->link = &files;
    if (files)
        files->link = &f->next;
    files = f;
}

/* A new file beside the target: ".NAME.PID.tmp", with a number when a crashed process left that one.  Enlisted in the same
 * breath, so that no signal finds it unknown. */
static int open_temp(outfile *f, err *e)
{
    int folder = folder_length(f->target), why = EEXIST;
    size_t size = strlen(f->target) + 64;
    sigset_t before;

    f->temp = mem_array(size, 1, e);
    if (!f->temp)
        return ERR_RESOURCE;
    lock_files(&before);
    for (int i = 0; i < MAX_TRIES && why == EEXIST; i++) {
        char number[16] = "";
        if (i > 0)
            snprintf(number, sizeof number, ".%d", i);
        snprintf(f->temp, size, "%.*s.%.*s.%ld%s.tmp", folder, f->target, NAME_PART, f->target + folder,
                 (long)getpid(), number);
        f->fd = open(f->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        why = f->fd < 0 ? errno : 0;
    }
    if (!why)
        enlist(f);
    unlock_files(&before);
    if (why) {
        free(f->temp);
        f->temp = NULL;
        return cannot_write(f->path, why, e);
    }
    return 0;
}

/* --- registry --- */

static void delist(outfile *f)
{
    sigset_t before;
    lock_files(&before);
    if (f->link) {
        *f->link = f->next;
        if (f->next)
            f->next->link = f->link;
        f->link = NULL;
    }
    unlock_files(&before);
}

void outfile_abandon_all(void)
{
    sigset_t before;
    lock_files(&before);
    for (outfile *f = files; f; f = f->next) {
        if (f->temp && !f->removed) {
            unlink(f->temp);
            f->removed = true;
        }
    }
    unlock_files(&before);
}

/* Close and free without committing; the temporary file goes if it is still there. */
static void dispose(outfile *f)
{
    if (f->temp && !f->removed)
        unlink(f->temp);
    delist(f);
    if (f->stream && f->fd >= 0)
        fclose(f->stream);
    if (f->fd >= 0)
        close(f->fd);
    free(f->temp);
    free(f->target);
    free(f->path);
    free(f);
}

/* --- the interface --- */

/* Open what the path asks for: a temporary file beside a regular or new target, or the device itself. */
static int open_target(outfile *f, err *e)
{
    struct stat st;
    bool exists = stat(f->path, &st) == 0;

    if (!exists && errno != ENOENT)
        return cannot_write(f->path, errno, e);
    if (exists && S_ISDIR(st.st_mode))
        return cannot_write(f->path, EISDIR, e);
    if (exists && !S_ISREG(st.st_mode)) {
        f->fd = open(f->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return f->fd < 0 ? cannot_write(f->path, errno, e) : 0;
    }

    int rc = resolve(&f->target, f->path, e);
    if (rc)
        return rc;
    /* renaming would replace a write-protected file without asking */
    if (exists && access(f->target, W_OK) < 0)
        return cannot_write(f->path, errno, e);

    rc = open_temp(f, e);
    if (rc == 0 && exists) { /* the replacement looks like the old file, as far as this user may do that */
        if (fchown(f->fd, st.st_uid, st.st_gid) < 0)
            st.st_mode &= ~(mode_t)(S_ISUID | S_ISGID);
        (void)fchmod(f->fd, st.st_mode & 07777);
    }
    return rc;
}

int outfile_open(outfile **out, const char *path, err *e)
{
    if (!*path) {
        err_set(e, ERR_USAGE, "empty name of an output file");
        return err_hint(e, "name a file, or - for standard output");
    }

    outfile *f = mem_array(1, sizeof *f, e);
    if (!f)
        return ERR_RESOURCE;
    f->fd = -1;

    int rc = ERR_RESOURCE;
    bool standard = strcmp(path, "-") == 0;
    f->path = mem_strdup(standard ? "standard output" : path, e);
    if (!f->path)
        goto fail;
    if (standard) {
        f->stream = stdout;
    } else {
        rc = open_target(f, e);
        if (rc)
            goto fail;
        int why = open_stream(f);
        if (why) {
            rc = cannot_write(path, why, e);
            goto fail;
        }
    }
    *out = f;
    return 0;

fail:
    dispose(f);
    return rc;
}

FILE *outfile_stream(outfile *f)
{
    return f->stream;
}

int outfile_write(outfile *f, const void *bytes, size_t n, err *e)
{
    if (n == 0)
        return 0;
    errno = 0;
    if (fwrite(bytes, 1, n, f->stream) == n)
        return 0;
    return cannot_write(f->path, f->why ? f->why : errno ? errno : EIO, e);
}

int outfile_seek(outfile *f, uint64_t at, err *e)
{
    if (f->stream == stdout)
        return cannot_write(f->path, ESPIPE, e);
    errno = 0;
    if (fseeko(f->stream, (off_t)at, SEEK_SET) == 0) /* writes what is waiting, so it can find a full disk */
        return 0;
    return cannot_write(f->path, f->why ? f->why : errno ? errno : EIO, e);
}

/* Everything to the disk; errno of the first failure, 0 for success. */
static int flush_all(outfile *f)
{
    bool broken = ferror(f->stream) != 0;

    errno = 0;
    if (fflush(f->stream) != 0 || broken)
        return f->why ? f->why : errno ? errno : EIO;
    if (f->temp && fsync(f->fd) < 0 && errno != EINVAL && errno != ENOTSUP)
        return errno;
    return 0;
}

/* The rename itself survives a power failure only when the folder is flushed too. */
static void sync_folder(const char *target)
{
    char folder[PATH_MAX];
    int n = folder_length(target);

    if (n >= (int)sizeof folder)
        return;
    snprintf(folder, sizeof folder, "%.*s", n ? n : 1, n ? target : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

int outfile_commit(outfile *f, err *e)
{
    int rc = 0, why = flush_all(f);
    sigset_t before;

    if (why == 0 && f->fd >= 0) {
        FILE *stream = f->stream;
        f->stream = NULL;
        (void)fclose(stream); /* nothing is left in its buffer */
        if (close(f->fd) < 0 && errno != EINTR)
            why = errno;
        f->fd = -1;
    }
    lock_files(&before);
    if (why == 0 && f->temp) {
        if (f->removed) {
            rc = err_set(e, ERR_FAILED, "%s: not written: the program is ending", f->path);
        } else if (rename(f->temp, f->target) < 0) {
            why = errno;
        } else {
            f->removed = true;
            sync_folder(f->target);
        }
    }
    unlock_files(&before);
    if (why)
        rc = cannot_write(f->path, why, e);
    dispose(f);
    return rc;
}

void outfile_abandon(outfile *f)
{
    if (f)
        dispose(f);
}

static int make_one(const char *path, const char *whole, err *e)
{
    struct stat st;

    if (mkdir(path, 0777) == 0)
        return 0;
    int why = errno;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return 0;
        err_set(e, ERR_FAILED, "%s: %s is a file, not a folder", whole, path);
        return err_hint(e, "name another folder");
    }
    return cannot_write(whole, why, e);
}

int make_directories(const char *path, err *e)
{
    int rc = 0;

    if (!*path)
        return 0;
    char *part = mem_strdup(path, e);
    if (!part)
        return ERR_RESOURCE;
    for (char *s = part + 1; *s && rc == 0; s++) {
        if (*s != '/')
            continue;
        *s = '\0';
        rc = make_one(part, path, e);
        *s = '/';
    }
    if (rc == 0)
        rc = make_one(part, path, e);
    free(part);
    return rc;
}
