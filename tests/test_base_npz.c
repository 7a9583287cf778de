/* base/npz, reading: files of NumPy, damaged and hostile files. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/npz.h"
#include "base/strbuf.h"
#include "tests/test_base_folder.h"
#include "tests/test_base_npz_samples.h"

/* --- files of NumPy --- */

static const float sample_a[6] = {0.5f, -1.25f, 3e38f, 0, 1e-45f, 7};

/* The three arrays of the samples; false when the file could not be read.  What was read must be right. */
static bool read_samples(const char *path)
{
    npz *z;
    npy a;
    int64_t v;
    bool ok = true;

    if (npz_open(&z, path, NULL))
        return false;
    if (npz_get(&a, z, "a", NULL) == 0) {
        assert_int_equal(a.dtype, NPY_F32);
        assert_int_equal(a.n_dim, 2);
        assert_true(a.shape[0] == 2 && a.shape[1] == 3 && a.count == 6);
        assert_memory_equal(a.data, sample_a, sizeof sample_a);
        npy_free(&a);
    } else {
        ok = false;
    }
    if (npz_get(&a, z, "b", NULL) == 0) {
        assert_int_equal(a.dtype, NPY_I64);
        assert_int_equal(a.n_dim, 0);
        assert_true(a.count == 1 && npy_int(&v, &a, 0) && v == -((int64_t)1 << 40));
        npy_free(&a);
    } else {
        ok = false;
    }
    if (npz_get(&a, z, "c", NULL) == 0) {
        assert_int_equal(a.dtype, NPY_BOOL);
        assert_true(a.n_dim == 1 && a.shape[0] == 3 && a.count == 3);
        assert_memory_equal(a.data, "\1\0\1", 3);
        npy_free(&a);
    } else {
        ok = false;
    }
    npz_close(z);
    return ok;
}

static const struct sample {
    const unsigned char *bytes;
    size_t size;
} archives[] = {{numpy_stored, sizeof numpy_stored}, {numpy_deflated, sizeof numpy_deflated}};

static void reads_numpy(void **state)
{
    (void)state;
    const char *path = in_folder("sample.npz");
    npz *z;
    npy a;
    err e = {0};

    for (int s = 0; s < 2; s++) {
        write_bytes(path, archives[s].bytes, archives[s].size);
        assert_true(read_samples(path));
        assert_int_equal(npz_open(&z, path, &e), 0);
        assert_int_equal(npz_count(z), 3);
        assert_string_equal(npz_name(z, 0), "a");
        assert_string_equal(npz_name(z, 2), "c");
        assert_null(npz_name(z, 3));
        assert_null(npz_name(z, -1));
        assert_true(npz_has(z, "b"));
        assert_false(npz_has(z, "b.npy"));
        assert_int_equal(npz_get(&a, z, "logits", &e), ERR_INPUT);
        assert_non_null(strstr(e.msg, "no array named 'logits'"));
        assert_string_equal(e.hint, "it has 3 arrays, 'a' first");
        assert_int_equal(npz_get(&a, z, "a", &e), 0);
        assert_true((a.owned != NULL) == (s == 1)); /* stored: a view into the map */
        npy_free(&a);
        npz_close(z);
    }
    npz_close(NULL);
}

static void every_truncation(void **state)
{
    (void)state;
    const char *path = in_folder("cut.npz");
    npz *z;

    for (int s = 0; s < 2; s++) {
        for (size_t n = 0; n < archives[s].size; n++) {
            err e = {0};
            write_bytes(path, archives[s].bytes, n);
            assert_int_equal(npz_open(&z, path, &e), ERR_INPUT);
            assert_true(e.msg[0] && e.hint[0]);
        }
    }
}

/* One changed byte anywhere: refused, or of no consequence.  Never wrong numbers, never a crash. */
static void every_byte_changed(void **state)
{
    (void)state;
    static const unsigned char changes[] = {0x01, 0x80, 0xff, 0x20};
    const char *path = in_folder("flip.npz");
    unsigned char copy[1024];
    int harmless = 0, refused = 0;

    for (int s = 0; s < 2; s++) {
        size_t n = archives[s].size;
        assert_true(n <= sizeof copy);
        for (size_t i = 0; i < n; i++) {
            for (size_t c = 0; c < sizeof changes; c++) {
                memcpy(copy, archives[s].bytes, n);
                copy[i] ^= changes[c];
                write_bytes(path, copy, n);
                if (read_samples(path))
                    harmless++;
                else
                    refused++;
            }
        }
    }
    /* dates, versions and attributes are the only bytes that may change unnoticed */
    assert_true(harmless < refused / 3);
}

