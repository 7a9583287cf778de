#include "cli/standard_out.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int first_errno;

static ssize_t write_all(void *cookie, const char *bytes, size_t n)
{
    size_t done = 0;
    (void)cookie;
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

int standard_out_open(FILE **out, err *e)
{
    first_errno = 0;
    *out = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_all});
    if (!*out)
        return err_set(e, ERR_FAILED, "cannot open standard output: %s", strerror(errno));
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
