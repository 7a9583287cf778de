/* Elementwise kernels and norms of every table that this machine can run against plain C, plain C against formulas in double;
 * every entry of the table has a test somewhere; which table is chosen.  Softmax, products and sums for pairs of heads have
 * programs of their own. */
#include "tests/checkasm.h"

#include <math.h>
#include <string.h>

enum { LONGEST = 4099, SWEEP = 1 << 16, LONGEST_NORM = 140003 };

/* ---- one operand, in place ---- */

typedef void (*unary_function)(float *x, int64_t n);

static unary_function unary_of(const kernels *k, size_t offset)
{
    unary_function f;
    memcpy(&f, (const char *)k + offset, sizeof f);
    return f;
}

typedef struct unary {
    const char *name;
    size_t offset;
    kernel_class class;
    double (*formula)(double x);
} unary;

static double f_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double f_silu(double x) { return x * f_sigmoid(x); }
static double f_gelu_tanh(double x) { return .5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + .044715 * x * x * x))); }
static double f_gelu_erf(double x) { return .5 * x * (1 + erf(x / sqrt(2))); }
static double f_relu(double x) { return x < 0 ? 0 : x; }
static double f_relu2(double x) { return f_relu(x) * f_relu(x); }
static double f_quick_gelu(double x) { return x * f_sigmoid(1.702 * x); }
static double f_softplus(double x) { return x > 20 ? x : log1p(exp(x)); }

/* By division of the bits; ties to even. */
static double f_round_bf16(double x)
{
    int exponent;
    double m = frexp(x, &exponent);
    return ldexp(nearbyint(ldexp(m, 8)), exponent - 8);
}

#define UNARY(member, class, formula) {#member, offsetof(kernels, member), class, formula}

static const unary unaries[] = {
    UNARY(silu, BUDGET_EXPONENTIAL, f_silu),
    UNARY(gelu_tanh, BUDGET_EXACT, f_gelu_tanh),
    UNARY(gelu_new, BUDGET_EXACT, f_gelu_tanh),
    UNARY(gelu_fast, BUDGET_EXACT, f_gelu_tanh),
    UNARY(gelu_erf, BUDGET_EXACT, f_gelu_erf),
    UNARY(relu, BUDGET_EXACT, f_relu),
    UNARY(round_bf16, BUDGET_EXACT, f_round_bf16),
    UNARY(quick_gelu, BUDGET_EXPONENTIAL, f_quick_gelu),
    UNARY(relu2, BUDGET_EXACT, f_relu2),
    UNARY(sigmoid, BUDGET_EXPONENTIAL, f_sigmoid),
    UNARY(softplus, BUDGET_EXACT, f_softplus),
};

enum { UNARIES = sizeof unaries / sizeof *unaries };

/* All sizes with all inputs; the short ones at every place, the long ones at one in turn. */
static void each_size(void (*f)(const kernels *k, const void *data, int64_t n, int place, inputs kind), const kernels *k,
                      const void *data)
{
    for (const int64_t *n = kernel_sizes; *n >= 0; n++)
        for (int kind = 0; kind < INPUTS_COUNT; kind++)
            for (int place = 0; place < PLACES; place++)
                if (*n <= SIZES_ONE_BY_ONE || place == (*n + kind) % PLACES) {
                    this_case("n %lld, %s inputs, place %d", (long long)*n, inputs_name((inputs)kind), place);
                    f(k, data, *n, place, (inputs)kind);
                    buffers_done();
                }
}

static void unary_size(const kernels *k, const void *data, int64_t n, int place, inputs kind)
{
    const unary *u = data;
    float *x = buffer_floats(n, place), want[LONGEST];
    random_fill(x, n, kind);
    memcpy(want, x, (size_t)n * sizeof *x);
    unary_of(k, u->offset)(x, n);
    unary_of(&kernels_c, u->offset)(want, n);
    expect_floats(u->class, x, want, n);
}

/* Numbers from all over: each upper half of the bits with a random lower half. */
static void unary_sweep(const kernels *k, const unary *u)
{
    static float want[SWEEP];
    float *x = buffer_floats(SWEEP, PLACE_BEHIND);
    for (uint32_t i = 0; i < SWEEP; i++) {
        uint32_t bits = i << 16 | (uint32_t)(random_bits() >> 48);
        memcpy(x + i, &bits, sizeof bits);
    }
    memcpy(want, x, sizeof want);
    this_case("a sweep over all floats");
    unary_of(k, u->offset)(x, SWEEP);
    unary_of(&kernels_c, u->offset)(want, SWEEP);
    expect_floats(u->class, x, want, SWEEP);
    buffers_done();
}

