#include "tests/checkasm.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const budget budgets[BUDGET_COUNT] = {
    [BUDGET_EXACT] = {"exact", 0, 0, 0,
        "element by element, in a fixed order, or fused multiply-adds in increasing k: kernels.h promises the same bits"},
    [BUDGET_EXPONENTIAL] = {"exponential", 1, 0, 1e-5,
        "the same steps; plain C fuses multiply and add by way of double, which rounds twice once in some 2^29 times"},
    [BUDGET_DOT] = {"dot", 0, 1e-6, 1,
        "of the sum of magnitudes; as many partial sums as lanes: some thousands of terms stay within a few roundings of 6e-8"},
    [BUDGET_ENTROPY] = {"entropy", 2, 2e-6, 1,
        "of the logarithm of the number of keys, at least 1; sums over 64 keys in float, each term good to 6e-8"},
    [BUDGET_DISTANCE] = {"distance", 2, 1e-6, 1,
        "of the largest distance; sums over 64 keys in float"},
    [BUDGET_FORMULA] = {"formula", 4, 1e-7, 1,
        "of the largest intermediate value: an exponential good to 1 ulp, a quotient and two products"},
    [BUDGET_FORMULA_SUM] = {"formula of sums", 0, 4e-6, 1,
        "of the sum of magnitudes; thousands of additions in float, in a fixed order, lose some tens of 6e-8"},
};

/* ---- failing ---- */

static uint64_t seed_given, seed;
static const char *current_kernel = "", *current_table = "";
static char current_case[200];
static int64_t compared, of_class[BUDGET_COUNT], differing[BUDGET_COUNT];

static uint64_t seed_wanted(void)
{
    const char *text = getenv("ATTNSCOPE_SEED");
    char *end;
    if (!text || !*text)
        return 20260101;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end)
        fail_msg("ATTNSCOPE_SEED is no number: %s", text);
    return value;
}

#define FAIL(format, ...) fail_msg("%s, table %s, %s: " format "; ATTNSCOPE_SEED=%llu", current_kernel, current_table, \
                                   current_case, __VA_ARGS__, (unsigned long long)seed_given)

void this_case(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(current_case, sizeof current_case, format, args);
    va_end(args);
}

void expect_that(bool condition, const char *what)
{
    compared++;
    if (!condition)
        FAIL("%s", what);
}

/* ---- inputs ---- */

uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1du;
}

int random_below(int n)
{
    return (int)((random_bits() >> 32) % (unsigned)n);
}

float random_float(float lo, float hi)
{
    return lo + (hi - lo) * ((float)(random_bits() >> 40) / (float)(1 << 24));
}

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float random_input(inputs kind)
{
    static const float special[] = {
        0.0f, -0.0f, 1e-42f, -1e-42f, FLT_MIN, -FLT_MIN, FLT_MAX, -FLT_MAX, INFINITY, -INFINITY, NAN, 1, -1, 20, -20, 20.000002f,
        87.33654f, -87.33654f, 88.7f, -88.7f, 88.72284f, 103.9f, -103.9f, 104, -104, 104.5f, 1e4f, -1e4f, 1e30f, -1e30f, 0.625f,
        -0.625f, 12582912, 65504, 1.00390625f, 33554428,
    };
    uint32_t r = (uint32_t)(random_bits() >> 32), sign = r & 0x80000000u;
    switch (kind) {
    case INPUTS_WIDE:
        return random_float(-90, 90);
    case INPUTS_DENORMAL: /* of eight a zero and one of the smallest normal numbers */
        return from_bits(sign | (r % 8 == 0 ? 0 : r % 8 == 1 ? 0x800000u | (r >> 3 & 0x7fffffu) : r >> 3 & 0x7fffffu));
    case INPUTS_HUGE:
        return from_bits(sign | (r & 0x7fffffffu) % 0x7f800000u);
    case INPUTS_SPECIAL:
        return r & 1 ? special[r % 1009 % (sizeof special / sizeof *special)] : random_float(-4, 4);
    default:
        return random_float(-2, 2);
    }
}

void random_fill(float *x, int64_t n, inputs kind)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = random_input(kind);
}

const char *inputs_name(inputs kind)
{
    static const char *const names[INPUTS_COUNT] = {"small", "wide", "denormal", "huge", "special"};
    return names[kind];
}

const int64_t kernel_sizes[] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 47, 48, 49, 63, 64, 65, 79, 95, 96, 97, 127, 128, 129,
    255, 257, 511, 513, 1000, 4099, -1,
};

/* ---- buffers ---- */

enum { SLOTS = 16, SLOT_FLOATS = 1 << 20, MARGIN = 64, UNTOUCHED = 0x7fedcba9 };

typedef struct slot { unsigned char *map; float *start, *at; int64_t n; } slot;

static slot slots[SLOTS];
static int slots_taken;

bool untouched(float x)
{
    return to_bits(x) == UNTOUCHED;
}

