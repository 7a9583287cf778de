/* Products with rows of small integers (blocks.h), written once for vectors of any width.  The file that includes this defines,
 * inside its target region:
 *   VW lanes (8 or 16); V floats, B as many integers or four times as many bytes
 *   f_load f_set1 f_zero f_mul f_fma(a, b, c) = a b + c on V; f_of(B): integers as floats; f_halves(V): half onto half, to H
 *   b_load b_shift8(t) = t 2^8; BLOCK_NAME(dot)(t, q, x): t + the sums of four products of unsigned and signed bytes
 *   f_spread(p, first, step, run): p[first + l / run * step] in lane l
 *   f_first(H): a V that holds it in front
 *   set_<type>(sets, ..): the bytes of a unit, and d and c of blocks of 32
 *   BLOCK_NAME(name): the name of a function in this set.
 * No include guard: it is included once for each instruction set. */

#define EACH_ROW_UNROLLED _Pragma("GCC unroll 4") for (int r = 0; r < BLOCK_ROWS; r++)

/* The digits of a set of a unit. */
typedef struct BLOCK_NAME(operand) { B start, digit[3]; } BLOCK_NAME(operand);

static ALWAYS_INLINE BLOCK_NAME(operand) BLOCK_NAME(load)(const block_unit *u, int set, int part)
{
    BLOCK_NAME(operand) x = {.start = b_load(u->start[set] + VW * part)};
    for (int i = 0; i < 3; i++)
        x.digit[i] = b_load(u->digit[i][set] + 4 * VW * part);
    return x;
}

