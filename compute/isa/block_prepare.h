/* block_kernels.prepare, written once for vectors of any width.  Besides what block_body.h asks for:
 *   f_abs f_of_bits; b_of_bits b_round(V) b_set1 b_add b_sub b_mul b_max b_left b_right(arithmetic)
 *   b_swap1 b_swap2: neighbours, and pairs of them, change places
 *   b_store_bytes(p, v): the low byte of every lane; b_store_fourths(p, v): lanes 0, 4, 8 and 12 */

/* Power of two by which the elements of the lanes are multiplied, its inverse, and the exponents that tell. */
typedef struct lane_scale { V up; B down, exponent; } lane_scale;

static ALWAYS_INLINE lane_scale scale_of(B most) /* magnitudes as integers, of which a NaN is the largest */
{
    most = b_max(most, b_swap1(most));
    most = b_max(most, b_swap2(most));
    const B exponent = b_right(b_of_bits(f_mul(f_of_bits(most), f_set1(BLOCK_ROOM))), 23);
    const B used = b_max(exponent, b_set1(BLOCK_LEAST));
    return (lane_scale){
        .up = f_of_bits(b_left(b_sub(b_set1(276), used), 23)), .down = b_left(b_sub(used, b_set1(22)), 23), .exponent = exponent,
    };
}

/* Elements at place `at` of a set; returns them as integers. */
static ALWAYS_INLINE B put_digits(block_unit *u, int set, int at, V x, const lane_scale *s)
{
    const B v = b_round(f_mul(x, s->up)), half = b_set1(128);
    const B v1 = b_right(b_add(v, half), 8), v2 = b_right(b_add(v1, half), 8);
    b_store_bytes(u->digit[0][set] + at, v2);
    b_store_bytes(u->digit[1][set] + at, v1);
    b_store_bytes(u->digit[2][set] + at, v);
    return v;
}

typedef struct lane_sums { float whole[2][BLOCK_LANES], sum[2][BLOCK_LANES]; int exponent[2][BLOCK_LANES]; } lane_sums;

/* What belongs to the lanes from `lane` of a set: v, sums over their elements by element. */
static ALWAYS_INLINE void put_lanes(block_unit *u, lane_sums *sums, int set, int lane, B v, const lane_scale *s, block_type t)
{
    v = b_add(v, b_swap1(v));
    v = b_add(v, b_swap2(v));
    const B minus = b_right(b_add(b_mul(v, b_set1(t.centre)), b_set1(1 << 15)), 16);
    const B whole = b_sub(b_left(minus, 16), b_mul(v, b_set1(t.middle)));
    const V down = f_of_bits(s->down);
    b_store_fourths(u->start[set] + lane, b_sub(b_set1(0), minus));
    b_store_fourths(u->scale[set] + lane, s->down);
    b_store_fourths(sums->whole[set] + lane, b_of_bits(f_mul(f_of(whole), down)));
    b_store_fourths(sums->sum[set] + lane, b_of_bits(f_mul(f_of(v), down)));
    b_store_fourths(sums->exponent[set] + lane, s->exponent);
}

static ALWAYS_INLINE void prepare_unit(block_unit *u, lane_sums *sums, const float *x, block_type t)
{
    for (int i = 0; i < BLOCK_UNIT / 16; i++)
        for (int part = 0; part < PARTS; part++) {
            int set, place;
            block_place(t.order, i, &set, &place);
            const int at = 16 * place + VW * part;
            const V a = f_load(x + 16 * i + VW * part);
            if (t.order == BLOCKS_OF_32 && set == 0) {
                const V b = f_load(x + 16 * i + 16 + VW * part);
                const lane_scale s = scale_of(b_max(b_of_bits(f_abs(a)), b_of_bits(f_abs(b))));
                const B v = b_add(put_digits(u, 0, at, a, &s), put_digits(u, 1, at, b, &s));
                put_lanes(u, sums, 0, at / 4, v, &s, t);
            } else if (t.order != BLOCKS_OF_32) {
                const lane_scale s = scale_of(b_of_bits(f_abs(a)));
                put_lanes(u, sums, set, at / 4, put_digits(u, set, at, a, &s), &s, t);
            }
        }
}

static bool prepare(block_unit *u, const float *x, int64_t n, dtype type)
{
    const block_type t = block_type_of(type);
    block_spread spread = {0};
    lane_sums sums;
    for (int64_t i = 0; i < block_units(n); i++) {
        const int64_t left = n - i * BLOCK_UNIT;
        float last[BLOCK_UNIT] = {0};
        if (left < BLOCK_UNIT)
            memcpy(last, x + i * BLOCK_UNIT, (size_t)left * sizeof *x);
        prepare_unit(u + i, &sums, left < BLOCK_UNIT ? last : x + i * BLOCK_UNIT, t);
        block_sums(u, i, t, sums.whole, sums.sum);
        for (int set = 0; set < (t.order == BLOCKS_OF_32 ? 1 : 2); set++)
            for (int l = 0; l < BLOCK_LANES; l++)
                block_see_lane(&spread, sums.exponent[set][l]);
    }
    return block_spread_fits(&spread);
}