/* --- archives made by hand --- */

typedef struct entry {
    const char *name;
    unsigned flags, method, local_method;
    uint32_t crc, packed, size, local; /* as the directory says */
} entry;

static void le(strbuf *b, uint64_t v, int n)
{
    for (int i = 0; i < n; i++, v >>= 8)
        strbuf_putc(b, (char)(v & 255));
}

enum { TINY_SIZE = 132 };
#define TINY_CRC 0x73573651u

/* numpy.array([1], 'f4') as NPY. */
static void put_tiny(strbuf *b)
{
    strbuf_printf(b, "%-127s\n", "\x93NUMPY\1_v_{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }");
    char *head = b->s + b->len - 128;
    head[7] = 0;
    head[8] = 118;
    head[9] = 0;
    strbuf_add(b, "\0\0\x80\x3f", 4);
}

static void put_local(strbuf *b, const entry *m)
{
    le(b, 0x04034b50, 4);
    le(b, 20, 2);
    le(b, m->flags, 2);
    le(b, m->local_method, 2);
    le(b, 0, 4);
    le(b, m->crc, 4);
    le(b, m->packed, 4);
    le(b, m->size, 4);
    le(b, strlen(m->name), 2);
    le(b, 0, 2);
    strbuf_puts(b, m->name);
}

static void put_central(strbuf *b, const entry *m, const void *extra, size_t n_extra)
{
    le(b, 0x02014b50, 4);
    le(b, 20, 2);
    le(b, 20, 2);
    le(b, m->flags, 2);
    le(b, m->method, 2);
    le(b, 0, 4);
    le(b, m->crc, 4);
    le(b, m->packed, 4);
    le(b, m->size, 4);
    le(b, strlen(m->name), 2);
    le(b, n_extra, 2);
    le(b, 0, 10);
    le(b, m->local, 4);
    strbuf_puts(b, m->name);
    strbuf_add(b, extra, n_extra);
}

static void put_end(strbuf *b, unsigned n, uint32_t size, uint32_t start, const char *comment)
{
    le(b, 0x06054b50, 4);
    le(b, 0, 4);
    le(b, n, 2);
    le(b, n, 2);
    le(b, size, 4);
    le(b, start, 4);
    le(b, strlen(comment), 2);
    strbuf_puts(b, comment);
}

static const entry plain = {"x.npy", 0, 0, 0, TINY_CRC, TINY_SIZE, TINY_SIZE, 0};

/* An archive of the tiny array once for each entry; fields of the directory as given, except local, which
 * is added to where the member really is. */
static void build(strbuf *b, const entry *m, int n, const char *comment)
{
    uint32_t at[8], start;

    strbuf_clear(b);
    for (int i = 0; i < n; i++) {
        at[i] = (uint32_t)b->len;
        put_local(b, &m[i]);
        put_tiny(b);
    }
    start = (uint32_t)b->len;
    for (int i = 0; i < n; i++) {
        entry c = m[i];
        c.local += at[i];
        put_central(b, &c, "", 0);
    }
    put_end(b, (unsigned)n, (uint32_t)b->len - start, start, comment);
}

/* Open, and read every array; code and message of the first failure. */
static int read_archive(const strbuf *b, err *e)
{
    const char *path = in_folder("made.npz");
    npz *z;
    npy a;

    *e = (err){0};
    write_bytes(path, b->s, b->len);
    int rc = npz_open(&z, path, e);
    if (rc)
        return rc;
    for (int i = 0; i < npz_count(z) && rc == 0; i++) {
        rc = npz_get(&a, z, npz_name(z, i), e);
        if (rc == 0) {
            assert_true(a.count == 1 && npy_real(&a, 0) == 1.0);
            npy_free(&a);
        }
    }
    npz_close(z);
    return rc;
}

static void assert_refused(const strbuf *b, const char *why)
{
    err e;
    int rc = read_archive(b, &e);
    if (rc != ERR_INPUT || !strstr(e.msg, why) || !strstr(e.msg, "made.npz") || !e.hint[0])
        fail_msg("expected '%s', got %d '%s'", why, rc, e.msg);
}

