#include "cli/standard_out.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/strbuf.h"

static int first_errno;

static strbuf held;
static bool holding;

/* False: it was not kept. */
static bool hold(const char *bytes, size_t n)
{
    if (!holding)
        return false;
    size_t before = held.len;
    strbuf_add(&held, bytes, n);
    if (!held.failed)
        return true;
    holding = false;
    standard_out_write(held.s, before);
    strbuf_free(&held);
    held = (strbuf){0};
    return false;
}

void standard_out_hold(void)
{
    holding = true;
}

char *standard_out_release(size_t *n)
{
    char *text = held.s;
    *n = held.len;
    held = (strbuf){0};
    holding = false;
    return text;
}

static ssize_t write_all(void *cookie, const char *bytes, size_t n)
{
    size_t done = 0;
    (void)cookie;
    if (hold(bytes, n))
        return (ssize_t)n;
    while (done < n) {
        ssize_t w = write(STDOUT_FILENO, bytes + done, n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            if (!first_errno)
                first_errno = w < 0 ? errno : EIO;
            return (ssize_t)done;
        }
        done += (size_t)w;
    }
    return (ssize_t)n;
}

void standard_out_write(const char *bytes, size_t n)
{
    bool was = holding;
    holding = false;
    write_all(NULL, bytes, n);
    holding = was;
}

int standard_out_open(FILE **out, err *e)
{
    first_errno = 0;
    *out = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_all});
    if (!*out)
        return err_errno(e, ERR_FAILED, errno, "cannot open standard output");
    if (isatty(STDOUT_FILENO))
        setvbuf(*out, NULL, _IOLBF, BUFSIZ);
    else
        setvbuf(*out, NULL, _IOFBF, 1 << 16);
    return 0;
}

int standard_out_errno(void)
{
    return first_errno;
}

bool standard_out_closed(void)
{
    return first_errno == EPIPE;
}
