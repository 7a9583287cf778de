#include "base/mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "base/near_file.h"
#include "base/strbuf.h"

/* --- live maps, as the signal handler sees them --- */

/* A slot is used again after its map was closed but never freed, so the handler can walk the list at any
 * moment.  start is stored last and cleared first. */
typedef struct slot {
    struct slot *next;
    atomic_uintptr_t start;
    size_t size;
    char *message; /* what the handler writes */
} slot;

static _Atomic(slot *) slots;
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous; /* under slots_lock */

/* Reading a page behind the end of a file that shrank raises SIGBUS.  Nothing can be continued from
 * there: say why and leave, as for any damaged file. */
static void on_bus_error(int sig, siginfo_t *info, void *context)
{
    (void)context;
    uintptr_t at = (uintptr_t)info->si_addr;

    if (info->si_code > 0) {
        for (slot *s = atomic_load(&slots); s; s = s->next) {
            uintptr_t start = atomic_load(&s->start);
            if (start && at >= start && at - start < s->size) {
                for (const char *m = s->message; *m;) {
                    ssize_t n = write(STDERR_FILENO, m, strlen(m));
                    if (n <= 0)
                        break;
                    m += n;
                }
                _exit(ERR_INPUT);
            }
        }
    }
    /* not ours: returning repeats the fault under the previous handling */
    sigaction(SIGBUS, &previous, NULL);
    if (info->si_code <= 0)
        raise(sig);
}

/* Checked with every map: another library may have put its own handler there in the meantime. */
static void install_handler(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK}, now;

    if (sigaction(SIGBUS, NULL, &now) < 0 ||
        ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_bus_error))
        return;
    sigemptyset(&action.sa_mask);
    previous = now;
    (void)sigaction(SIGBUS, &action, NULL);
}

static int watch(const mapfile *m, const char *path, err *e)
{
    strbuf text = {0};
    strbuf_puts(&text, "attnscope: ");
    strbuf_put_visible(&text, path, strlen(path));
    strbuf_puts(&text, ": file became shorter while it was being read\n"
                       "hint: let the program that writes it finish, then run the command again\n");
    char *message = strbuf_take(&text, e);
    if (!message)
        return ERR_RESOURCE;

    pthread_mutex_lock(&slots_lock);
    install_handler();
    slot *s = atomic_load(&slots);
    while (s && atomic_load(&s->start))
        s = s->next;
    if (!s) {
        s = mem_array(1, sizeof *s, e);
        if (!s) {
            pthread_mutex_unlock(&slots_lock);
            free(message);
            return ERR_RESOURCE;
        }
        s->next = atomic_load(&slots);
        atomic_store(&slots, s);
    }
    s->size = m->size;
    s->message = message;
    atomic_store(&s->start, (uintptr_t)m->data);
    pthread_mutex_unlock(&slots_lock);
    return 0;
}

static void unwatch(const mapfile *m)
{
    pthread_mutex_lock(&slots_lock);
    for (slot *s = atomic_load(&slots); s; s = s->next) {
        if (atomic_load(&s->start) == (uintptr_t)m->data) {
            atomic_store(&s->start, 0);
            free(s->message);
            s->message = NULL;
            break;
        }
    }
    pthread_mutex_unlock(&slots_lock);
}

/* --- opening --- */

static int cannot_read(const char *path, int why, err *e)
{
    switch (why) {
    case ENOENT:
    case ENOTDIR:
        if (!*path)
            err_set(e, ERR_INPUT, "empty file name");
        else
            err_set(e, ERR_INPUT, "%s: no such file", path);
        return near_file_hint(e, path, "check the path; relative paths start in the current directory");
    case EACCES:
    case EPERM:
        err_set(e, ERR_INPUT, "%s: permission denied", path);
        return err_hint(e, "make the file readable for this user");
    case EISDIR:
        err_set(e, ERR_INPUT, "%s: is a directory", path);
        return err_hint(e, "name a file inside it");
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        err_errno(e, ERR_RESOURCE, why, "%s", path);
        return err_hint(e, "close other programs or raise the limits (ulimit -n, ulimit -v)");
    default:
        err_errno(e, ERR_INPUT, why, "%s: cannot be read", path);
        return err_hint(e, "check the file and the disk it is on");
    }
}

