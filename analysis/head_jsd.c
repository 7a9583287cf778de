#include "analysis/head_jsd.h"

#include <math.h>
#include <string.h>

/* TOTALS: where the sums of pairs begin in a state, in doubles. */
enum { COLUMNS = ATTN_PANEL_COLUMNS, TILE = 64, TOTALS = 8 };

const char *const jsd_units[] = {"nats", "bits", NULL};
const char *const jsd_roots[] = {"none", "of-mean", "of-rows", NULL};

/* The arrays of the state of a chunk, one behind another; which of them are there depends on the options. */
typedef struct jsd_state {
    double *n;          /* [1] queries */
    double *total;      /* [pairs] mixture sums; with mean of roots: sums of roots, pairs a < b */
    double *mass;       /* [H][COLUMNS] of the rows of a block */
    double *rows;       /* [pairs][COLUMNS] mixture sums of a block; mean of roots only */
    float *missing;     /* [H][COLUMNS] */
    float *smooth;      /* [H][TILE][COLUMNS]; smoothing only */
} jsd_state;

/* Offsets in doubles, each a multiple of a cache line. */
typedef struct jsd_layout { size_t total, mass, rows, missing, smooth, end; } jsd_layout;

static size_t place(size_t *end, size_t n)
{
    size_t at = *end;
    *end += (n + 7) / 8 * 8;
    return at;
}

static jsd_layout lay_out(const jsd_options *o, int n_head)
{
    size_t pairs = (size_t)pair_count(n_head), cells = (size_t)n_head * COLUMNS;
    jsd_layout l = {.end = TOTALS};
    l.total = place(&l.end, pairs);
    l.mass = place(&l.end, cells);
    l.rows = place(&l.end, o->root == JSD_MEAN_OF_ROOTS ? pairs * COLUMNS : 0);
    l.missing = place(&l.end, cells / 2);
    l.smooth = place(&l.end, o->smoothing > 0 ? cells * TILE / 2 : 0);
    return l;
}

static jsd_state state_at(void *state, const jsd_options *o, int n_head)
{
    jsd_layout l = lay_out(o, n_head);
    double *at = state;
    return (jsd_state){
        .n = at, .total = at + l.total, .mass = at + l.mass, .missing = (float *)(at + l.missing),
        .rows = o->root == JSD_MEAN_OF_ROOTS ? at + l.rows : NULL,
        .smooth = o->smoothing > 0 ? (float *)(at + l.smooth) : NULL,
    };
}

size_t jsd_state_size(const jsd_options *o, int n_head)
{
    return lay_out(o, n_head).end * sizeof(double);
}

/* A tile of panels, rows smoothed over the keys that they see. */
static void smooth_tile(float *to, const jsd_options *o, const attn_panels *p, int64_t k0, int64_t n_key)
{
    for (int h = 0; h < p->n_head; h++, to += TILE * COLUMNS) {
        const int64_t *lo = p->visible_lo[p->attention_of[h]], *hi = p->visible_hi[p->attention_of[h]];
        for (int c = 0; c < COLUMNS; c++) {
            double share = c < p->n_query && hi[c] > lo[c] ? o->smoothing / (double)(hi[c] - lo[c]) : 0;
            for (int64_t k = 0; k < n_key; k++) {
                bool seen = c < p->n_query && k0 + k >= lo[c] && k0 + k < hi[c];
                double w = (double)p->probs[h * p->h_stride + (k0 + k) * COLUMNS + c];
                to[k * COLUMNS + c] = seen ? (float)((1 - o->smoothing) * w + share) : 0;
            }
        }
    }
}

/* Sums of all pairs over the keys, smoothed if asked. */
static void add_keys(const jsd_state *s, const jsd_options *o, const attn_panels *p, double *total, int first)
{
    pair_kernel f = kernels_get()->mixture_sums;
    int64_t k0 = leave_out_key(o->without);
    if (!s->smooth) {
        panel_pairs(total, s->rows, s->mass, p, f, k0, first);
        return;
    }
    for (int64_t k = k0; k < p->n_key; k += TILE) {
        attn_panels tile = *p;
        tile.n_key = p->n_key - k < TILE ? p->n_key - k : TILE;
        tile.probs = s->smooth;
        tile.h_stride = TILE * COLUMNS;
        smooth_tile(s->smooth, o, p, k, tile.n_key);
        panel_pairs(total, s->rows, s->mass, &tile, f, 0, first);
    }
}

