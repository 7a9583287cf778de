#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mapfile.h"
#include "base/mem.h"
#include "base/npy_format.h"
#include "base/npz.h"
#include "base/outfile.h"

static const struct dtype {
    const char *name, *descr; /* ours, and NumPy's behind the byte order */
    size_t size;
} dtypes[] = {
    [NPY_F32] = {"f32", "f4", 4}, [NPY_F64] = {"f64", "f8", 8}, [NPY_F16] = {"f16", "f2", 2},
    [NPY_I64] = {"i64", "i8", 8}, [NPY_I32] = {"i32", "i4", 4}, [NPY_I16] = {"i16", "i2", 2},
    [NPY_I8] = {"i8", "i1", 1},   [NPY_U64] = {"u64", "u8", 8}, [NPY_U32] = {"u32", "u4", 4},
    [NPY_U16] = {"u16", "u2", 2}, [NPY_U8] = {"u8", "u1", 1},   [NPY_BOOL] = {"bool", "b1", 1},
};
enum { N_DTYPE = sizeof dtypes / sizeof *dtypes, MAGIC = 6 };

static const char magic[] = "\x93NUMPY";

size_t npy_dtype_size(npy_dtype d)
{
    assert((unsigned)d < N_DTYPE);
    return dtypes[d].size;
}

const char *npy_dtype_name(npy_dtype d)
{
    assert((unsigned)d < N_DTYPE);
    return dtypes[d].name;
}

/* --- elements --- */

static double half_to_double(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double v;

    if (exponent == 31)
        v = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        v = ldexp(fraction, -24);
    else
        v = ldexp(1024 + fraction, exponent - 25);
    return h & 0x8000 ? -v : v;
}

/* An integer element; false for the floating-point kinds and for a u64 beyond int64. */
static bool integer_at(int64_t *out, npy_dtype d, const unsigned char *at)
{
    int32_t i32;
    int16_t i16;
    uint32_t u32;
    uint16_t u16;

    switch (d) {
    case NPY_I64: memcpy(out, at, 8); return true;
    case NPY_I32: memcpy(&i32, at, 4); *out = i32; return true;
    case NPY_I16: memcpy(&i16, at, 2); *out = i16; return true;
    case NPY_I8: *out = (signed char)*at; return true;
    case NPY_U64: memcpy(out, at, 8); return *out >= 0;
    case NPY_U32: memcpy(&u32, at, 4); *out = u32; return true;
    case NPY_U16: memcpy(&u16, at, 2); *out = u16; return true;
    case NPY_U8: *out = *at; return true;
    case NPY_BOOL: *out = *at != 0; return true;
    case NPY_F32:
    case NPY_F64:
    case NPY_F16: break;
    }
    return false;
}

double npy_real(const npy *a, int64_t i)
{
    assert(i >= 0 && i < a->count);
    const unsigned char *at = (const unsigned char *)a->data + (size_t)i * npy_dtype_size(a->dtype);
    int64_t whole;
    double f64;
    float f32;
    uint16_t f16;

    if (integer_at(&whole, a->dtype, at))
        return (double)whole;
    if (a->dtype == NPY_U64) {
        uint64_t u64;
        memcpy(&u64, at, 8);
        return (double)u64;
    }
    if (a->dtype == NPY_F64) {
        memcpy(&f64, at, 8);
        return f64;
    }
    if (a->dtype == NPY_F32) {
        memcpy(&f32, at, 4);
        return (double)f32;
    }
    memcpy(&f16, at, 2);
    return half_to_double(f16);
}

bool npy_int(int64_t *out, const npy *a, int64_t i)
{
    assert(i >= 0 && i < a->count);
    const unsigned char *at = (const unsigned char *)a->data + (size_t)i * npy_dtype_size(a->dtype);

    if (integer_at(out, a->dtype, at))
        return true;
    if (a->dtype == NPY_U64)
        return false;
    double v = npy_real(a, i);
    if (!(v >= -0x1p63 && v < 0x1p63) || v != trunc(v))
        return false;
    *out = (int64_t)v;
    return true;
}

void npy_free(npy *a)
{
    free(a->owned);
    *a = (npy){0};
}

/* --- reading the header: a Python dict of three entries --- */

typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_blanks(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool take(cursor *c, char what)
{
    skip_blanks(c);
    if (c->at == c->end || *c->at != what)
        return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    size_t n = strlen(word);

    skip_blanks(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0)
        return false;
    c->at += n;
    return true;
}

/* A string in single or double quotes without escapes, of fewer than size characters. */
static bool take_string(cursor *c, char *out, size_t size)
{
    char quote = '\'';
    size_t n = 0;

    if (!take(c, quote) && !take(c, quote = '"'))
        return false;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (n + 1 == size || *c->at == '\\' || *c->at == '\0')
            return false;
        out[n++] = *c->at;
    }
    out[n] = '\0';
    return take(c, quote);
}

static int damaged(err *e, const char *what)
{
    err_set(e, ERR_INPUT, "%s", what);
    return err_hint(e, "the file is damaged or incomplete: write it again, for example with numpy.save");
}

static int bad_header(err *e)
{
    return damaged(e, "the NPY header is damaged");
}

static int take_descr(cursor *c, npy_dtype *out, err *e)
{
    char text[32];

    skip_blanks(c);
    if (c->at < c->end && *c->at == '[') {
        err_set(e, ERR_INPUT, "arrays of records are not supported");
        return err_hint(e, "save each field as an array of its own");
    }
    if (!take_string(c, text, sizeof text))
        return bad_header(e);
    for (int d = 0; text[0] && d < N_DTYPE; d++) {
        if (strcmp(text + 1, dtypes[d].descr) != 0)
            continue;
        if (text[0] == '<' || (dtypes[d].size == 1 && strchr("|>=", text[0]))) {
            *out = (npy_dtype)d;
            return 0;
        }
        if (text[0] == '>') {
            err_set(e, ERR_INPUT, "big-endian elements ('%s') are not supported", text);
            return err_hint(e, "convert the array with astype('<%s')", text + 1);
        }
    }
    err_set(e, ERR_INPUT, "element type '%s' is not supported", text);
    return err_hint(e, "use f2, f4, f8, i1, i2, i4, i8, u1, u2, u4, u8 or bool, little-endian");
}

static int too_many_dims(err *e)
{
    err_set(e, ERR_INPUT, "arrays of more than %d dimensions are not supported", NPY_MAX_DIM);
    return err_hint(e, "reshape the array");
}

static int take_shape(cursor *c, npy *a, err *e)
{
    if (!take(c, '('))
        return bad_header(e);
    for (a->n_dim = 0; !take(c, ')');) {
        int64_t v = 0;
        skip_blanks(c);
        const char *first = c->at;
        for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
            if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *c->at - '0', &v))
                return damaged(e, "the shape in the NPY header is too large");
        }
        if (c->at == first)
            return bad_header(e);
        if (a->n_dim == NPY_MAX_DIM)
            return too_many_dims(e);
        a->shape[a->n_dim++] = v;
        (void)take(c, 'L'); /* Python 2 wrote its long integers so */
        if (!take(c, ',')) {
            /* (3) is a number in Python, (3,) a tuple */
            if (a->n_dim < 2 || !take(c, ')'))
                return bad_header(e);
            break;
        }
    }
    return 0;
}

/* The dict: each of the three keys exactly once, nothing else, then padding. */
static int parse_dict(npy *a, bool *fortran, cursor *c, err *e)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    unsigned seen = 0;
    char key[16];

    if (!take(c, '{'))
        return bad_header(e);
    while (!take(c, '}')) {
        if (!take_string(c, key, sizeof key) || !take(c, ':'))
            return bad_header(e);
        unsigned which = strcmp(key, "descr") == 0           ? DESCR
                         : strcmp(key, "fortran_order") == 0 ? ORDER
                         : strcmp(key, "shape") == 0         ? SHAPE
                                                             : 0;
        if (which == 0 || (seen & which))
            return bad_header(e);
        seen |= which;

        int rc = 0;
        if (which == DESCR)
            rc = take_descr(c, &a->dtype, e);
        else if (which == SHAPE)
            rc = take_shape(c, a, e);
        else if (!(*fortran = take_word(c, "True")) && !take_word(c, "False"))
            rc = bad_header(e);
        if (rc)
            return rc;
        if (!take(c, ',')) {
            if (!take(c, '}'))
                return bad_header(e);
            break;
        }
    }
    skip_blanks(c);
    return seen == (DESCR | ORDER | SHAPE) && c->at == c->end ? 0 : bad_header(e);
}

