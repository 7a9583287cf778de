/* base/npz, writing: read back by our reader and by NumPy. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mapfile.h"
#include "base/mem.h"
#include "base/npz.h"
#include "tests/test_base_folder.h"

enum { BIG = 300000 };

static double big_value(int i)
{
    return (i % 1000) * 0.5 - i % 7;
}

/* Every element type, no, one and three dimensions, an empty array, and one written in pieces. */
static int write_all_kinds(const char *path, bool deflate, err *e)
{
    static const unsigned char bytes[64] = {1, 0, 1, 1, 0, 2, 3};
    static const int64_t shape[] = {2, 1, 2}, empty[] = {0, 4}, big[] = {BIG / 100, 100};
    npz_writer *w;
    float piece[997];
    int rc = npz_create(&w, path, deflate, e);

    if (rc)
        return rc;
    for (npy_dtype d = NPY_F32; d <= NPY_BOOL && rc == 0; d++)
        rc = npz_put(w, npy_dtype_name(d), d, 3, shape, bytes, e);
    if (rc == 0)
        rc = npz_put(w, "sub/\xc3\xa9t\xc3\xa9", NPY_F64, 0, NULL, bytes, e);
    if (rc == 0)
        rc = npz_put(w, "empty", NPY_F32, 2, empty, NULL, e);
    if (rc == 0)
        rc = npz_begin(w, "big", NPY_F32, 2, big, e);
    for (int i = 0; i < BIG && rc == 0;) {
        int n = 0;
        for (; n < 997 && i < BIG; n++, i++)
            piece[n] = (float)big_value(i);
        rc = npz_add(w, piece, sizeof *piece * (size_t)n, e);
    }
    if (rc == 0)
        rc = npz_end(w, e);
    if (rc) {
        npz_abandon(w);
        return rc;
    }
    return npz_commit(w, e);
}

