#include "base/gzip.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>
#include "base/mem.h"

bool gzip_begins(const void *bytes, size_t n)
{
    const unsigned char *b = bytes;
    return n >= 2 && b[0] == 0x1f && b[1] == 0x8b;
}

/* Room for more: twice as much, at most max and the NUL. */
static int grow(char **text, size_t *cap, size_t max, err *e)
{
    size_t more = *cap > max / 2 ? max + 1 : 2 * *cap;
    if (*cap > max)
        return err_set(e, ERR_INPUT, "holds more than %zu MiB when unpacked", max >> 20);
    char *grown = mem_grow(*text, more, 1, e);
    if (!grown)
        return ERR_RESOURCE;
    *text = grown;
    *cap = more;
    return 0;
}

int gzip_unpack(char **out, size_t *size, const void *bytes, size_t n, size_t max, err *e)
{
    z_stream z = {0};
    size_t cap = (size_t)1 << 16, at = 0, len = 0;
    bool done = false;
    char *text = mem_array(cap, 1, e);
    if (!text)
        return ERR_RESOURCE;
    int rc = inflateInit2(&z, 16 + MAX_WBITS) == Z_OK ? 0 : err_nomem(e, "unpacking");
    while (!rc && !(done && at == n)) {
        if (done && inflateReset(&z) != Z_OK) /* another member follows */
            rc = err_nomem(e, "unpacking");
        if (!rc && cap - len < 2)
            rc = grow(&text, &cap, max, e);
        if (rc)
            break;
        size_t in = n - at < INT_MAX ? n - at : INT_MAX, room = cap - len - 1 < INT_MAX ? cap - len - 1 : INT_MAX;
        z.next_in = (Bytef *)(uintptr_t)bytes + at;
        z.avail_in = (uInt)in;
        z.next_out = (Bytef *)text + len;
        z.avail_out = (uInt)room;
        int status = inflate(&z, Z_NO_FLUSH);
        at += in - z.avail_in;
        len += room - z.avail_out;
        done = status == Z_STREAM_END;
        if (status == Z_MEM_ERROR)
            rc = err_nomem(e, "unpacking");
        else if (status != Z_OK && !done && !(status == Z_BUF_ERROR && z.avail_out == 0))
            rc = err_set(e, ERR_INPUT, at == n ? "is cut off: the gzip data ends early" : "holds damaged gzip data");
    }
    inflateEnd(&z);
    if (!rc && len > max)
        rc = err_set(e, ERR_INPUT, "holds more than %zu MiB when unpacked", max >> 20);
    if (rc) {
        free(text);
        return rc;
    }
    text[len] = '\0';
    *out = text;
    *size = len;
    return 0;
}