static void archives_by_hand(void **state)
{
    (void)state;
    strbuf b = {0};
    err e;
    entry two[2] = {plain, plain};

    build(&b, &plain, 1, "");
    assert_int_equal(read_archive(&b, &e), 0);
    build(&b, &plain, 1, "a comment with PK\5\6 inside");
    assert_int_equal(read_archive(&b, &e), 0);
    build(&b, &plain, 0, "");
    assert_int_equal(read_archive(&b, &e), 0); /* empty */

    two[1].name = "y.npy";
    build(&b, two, 2, "");
    assert_int_equal(read_archive(&b, &e), 0);
    two[1].name = "x.npy";
    build(&b, two, 2, "");
    assert_refused(&b, "two members are named 'x.npy'");
    two[1].name = "notes.txt"; /* not an array: not listed */
    build(&b, two, 2, "");
    assert_int_equal(read_archive(&b, &e), 0);
    two[1].name = "y.npy";
    two[1].local = -(uint32_t)(30 + 5 + TINY_SIZE); /* both describe the first */
    build(&b, two, 2, "");
    assert_refused(&b, "contradicts the directory");
    two[1].local = 0;

    build(&b, &plain, 1, ""); /* something before the archive */
    strbuf shifted = {0};
    strbuf_puts(&shifted, "#!/bin/sh\n");
    strbuf_add(&shifted, b.s, b.len);
    assert_refused(&shifted, "directory is not where it should be");
    strbuf_free(&shifted);
    strbuf_puts(&b, "after");
    assert_refused(&b, "its end is missing");
    strbuf_free(&b);
}

static void hostile_archives(void **state)
{
    (void)state;
    static const struct { entry m; const char *why; } cases[] = {
        {{"x.npy", 1, 0, 0, TINY_CRC, 132, 132, 0}, "is encrypted"},
        {{"x.npy", 0, 12, 12, TINY_CRC, 132, 132, 0}, "compression method 12 is not supported"},
        {{"x.npy", 0, 0, 8, TINY_CRC, 132, 132, 0}, "contradicts the directory"},
        {{"x.npy", 0, 0, 0, TINY_CRC ^ 1, 132, 132, 0}, "checksum is wrong"},
        {{"x.npy", 0, 0, 0, TINY_CRC, 132, 131, 0}, "two sizes"},
        {{"x.npy", 0, 0, 0, TINY_CRC, 133, 133, 0}, "reaches beyond the file"},
        {{"x.npy", 0, 0, 0, TINY_CRC, 0xfffffff0, 0xfffffff0, 0}, "reaches beyond the file"},
        {{"x.npy", 0, 0, 0, TINY_CRC, 0xffffffff, 0xffffffff, 0}, "reaches beyond the file"},
        {{"x.npy", 0, 0, 0, TINY_CRC, 132, 132, 1}, "does not start where"},
        {{"x.npy", 0, 0, 0, TINY_CRC, 132, 132, 0xfffffff0}, "does not start where"},
        {{"x.npy", 0, 8, 8, TINY_CRC, 132, 4000000, 0}, "more than deflate can"},
        {{"x.npy", 0, 8, 8, TINY_CRC, 132, 132, 0}, "compressed data"},
        {{"", 0, 0, 0, TINY_CRC, 132, 132, 0}, "no proper name"},
    };
    strbuf b = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        build(&b, &cases[i].m, 1, "");
        assert_refused(&b, cases[i].why);
    }

    /* the end record: number of members, size and place of the directory, several disks */
    static const struct { size_t at; unsigned char value; const char *why; } ends[] = {
        {4, 1, "several parts"}, {8, 2, "several parts"}, {12, 1, "directory is not where"},
        {16, 1, "directory is not where"}, {19, 0x7f, "directory is not where"},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        build(&b, &plain, 1, "");
        b.s[b.len - 22 + ends[i].at] = (char)ends[i].value;
        assert_refused(&b, ends[i].why);
    }
    build(&b, &plain, 1, ""); /* one member in the directory, two or none announced */
    b.s[b.len - 14] = b.s[b.len - 12] = 2;
    assert_refused(&b, "too small for its members");
    b.s[b.len - 14] = b.s[b.len - 12] = 0;
    assert_refused(&b, "belong to no member");
    strbuf_free(&b);
}

