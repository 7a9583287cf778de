/* Products with rows of small integers (blocks.h), written once for vectors of any width.  The file that includes this defines,
 * inside its target region:
 *   VW lanes (8 or 16); V floats, B as many integers or four times as many bytes
 *   f_load f_set1 f_zero f_mul f_fma(a, b, c) = a b + c on V; f_of(B): integers as floats
 *   f_halves(V[][], r): halves of row r onto each other
 *   b_load b_shift8(t) = t 2^8; BLOCK_NAME(dot)(t, q, x): t + the sums of four products of unsigned and signed bytes
 *   b_kept(x), f_kept(x): x, loaded once for all rows where there are registers for it
 *   f_spread(p, first, step, run): p[first + l / run * step] in lane l
 *   f_first(x): a V that holds eight floats in front
 *   raw_<type>, scales_<type>, set_<type>: four blocks of 32, their d and c, their bytes; set_<type>: of a half superblock
 *   BLOCK_NAME(name): the name of a function in this set.
 * No include guard: it is included once for each instruction set. */

#define UNROLLED(variable, end) _Pragma("GCC unroll 8") for (int variable = 0; variable < (end); variable++)

/* Rows go in step: what one waits for is hidden behind the others.  More bytes of a set for the sums t of all rows. */
static ALWAYS_INLINE void BLOCK_NAME(add_digit)(B t[BLOCK_ROWS], const int8_t *digit, const B q[BLOCK_ROWS])
{
    const B x = b_kept(b_load(digit));
    UNROLLED(r, BLOCK_ROWS) t[r] = BLOCK_NAME(dot)(t[r], q[r], x);
}

static ALWAYS_INLINE void BLOCK_NAME(next_digit)(B t[BLOCK_ROWS])
{
    UNROLLED(r, BLOCK_ROWS) t[r] = b_shift8(t[r]);
}

static ALWAYS_INLINE void BLOCK_NAME(start)(B t[BLOCK_ROWS], const int32_t *start)
{
    const B x = b_kept(b_load(start));
    UNROLLED(r, BLOCK_ROWS) t[r] = x;
}

/* acc += d scale t */
static ALWAYS_INLINE void BLOCK_NAME(finish)(V acc[BLOCK_ROWS], const B t[BLOCK_ROWS], const V d[BLOCK_ROWS], const float *scale)
{
    const V x = f_kept(f_load(scale));
    UNROLLED(r, BLOCK_ROWS) acc[r] = f_fma(f_mul(d[r], x), f_of(t[r]), acc[r]);
}

/* Blocks of 32: the low nibbles of a block and its high ones share d, and meet in a lane. */
static ALWAYS_INLINE void BLOCK_NAME(both_sets)(V acc[BLOCK_ROWS], const block_unit *u, int part, const B low[BLOCK_ROWS],
                                                const B high[BLOCK_ROWS], const V d[BLOCK_ROWS])
{
    B t[BLOCK_ROWS];
    BLOCK_NAME(start)(t, u->start[0] + VW * part);
    UNROLLED(i, 3)
    {
        if (i > 0)
            BLOCK_NAME(next_digit)(t);
        BLOCK_NAME(add_digit)(t, u->digit[i][0] + 4 * VW * part, low);
        BLOCK_NAME(add_digit)(t, u->digit[i][1] + 4 * VW * part, high);
    }
    BLOCK_NAME(finish)(acc, t, d, u->scale[0] + VW * part);
}

static ALWAYS_INLINE void BLOCK_NAME(begin)(V acc[PARTS][BLOCK_ROWS], __m256 rest[BLOCK_ROWS])
{
    UNROLLED(r, BLOCK_ROWS)
    {
        rest[r] = _mm256_setzero_ps();
        UNROLLED(part, PARTS) acc[part][r] = f_zero();
    }
}

static ALWAYS_INLINE void BLOCK_NAME(end)(float *y, V acc[PARTS][BLOCK_ROWS], const __m256 rest[BLOCK_ROWS])
{
    UNROLLED(r, BLOCK_ROWS) y[r] = h_total(_mm256_add_ps(f_halves(acc, r), rest[r]));
}

