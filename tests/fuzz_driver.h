/* A plain driver for fuzz targets, for where there is no libFuzzer: it damages seeds in ways that hurt parsers, a
 * fixed number of times with a fixed seed, as one TAP test.
 *
 * A target defines LLVMFuzzerTestOneInput and, under #ifdef FUZZ_DRIVER, includes this file and ends in
 *
 *     int main(int argc, char **argv)
 *     {
 *         own_seeds();                          // fuzz_seed() for each
 *         return fuzz_main(argc, argv, "damaged what");
 *     }
 *
 * FUZZ_RUNS and FUZZ_SEED change the number and the random numbers; arguments are further seeds, files or
 * directories of files.  FUZZ_SAVE=FILE keeps the input at hand in FILE, for when a run dies of it. */
#ifndef ATTNSCOPE_TESTS_FUZZ_DRIVER_H
#define ATTNSCOPE_TESTS_FUZZ_DRIVER_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mapfile.h"
#include "base/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_MOST_SEEDS = 256, FUZZ_LARGEST = 1 << 20, FUZZ_DEFAULT_RUNS = 20000, FUZZ_CHANGES = 5 };

static strbuf fuzz_seeds[FUZZ_MOST_SEEDS];
static int fuzz_n_seed;
static uint64_t fuzz_state = 20260303;
/* Words of the format that are put in now and then, NULL-terminated; NULL: none. */
static const char *const *fuzz_words;

static inline uint64_t fuzz_next(void)
{
    fuzz_state ^= fuzz_state << 13;
    fuzz_state ^= fuzz_state >> 7;
    fuzz_state ^= fuzz_state << 17;
    return fuzz_state;
}

static inline size_t fuzz_below(size_t n)
{
    return n ? (size_t)(fuzz_next() >> 11) % n : 0;
}

/* A new, empty seed to write into. */
static inline strbuf *fuzz_seed(void)
{
    if (fuzz_n_seed == FUZZ_MOST_SEEDS)
        abort();
    return &fuzz_seeds[fuzz_n_seed++];
}

static inline void fuzz_seed_bytes(const void *bytes, size_t n)
{
    strbuf_add(fuzz_seed(), bytes, n);
}

static inline void fuzz_seed_file(const char *path)
{
    char *bytes;
    size_t n;
    if (fuzz_n_seed == FUZZ_MOST_SEEDS || read_file(&bytes, &n, path, FUZZ_LARGEST, NULL) != 0)
        return;
    fuzz_seeds[fuzz_n_seed++] = (strbuf){.s = bytes, .len = n, .cap = n};
}

static inline void fuzz_seed_path(const char *path)
{
    char name[4096];
    DIR *d = opendir(path);
    if (!d) {
        fuzz_seed_file(path);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(d));) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            fuzz_seed_file(name);
    }
    closedir(d);
}

/* Most changes go where the structure is: the front of the file, some its end. */
static inline size_t fuzz_place(size_t n)
{
    uint64_t r = fuzz_next() % 16;
    if (r < 11)
        return fuzz_below(n < 512 ? n : 512);
    if (r < 13)
        return n - 1 - fuzz_below(n < 256 ? n : 256);
    return fuzz_below(n);
}

/* n bytes put in at `at`; the caller sees to the limit. */
static inline void fuzz_insert(strbuf *b, size_t at, const char *bytes, size_t n)
{
    size_t was = b->len;
    for (size_t i = 0; i < n; i++)
        strbuf_putc(b, '\0');
    memmove(b->s + at + n, b->s + at, was - at);
    memcpy(b->s + at, bytes, n);
}