static void overlapping_members(void **state)
{
    (void)state;
    strbuf b = {0};
    /* The first member is stored and holds the second, header and all: every check of one member alone
     * passes. */
    entry inner = plain, outer = plain;
    inner.name = "y.npy";
    outer.packed = outer.size = 30 + 5 + TINY_SIZE;
    put_local(&b, &outer);
    uint32_t at = (uint32_t)b.len;
    put_local(&b, &inner);
    put_tiny(&b);
    uint32_t start = (uint32_t)b.len;
    inner.local = at;
    put_central(&b, &inner, "", 0);
    put_central(&b, &outer, "", 0);
    put_end(&b, 2, (uint32_t)b.len - start, start, "");
    assert_refused(&b, "two members overlap");
    strbuf_free(&b);
}

/* The same archive with 64-bit records, as NumPy writes them beyond 4 GiB. */
static void wide_archive(strbuf *b, uint64_t size, uint64_t end64_size, uint64_t n, uint64_t locator_shift)
{
    strbuf extra = {0};
    entry m = plain;

    strbuf_clear(b);
    put_local(b, &m);
    put_tiny(b);
    uint64_t start = b->len;
    m.size = m.packed = m.local = 0xffffffff;
    le(&extra, 0x5455, 2); /* another field first */
    le(&extra, 1, 2);
    le(&extra, 7, 1);
    le(&extra, 1, 2);
    le(&extra, 24, 2);
    le(&extra, size, 8);
    le(&extra, TINY_SIZE, 8);
    le(&extra, 0, 8);
    put_central(b, &m, extra.s, extra.len);
    uint64_t at64 = b->len;
    le(b, 0x06064b50, 4);
    le(b, end64_size, 8);
    le(b, 45, 2);
    le(b, 45, 2);
    le(b, 0, 8);
    le(b, n, 8);
    le(b, n, 8);
    le(b, at64 - start, 8);
    le(b, start, 8);
    le(b, 0x07064b50, 4);
    le(b, 0, 4);
    le(b, at64 + locator_shift, 8);
    le(b, 1, 4);
    put_end(b, 0xffff, 0xffffffff, 0xffffffff, "");
    strbuf_free(&extra);
}

static void zip64(void **state)
{
    (void)state;
    strbuf b = {0};
    err e;

    wide_archive(&b, TINY_SIZE, 44, 1, 0);
    assert_int_equal(read_archive(&b, &e), 0);
    wide_archive(&b, TINY_SIZE, 44, 2, 0);
    assert_refused(&b, "too small for its members");
    wide_archive(&b, TINY_SIZE, 44, UINT64_MAX, 0);
    assert_refused(&b, "too small for its members");
    wide_archive(&b, UINT64_MAX, 44, 1, 0);
    assert_refused(&b, "contradicts the directory");
    wide_archive(&b, TINY_SIZE, 45, 1, 0);
    assert_refused(&b, "wrong size");
    wide_archive(&b, TINY_SIZE, 0, 1, 0);
    assert_refused(&b, "wrong size");
    wide_archive(&b, TINY_SIZE, 44, 1, 1);
    assert_refused(&b, "not where it should be");
    wide_archive(&b, TINY_SIZE, 44, 1, UINT64_MAX - 200);
    assert_refused(&b, "not where it should be");
    wide_archive(&b, TINY_SIZE, 44, 1, 0);
    b.s[b.len - 6] = 1; /* the two end records disagree */
    b.s[b.len - 5] = b.s[b.len - 4] = b.s[b.len - 3] = 0;
    assert_refused(&b, "contradict each other");
    strbuf_free(&b);
}

/* --- NPY headers --- */

#define DICT(descr, shape) "{'descr': '" descr "', 'fortran_order': False, 'shape': " shape ", }\n"

static int load_header(npy *a, const char *dict, size_t data, int version, err *e)
{
    strbuf b = {0};
    const char *path = in_folder("made.npy");

    *e = (err){0};
    strbuf_add(&b, "\x93NUMPY", 6);
    strbuf_putc(&b, (char)version);
    strbuf_putc(&b, 0);
    le(&b, strlen(dict), version == 1 ? 2 : 4);
    strbuf_puts(&b, dict);
    for (size_t i = 0; i < data; i++)
        strbuf_putc(&b, (char)(i & 127));
    write_bytes(path, b.s, b.len);
    strbuf_free(&b);
    return npy_load(a, path, e);
}

