#include "analysis/matrix_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mapfile.h"
#include "base/mem.h"
#include "base/npz.h"
#include "base/param.h"

static int load_npy(float **cells, int64_t *rows, int64_t *cols, const char *path, err *e)
{
    npy a;
    int rc = npy_load(&a, path, e);
    if (rc)
        return rc;
    if (a.n_dim != 2 || a.count == 0 || a.count > MATRIX_FILE_MAX) {
        npy_free(&a);
        err_set(e, ERR_INPUT, "%s: no matrix of at most %d cells", path, MATRIX_FILE_MAX);
        return err_hint(e, "an array of two dimensions is wanted, queries by keys");
    }
    *cells = mem_array((size_t)a.count, sizeof **cells, e);
    rc = *cells ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < a.count && !rc; i++) {
        (*cells)[i] = (float)npy_real(&a, i);
        if (!isfinite((*cells)[i]))
            rc = err_set(e, ERR_INPUT, "%s: cell [%lld, %lld] is not a finite number", path,
                         (long long)(i / a.shape[1]), (long long)(i % a.shape[1]));
    }
    *rows = a.shape[0];
    *cols = a.shape[1];
    npy_free(&a);
    return rc;
}

typedef struct cell_list { float *x; size_t n, cap; } cell_list;

static int add_cell(cell_list *l, double v, err *e)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 4096;
        float *more = mem_grow(l->x, cap, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        l->x = more;
        l->cap = cap;
    }
    l->x[l->n++] = (float)v;
    return 0;
}

/* One line [s, end): its numbers; *n: how many. */
static int read_line(cell_list *l, int64_t *n, const char *s, const char *end, const char *path, long line,
                     err *e)
{
    int rc = 0;
    for (*n = 0; s < end && !rc; ) {
        char word[64];
        size_t len = 0;
        double v;
        if (memchr(",; \t\r", *s, 5)) {
            s++;
            continue;
        }
        while (s + len < end && !memchr(",; \t\r", s[len], 5))
            len++;
        bool fits = len < sizeof word;
        if (fits) {
            memcpy(word, s, len);
            word[len] = '\0';
        }
        if (!fits || !parse_real(&v, word) || !isfinite((float)v))
            return err_set(e, ERR_INPUT, "%s:%ld: '%.*s' is no number", path, line,
                           (int)(len < 40 ? len : 40), s);
        rc = l->n < MATRIX_FILE_MAX ? add_cell(l, v, e)
                                    : err_set(e, ERR_INPUT, "%s: more than %d cells", path, MATRIX_FILE_MAX);
        s += len;
        ++*n;
    }
    return rc;
}

static int load_text(float **cells, int64_t *rows, int64_t *cols, const char *path, err *e)
{
    mapfile f;
    cell_list l = {0};
    int rc = mapfile_open(&f, path, e);
    if (rc)
        return rc;
    long line = 1;
    *rows = *cols = 0;
    for (const char *s = (const char *)f.data, *end = f.size ? s + f.size : s; s < end && !rc; line++) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        int64_t n = 0;
        stop = stop ? stop : end;
        if (*s != '#')
            rc = read_line(&l, &n, s, stop, path, line, e);
        if (!rc && n > 0 && *rows > 0 && n != *cols)
            rc = err_set(e, ERR_INPUT, "%s:%ld: %lld numbers where the rows before have %lld", path, line,
                         (long long)n, (long long)*cols);
        if (n > 0) {
            *cols = n;
            ++*rows;
        }
        s = stop + (stop < end);
    }
    mapfile_close(&f);
    if (!rc && *rows == 0)
        rc = err_set(e, ERR_INPUT, "%s: no numbers in it", path);
    if (rc)
        free(l.x);
    else
        *cells = l.x;
    return rc;
}

int matrix_load(float **cells, int64_t *rows, int64_t *cols, const char *path, err *e)
{
    size_t n = strlen(path);
    bool npy_file = n > 4 && strcmp(path + n - 4, ".npy") == 0;
    *cells = NULL;
    int rc = npy_file ? load_npy(cells, rows, cols, path, e) : load_text(cells, rows, cols, path, e);
    if (rc) {
        free(*cells);
        *cells = NULL;
    }
    return rc;
}