static void check_unary(const kernels *k, const void *data)
{
    each_size(unary_size, k, data);
    unary_sweep(k, data);
    if (k != &kernels_c)
        return;
    const unary *u = data;
    float x[256], before[256];
    for (int round = 0; round < 32; round++) {
        random_fill(x, 256, round & 1 ? INPUTS_WIDE : INPUTS_SMALL);
        memcpy(before, x, sizeof x);
        this_case("against its formula");
        unary_of(k, u->offset)(x, 256);
        for (int i = 0; i < 256; i++)
            expect(BUDGET_FORMULA, i, x[i], u->formula((double)before[i]), fmax(1, fabs((double)before[i])));
    }
}

static void test_unary(void **state)
{
    const unary *u = *state;
    each_table(u->name, check_unary, u);
}

/* ---- two operands, or parameters ---- */

static const float factors[] = {1.1f, 0, -0.0f, -1, 1e30f, 1e-40f, INFINITY, NAN};
static const float limits[][2] = {{-1.5f, 2.5f}, {0, 0}, {-0.0f, 1}, {-INFINITY, INFINITY}, {-1e-42f, 1e-42f}, {3, 1e30f}};

enum { FACTORS = sizeof factors / sizeof *factors, LIMITS = sizeof limits / sizeof *limits };

typedef enum binary { MUL, ADD, SCALE, ADD_SCALED, CLAMP, SWIGLU } binary;

static void apply(const kernels *k, binary b, float *x, const float *y, int64_t n, int choice)
{
    const float a = factors[choice % FACTORS], *limit = limits[choice % LIMITS];
    switch (b) {
    case MUL:
        k->mul(x, y, n);
        break;
    case ADD:
        k->add(x, y, n);
        break;
    case SCALE:
        k->scale(x, a, n);
        break;
    case ADD_SCALED:
        k->add_scaled(x, y, a, n);
        break;
    case CLAMP:
        k->clamp(x, limit[0], limit[1], n);
        break;
    case SWIGLU:
        k->swiglu_oai(x, y, n, 1.702f, choice % 3 ? 7 : 1e30f);
        break;
    }
}

static void binary_size(const kernels *k, const void *data, int64_t n, int place, inputs kind)
{
    const binary b = *(const binary *)data;
    float *x = buffer_floats(n, place), *y = buffer_floats(n, (place + (int)n) % PLACES), want[LONGEST], kept[LONGEST];
    int choice = random_below(FACTORS * LIMITS);
    random_fill(x, n, kind);
    random_fill(y, n, kind);
    memcpy(want, x, (size_t)n * sizeof *x);
    memcpy(kept, y, (size_t)n * sizeof *y);
    apply(k, b, x, y, n, choice);
    apply(&kernels_c, b, want, kept, n, choice);
    expect_floats(b == SWIGLU ? BUDGET_EXPONENTIAL : BUDGET_EXACT, x, want, n);
    expect_that(memcmp(y, kept, (size_t)n * sizeof *y) == 0, "the second operand changed");
}

static double binary_formula(binary b, float x, float y, int choice)
{
    const float a = factors[choice % FACTORS], *limit = limits[choice % LIMITS];
    double g, u;
    switch (b) {
    case MUL:
        return (double)(x * y);
    case ADD:
        return (double)(x + y);
    case SCALE:
        return (double)(x * a);
    case ADD_SCALED:
        return (double)(x + a * y);
    case CLAMP:
        return isnan(x) ? (double)NAN : fmin(fmax((double)x, (double)limit[0]), (double)limit[1]);
    default:
        g = fmin((double)x, choice % 3 ? 7 : 1e30);
        u = choice % 3 ? fmax(fmin((double)y, 7), -7) : (double)y;
        return (u + 1) * (g * f_sigmoid(1.702 * g));
    }
}

static void check_binary(const kernels *k, const void *data)
{
    const binary b = *(const binary *)data;
    each_size(binary_size, k, data);
    if (k != &kernels_c)
        return;
    for (int choice = 0; choice < FACTORS * LIMITS; choice++) {
        float x[64], y[64], got[64];
        random_fill(x, 64, choice & 1 ? INPUTS_WIDE : INPUTS_SMALL);
        random_fill(y, 64, INPUTS_SMALL);
        memcpy(got, x, sizeof got);
        this_case("against its formula, choice %d", choice);
        apply(k, b, got, y, 64, choice);
        for (int i = 0; i < 64; i++)
            expect(BUDGET_FORMULA, i, got[i], binary_formula(b, x[i], y[i], choice), fmax(1, 4 * fabs((double)x[i])));
    }
}