/* A descriptor on a file that is no directory. */
static int open_file(int *fd, struct stat *st, const char *path, int flags, err *e)
{
    do
        *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags);
    while (*fd < 0 && errno == EINTR && !cancel_requested());
    if (*fd < 0)
        return errno == EINTR ? cancel_check(e) : cannot_read(path, errno, e);

    int why = fstat(*fd, st) < 0 ? errno : S_ISDIR(st->st_mode) ? EISDIR : 0;
    if (why) {
        close(*fd);
        return cannot_read(path, why, e);
    }
    return 0;
}

int mapfile_open(mapfile *out, const char *path, err *e)
{
    struct stat st;
    int fd;
    int rc = open_file(&fd, &st, path, O_NONBLOCK, e); /* so that a FIFO does not wait for a writer */
    if (rc)
        return rc;

    mapfile m = {
        .size = (size_t)st.st_size,
        .device = (uint64_t)st.st_dev,
        .inode = (uint64_t)st.st_ino,
        .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        .ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec,
    };
    if (!S_ISREG(st.st_mode)) {
        err_set(e, ERR_INPUT, "%s: not a regular file", path);
        rc = err_hint(e, "copy its content to a file first");
        goto out;
    }
    if ((uintmax_t)st.st_size > PTRDIFF_MAX) {
        err_set(e, ERR_INPUT, "%s: too large for this machine", path);
        rc = err_hint(e, "use a machine with 64-bit addresses");
        goto out;
    }
    if (m.size > 0) {
        void *data = mmap(NULL, m.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            rc = cannot_read(path, errno, e);
            goto out;
        }
        m.data = data;
        rc = watch(&m, path, e);
        if (rc) {
            munmap(data, m.size);
            goto out;
        }
    }
    *out = m;

out:
    close(fd);
    return rc;
}

void mapfile_close(mapfile *m)
{
    if (m->data) {
        unwatch(m);
        munmap((void *)m->data, m->size);
    }
    *m = (mapfile){0};
}

/* Everything up to the end of the file, at most max bytes, into a block that the caller frees. */
static int read_all(char **text, size_t *len, int fd, size_t cap, size_t max, const char *path, err *e)
{
    for (;;) {
        if (!*text || *len + 1 == cap) { /* one byte stays free for the NUL */
            cap = *text ? 2 * cap : cap;
            char *more = mem_grow(*text, cap, 1, e);
            if (!more)
                return ERR_RESOURCE;
            *text = more;
        }
        ssize_t n = read(fd, *text + *len, cap - 1 - *len);
        if (n < 0 && errno == EINTR && !cancel_requested())
            continue;
        if (n < 0)
            return errno == EINTR ? cancel_check(e) : cannot_read(path, errno, e);
        if (n == 0)
            return 0;
        *len += (size_t)n;
        if (*len > max) {
            err_set(e, ERR_INPUT, "%s: larger than %zu bytes", path, max);
            return err_hint(e, "this is probably not the file that was meant");
        }
    }
}

int read_file(char **out, size_t *size, const char *path, size_t max, err *e)
{
    struct stat st;
    size_t len = 0;
    char *text = NULL;
    int fd;
    int rc = open_file(&fd, &st, path, 0, e); /* FIFOs too, as the shell's <(command) gives */
    if (rc)
        return rc;

    /* one byte for the NUL and one to see the end without growing */
    bool sized = S_ISREG(st.st_mode) && (uintmax_t)st.st_size <= max && st.st_size < PTRDIFF_MAX / 2;
    rc = read_all(&text, &len, fd, sized ? (size_t)st.st_size + 2 : 4096, max, path, e);
    close(fd);
    if (rc) {
        free(text);
        return rc;
    }
    text[len] = '\0';
    *out = text;
    if (size)
        *size = len;
    return 0;
}