/* The margin of a buffer that its slot has room for, before and behind. */
static int64_t margin(const slot *s, bool behind)
{
    int64_t room = behind ? s->start + SLOT_FLOATS - (s->at + s->n) : s->at - s->start;
    return room < MARGIN ? room : MARGIN;
}

float *buffer_floats(int64_t n, int place)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = SLOT_FLOATS * sizeof(float);
    assert_true(n >= 0 && n + PLACES <= SLOT_FLOATS && slots_taken < SLOTS);
    slot *s = &slots[slots_taken++];
    if (!s->map) {
        s->map = mmap(NULL, body + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(s->map != MAP_FAILED);
        assert_int_equal(mprotect(s->map + page, body, PROT_READ | PROT_WRITE), 0);
        s->start = (float *)(void *)(s->map + page);
    }
    s->at = place == PLACE_BEHIND ? s->start + SLOT_FLOATS - n : s->start + (place - PLACE_BEFORE);
    s->n = n;
    for (float *p = s->at - margin(s, false); p < s->at + n + margin(s, true); p++)
        *p = from_bits(UNTOUCHED);
    return s->at;
}

int64_t *buffer_ints(int64_t n, int place)
{
    /* whole ones: 64-bit integers lie at multiples of their size */
    return (int64_t *)(void *)buffer_floats(2 * n, place == PLACE_BEHIND ? place : PLACE_BEFORE + (place - PLACE_BEFORE) / 2 * 2);
}

void buffers_done(void)
{
    for (int i = 0; i < slots_taken; i++) {
        const slot *s = &slots[i];
        for (int64_t k = -margin(s, false); k < s->n + margin(s, true); k++)
            if ((k < 0 || k >= s->n) && !untouched(s->at[k]))
                FAIL("written outside of a buffer, %lld floats %s it", (long long)(k < 0 ? -k : k - s->n + 1),
                     k < 0 ? "before" : "behind");
    }
    compared += slots_taken;
    slots_taken = 0;
}

/* ---- comparison ---- */

static int64_t place_of(float x)
{
    int32_t i;
    memcpy(&i, &x, sizeof i);
    return i < 0 ? (int64_t)INT32_MIN - i : i;
}

static int64_t ulps(float a, float b)
{
    int64_t d = place_of(a) - place_of(b);
    return d < 0 ? -d : d;
}

void expect(kernel_class class, int64_t index, float got, double want, double scale)
{
    const budget *b = &budgets[class];
    float rounded = (float)want;
    double apart = fabs((double)got - want);
    compared++;
    of_class[class]++;
    differing[class] += !(isnan(want) ? isnan(got) : got == rounded);
    bool same = isnan(want) ? isnan(got) : isinf(rounded) || isinf(got) || !b->ulp || ulps(got, rounded) == 0
                ? (class == BUDGET_EXACT ? to_bits(got) == to_bits(rounded) : got == rounded)
                : ulps(got, rounded) <= b->ulp;
    if (!same && isfinite(got) && isfinite(rounded) && b->relative > 0)
        same = apart <= b->relative * (scale > 0 ? scale : fabs(want));
    if (!same)
        FAIL("at %lld: %a (%.9g), expected %a (%.9g), %.3g and %lld ulp apart; budget \"%s\": %lld ulp, %.2g of %.3g",
             (long long)index, (double)got, (double)got, want, want, apart, (long long)ulps(got, rounded), b->name,
             (long long)b->ulp, b->relative, scale > 0 ? scale : fabs(want));
}

void expect_floats(kernel_class class, const float *got, const float *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        expect(class, i, got[i], (double)want[i], 0);
}

/* Of the values of one kernel and table. */
static void expect_shares(void)
{
    this_case("all cases together");
    for (int i = 0; i < BUDGET_COUNT; i++)
        if ((double)differing[i] > budgets[i].share * (double)of_class[i] + 1)
            FAIL("%lld of %lld values differ, if only by a little; budget \"%s\": a share of %g", (long long)differing[i],
                 (long long)of_class[i], budgets[i].name, budgets[i].share);
}

/* ---- tables ---- */

#define ENTRY(member, by) {#member, offsetof(kernels, member), sizeof(((kernels *)0)->member), by}