#define BINARY_TEST(name, which) \
    static void test_##name(void **state) { (void)state; each_table(#name, check_binary, &(const binary){which}); }
BINARY_TEST(mul, MUL)
BINARY_TEST(add, ADD)
BINARY_TEST(scale, SCALE)
BINARY_TEST(add_scaled, ADD_SCALED)
BINARY_TEST(clamp, CLAMP)
BINARY_TEST(swiglu_oai, SWIGLU)

/* ---- norms ---- */

typedef enum norm { SUM_SQUARES, RMS_NORM, LAYER_NORM } norm;

static void norm_row(const kernels *k, norm kind, float *y, const float *x, const float *w, const float *b, int64_t n, float eps)
{
    if (kind == LAYER_NORM)
        k->layer_norm(y, x, w, b, n, eps);
    else if (kind == RMS_NORM)
        k->rms_norm(y, x, w, n, eps);
    else
        *y = k->sum_squares(x, n);
}

static void norm_size(const kernels *k, const void *data, int64_t n, int place, inputs kind)
{
    const norm which = *(const norm *)data;
    int64_t n_out = which == SUM_SQUARES ? 1 : n;
    float *x = buffer_floats(n, place), *w = buffer_floats(n, (place + 1) % PLACES), *b = buffer_floats(n, (place + 2) % PLACES);
    bool in_place = which != SUM_SQUARES && random_below(3) == 0;
    static float want[LONGEST_NORM], before[LONGEST_NORM];
    float *y = in_place ? x : buffer_floats(n_out, (place + 3) % PLACES);
    const float *use_w = random_below(3) ? w : NULL, *use_b = random_below(3) ? b : NULL;
    float eps = random_below(4) ? 1e-5f : 0;
    random_fill(x, n, kind);
    random_fill(w, n, INPUTS_SMALL);
    random_fill(b, n, INPUTS_SMALL);
    memcpy(before, x, (size_t)n * sizeof *x);
    norm_row(k, which, y, x, use_w, use_b, n, eps);
    norm_row(&kernels_c, which, want, before, use_w, use_b, n, eps);
    expect_floats(BUDGET_EXACT, y, want, n_out);
    expect_that(in_place || memcmp(x, before, (size_t)n * sizeof *x) == 0, "the input changed");
}