/* One change: bits, bytes, hard numbers, JSON characters, cuts, copies, pieces of other seeds, words. */
static inline void fuzz_change(strbuf *b)
{
    static const uint64_t hard[] = {
        0, 1, 2, 3, 7, 8, 31, 32, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
        0xffffffff, 1ull << 32, 1ull << 40, 1ull << 60, 1ull << 61, 1ull << 62, INT64_MAX, 1ull << 63,
        UINT64_MAX - 31, UINT64_MAX - 1, UINT64_MAX,
    };
    if (!b->len) {
        strbuf_putc(b, (char)fuzz_next());
        return;
    }
    size_t at = fuzz_place(b->len), left = b->len - at;
    uint64_t v = hard[fuzz_below(sizeof hard / sizeof *hard)];
    switch (fuzz_below(fuzz_words ? 13 : 11)) {
    case 0:
        b->s[at] = (char)(b->s[at] ^ 1 << fuzz_below(8));
        break;
    case 1:
        b->s[at] = (char)fuzz_next();
        break;
    case 2:
        memcpy(b->s + at, &v, left < 8 ? left : 8);
        break;
    case 3:
        memcpy(b->s + at, &v, left < 4 ? left : 4);
        break;
    case 4:
        memcpy(b->s + at, &v, left < 2 ? left : 2);
        break;
    case 5: { /* a little more or less */
        b->s[at] = (char)(b->s[at] + (int)fuzz_below(9) - 4);
        break;
    }
    case 6: { /* another character of JSON */
        static const char marks[] = "0123456789-.eE\"\\{}[]:,untrfal \x80\xff";
        b->s[at] = marks[fuzz_below(sizeof marks - 1)];
        break;
    }
    case 7:
        if (fuzz_next() % 4 == 0) /* most cuts look alike */
            b->len = at;
        break;
    case 8: { /* a part of this or another seed over a part */
        const strbuf *s = fuzz_next() % 2 ? b : &fuzz_seeds[fuzz_below((size_t)fuzz_n_seed)];
        if (!s->len)
            break;
        size_t from = fuzz_place(s->len), n = 1 + fuzz_below(64);
        n = n < left ? n : left;
        n = n < s->len - from ? n : s->len - from;
        memmove(b->s + at, s->s + from, n);
        break;
    }
    case 9: { /* bytes taken out */
        size_t n = 1 + fuzz_below(16);
        n = n < left ? n : left;
        memmove(b->s + at, b->s + at + n, left - n);
        b->len -= n;
        break;
    }
    case 10: { /* a piece twice */
        char piece[64];
        size_t n = 1 + fuzz_below(sizeof piece);
        n = n < left ? n : left;
        memcpy(piece, b->s + at, n);
        if (b->len + n <= FUZZ_LARGEST)
            fuzz_insert(b, at, piece, n);
        break;
    }
    default: { /* a word, over what is there or put in */
        size_t count = 0;
        while (fuzz_words[count])
            count++;
        const char *word = fuzz_words[fuzz_below(count)];
        size_t n = strlen(word);
        if (fuzz_next() % 2 && n <= left)
            memcpy(b->s + at, word, n);
        else if (b->len + n <= FUZZ_LARGEST)
            fuzz_insert(b, at, word, n);
    }
    }
}

static inline void fuzz_save(const strbuf *b)
{
    FILE *f = fopen(getenv("FUZZ_SAVE"), "wb");
    if (f) {
        fwrite(strbuf_str(b), 1, b->len, f);
        fclose(f);
    }
}

static inline int fuzz_main(int argc, char **argv, const char *what)
{
    const char *runs_text = getenv("FUZZ_RUNS"), *seed_text = getenv("FUZZ_SEED");
    long runs = runs_text ? atol(runs_text) : FUZZ_DEFAULT_RUNS;
    uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 0;
    bool save = getenv("FUZZ_SAVE") != NULL;
    if (seed) /* neighbours must not begin alike */
        fuzz_state = (seed * 0x9e3779b97f4a7c15u) | 1;
    for (int i = 1; i < argc; i++)
        fuzz_seed_path(argv[i]);
    printf("1..1\n");
    strbuf b = {0};
    for (long i = -fuzz_n_seed; i < runs; i++) {
        const strbuf *s = &fuzz_seeds[i < 0 ? (size_t)(i + fuzz_n_seed) : fuzz_below((size_t)fuzz_n_seed)];
        strbuf_clear(&b);
        strbuf_add(&b, strbuf_str(s), s->len);
        for (size_t k = i < 0 ? 0 : 1 + fuzz_below(FUZZ_CHANGES); k; k--)
            fuzz_change(&b);
        if (b.failed)
            abort();
        if (save)
            fuzz_save(&b);
        LLVMFuzzerTestOneInput((const uint8_t *)strbuf_str(&b), b.len);
    }
    printf("ok 1 - %ld %s of %d seeds\n", runs, what, fuzz_n_seed);
    strbuf_free(&b);
    for (int i = 0; i < fuzz_n_seed; i++)
        strbuf_free(&fuzz_seeds[i]);
    return 0;
}

#endif