int npy_check_shape(int64_t *count, size_t *data_bytes, npy_dtype d, int n_dim, const int64_t *shape, err *e)
{
    int64_t product = 1;
    bool empty = false;

    if (n_dim < 0 || n_dim > NPY_MAX_DIM)
        return too_many_dims(e);
    /* Dimensions beside a 0 count too: whoever multiplies some of them must not overflow either. */
    for (int i = 0; i < n_dim; i++) {
        if (shape[i] < 0)
            return damaged(e, "a dimension is negative");
        empty = empty || shape[i] == 0;
        if (shape[i] != 0 && __builtin_mul_overflow(product, shape[i], &product))
            return damaged(e, "the shape is too large");
    }
    int64_t bytes;
    if (__builtin_mul_overflow(product, (int64_t)npy_dtype_size(d), &bytes) || bytes > PTRDIFF_MAX)
        return damaged(e, "the shape is too large");
    *count = empty ? 0 : product;
    *data_bytes = empty ? 0 : (size_t)bytes;
    return 0;
}

static void copy_element(unsigned char *to, const unsigned char *from, size_t size)
{
    switch (size) { /* constant sizes: each copy is one instruction */
    case 8: memcpy(to, from, 8); break;
    case 4: memcpy(to, from, 4); break;
    case 2: memcpy(to, from, 2); break;
    default: *to = *from;
    }
}

/* Transpose [columns, rows], columns `from_step` elements apart, to [rows, columns], rows `to_step` apart, in squares
 * that stay in the cache. */
static void transpose(unsigned char *to, int64_t to_step, const unsigned char *from, int64_t from_step, int64_t rows,
                      int64_t columns, size_t size)
{
    enum { SQUARE = 32 };
    for (int64_t r0 = 0; r0 < rows; r0 += SQUARE) {
        int64_t r1 = rows - r0 < SQUARE ? rows : r0 + SQUARE;
        for (int64_t c0 = 0; c0 < columns; c0 += SQUARE) {
            int64_t c1 = columns - c0 < SQUARE ? columns : c0 + SQUARE;
            for (int64_t r = r0; r < r1; r++)
                for (int64_t c = c0; c < c1; c++)
                    copy_element(to + (size_t)(r * to_step + c) * size, from + (size_t)(c * from_step + r) * size,
                                 size);
        }
    }
}

/* Copy an array of at least two dimensions, in column-major order, into a block of its own.  The first dimension is
 * contiguous in the file and the last one in the copy; those between them are walked in the order of the copy. */
static int to_row_major(npy *a, err *e)
{
    size_t size = npy_dtype_size(a->dtype);
    int last = a->n_dim - 1;
    int64_t first = a->shape[0], columns = a->shape[last], middle = 1, at[NPY_MAX_DIM] = {0};
    unsigned char *block = mem_array((size_t)a->count, size, e);

    if (!block)
        return ERR_RESOURCE;
    for (int i = 1; i < last; i++)
        middle *= a->shape[i];
    for (int64_t m = 0; a->count && m < middle; m++) {
        int64_t from = 0, step = first;
        for (int i = 1; i < last; i++) {
            from += at[i] * step;
            step *= a->shape[i];
        }
        transpose(block + (size_t)(m * columns) * size, middle * columns,
                  (const unsigned char *)a->data + (size_t)from * size, step, first, columns, size);
        for (int i = last - 1; i >= 1 && ++at[i] == a->shape[i]; i--)
            at[i] = 0;
    }
    a->data = a->owned = block;
    return 0;
}