static void headers(void **state)
{
    (void)state;
    static const struct {
        const char *dict;
        size_t data;
        npy_dtype dtype;
        int n_dim;
        int64_t count;
    } good[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n", 24, NPY_F32, 2, 6},
        {"{\"shape\":(2,3,),\"descr\":\"<f8\",\"fortran_order\":False}", 48, NPY_F64, 2, 6},
        {"{'descr': '<f2', 'fortran_order': True, 'shape': (3,), }\n", 6, NPY_F16, 1, 3},
        {DICT("<i8", "()"), 8, NPY_I64, 0, 1},
        {DICT("<i4", "(3L, 2L)"), 24, NPY_I32, 2, 6},
        {DICT("<i2", "(0, 5)"), 0, NPY_I16, 2, 0},
        {DICT("|i1", "(1, 1, 1, 1, 1, 1, 1, 4)"), 4, NPY_I8, 8, 4},
        {DICT("|u1", "(4,)"), 4, NPY_U8, 1, 4},
        {DICT("|b1", "(4,)"), 4, NPY_BOOL, 1, 4},
        {DICT("<u1", "(4,)"), 4, NPY_U8, 1, 4},
        {DICT("<u2", "(4,)"), 8, NPY_U16, 1, 4},
        {DICT("<u4", "(4,)"), 16, NPY_U32, 1, 4},
        {DICT("<u8", "(4,)"), 32, NPY_U64, 1, 4},
    };
    static const struct { const char *dict; size_t data; const char *why; } bad[] = {
        {DICT(">f4", "(1,)"), 4, "big-endian elements ('>f4')"},
        {DICT("<U4", "(1,)"), 16, "element type '<U4' is not supported"},
        {DICT("<c8", "(1,)"), 8, "element type '<c8' is not supported"},
        {DICT("|O", "(1,)"), 8, "element type '|O' is not supported"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n", 4, "records"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }\n", 12, "needs 16 bytes"},
        {DICT("<f4", "(2,)"), 4, "needs 8 bytes of data, but there are 4"},
        {DICT("<f4", "(2,)"), 9, "needs 8 bytes of data, but there are 9"},
        {DICT("<f4", "(-1,)"), 4, "header is damaged"},
        {DICT("<f4", "(3)"), 12, "header is damaged"},
        {DICT("<f4", "(3 3)"), 36, "header is damaged"},
        {DICT("<f4", "(99999999999999999999,)"), 4, "too large"},
        {DICT("<f4", "(4294967296, 4294967296)"), 4, "too large"},
        {DICT("<f4", "(0, 4294967296, 4294967296)"), 0, "too large"},
        {DICT("<f8", "(2305843009213693952,)"), 0, "too large"},
        {DICT("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), 4, "8 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False}\n", 4, "header is damaged"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}\n", 4, "header is damaged"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}\n", 4, "header is damaged"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }\n", 4, "header is damaged"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x\n", 4, "header is damaged"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), \n", 4, "header is damaged"},
        {"", 4, "header is damaged"},
    };
    npy a;
    err e;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        for (int version = 1; version <= 3; version++) {
            if (load_header(&a, good[i].dict, good[i].data, version, &e))
                fail_msg("%s: %s", good[i].dict, e.msg);
            assert_int_equal(a.dtype, good[i].dtype);
            assert_int_equal(a.n_dim, good[i].n_dim);
            assert_int_equal(a.count, good[i].count);
            npy_free(&a);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int rc = load_header(&a, bad[i].dict, bad[i].data, 1, &e);
        if (rc != ERR_INPUT || !strstr(e.msg, bad[i].why) || !strstr(e.msg, "made.npy: ") || !e.hint[0])
            fail_msg("%s: %d '%s', expected '%s'", bad[i].dict, rc, e.msg, bad[i].why);
    }
    assert_int_equal(load_header(&a, good[0].dict, 24, 4, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "NPY format 4.0 is not supported"));
}