#define SMALL_DOT(name, bytes)                                                                                     \
    static ALWAYS_INLINE void BLOCK_NAME(step_##name)(V acc[PARTS][BLOCK_ROWS], __m256 rest[BLOCK_ROWS],           \
                                                      const block_unit *u, const void *const *rows, int64_t at,    \
                                                      int64_t ahead, int n_block)                                  \
    {                                                                                                              \
        fetch(rows, at, ahead, 4 * bytes);                                                                         \
        UNROLLED(part, PARTS)                                                                                      \
        {                                                                                                          \
            B low[BLOCK_ROWS], high[BLOCK_ROWS];                                                                   \
            V d[BLOCK_ROWS];                                                                                       \
            UNROLLED(r, BLOCK_ROWS)                                                                                \
            {                                                                                                      \
                const small_blocks b = raw_##name((const uint8_t *)rows[r] + at, n_block);                         \
                const __m256 scales = scales_##name(&b);                                                           \
                const block_sets q = set_##name(&b, part);                                                         \
                if (part == 0)                                                                                     \
                    rest[r] = _mm256_fmadd_ps(scales, _mm256_loadu_ps(u->whole), rest[r]);                         \
                d[r] = f_spread(f_first(scales), 2 * part, 1, 4);                                                  \
                low[r] = q.low;                                                                                    \
                high[r] = q.high;                                                                                  \
            }                                                                                                      \
            BLOCK_NAME(both_sets)(acc[part], u, part, low, high, d);                                               \
        }                                                                                                          \
    }                                                                                                              \
                                                                                                                   \
    static void BLOCK_NAME(name)(float *y, const block_unit *u, const void *const *rows, int64_t n)                \
    {                                                                                                              \
        V acc[PARTS][BLOCK_ROWS];                                                                                  \
        __m256 rest[BLOCK_ROWS];                                                                                   \
        const int64_t ahead = fetch_distance(rows);                                                                \
        int64_t at = 0, left = n / 32;                                                                             \
        BLOCK_NAME(begin)(acc, rest);                                                                              \
        for (; left >= 4; left -= 4, at += 4 * bytes, u++)                                                         \
            BLOCK_NAME(step_##name)(acc, rest, u, rows, at, ahead, 4);                                             \
        if (left > 0)                                                                                              \
            BLOCK_NAME(step_##name)(acc, rest, u, rows, at, ahead, (int)left);                                     \
        BLOCK_NAME(end)(y, acc, rest);                                                                             \
    }

SMALL_DOT(q4_0, 18)
SMALL_DOT(q4_1, 20)
SMALL_DOT(q5_0, 22)
SMALL_DOT(q5_1, 24)
#undef SMALL_DOT

/* Superblocks of 256: each set has its own d in every group of lanes; group: the first, table: d of all. */
static ALWAYS_INLINE void BLOCK_NAME(one_set)(V acc[BLOCK_ROWS], const block_unit *u, int set, int part, const B q[BLOCK_ROWS],
                                              const V table[BLOCK_ROWS], int group, int step, int run)
{
    B t[BLOCK_ROWS];
    V d[BLOCK_ROWS];
    BLOCK_NAME(start)(t, u->start[set] + VW * part);
    UNROLLED(i, 3)
    {
        if (i > 0)
            BLOCK_NAME(next_digit)(t);
        BLOCK_NAME(add_digit)(t, u->digit[i][set] + 4 * VW * part, q);
    }
    UNROLLED(r, BLOCK_ROWS) d[r] = f_spread(table[r], group, step, run);
    BLOCK_NAME(finish)(acc, t, d, u->scale[set] + VW * part);
}

#define PAIRS_DOT(name, bytes)                                                                                     \
    static void BLOCK_NAME(name)(float *y, const block_unit *u, const void *const *rows, int64_t n)                \
    {                                                                                                              \
        V acc[PARTS][BLOCK_ROWS];                                                                                  \
        __m256 rest[BLOCK_ROWS];                                                                                   \
        const int64_t ahead = fetch_distance(rows);                                                                \
        BLOCK_NAME(begin)(acc, rest);                                                                              \
        for (int64_t at = 0; n > 0; n -= 256, at += bytes, u += 2) {                                               \
            V d[BLOCK_ROWS];                                                                                       \
            fetch(rows, at, ahead, bytes);                                                                         \
            UNROLLED(r, BLOCK_ROWS)                                                                                \
            {                                                                                                      \
                __m256 scale, c;                                                                                   \
                six_bit_scales(&scale, &c, (const uint8_t *)rows[r] + at);                                         \
                rest[r] = _mm256_fmadd_ps(scale, _mm256_loadu_ps(u->whole), rest[r]);                              \
                rest[r] = _mm256_fmadd_ps(c, _mm256_loadu_ps(u->sum), rest[r]);                                    \
                d[r] = f_first(scale);                                                                             \
            }                                                                                                      \
            UNROLLED(half, 2)                                                                                      \
            UNROLLED(part, PARTS)                                                                                  \
            {                                                                                                      \
                const int group = 4 * half + 2 * part;                                                             \
                B low[BLOCK_ROWS], high[BLOCK_ROWS];                                                               \
                UNROLLED(r, BLOCK_ROWS)                                                                            \
                {                                                                                                  \
                    const block_sets q = set_##name((const uint8_t *)rows[r] + at, half, part);                    \
                    low[r] = q.low;                                                                                \
                    high[r] = q.high;                                                                              \
                }                                                                                                  \
                BLOCK_NAME(one_set)(acc[part], u + half, 0, part, low, d, group, 2, 8);                            \
                BLOCK_NAME(one_set)(acc[part], u + half, 1, part, high, d, group + 1, 2, 8);                       \
            }                                                                                                      \
        }                                                                                                          \
        BLOCK_NAME(end)(y, acc, rest);                                                                             \
    }

PAIRS_DOT(q4_k, 144)
PAIRS_DOT(q5_k, 176)
#undef PAIRS_DOT

static void BLOCK_NAME(q6_k)(float *y, const block_unit *u, const void *const *rows, int64_t n)
{
    V acc[PARTS][BLOCK_ROWS], rest[PARTS][BLOCK_ROWS];
    __m256 folded[BLOCK_ROWS];
    const int64_t ahead = fetch_distance(rows);
    BLOCK_NAME(begin)(acc, folded);
    BLOCK_NAME(begin)(rest, folded);
    for (int64_t at = 0; n > 0; n -= 256, at += 210, u += 2) {
        V d[PARTS][BLOCK_ROWS];
        fetch(rows, at, ahead, 210);
        UNROLLED(r, BLOCK_ROWS)
        UNROLLED(part, PARTS)
        {
            const uint8_t *b = (const uint8_t *)rows[r] + at;
            d[part][r] = f_mul(f_set1(half_float(b + 208)), f_chars(b + 192 + VW * part));
            rest[part][r] = f_fma(d[part][r], f_load(u->whole + VW * part), rest[part][r]);
        }
        UNROLLED(half, 2)
        UNROLLED(part, PARTS)
        {
            const int group = 8 * half % VW + 2 * part;
            const V *table = d[PARTS * half / 2];
            B low[BLOCK_ROWS], high[BLOCK_ROWS];
            UNROLLED(r, BLOCK_ROWS)
            {
                const block_sets q = set_q6_k((const uint8_t *)rows[r] + at, half, part);
                low[r] = q.low;
                high[r] = q.high;
            }
            BLOCK_NAME(one_set)(acc[part], u + half, 0, part, low, table, group, 1, 4);
            BLOCK_NAME(one_set)(acc[part], u + half, 1, part, high, table, group + 4, 1, 4);
        }
    }
    UNROLLED(r, BLOCK_ROWS) folded[r] = f_halves(rest, r);
    BLOCK_NAME(end)(y, acc, folded);
}

#undef UNROLLED