/* What rows lack to 1, as one more key. */
static void add_missing(const jsd_state *s, const jsd_options *o, const attn_panels *p, double *total, int first)
{
    for (int h = 0; h < p->n_head; h++)
        for (int c = 0; c < COLUMNS; c++) {
            double mass = s->mass[h * COLUMNS + c];
            if (leave_out_key(o->without) && !s->smooth && p->n_key > 0)
                mass += (double)p->probs[h * p->h_stride + c];
            s->missing[h * COLUMNS + c] = mass < 1 ? (float)(1 - mass) : 0;
        }
    if (leave_out_key(o->without) && s->smooth && p->n_key > 0) {
        smooth_tile(s->smooth, o, p, 0, 1);
        for (int h = 0; h < p->n_head; h++)
            for (int c = 0; c < COLUMNS; c++) {
                float *missing = &s->missing[h * COLUMNS + c];
                *missing -= s->smooth[h * TILE * COLUMNS + c];
                *missing = *missing > 0 ? *missing : 0;
            }
    }
    attn_panels one = *p;
    one.n_key = 1;
    one.probs = s->missing;
    one.h_stride = COLUMNS;
    panel_pairs(total, s->rows, NULL, &one, kernels_get()->mixture_sums, 0, first);
}

static double divergence(double aa, double bb, double ab, const jsd_options *o)
{
    double bits = (aa + bb - 2 * ab) / 4;
    return bits > 0 ? (o->bits ? bits : bits * M_LN2) : bits == bits ? 0 : bits;
}

/* Roots query by query. */
static void add_roots(const jsd_state *s, const jsd_options *o, const attn_panels *p, int first)
{
    const int n = p->n_head;
    for (int a = 0; a < n; a++)
        for (int b = a + 1; b < n; b++) {
            const double *aa = s->rows + pair_index(n, a, a) * COLUMNS, *bb = s->rows + pair_index(n, b, b) * COLUMNS;
            const double *ab = s->rows + pair_index(n, a, b) * COLUMNS;
            double sum = 0;
            for (int c = first; c < p->n_query; c++)
                sum += sqrt(divergence(aa[c], bb[c], ab[c], o));
            s->total[pair_index(n, a, b)] += sum;
        }
}

void jsd_block(void *state, const jsd_options *o, const attn_panels *p)
{
    jsd_state s = state_at(state, o, p->n_head);
    int first = leave_out_column(o->without, p);
    memset(s.mass, 0, (size_t)p->n_head * COLUMNS * sizeof *s.mass);
    if (s.rows)
        memset(s.rows, 0, (size_t)pair_count(p->n_head) * COLUMNS * sizeof *s.rows);
    double *total = s.rows ? NULL : s.total;
    add_keys(&s, o, p, total, first);
    add_missing(&s, o, p, total, first);
    if (s.rows)
        add_roots(&s, o, p, first);
    *s.n += (double)panel_rows(p, 0, first);
}

void jsd_merge(void *into, const void *from, int n_head)
{
    double *a = into;
    const double *b = from;
    a[0] += b[0];
    for (int64_t i = TOTALS; i < TOTALS + pair_count(n_head); i++)
        a[i] += b[i];
}

bool jsd_between(double *out, const void *state, const jsd_options *o, int n_head, int a, int b)
{
    const double *s = state, *total = s + TOTALS;
    double ab = total[pair_index(n_head, a, b)], n = s[0];
    if (n == 0)
        return false;
    if (o->root == JSD_MEAN_OF_ROOTS) {
        *out = ab / n;
        return true;
    }
    double mean = divergence(total[pair_index(n_head, a, a)] / n, total[pair_index(n_head, b, b)] / n, ab / n, o);
    *out = o->root == JSD_ROOT_OF_MEAN ? sqrt(mean) : mean;
    return true;
}