static void single_arrays_of_numpy(void **state)
{
    (void)state;
    const char *path = in_folder("one.npy");
    npy a;
    npz *z;
    err e = {0};

    write_bytes(path, numpy_version_2, sizeof numpy_version_2);
    assert_int_equal(npy_load(&a, path, &e), 0);
    assert_true(a.dtype == NPY_I16 && a.count == 3 && npy_real(&a, 2) == 2);
    npy_free(&a);
    write_bytes(path, numpy_version_3, sizeof numpy_version_3);
    assert_int_equal(npy_load(&a, path, &e), 0);
    assert_true(a.dtype == NPY_I16 && a.count == 3 && npy_real(&a, 1) == 1);
    npy_free(&a);
    assert_int_equal(npz_open(&z, path, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "a single array (NPY)"));
    static const double row_major[] = {0.5, -1.25, 3e38, 0, 1e-45, 7}; /* the file holds them by columns */
    write_bytes(path, numpy_fortran, sizeof numpy_fortran);
    assert_int_equal(npy_load(&a, path, &e), 0);
    assert_true(a.n_dim == 2 && a.shape[0] == 2 && a.shape[1] == 3);
    for (int i = 0; i < 6; i++)
        assert_true(npy_real(&a, i) == (double)(float)row_major[i]);
    npy_free(&a);
    write_bytes(path, numpy_big_endian, sizeof numpy_big_endian);
    assert_int_equal(npy_load(&a, path, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "big-endian"));
    for (size_t n = 0; n < sizeof numpy_version_2; n++) {
        write_bytes(path, numpy_version_2, n);
        assert_int_equal(npy_load(&a, path, &e), ERR_INPUT);
    }
    assert_int_equal(npy_load(&a, in_folder("none.npy"), &e), ERR_INPUT);
}

/* Element i of the file, whose bytes count up, belongs where its column-major index says. */
static void column_major(void **state)
{
    (void)state;
    static const struct { const char *shape; size_t n; } cases[] = {
        {"(40, 70)", 2800}, {"(70, 33)", 2310}, {"(2, 3, 4)", 24}, {"(5, 1, 3, 2)", 30}, {"(3, 0, 2)", 0}, {"(1, 4)", 4},
        {"(2, 3, 4, 5)", 120},
    };
    char dict[96];
    npy a;
    err e;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        snprintf(dict, sizeof dict, "{'descr': '|u1', 'fortran_order': True, 'shape': %s, }\n", cases[k].shape);
        assert_int_equal(load_header(&a, dict, cases[k].n, 1, &e), 0);
        assert_int_equal(a.count, cases[k].n);
        for (int64_t i = 0; i < a.count; i++) {
            int64_t rest = i, from = 0;
            for (int d = a.n_dim - 1; d >= 0; d--) {
                int64_t step = 1;
                for (int j = 0; j < d; j++)
                    step *= a.shape[j];
                from += rest % a.shape[d] * step;
                rest /= a.shape[d];
            }
            assert_true(npy_real(&a, i) == (double)(from & 127));
        }
        npy_free(&a);
    }
}

static uint32_t crc_of(const unsigned char *p, size_t n)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < 8 * n; i++)
        crc = crc >> 1 ^ (((crc ^ p[i / 8] >> i % 8) & 1) ? 0xedb88320u : 0);
    return ~crc;
}

/* NumPy's own column-major array as a member, stored and in one deflated block that holds it as it is. */
static void column_major_members(void **state)
{
    (void)state;
    static const double row_major[] = {0.5, -1.25, 3e38, 0, 1e-45, 7};
    for (int deflated = 0; deflated < 2; deflated++) {
        const uint32_t n = sizeof numpy_fortran;
        const entry m = {"x.npy", 0, deflated ? 8 : 0, deflated ? 8 : 0, crc_of(numpy_fortran, n),
                         n + (deflated ? 5 : 0), n, 0};
        strbuf b = {0};
        put_local(&b, &m);
        if (deflated) {
            strbuf_putc(&b, 1);
            le(&b, n, 2);
            le(&b, ~n & 0xffff, 2);
        }
        strbuf_add(&b, numpy_fortran, n);
        uint32_t start = (uint32_t)b.len;
        put_central(&b, &m, "", 0);
        put_end(&b, 1, (uint32_t)b.len - start, start, "");
        npz *z;
        npy a;
        err e = {0};
        if (npz_open_memory(&z, b.s, b.len, NULL, &e) || npz_get(&a, z, "x", &e))
            fail_msg("%s", e.msg);
        assert_non_null(a.owned);
        for (int i = 0; i < 6; i++)
            assert_true(npy_real(&a, i) == (double)(float)row_major[i]);
        npy_free(&a);
        npz_close(z);
        strbuf_free(&b);
    }
}

