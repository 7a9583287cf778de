/* Token embeddings: what the first layer of a text stack reads. */
#include "compute/kernels.h"
#include "model/runtime.h"

typedef struct embed_job {
    runtime *r;
    const stack *s;
    const kernels *k;
    const int32_t *ids;
    float *out;              /* [rows, ld] */
    int64_t ld, rows, first; /* first: index of out's first row among the ids */
    const int64_t *row_of;   /* [rows] rows of the position table; NULL: none yet */
    bool tokens;             /* token part; else positions alone are added */
} embed_job;

enum { SLICE = 16 };

static void embed_slice(void *ud, int64_t item, int thread)
{
    const embed_job *j = ud;
    const embedding *b = &j->s->embed;
    int64_t width = b->tokens.n_in, end = (item + 1) * SLICE < j->rows ? (item + 1) * SLICE : j->rows;
    float *position = j->r->buf[BUF_ROW] + (int64_t)thread * (j->s->width > width ? j->s->width : width);
    for (int64_t i = item * SLICE; i < end; i++) {
        float *x = j->out + i * j->ld;
        if (j->tokens) {
            weight_load(x, &b->tokens, j->ids[j->first + i], 0, width);
            if (b->scale != 1)
                j->k->scale(x, b->scale, width);
            if (b->type)
                j->k->add(x, b->type, width);
        }
        if (j->row_of) {
            weight_load(position, &b->positions, j->row_of[i], 0, b->positions.n_in);
            j->k->add(x, position, b->positions.n_in);
        }
    }
}

static void over_slices(embed_job *j)
{
    pool_run(j->r->pool, (j->rows + SLICE - 1) / SLICE, embed_slice, j);
}

/* Row of the position table of each of ids[first ..]; *counted: tokens so far that are no padding. */
static void position_rows(const embedding *b, const int32_t *ids, int64_t rows, int64_t pos0, int64_t *counted, int64_t *row_of)
{
    for (int64_t i = 0; i < rows; i++) {
        if (b->pad_id < 0)
            row_of[i] = b->position_offset + pos0 + i;
        else
            row_of[i] = ids[i] == b->pad_id ? b->position_offset - 1 : b->position_offset + (*counted)++;
    }
}

void embed_tokens_at(runtime *r, const stack *s, float *to, const int32_t *ids, int64_t n, int64_t pos0)
{
    const embedding *b = &s->embed;
    int64_t row_of[RUNTIME_ROWS], counted = pos0, width = s->width, inner = b->tokens.n_in;
    bool projected = b->project.data;
    for (int64_t row = 0; row < n; row += RUNTIME_ROWS) {
        int64_t rows = n - row < RUNTIME_ROWS ? n - row : RUNTIME_ROWS;
        float *x = to + row * width, *made = projected ? r->buf[BUF_NORMED] : x;
        const int64_t *positions = b->positions.data ? row_of : NULL;
        bool late = projected && b->project_first;
        position_rows(b, ids + row, rows, pos0 + row, &counted, row_of);
        embed_job j = {.r = r, .s = s, .k = kernels_get(), .ids = ids, .out = made, .ld = inner, .rows = rows,
                       .first = row, .row_of = late ? NULL : positions, .tokens = true};
        over_slices(&j);
        if (projected && !late && b->norm.kind != NORM_NONE)
            rows_norm(r, &b->norm, made, inner, made, inner, rows, inner);
        if (projected)
            rows_linear(r, x, width, made, inner, rows, &b->project, false);
        if (late && positions) {
            j = (embed_job){.r = r, .s = s, .k = kernels_get(), .ids = ids, .out = x, .ld = width, .rows = rows,
                            .first = row, .row_of = positions};
            over_slices(&j);
        }
        if ((!projected || late) && b->norm.kind != NORM_NONE)
            rows_norm(r, &b->norm, x, width, x, width, rows, width);
    }
}

int embed_tokens(runtime *r, const stack *s, const int32_t *ids, int64_t n, int64_t pos0, err *e)
{
    (void)e;
    embed_tokens_at(r, s, r->buf[BUF_X], ids, n, pos0);
    return 0;
}