const kernel_entry kernel_entries[] = {
    ENTRY(isa, NULL),
    ENTRY(mr, NULL),
    ENTRY(nr, NULL),
    ENTRY(gemm_micro, "test_kernels_gemm"),
    ENTRY(dot, "test_kernels_gemm"),
    ENTRY(row_dot, "test_row_dot"),
    ENTRY(row_dot_bf16, "test_row_dot"),
    ENTRY(rows_dot, "test_row_dot"),
    ENTRY(row_values, "test_row_dot"),
    ENTRY(part_pairs, "test_row_dot"),
    ENTRY(interleave, "test_kernels_gemm"),
    ENTRY(score_columns, "test_kernels_softmax"),
    ENTRY(softmax_columns, "test_kernels_softmax"),
    ENTRY(sum_squares, "test_kernels"),
    ENTRY(rms_norm, "test_kernels"),
    ENTRY(layer_norm, "test_kernels"),
    ENTRY(silu, "test_kernels"),
    ENTRY(gelu_tanh, "test_kernels"),
    ENTRY(gelu_erf, "test_kernels"),
    ENTRY(relu, "test_kernels"),
    ENTRY(mul, "test_kernels"),
    ENTRY(add, "test_kernels"),
    ENTRY(round_bf16, "test_kernels"),
    ENTRY(quick_gelu, "test_kernels"),
    ENTRY(relu2, "test_kernels"),
    ENTRY(sigmoid, "test_kernels"),
    ENTRY(softplus, "test_kernels"),
    ENTRY(clamp, "test_kernels"),
    ENTRY(scale, "test_kernels"),
    ENTRY(add_scaled, "test_kernels"),
    ENTRY(swiglu_oai, "test_kernels"),
    ENTRY(gelu_new, "test_kernels"),
    ENTRY(gelu_fast, "test_kernels"),
    ENTRY(product_sums, "test_pair_kernels"),
    ENTRY(mixture_sums, "test_pair_kernels"),
    ENTRY(column_sums, "test_kernels_softmax"),
    ENTRY(scale_columns, "test_kernels_softmax"),
    ENTRY(multiply_adds, "test_kernels"),
    ENTRY(tiles, "test_tiles"),
};

enum { ENTRIES = sizeof kernel_entries / sizeof *kernel_entries };

static int tables_checked[ENTRIES];
static sigjmp_buf fault;
static volatile sig_atomic_t fault_signal;

static void on_fault(int number)
{
    fault_signal = number;
    siglongjmp(fault, 1);
}

/* -1: of another table */
static int entry_of(const char *name)
{
    for (int i = 0; i < ENTRIES; i++)
        if (!strcmp(kernel_entries[i].name, name))
            return i;
    return -1;
}

/* The same for every table, and for a kernel alone. */
static void start_seed(const char *kernel)
{
    seed = seed_given * 0x9e3779b97f4a7c15u;
    for (; *kernel; kernel++)
        seed = (seed ^ (unsigned char)*kernel) * 0x100000001b3u;
    seed += !seed;
}

static void check_table(const kernels *k, void (*check)(const kernels *k, const void *data), const void *data)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    enum { N = sizeof numbers / sizeof *numbers };
    struct sigaction ours = {.sa_handler = on_fault, .sa_flags = SA_NODEFER}, before[N];
    current_table = k->isa;
    slots_taken = 0;
    this_case("at the start");
    for (int i = 0; i < N; i++)
        sigaction(numbers[i], &ours, &before[i]);
    memset(of_class, 0, sizeof of_class);
    memset(differing, 0, sizeof differing);
    if (sigsetjmp(fault, 1) == 0) {
        check(k, data);
        expect_shares();
    } else {
        FAIL("%s", fault_signal == SIGILL ? "an instruction that this machine lacks"
                   : fault_signal == SIGFPE ? "a trap of arithmetic" : "reads or writes what is not its own");
    }
    for (int i = 0; i < N; i++)
        sigaction(numbers[i], &before[i], NULL);
}

void each_table(const char *kernel, void (*check)(const kernels *k, const void *data), const void *data)
{
    int entry = entry_of(kernel);
    current_kernel = kernel;
    seed_given = seed_wanted();
    for (const kernels *const *k = kernels_all(); *k; k++) {
        if (!kernels_usable(*k))
            continue;
        if (entry >= 0)
            tables_checked[entry]++;
        start_seed(kernel);
        check_table(*k, check, data);
    }
}

void check_entries(const char *program)
{
    size_t end = 0;
    for (const kernels *const *k = kernels_all(); *k; k++)
        fprintf(stderr, "# %s: %s\n", (*k)->isa, kernels_usable(*k) ? "checked" : "skipped: not on this machine");
    fprintf(stderr, "# seed %llu, %lld comparisons\n", (unsigned long long)seed_given, (long long)compared);
    for (int i = 0; i < ENTRIES; i++) {
        const kernel_entry *e = &kernel_entries[i];
        if (e->offset < end || e->offset - end >= sizeof(void *))
            fail_msg("an entry of kernels before %s is not in kernel_entries: it has no test", e->name);
        end = e->offset + e->size;
        for (const kernels *const *k = kernels_all(); e->program && e->size == sizeof(void *) && *k; k++) {
            void *f;
            memcpy(&f, (const char *)*k + e->offset, sizeof f);
            if (!f)
                fail_msg("table %s has no %s", (*k)->isa, e->name);
        }
        if (e->program && !strcmp(e->program, program) && tables_checked[i] == 0)
            fail_msg("%s does not test %s", program, e->name);
    }
    if (sizeof(kernels) - end >= sizeof(void *))
        fail_msg("the last entries of kernels are not in kernel_entries: they have no test");
}
