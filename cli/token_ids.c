#include "cli/token_ids.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "analysis/reference.h"
#include "base/mapfile.h"
#include "base/mem.h"
#include "base/npz.h"
#include "base/param.h"

#define MAX_IDS_BYTES ((size_t)64 << 20)
#define ID_BLANKS " \t\r\n[]"
#define ID_SEPARATORS "," ID_BLANKS

static bool has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n > m && strcmp(s + n - m, suffix) == 0;
}

/* Ids of an integer array [n] or [1, n]. */
static int ids_from_npy(int32_t **ids, int64_t *n, const npy *a, const char *where, err *e)
{
    for (int d = 0; d + 1 < a->n_dim; d++)
        if (a->shape[d] != 1)
            return err_set(e, ERR_INPUT, "%s: the array has %d dimensions; token ids are one row", where,
                           a->n_dim);
    if (a->dtype == NPY_F32 || a->dtype == NPY_F64 || a->dtype == NPY_F16 || a->dtype == NPY_BOOL)
        return err_set(e, ERR_INPUT, "%s: the array is %s; token ids are integers", where,
                       npy_dtype_name(a->dtype));
    int32_t *v = mem_array((size_t)a->count, sizeof *v, e);
    if (!v)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < a->count; i++) {
        int64_t id;
        if (!npy_int(&id, a, i) || id < 0 || id > INT32_MAX) {
            free(v);
            return err_set(e, ERR_INPUT, "%s: element %" PRId64 " is no token id", where, i);
        }
        v[i] = (int32_t)id;
    }
    *ids = v;
    *n = a->count;
    return 0;
}

static int refuse_text(const char *file, const char *option, const char *s, size_t len, err *e)
{
    int rc;
    if (len)
        rc = err_set(e, file ? ERR_INPUT : ERR_USAGE, "%s: '%.*s' is no token id", file ? file : option,
                     (int)(len < 40 ? len : 40), s);
    else
        rc = err_set(e, file ? ERR_INPUT : ERR_USAGE, "%s: a token id is missing at a comma", file ? file : option);
    if (file)
        err_hint(e, "the file must hold numbers separated by commas, blanks or line ends");
    else
        err_hint(e, "give numbers separated by commas (%s 0,17,42) or a file (%s ids.npy)", option, option);
    return rc;
}

/* "0, 17 42" or "[0, 17, 42]"; a comma stands between two numbers.  file: where the text is from, NULL for an
 * option of the command line. */
static int ids_from_text(int32_t **ids, int64_t *n, const char *text, const char *file, const char *option,
                         err *e)
{
    size_t cap = strlen(text) / 2 + 1;
    int32_t *v = mem_array(cap, sizeof *v, e);
    if (!v)
        return ERR_RESOURCE;
    int64_t count = 0;
    int rc = 0;
    bool number = false, comma = false; /* what came last */
    for (const char *s = text + strspn(text, ID_BLANKS); *s && !rc; s += strspn(s, ID_BLANKS)) {
        if (*s == ',') {
            if (!number)
                rc = refuse_text(file, option, s, 0, e);
            number = false;
            comma = true;
            s++;
            continue;
        }
        char word[24];
        size_t len = strcspn(s, ID_SEPARATORS);
        int64_t id = 0;
        if (len < sizeof word) {
            memcpy(word, s, len);
            word[len] = '\0';
        }
        if (len >= sizeof word || !parse_int(&id, word) || id < 0 || id > INT32_MAX)
            rc = refuse_text(file, option, s, len, e);
        else
            v[count++] = (int32_t)id;
        number = true;
        comma = false;
        s += len;
    }
    if (!rc && comma)
        rc = refuse_text(file, option, "", 0, e);
    if (rc) {
        free(v);
        return rc;
    }
    *ids = v;
    *n = count;
    return 0;
}

static int ids_from_file(int32_t **ids, int64_t *n, const char *path, err *e)
{
    char *text;
    size_t size;
    int rc = read_file(&text, &size, path, MAX_IDS_BYTES, e);
    if (rc)
        return rc;
    if (strlen(text) != size) {
        rc = err_set(e, ERR_INPUT, "%s: holds a NUL byte: it is no text file of token ids", path);
        err_hint(e, "name a file of numbers in text, or a NumPy array by its .npy");
    } else {
        rc = ids_from_text(ids, n, text, path, NULL, e);
    }
    free(text);
    return rc;
}

int token_ids_parse(int32_t **ids, int64_t *n, const char *text, const char *option, err *e)
{
    bool named = text[0] == '@' && text[1]; /* @FILE, as the command language has it */
    text += named;
    if (has_suffix(text, ".npz"))
        return reference_ids(ids, n, text, e);
    if (!has_suffix(text, ".npy")) {
        bool numbers = text[strspn(text, "0123456789" ID_SEPARATORS)] == '\0';
        if (named || (!numbers && access(text, F_OK) == 0))
            return ids_from_file(ids, n, text, e);
        return ids_from_text(ids, n, text, NULL, option, e);
    }
    npy a = {0};
    int rc = npy_load(&a, text, e);
    if (!rc)
        rc = ids_from_npy(ids, n, &a, text, e);
    npy_free(&a);
    return rc;
}
