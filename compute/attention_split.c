/* How the positions of a sequence are shared out over ranks. */
#include "compute/attention_ring.h"

int sequence_spans(const sequence_split *s)
{
    return s->ranks * s->pieces;
}

static int64_t span_begin(const sequence_split *s, int index)
{
    int64_t spans = sequence_spans(s), each = s->n / spans, more = s->n % spans;
    return index * each + (index < more ? index : more); /* the first ones have one position more */
}

sequence_span sequence_span_at(const sequence_split *s, int index)
{
    sequence_span p = {.pos0 = span_begin(s, index), .rank = index};
    p.n = span_begin(s, index + 1) - p.pos0;
    if (index >= s->ranks) {
        p.rank = 2 * s->ranks - 1 - index;
        p.row = span_begin(s, p.rank + 1) - span_begin(s, p.rank);
    }
    return p;
}

sequence_span sequence_piece(const sequence_split *s, int rank, int piece, int *index)
{
    *index = piece == 0 ? rank : 2 * s->ranks - 1 - rank;
    return sequence_span_at(s, *index);
}

int64_t sequence_rows(const sequence_split *s, int rank)
{
    int64_t rows = 0;
    for (int i = 0, index; i < s->pieces; i++)
        rows += sequence_piece(s, rank, i, &index).n;
    return rows;
}

int64_t sequence_position(const sequence_split *s, int64_t row)
{
    int index;
    sequence_span p = sequence_piece(s, s->rank, 0, &index);
    if (row >= p.n && s->pieces > 1)
        p = sequence_piece(s, s->rank, 1, &index);
    return p.pos0 + row - p.row;
}