static void assert_all_kinds(const char *path, bool deflate)
{
    npz *z;
    npy a;
    err e = {0};
    static const unsigned char bytes[64] = {1, 0, 1, 1, 0, 2, 3};

    if (npz_open(&z, path, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(npz_count(z), 15);
    for (npy_dtype d = NPY_F32; d <= NPY_BOOL; d++) {
        assert_string_equal(npz_name(z, (int)d), npy_dtype_name(d));
        if (npz_get(&a, z, npy_dtype_name(d), &e))
            fail_msg("%s", e.msg);
        assert_int_equal(a.dtype, d);
        assert_true(a.n_dim == 3 && a.shape[0] == 2 && a.shape[1] == 1 && a.shape[2] == 2 && a.count == 4);
        assert_memory_equal(a.data, bytes, 4 * npy_dtype_size(d));
        if (!deflate) /* aligned in the file, and so in the map */
            assert_int_equal((uintptr_t)a.data % 64, 0);
        npy_free(&a);
    }
    assert_int_equal(npz_get(&a, z, "sub/\xc3\xa9t\xc3\xa9", &e), 0);
    assert_true(a.n_dim == 0 && a.count == 1);
    npy_free(&a);
    assert_int_equal(npz_get(&a, z, "empty", &e), 0);
    assert_true(a.n_dim == 2 && a.count == 0 && a.shape[1] == 4);
    npy_free(&a);
    assert_int_equal(npz_get(&a, z, "big", &e), 0);
    assert_true(a.count == BIG);
    for (int i = 0; i < BIG; i++) {
        if (npy_real(&a, i) != big_value(i))
            fail_msg("element %d", i);
    }
    npy_free(&a);
    npz_close(z);
}

static void round_trip(void **state)
{
    (void)state;

    for (int deflate = 0; deflate < 2; deflate++) {
        mapfile one, two;
        err e = {0};
        if (write_all_kinds(in_folder("one.npz"), deflate, &e))
            fail_msg("%s", e.msg);
        assert_all_kinds(in_folder("one.npz"), deflate);

        assert_int_equal(write_all_kinds(in_folder("two.npz"), deflate, &e), 0);
        assert_int_equal(mapfile_open(&one, in_folder("one.npz"), NULL), 0);
        assert_int_equal(mapfile_open(&two, in_folder("two.npz"), NULL), 0);
        assert_int_equal(one.size, two.size);
        assert_memory_equal(one.data, two.data, one.size);
        assert_memory_equal(one.data + 10, "\0\0\x21\0", 4); /* dated 1980-01-01, not today */
        assert_true(deflate == (one.size < BIG));
        mapfile_close(&one);
        mapfile_close(&two);
    }
    assert_int_equal(entries(folder), 2);
}

/* To standard output, which cannot be rewound: sizes follow the data. */
static void write_to_stdout(const char *path, bool deflate)
{
    fflush(stdout);
    int keep = dup(STDOUT_FILENO), fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(fd, STDOUT_FILENO);
    int rc = write_all_kinds("-", deflate, NULL);
    fflush(stdout);
    dup2(keep, STDOUT_FILENO);
    close(keep);
    close(fd);
    assert_int_equal(rc, 0);
}

static void streamed(void **state)
{
    (void)state;
    for (int deflate = 0; deflate < 2; deflate++) {
        write_to_stdout(in_folder("out.npz"), deflate);
        assert_all_kinds(in_folder("out.npz"), deflate);
    }
}

static const char python_check[] =
    "import sys, zipfile, numpy as np\n"
    "for path in sys.argv[1:]:\n"
    "    assert zipfile.ZipFile(path).testzip() is None\n"
    "    z = np.load(path)\n"
    "    raw = bytes([1, 0, 1, 1, 0, 2, 3]) + bytes(57)\n"
    "    kinds = dict(f32='<f4', f64='<f8', f16='<f2', i64='<i8', i32='<i4', i16='<i2',\n"
    "                 i8='i1', u64='<u8', u32='<u4', u16='<u2', u8='u1', bool='?')\n"
    "    assert z.files == list(kinds) + ['sub/\\u00e9t\\u00e9', 'empty', 'big'], z.files\n"
    "    for name, kind in kinds.items():\n"
    "        a = z[name]\n"
    "        assert a.dtype == np.dtype(kind) and a.shape == (2, 1, 2), name\n"
    "        assert a.tobytes() == raw[:a.nbytes], name\n"
    "    assert z['sub/\\u00e9t\\u00e9'].shape == () and z['empty'].shape == (0, 4)\n"
    "    i = np.arange(300000)\n"
    "    assert (z['big'] == ((i % 1000) * 0.5 - i % 7).astype('f4').reshape(3000, 100)).all()\n"
    "a = np.load(sys.argv[1] + '.npy')\n"
    "assert a.dtype == np.dtype('<i8') and a.tolist() == [5, -6]\n";

static void read_by_numpy(void **state)
{
    (void)state;
    char command[2048], single[512];
    const char *script = in_folder("check.py");
    static const int64_t two = 2, values[] = {5, -6};

    if (system("python3 -c 'import numpy' >/dev/null 2>&1") != 0) {
        print_message("python3 with numpy is not here\n");
        skip();
    }
    write_bytes(script, python_check, sizeof python_check - 1);
    assert_int_equal(write_all_kinds(in_folder("s.npz"), false, NULL), 0);
    assert_int_equal(write_all_kinds(in_folder("d.npz"), true, NULL), 0);
    write_to_stdout(in_folder("sp.npz"), false);
    write_to_stdout(in_folder("dp.npz"), true);
    snprintf(single, sizeof single, "%s.npy", in_folder("s.npz"));
    assert_int_equal(npy_save(single, NPY_I64, 1, &two, values, NULL), 0);
    snprintf(command, sizeof command, "cd %s && python3 check.py s.npz d.npz sp.npz dp.npz 1>&2", folder);
    assert_int_equal(system(command), 0);
}

static void wrong_use(void **state)
{
    (void)state;
    static const int64_t four = 4, negative = -1, huge[] = {INT64_MAX, 2};
    static const float data[5];
    const char *path = in_folder("w.npz");
    npz_writer *w;
    err e = {0};

    write_bytes(path, "old", 3);
    for (int deflate = 0; deflate < 2; deflate++) {
        assert_int_equal(npz_create(&w, path, deflate, &e), 0); /* too little */
        assert_int_equal(npz_begin(w, "a", NPY_F32, 1, &four, &e), 0);
        assert_int_equal(npz_add(w, data, 12, &e), 0);
        assert_int_equal(npz_end(w, &e), ERR_FAILED);
        assert_non_null(strstr(e.msg, "less data than the shape of 'a.npy' says"));
        assert_int_equal(npz_put(w, "b", NPY_F32, 1, &four, data, &e), ERR_FAILED);
        assert_int_equal(npz_commit(w, &e), ERR_FAILED);

        assert_int_equal(npz_create(&w, path, deflate, &e), 0); /* too much */
        assert_int_equal(npz_begin(w, "a", NPY_F32, 1, &four, &e), 0);
        assert_int_equal(npz_add(w, data, 20, &e), ERR_FAILED);
        assert_int_equal(npz_commit(w, &e), ERR_FAILED);

        assert_int_equal(npz_create(&w, path, deflate, &e), 0); /* not finished */
        assert_int_equal(npz_begin(w, "a", NPY_F32, 1, &four, &e), 0);
        assert_int_equal(npz_commit(w, &e), ERR_FAILED);

        assert_int_equal(npz_create(&w, path, deflate, &e), 0); /* names and shapes */
        assert_int_equal(npz_put(w, "a", NPY_F32, 1, &four, data, &e), 0);
        assert_int_equal(npz_put(w, "b", NPY_F32, 1, &negative, data, &e), ERR_INPUT);
        assert_int_equal(npz_put(w, "b", NPY_F32, 2, huge, data, &e), ERR_INPUT);
        assert_int_equal(npz_put(w, "a", NPY_F32, 1, &four, data, &e), ERR_FAILED);
        assert_non_null(strstr(e.msg, "two arrays named 'a'"));
        npz_abandon(w);
    }
    assert_int_equal(npz_create(&w, in_folder("no/dir.npz"), true, &e), ERR_FAILED);
    npz_abandon(NULL);

    char *text;
    assert_int_equal(read_file(&text, NULL, path, 100, &e), 0);
    assert_string_equal(text, "old"); /* nothing of all this reached the target */
    free(text);
    assert_int_equal(entries(folder), 1);

    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(write_all_kinds("/dev/full", false, &e), ERR_RESOURCE);
        assert_int_equal(write_all_kinds("/dev/full", true, &e), ERR_RESOURCE);
        assert_int_equal(npy_save("/dev/full", NPY_F32, 1, &four, data, &e), ERR_RESOURCE);
    }
}

static void without_memory(void **state)
{
    (void)state;
    const char *path = in_folder("m.npz");

    for (int deflate = 0; deflate < 2; deflate++) {
        for (long nth = 1;; nth++) {
            err e = {0};
            mem_fail_at(nth);
            int rc = write_all_kinds(path, deflate, &e);
            mem_fail_at(0);
            if (rc == 0)
                break;
            assert_int_equal(rc, ERR_RESOURCE);
            assert_int_equal(e.code, ERR_RESOURCE);
            assert_int_equal(entries(folder), deflate);
            assert_true(nth < 100);
        }
        for (long nth = 1;; nth++) {
            npz *z;
            npy a;
            mem_fail_at(nth);
            int rc = npz_open(&z, path, NULL);
            if (rc == 0) {
                rc = npz_get(&a, z, "f32", NULL);
                if (rc == 0)
                    npy_free(&a);
                npz_close(z);
            }
            mem_fail_at(0);
            if (rc == 0)
                break;
            assert_int_equal(rc, ERR_RESOURCE);
            assert_true(nth < 100);
        }
    }
}

static void many_members(void **state)
{
    (void)state;
    enum { N = 3000 };
    npz_writer *w;
    npz *z;
    char name[32];

    assert_int_equal(npz_create(&w, in_folder("many.npz"), false, NULL), 0);
    for (int64_t i = 0; i < N; i++) {
        snprintf(name, sizeof name, "attn_%d", (int)(i * 7 % N));
        assert_int_equal(npz_put(w, name, NPY_I64, 0, NULL, &i, NULL), 0);
    }
    assert_int_equal(npz_commit(w, NULL), 0);
    assert_int_equal(npz_open(&z, in_folder("many.npz"), NULL), 0);
    assert_int_equal(npz_count(z), N);
    for (int64_t i = 0; i < N; i++) {
        npy a;
        int64_t v;
        snprintf(name, sizeof name, "attn_%d", (int)(i * 7 % N));
        assert_string_equal(npz_name(z, (int)i), name);
        assert_int_equal(npz_get(&a, z, name, NULL), 0);
        assert_true(npy_int(&v, &a, 0) && v == i);
        npy_free(&a);
    }
    npz_close(z);
}

/* Texts are code points of four bytes, as wide as the longest; the reader here knows them by name alone. */
static void put_as_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {"L1H3", "", "\xc3\xa9t\xc3\xa9", "a\xff"};
    static const uint32_t expected[4][4] = {{'L', '1', 'H', '3'}, {0}, {0xe9, 't', 0xe9}, {'a', 0xfffd}};
    npz_writer *w;
    npz *z;
    npy a;
    err e = {0};
    char bytes[1024];
    assert_int_equal(npz_create(&w, in_folder("texts.npz"), false, NULL), 0);
    assert_int_equal(npz_put_texts(w, "names", 4, texts, NULL), 0);
    assert_int_equal(npz_put_texts(w, "none", 0, texts, NULL), 0);
    assert_int_equal(npz_put_texts(w, "names", 4, texts, &e), ERR_FAILED);
    npz_abandon(w);
    assert_int_equal(npz_create(&w, in_folder("texts.npz"), false, NULL), 0);
    assert_int_equal(npz_put_texts(w, "names", 4, texts, NULL), 0);
    assert_int_equal(npz_commit(w, NULL), 0);
    FILE *f = fopen(in_folder("texts.npz"), "r");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_non_null(memmem(bytes, n, "{'descr': '<U4', 'fortran_order': False, 'shape': (4,), }", 56));
    assert_non_null(memmem(bytes, n, expected, sizeof expected));
    assert_int_equal(npz_open(&z, in_folder("texts.npz"), NULL), 0);
    assert_true(npz_has(z, "names"));
    assert_int_equal(npz_get(&a, z, "names", &e), ERR_INPUT);
    npz_close(z);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        FILE_TEST(round_trip),
        FILE_TEST(streamed),
        FILE_TEST(read_by_numpy),
        FILE_TEST(wrong_use),
        FILE_TEST(without_memory),
        FILE_TEST(many_members),
        FILE_TEST(put_as_texts),
    };
    return cmocka_run_group_tests_name("base npz writing", tests, NULL, NULL);
}