/* n values of any mean, against the definition. */
static void norm_formula(norm which, int64_t n, double eps)
{
    static float x[LONGEST_NORM], w[LONGEST_NORM], b[LONGEST_NORM], y[LONGEST_NORM];
    const double centre = (double)random_float(-3, 3);
    double sum = 0, squares = 0, spread = 0;
    random_fill(x, n, INPUTS_SMALL);
    random_fill(w, n, INPUTS_SMALL);
    random_fill(b, n, INPUTS_SMALL);
    for (int64_t i = 0; i < n; i++) {
        x[i] += (float)centre;
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    for (int64_t i = 0; i < n; i++)
        spread += ((double)x[i] - sum / (double)n) * ((double)x[i] - sum / (double)n);
    this_case("against its formula, n %lld, eps %g", (long long)n, eps);
    norm_row(&kernels_c, which, y, x, w, b, n, (float)eps);
    double root = sqrt((which == LAYER_NORM ? spread : squares) / (double)n + eps);
    for (int64_t i = 0; i < (which == SUM_SQUARES ? 1 : n); i++)
        expect(BUDGET_FORMULA_SUM, i, y[i],
               which == SUM_SQUARES ? squares
               : which == RMS_NORM ? (double)x[i] / root * (double)w[i]
               : ((double)x[i] - sum / (double)n) / root * (double)w[i] + (double)b[i],
               which == SUM_SQUARES ? squares : fmax(1, 10 / root));
}

static void check_norm(const kernels *k, const void *data)
{
    const norm which = *(const norm *)data;
    each_size(norm_size, k, data);
    for (int i = 0; i < 2; i++) { /* all levels of a sum in cascades */
        int64_t n = i ? LONGEST_NORM : 9001;
        this_case("n %lld", (long long)n);
        norm_size(k, data, n, PLACE_BEHIND, INPUTS_SMALL);
        buffers_done();
        if (k == &kernels_c)
            norm_formula(which, n, 1e-5f);
    }
    for (const int64_t *n = kernel_sizes; *n >= 0 && k == &kernels_c; n++)
        if (*n > 0) {
            norm_formula(which, *n, 1e-5f);
            norm_formula(which, *n, 0.25);
        }
}

static void test_sum_squares(void **state) { (void)state; each_table("sum_squares", check_norm, &(const norm){SUM_SQUARES}); }
static void test_rms_norm(void **state) { (void)state; each_table("rms_norm", check_norm, &(const norm){RMS_NORM}); }
static void test_layer_norm(void **state) { (void)state; each_table("layer_norm", check_norm, &(const norm){LAYER_NORM}); }

/* ---- the rest ---- */

/* Every chain ends at 1, so the result counts the lanes that are there: half the operations of a round. */
static void check_multiply_adds(const kernels *k, const void *data)
{
    int flop = 0;
    (void)data;
    float sum = k->multiply_adds(40000, &flop);
    expect_that(flop > 0 && flop % 2 == 0, "no operations are counted");
    expect(BUDGET_FORMULA_SUM, 0, sum, flop / 2, 10 * flop);
}

static void test_multiply_adds(void **state) { (void)state; each_table("multiply_adds", check_multiply_adds, NULL); }

/* The plain activations themselves, at points computed to ten digits elsewhere. */
static void test_published_values(void **state)
{
    static const float at[] = {1, -1, 3, 0};
    static const struct { const char *name; double values[4]; } published[] = {
        {"silu", {0.7310585786, -0.2689414214, 2.8577223805, 0}},
        {"gelu_tanh", {0.8411919906, -0.1588080094, 2.9963626179, 0}},
        {"gelu_new", {0.8411919906, -0.1588080094, 2.9963626179, 0}},
        {"gelu_fast", {0.8411919906, -0.1588080094, 2.9963626179, 0}},
        {"gelu_erf", {0.8413447461, -0.1586552539, 2.9959503060, 0}},
        {"quick_gelu", {0.8457957659, -0.1542042341, 2.9819286903, 0}},
        {"sigmoid", {0.7310585786, 0.2689414214, 0.9525741268, 0.5}},
        {"relu2", {1, 0, 9, 0}},
        {"softplus", {1.3132616875, 0.3132616875, 3.0485873516, 0.6931471806}},
    };
    (void)state;
    for (size_t p = 0; p < sizeof published / sizeof *published; p++)
        for (int u = 0; u < UNARIES; u++) {
            float x[4];
            if (strcmp(unaries[u].name, published[p].name) != 0)
                continue;
            memcpy(x, at, sizeof x);
            unary_of(&kernels_c, unaries[u].offset)(x, 4);
            for (int i = 0; i < 4; i++)
                assert_float_equal(x[i], published[p].values[i], 3e-7);
        }
}

static void test_select(void **state)
{
    (void)state;
    const char *note;
    err e = {0};
    assert_int_equal(kernels_select("c", &note, &e), 0);
    assert_string_equal(kernels_get()->isa, "c");
    assert_null(note);
    assert_int_equal(kernels_select("mmx", &note, &e), ERR_USAGE);
    assert_string_equal(kernels_get()->isa, "c");
    const kernels *best = &kernels_c;
    for (const kernels *const *k = kernels_all(); *k; k++) {
        best = kernels_usable(*k) ? *k : best;
        assert_int_equal(kernels_select((*k)->isa, &note, &e), 0);
        assert_string_equal(kernels_get()->isa, best->isa); /* what is lacking: the best below it */
        assert_true(!note == kernels_usable(*k));
    }
    assert_int_equal(kernels_select("best", &note, &e), 0);
    assert_null(note);
    assert_string_equal(kernels_get()->isa, best->isa);
}

static void test_every_entry(void **state)
{
    (void)state;
    check_entries("test_kernels");
}

int main(void)
{
    struct CMUnitTest tests[UNARIES + 16];
    size_t n = 0;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    for (int i = 0; i < UNARIES; i++)
        tests[n++] = (struct CMUnitTest){.name = unaries[i].name, .test_func = test_unary, .initial_state = (void *)&unaries[i]};
    const struct CMUnitTest others[] = {
        cmocka_unit_test(test_mul), cmocka_unit_test(test_add), cmocka_unit_test(test_scale), cmocka_unit_test(test_add_scaled),
        cmocka_unit_test(test_clamp), cmocka_unit_test(test_swiglu_oai), cmocka_unit_test(test_sum_squares),
        cmocka_unit_test(test_rms_norm), cmocka_unit_test(test_layer_norm), cmocka_unit_test(test_multiply_adds),
        cmocka_unit_test(test_published_values), cmocka_unit_test(test_select), cmocka_unit_test(test_every_entry),
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        tests[n++] = others[i];
    return _cmocka_run_group_tests("kernels", tests, n, NULL, NULL);
}