static void elements(void **state)
{
    (void)state;
    static const struct { uint16_t bits; double v; } halves[] = {
        {0x0000, 0}, {0x3c00, 1}, {0xc000, -2}, {0x7bff, 65504}, {0x0400, 0x1p-14}, {0x0001, 0x1p-24},
        {0x03ff, 1023 * 0x1p-24}, {0x3555, 1365 * 0x1p-12}, {0x7c00, INFINITY}, {0xfc00, -INFINITY},
    };
    int64_t v = 0;

    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        npy a = {.dtype = NPY_F16, .count = 1, .data = &halves[i].bits};
        assert_true(npy_real(&a, 0) == halves[i].v);
    }
    uint16_t nan16 = 0x7e00;
    assert_true(isnan(npy_real(&(npy){.dtype = NPY_F16, .count = 1, .data = &nan16}, 0)));

    double reals[] = {3, -0.5, 0x1p63, -0x1p63, NAN, INFINITY, 9007199254740992.0};
    npy a = {.dtype = NPY_F64, .count = 7, .data = reals};
    assert_true(npy_int(&v, &a, 0) && v == 3);
    assert_false(npy_int(&v, &a, 1) || npy_int(&v, &a, 2));
    assert_true(npy_int(&v, &a, 3) && v == INT64_MIN);
    assert_false(npy_int(&v, &a, 4) || npy_int(&v, &a, 5));
    assert_true(npy_int(&v, &a, 6) && v == (int64_t)1 << 53);

    /* unaligned on purpose */
    static const unsigned char bytes[9] = {0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    a = (npy){.dtype = NPY_I64, .count = 1, .data = bytes + 1};
    assert_true(npy_int(&v, &a, 0) && v == -2);
    a = (npy){.dtype = NPY_I32, .count = 2, .data = bytes + 1};
    assert_true(npy_real(&a, 0) == -2 && npy_real(&a, 1) == -1);
    a = (npy){.dtype = NPY_I16, .count = 1, .data = bytes + 1};
    assert_true(npy_int(&v, &a, 0) && v == -2);
    a = (npy){.dtype = NPY_I8, .count = 1, .data = bytes + 1};
    assert_true(npy_int(&v, &a, 0) && v == -2);
    a = (npy){.dtype = NPY_U8, .count = 1, .data = bytes + 1};
    assert_true(npy_int(&v, &a, 0) && v == 254);
    const uint16_t u16[] = {7, 65535};
    const uint32_t u32[] = {7, 4294967295u};
    const uint64_t u64[] = {(uint64_t)1 << 62, (uint64_t)1 << 63};
    a = (npy){.dtype = NPY_U16, .count = 2, .data = u16};
    assert_true(npy_int(&v, &a, 1) && v == 65535 && npy_real(&a, 1) == 65535);
    a = (npy){.dtype = NPY_U32, .count = 2, .data = u32};
    assert_true(npy_int(&v, &a, 1) && v == 4294967295 && npy_real(&a, 0) == 7);
    a = (npy){.dtype = NPY_U64, .count = 2, .data = u64};
    assert_true(npy_int(&v, &a, 0) && v == (int64_t)1 << 62);
    assert_false(npy_int(&v, &a, 1)); /* beyond int64 */
    assert_true(npy_real(&a, 1) == 0x1p63);
    a = (npy){.dtype = NPY_BOOL, .count = 1, .data = bytes + 1};
    assert_true(npy_int(&v, &a, 0) && v == 1);
    float f = 1.5f;
    a = (npy){.dtype = NPY_F32, .count = 1, .data = &f};
    assert_true(npy_real(&a, 0) == 1.5 && !npy_int(&v, &a, 0));
    assert_string_equal(npy_dtype_name(NPY_F32), "f32");
    assert_string_equal(npy_dtype_name(NPY_BOOL), "bool");
    assert_int_equal(npy_dtype_size(NPY_F16), 2);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        FILE_TEST(reads_numpy),
        FILE_TEST(every_truncation),
        FILE_TEST(every_byte_changed),
        FILE_TEST(archives_by_hand),
        FILE_TEST(hostile_archives),
        FILE_TEST(overlapping_members),
        FILE_TEST(zip64),
        FILE_TEST(headers),
        FILE_TEST(single_arrays_of_numpy),
        FILE_TEST(column_major),
        cmocka_unit_test(column_major_members),
        cmocka_unit_test(elements),
    };
    return cmocka_run_group_tests_name("base npz reading", tests, NULL, NULL);
}
