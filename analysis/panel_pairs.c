#include "analysis/panel_pairs.h"

#include <string.h>

/* Keys of a tile, and heads of a group: two groups' tiles fit into a second level cache.  Sums of a tile are float,
 * those over tiles double, and their order depends on neither threads nor the number of heads. */
enum { TILE = 64, GROUP = 32, COLUMNS = ATTN_PANEL_COLUMNS };

/* Columns without a query hold next to nothing (less than 1e-35). */
static double column_sum(const float *out, int first)
{
    enum { WAYS = 8 }; /* one after another the additions would wait for each other */
    double part[WAYS] = {first ? -(double)out[0] : 0};
    for (int c = 0; c < COLUMNS; c += WAYS)
        for (int i = 0; i < WAYS; i++)
            part[i] += (double)out[c + i];
    return ((part[0] + part[4]) + (part[1] + part[5])) + ((part[2] + part[6]) + (part[3] + part[7]));
}

/* out [n_b][COLUMNS]: sums of head a with heads b .. b + n_b - 1. */
static void add(double *total, double *rows, const attn_panels *p, const float *out, int a, int b, int n_b, int first)
{
    int64_t at = pair_index(p->n_head, a, b);
    for (int j = 0; j < n_b; j++, at++, out += COLUMNS) {
        if (total)
            total[at] += column_sum(out, first);
        for (int c = 0; c < COLUMNS && rows; c++)
            rows[at * COLUMNS + c] += (double)out[c];
    }
}

/* Sums of the weights are products with ones. */
static void add_mass(double *mass, const attn_panels *p, const float *tile, int64_t n_key)
{
    float ones[TILE * COLUMNS], out[GROUP * COLUMNS];
    for (int i = 0; i < TILE * COLUMNS; i++)
        ones[i] = 1;
    for (int h = 0; h < p->n_head; h += GROUP) {
        int n = p->n_head - h < GROUP ? p->n_head - h : GROUP;
        kernels_get()->product_sums(out, ones, tile + h * p->h_stride, p->h_stride, n, n_key, COLUMNS, COLUMNS);
        for (int i = 0; i < n * COLUMNS; i++)
            mass[h * COLUMNS + i] += (double)out[i];
    }
}

void panel_pairs(double *total, double *rows, double *mass, const attn_panels *p, pair_kernel f, int64_t k0, int first)
{
    float out[GROUP * COLUMNS];
    for (int64_t k = k0; k < p->n_key; k += TILE) {
        int64_t n_key = p->n_key - k < TILE ? p->n_key - k : TILE;
        const float *tile = p->probs + k * COLUMNS;
        if (mass)
            add_mass(mass, p, tile, n_key);
        for (int a0 = 0; a0 < p->n_head; a0 += GROUP)
            for (int b0 = a0; b0 < p->n_head; b0 += GROUP)
                for (int a = a0; a < a0 + GROUP && a < p->n_head; a++) {
                    int b = a > b0 ? a : b0, n_b = (b0 + GROUP < p->n_head ? b0 + GROUP : p->n_head) - b;
                    f(out, tile + a * p->h_stride, tile + b * p->h_stride, p->h_stride, n_b, n_key, COLUMNS, COLUMNS);
                    add(total, rows, p, out, a, b, n_b, first);
                }
    }
}

const char *const leave_out_names[] = {"nothing", "first-row", "first-key", "both", NULL};

leave_out leave_out_read(const params *p, const char *option)
{
    const char *name = params_str(p, option);
    for (int i = 0; leave_out_names[i]; i++)
        if (strcmp(leave_out_names[i], name) == 0)
            return (leave_out)i;
    return LEAVE_NOTHING;
}

int64_t leave_out_key(leave_out o)
{
    return o == LEAVE_FIRST_KEY || o == LEAVE_BOTH;
}

int leave_out_column(leave_out o, const attn_panels *p)
{
    return p->q0 == 0 && (o == LEAVE_FIRST_ROW || o == LEAVE_BOTH);
}

int64_t panel_rows(const attn_panels *p, int of, int first)
{
    int64_t n = 0;
    for (int c = first; c < p->n_query; c++)
        n += p->visible_lo[of][c] < p->visible_hi[of][c];
    return n;
}
