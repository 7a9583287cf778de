/* Fuzz target for NPZ and NPY: whatever the bytes, reading ends in arrays that can be read throughout, or in
 * one message with a hint.
 *
 * With libFuzzer:
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz_npz.c && ./a.out SEEDS/
 * Compiled with -DFUZZ_DRIVER, a plain program that mutates NumPy's files a fixed number of times with a
 * fixed seed (FUZZ_RUNS and FUZZ_SEED change them), as one TAP test.  Build it with sanitizers. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sink;

static void check_refusal(const err *e)
{
    if (!e->msg[0] || !e->hint[0] || (e->code != ERR_INPUT && e->code != ERR_RESOURCE))
        abort();
}

static void touch(npy *a)
{
    int64_t count = 1, v;
    for (int i = 0; i < a->n_dim; i++)
        count *= a->shape[i];
    if (count != a->count)
        abort();
    for (int64_t i = 0; i < a->count; i++) {
        sink = npy_real(a, i);
        (void)npy_int(&v, a, i);
    }
    npy_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    npz *z;
    npy a;
    int fd = memfd_create("npz", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);

    err e = {0};
    if (npz_open(&z, path, &e)) {
        check_refusal(&e);
    } else {
        for (int i = 0; i < npz_count(z); i++) {
            e = (err){0};
            if (npz_get(&a, z, npz_name(z, i), &e))
                check_refusal(&e);
            else
                touch(&a);
        }
        npz_close(z);
    }
    e = (err){0};
    if (npy_load(&a, path, &e))
        check_refusal(&e);
    else
        touch(&a);
    close(fd);
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/test_base_npz_samples.h"

enum { DEFAULT_RUNS = 20000, MOST = 4096, EDITS = 8 };

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* One change: a byte, a field of 2, 4 or 8 bytes set to something remarkable, a cut, or a moved piece. */
static size_t mutate(uint8_t *b, size_t n)
{
    static const uint64_t remarkable[] = {0, 1, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff, UINT64_MAX, 1u << 20};
    uint64_t r = next_random();
    size_t at = n ? (r >> 8) % n : 0, width = (size_t)1 << (r >> 40 & 3);

    switch (r % 5) {
    case 0:
        if (n)
            b[at] = (uint8_t)(r >> 48);
        break;
    case 1:
        if (at + width <= n)
            memcpy(b + at, &remarkable[(r >> 48) % (sizeof remarkable / sizeof *remarkable)], width);
        break;
    case 2:
        if (n)
            b[at] ^= (uint8_t)(1 << (r >> 48 & 7));
        break;
    case 3:
        if (r >> 60 == 0) /* seldom: most cuts look alike */
            n = at;
        break;
    default: {
        size_t to = n ? (r >> 24) % n : 0, length = (r >> 50) % 64;
        if (at + length <= n && to + length <= n)
            memmove(b + to, b + at, length);
    }
    }
    return n;
}

int main(void)
{
    static const struct { const unsigned char *bytes; size_t size; } seeds[] = {
        {numpy_stored, sizeof numpy_stored},
        {numpy_deflated, sizeof numpy_deflated},
        {numpy_version_2, sizeof numpy_version_2},
        {numpy_version_3, sizeof numpy_version_3},
        {numpy_fortran, sizeof numpy_fortran},
        {numpy_big_endian, sizeof numpy_big_endian},
    };
    const char *text = getenv("FUZZ_RUNS"), *seed = getenv("FUZZ_SEED");
    long runs = text ? atol(text) : DEFAULT_RUNS;
    static uint8_t bytes[MOST];

    random_state = seed ? strtoull(seed, NULL, 10) : 20260303;
    if (random_state == 0)
        random_state = 1;
    for (long i = 0; i < runs; i++) {
        size_t s = next_random() % (sizeof seeds / sizeof *seeds), n = seeds[s].size;
        memcpy(bytes, seeds[s].bytes, n);
        for (uint64_t k = next_random() % EDITS + 1; k > 0; k--)
            n = mutate(bytes, n);
        LLVMFuzzerTestOneInput(bytes, n);
    }
    printf("1..1\nok 1 - %ld mutated files\n", runs);
    return 0;
}

#endif