int npy_parse(npy *out, const void *bytes, size_t size, err *e)
{
    const unsigned char *b = bytes;
    npy a = {0};
    bool fortran = false;

    if (size < MAGIC + 4 || memcmp(b, magic, MAGIC) != 0) {
        err_set(e, ERR_INPUT, "not a NumPy array (NPY) file");
        return err_hint(e, "write it with numpy.save or numpy.savez");
    }
    if (b[6] < 1 || b[6] > 3 || b[7] != 0) {
        err_set(e, ERR_INPUT, "NPY format %d.%d is not supported (1.0 to 3.0 are)", b[6], b[7]);
        return err_hint(e, "write it with numpy.save or numpy.savez");
    }

    size_t start = b[6] == 1 ? MAGIC + 4 : MAGIC + 6;
    if (size < start)
        return damaged(e, "the NPY header is cut short");
    size_t length = (size_t)b[8] | (size_t)b[9] << 8;
    if (b[6] > 1)
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > size - start)
        return damaged(e, "the NPY header is cut short");

    cursor c = {(const char *)b + start, (const char *)b + start + length};
    int rc = parse_dict(&a, &fortran, &c, e);
    if (rc)
        return rc;
    size_t need, have = size - start - length;
    rc = npy_check_shape(&a.count, &need, a.dtype, a.n_dim, a.shape, e);
    if (rc)
        return rc;
    if (need != have) {
        err_set(e, ERR_INPUT, "the shape needs %zu bytes of data, but there are %zu", need, have);
        return err_hint(e, "the file is damaged or incomplete: write it again, for example with numpy.save");
    }
    a.data = b + start + length;
    if (fortran && a.n_dim > 1 && (rc = to_row_major(&a, e)))
        return rc;
    *out = a;
    return 0;
}

int npy_load(npy *out, const char *path, err *e)
{
    mapfile m;
    npy a;
    int rc = mapfile_open(&m, path, e);
    if (rc)
        return rc;

    rc = npy_parse(&a, m.data, m.size, e);
    if (rc) {
        err_prefix(e, "%s", path);
    } else if (a.owned) {
        *out = a;
    } else {
        size_t n = (size_t)a.count * npy_dtype_size(a.dtype);
        a.owned = mem_array(n, 1, e);
        if (a.owned) {
            if (n)
                memcpy(a.owned, a.data, n);
            a.data = a.owned;
            *out = a;
        } else {
            rc = ERR_RESOURCE;
        }
    }
    mapfile_close(&m);
    return rc;
}

/* --- writing --- */

void npy_header(char out[NPY_HEADER_MAX], size_t *n, npy_dtype d, int n_dim, const int64_t *shape)
{
    char descr[8];
    snprintf(descr, sizeof descr, "%c%s", dtypes[d].size == 1 ? '|' : '<', dtypes[d].descr);
    npy_header_as(out, n, descr, n_dim, shape);
}

void npy_header_as(char out[NPY_HEADER_MAX], size_t *n, const char *descr, int n_dim, const int64_t *shape)
{
    enum { START = MAGIC + 4 };
    int at = START + snprintf(out + START, NPY_HEADER_MAX - START,
                              "{'descr': '%.24s', 'fortran_order': False, 'shape': (", descr);

    for (int i = 0; i < n_dim; i++)
        at += snprintf(out + at, (size_t)(NPY_HEADER_MAX - at), "%s%lld%s", i ? " " : "", (long long)shape[i],
                       i + 1 < n_dim || n_dim == 1 ? "," : "");
    at += snprintf(out + at, (size_t)(NPY_HEADER_MAX - at), "), }");

    /* blanks and a newline up to a multiple of 64, so that the data is aligned where the file is */
    size_t whole = ((size_t)at + 1 + 63) / 64 * 64;
    memset(out + at, ' ', whole - (size_t)at - 1);
    out[whole - 1] = '\n';
    memcpy(out, magic, MAGIC);
    out[6] = 1;
    out[7] = 0;
    out[8] = (char)((whole - START) & 255);
    out[9] = (char)((whole - START) >> 8);
    *n = whole;
}

int npy_save(const char *path, npy_dtype d, int n_dim, const int64_t *shape, const void *data, err *e)
{
    char header[NPY_HEADER_MAX];
    size_t n_header, n_data;
    int64_t count;
    outfile *f;
    int rc = npy_check_shape(&count, &n_data, d, n_dim, shape, e);
    if (rc)
        return err_prefix(e, "%s", path);

    rc = outfile_open(&f, path, e);
    if (rc)
        return rc;
    npy_header(header, &n_header, d, n_dim, shape);
    rc = outfile_write(f, header, n_header, e);
    if (rc == 0)
        rc = outfile_write(f, data, n_data, e);
    if (rc) {
        outfile_abandon(f);
        return rc;
    }
    return outfile_commit(f, e);
}