/* Blocks of 32: the low nibbles of a block and its high ones share d, and meet in a lane. */
#define SMALL_DOT(name, bytes, has_c)                                                                                   \
    static ALWAYS_INLINE void BLOCK_NAME(step_##name)(V acc[BLOCK_ROWS][PARTS], const block_unit *u,                    \
                                                      const void *const *rows, int64_t at, int n_block)                 \
    {                                                                                                                   \
        _Pragma("GCC unroll 2") for (int part = 0; part < PARTS; part++)                                                \
        {                                                                                                               \
            const BLOCK_NAME(operand) low = BLOCK_NAME(load)(u, 0, part), high = BLOCK_NAME(load)(u, 1, part);          \
            EACH_ROW_UNROLLED                                                                                           \
            {                                                                                                           \
                block_sets s;                                                                                           \
                V d, c;                                                                                                 \
                set_##name(&s, &d, &c, (const uint8_t *)rows[r] + at, part, n_block);                                   \
                B t = BLOCK_NAME(dot)(BLOCK_NAME(dot)(low.start, s.low, low.digit[0]), s.high, high.digit[0]);                              \
                t = BLOCK_NAME(dot)(BLOCK_NAME(dot)(b_shift8(t), s.low, low.digit[1]), s.high, high.digit[1]);                              \
                t = BLOCK_NAME(dot)(BLOCK_NAME(dot)(b_shift8(t), s.low, low.digit[2]), s.high, high.digit[2]);                              \
                V a = f_fma(f_mul(d, f_load(u->scale[0] + VW * part)), f_of(t), acc[r][part]);                          \
                a = f_fma(d, f_load(u->whole + VW * part), a);                                                          \
                acc[r][part] = has_c ? f_fma(c, f_load(u->sum + VW * part), a) : a;                                     \
            }                                                                                                           \
        }                                                                                                               \
    }                                                                                                                   \
                                                                                                                        \
    static void BLOCK_NAME(name)(float *y, const block_unit *u, const void *const *rows, int64_t n)                     \
    {                                                                                                                   \
        V acc[BLOCK_ROWS][PARTS];                                                                                       \
        int64_t at = 0, left = n / 32;                                                                                  \
        for (int r = 0; r < BLOCK_ROWS; r++)                                                                            \
            for (int part = 0; part < PARTS; part++)                                                                    \
                acc[r][part] = f_zero();                                                                                \
        for (; left >= 4; left -= 4, at += 4 * bytes, u++)                                                              \
            BLOCK_NAME(step_##name)(acc, u, rows, at, 4);                                                               \
        if (left > 0)                                                                                                   \
            BLOCK_NAME(step_##name)(acc, u, rows, at, (int)left);                                                       \
        for (int r = 0; r < BLOCK_ROWS; r++)                                                                            \
            y[r] = h_total(f_halves(acc[r]));                                                                           \
    }

SMALL_DOT(q4_0, 18, false)
SMALL_DOT(q4_1, 20, true)
SMALL_DOT(q5_0, 22, false)
SMALL_DOT(q5_1, 24, true)
#undef SMALL_DOT

/* Superblocks of 256: each set has its own d in the groups of its lanes.
 * table: d of the groups of a superblock; run: lanes of a group. */
static ALWAYS_INLINE V BLOCK_NAME(large_set)(V acc, const BLOCK_NAME(operand) *x, const float *scale, B q, V d)
{
    B t = BLOCK_NAME(dot)(x->start, q, x->digit[0]);
    t = BLOCK_NAME(dot)(b_shift8(t), q, x->digit[1]);
    t = BLOCK_NAME(dot)(b_shift8(t), q, x->digit[2]);
    return f_fma(f_mul(d, f_load(scale)), f_of(t), acc);
}

#define PAIRS_DOT(name, bytes)                                                                                          \
    static void BLOCK_NAME(name)(float *y, const block_unit *u, const void *const *rows, int64_t n)                     \
    {                                                                                                                   \
        V acc[BLOCK_ROWS][PARTS];                                                                                       \
        __m256 rest[BLOCK_ROWS];                                                                                             \
        for (int r = 0; r < BLOCK_ROWS; r++) {                                                                          \
            rest[r] = _mm256_setzero_ps();                                                                                         \
            for (int part = 0; part < PARTS; part++)                                                                    \
                acc[r][part] = f_zero();                                                                                \
        }                                                                                                               \
        for (int64_t at = 0; n > 0; n -= 256, at += bytes, u += 2) {                                                    \
            V d[BLOCK_ROWS];                                                                                            \
            EACH_ROW_UNROLLED                                                                                           \
            {                                                                                                           \
                __m256 first, c;                                                                                             \
                six_bit_scales(&first, &c, (const uint8_t *)rows[r] + at);                                              \
                rest[r] = _mm256_fmadd_ps(first, _mm256_loadu_ps(u->whole), rest[r]);                                                      \
                rest[r] = _mm256_fmadd_ps(c, _mm256_loadu_ps(u->sum), rest[r]);                                                            \
                d[r] = f_first(first);                                                                                  \
            }                                                                                                           \
            _Pragma("GCC unroll 2") for (int half = 0; half < 2; half++)                                                \
                _Pragma("GCC unroll 2") for (int part = 0; part < PARTS; part++)                                        \
                {                                                                                                       \
                    const BLOCK_NAME(operand) low = BLOCK_NAME(load)(u + half, 0, part);                                \
                    const BLOCK_NAME(operand) high = BLOCK_NAME(load)(u + half, 1, part);                               \
                    EACH_ROW_UNROLLED                                                                                   \
                    {                                                                                                   \
                        const block_sets s = set_##name((const uint8_t *)rows[r] + at, half, part);                     \
                        const int group = 4 * half + 2 * part;                                                          \
                        acc[r][part] = BLOCK_NAME(large_set)(acc[r][part], &low, u[half].scale[0] + VW * part, s.low,   \
                                                             f_spread(d[r], group, 2, 8));                              \
                        acc[r][part] = BLOCK_NAME(large_set)(acc[r][part], &high, u[half].scale[1] + VW * part, s.high, \
                                                             f_spread(d[r], group + 1, 2, 8));                          \
                    }                                                                                                   \
                }                                                                                                       \
        }                                                                                                               \
        for (int r = 0; r < BLOCK_ROWS; r++)                                                                            \
            y[r] = h_total(_mm256_add_ps(f_halves(acc[r]), rest[r]));                                                           \
    }

PAIRS_DOT(q4_k, 144)
PAIRS_DOT(q5_k, 176)
#undef PAIRS_DOT

static void BLOCK_NAME(q6_k)(float *y, const block_unit *u, const void *const *rows, int64_t n)
{
    V acc[BLOCK_ROWS][PARTS], rest[BLOCK_ROWS][PARTS];
    for (int r = 0; r < BLOCK_ROWS; r++)
        for (int part = 0; part < PARTS; part++)
            acc[r][part] = rest[r][part] = f_zero();
    for (int64_t at = 0; n > 0; n -= 256, at += 210, u += 2) {
        V d[BLOCK_ROWS][PARTS];
        EACH_ROW_UNROLLED
            for (int part = 0; part < PARTS; part++) {
                const uint8_t *b = (const uint8_t *)rows[r] + at;
                d[r][part] = f_mul(f_set1(half_float(b + 208)), f_chars(b + 192 + VW * part));
                rest[r][part] = f_fma(d[r][part], f_load(u->whole + VW * part), rest[r][part]);
            }
        _Pragma("GCC unroll 2") for (int half = 0; half < 2; half++)
            _Pragma("GCC unroll 2") for (int part = 0; part < PARTS; part++)
            {
                const BLOCK_NAME(operand) low = BLOCK_NAME(load)(u + half, 0, part);
                const BLOCK_NAME(operand) high = BLOCK_NAME(load)(u + half, 1, part);
                EACH_ROW_UNROLLED
                {
                    const block_sets s = set_q6_k((const uint8_t *)rows[r] + at, half, part);
                    const V table = d[r][PARTS * half / 2];
                    const int group = 8 * half % VW + 2 * part;
                    acc[r][part] = BLOCK_NAME(large_set)(acc[r][part], &low, u[half].scale[0] + VW * part, s.low,
                                                         f_spread(table, group, 1, 4));
                    acc[r][part] = BLOCK_NAME(large_set)(acc[r][part], &high, u[half].scale[1] + VW * part, s.high,
                                                         f_spread(table, group + 4, 1, 4));
                }
            }
    }
    for (int r = 0; r < BLOCK_ROWS; r++)
        y[r] = h_total(_mm256_add_ps(f_halves(acc[r]), f_halves(rest[r])));
}

#undef EACH_ROW_UNROLLED
