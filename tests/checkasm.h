/* What the tests of kernels share: every table of kernels that this machine can run against plain C, on buffers between
 * forbidden pages, with random and extreme inputs and a budget for each class of kernels.  Uses cmocka's asserts.
 *
 * Inputs follow from a fixed seed, or from ATTNSCOPE_SEED; what fails prints it, with the kernel, the table, the case, the
 * index and both values.  A kernel that reads or writes what is not its own fails its test; the program goes on. */
#ifndef ATTNSCOPE_TESTS_CHECKASM_H
#define ATTNSCOPE_TESTS_CHECKASM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "compute/kernels.h"

/* ---- budgets: how far a table may be from what it is held against; figures and reasons in checkasm.c ---- */

typedef enum kernel_class {
    BUDGET_EXACT,       /* the same bits; any NaN for a NaN */
    BUDGET_EXPONENTIAL, /* elementwise, with an exponential inside */
    BUDGET_DOT,         /* sums of products in an order that is the table's own */
    BUDGET_ENTROPY,     /* statistics of a softmax, summed in float where plain C has double */
    BUDGET_DISTANCE,
    BUDGET_FORMULA,     /* plain C against its formula in double */
    BUDGET_FORMULA_SUM, /* the same for sums */
    BUDGET_COUNT
} kernel_class;

typedef struct budget {
    const char *name;
    int64_t ulp;     /* steps between neighbouring floats, or */
    double relative; /* of the scale that the test names: the sum of magnitudes, the largest distance; or |expected| */
    double share;    /* of all values that may differ at all */
    const char *why;
} budget;

extern const budget budgets[BUDGET_COUNT];

/* ---- random and extreme inputs ---- */

typedef enum inputs {
    INPUTS_SMALL,    /* -2 .. 2 */
    INPUTS_WIDE,     /* -90 .. 90, where exponentials end */
    INPUTS_DENORMAL, /* zeros of both signs, denormals, the smallest normal numbers */
    INPUTS_HUGE,     /* every finite exponent, up to 3.4e38 */
    INPUTS_SPECIAL,  /* infinities, NaN and the edges of ranges among ordinary numbers */
    INPUTS_COUNT
} inputs;

uint64_t random_bits(void);
int random_below(int n);                /* 0 .. n - 1 */
float random_float(float lo, float hi);
void random_fill(float *x, int64_t n, inputs kind);
const char *inputs_name(inputs kind);

/* ---- buffers between forbidden pages ---- */

/* Where a buffer lies: its last byte before the page behind, or its first 0 to 3 floats behind the page before. */
enum { PLACE_BEHIND, PLACE_BEFORE, PLACES = 5 };

/* n floats at most 2^20, or as many 64-bit integers; valid until buffers_done.  All of it and what is left of the pages
 * around is filled with a NaN of its own. */
float *buffer_floats(int64_t n, int place);
int64_t *buffer_ints(int64_t n, int place);
/* Nothing was written to. */
bool untouched(float x);
/* Fails where something was written around a buffer; takes all of them back. */
void buffers_done(void);

/* ---- loops, cases and comparison ---- */

/* Runs check for plain C and for every other table that this machine can run; kernel: a name of kernel_entries, which
 * counts as tested, or another for the message (of tables that belong to k).  data goes to check. */
void each_table(const char *kernel, void (*check)(const kernels *k, const void *data), const void *data);
/* What is being checked, for the message. */
void this_case(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* got is NaN where want is, infinite where want is, and else within the budget; scale: see budget, 0: |want|. */
void expect(kernel_class class, int64_t index, float got, double want, double scale);
void expect_floats(kernel_class class, const float *got, const float *want, int64_t n);
void expect_that(bool condition, const char *what);

/* Sizes up to the widest vectors one by one, around the multiples, and some thousands; ends with -1. */
extern const int64_t kernel_sizes[];
enum { SIZES_ONE_BY_ONE = 40 };

/* ---- every entry of the table has its test ---- */

typedef struct kernel_entry {
    const char *name;
    size_t offset, size;
    const char *program; /* that tests it; NULL: nothing to test against plain C */
} kernel_entry;

extern const kernel_entry kernel_entries[];

/* kernel_entries lists all of kernels, every table has all functions, and this program has tested what is its own.
 * To be called last. */
void check_entries(const char *program);

#endif
