/* Tables of a document: columns as wide as they must be, texts in lines, the header again on each page. */
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "plots/document_parts.h"

static const double GAP = 7, PAD = 1.6, LEAST_SCALE = .8, MOST_TEXT = 190, LEAST_TEXT = 58;

typedef struct layout_plan {
    const document_table *t;
    double *width;           /* [n_col] */
    int *column, n;          /* columns of this part */
    double gap;              /* between columns */
} layout_plan;

static double text_width(document *d, document_face face, const char *text)
{
    PangoRectangle r;

    pango_layout_get_extents(document_layout(d, face, text, 0), NULL, &r);
    return (double)r.width / PANGO_SCALE;
}

/* The widest word: a header may take several lines. */
static double word_width(document *d, document_face face, const char *text)
{
    double most = 0;
    strbuf b = {0};

    for (const char *s = text; *s; s += strspn(s, " ")) {
        size_t n = strcspn(s, " ");
        strbuf_clear(&b);
        strbuf_add(&b, s, n);
        double w = b.failed ? 0 : text_width(d, face, strbuf_str(&b));
        most = w > most ? w : most;
        s += n;
    }
    strbuf_free(&b);
    return most;
}

/* Natural widths; texts are cut to a share of the page, and further where the table would not fit. */
static int measure(layout_plan *p, document *d, err *e)
{
    const document_table *t = p->t;
    double sum = 0, soft = 0;

    for (int c = 0; c < t->n_col; c++) {
        p->width[c] = word_width(d, FACE_CELL_BOLD, t->head[c]);
        for (int64_t r = 0; r < t->n_row; r++) {
            double w = text_width(d, FACE_CELL, t->cells[r * t->n_col + c]);
            p->width[c] = w > p->width[c] ? w : p->width[c];
        }
        p->width[c] += .5;
        if (!t->number[c] && p->width[c] > MOST_TEXT)
            p->width[c] = MOST_TEXT;
        if (cancel_check(e))
            return ERR_CANCELLED;
        sum += p->width[c] + GAP;
        soft += !t->number[c] && p->width[c] > LEAST_TEXT ? p->width[c] - LEAST_TEXT : 0;
    }
    double over = sum - GAP - (d->right - d->left);
    if (over > 0 && soft > 0) {
        double keep = over < soft ? 1 - over / soft : 0;
        for (int c = 0; c < t->n_col; c++)
            if (!t->number[c] && p->width[c] > LEAST_TEXT)
                p->width[c] = LEAST_TEXT + (p->width[c] - LEAST_TEXT) * keep;
    } else if (over < 0 && soft > 0) { /* room for long texts that were cut */
        int cut = 0;
        for (int c = 0; c < t->n_col; c++)
            cut += !t->number[c] && p->width[c] >= MOST_TEXT;
        for (int c = 0; c < t->n_col && cut; c++)
            if (!t->number[c] && p->width[c] >= MOST_TEXT)
                p->width[c] += -over / cut;
    }
    return 0;
}

static void scale_cells(document *d, double scale)
{
    static const document_face of[] = {FACE_CELL, FACE_CELL_BOLD};

    for (size_t i = 0; i < sizeof of / sizeof *of && scale != 1; i++) {
        double size = pango_font_description_get_size(d->font[of[i]]);
        pango_font_description_set_absolute_size(d->font[of[i]], size * scale);
    }
}

/* Smaller type where that keeps a table in one part.  Returns the scale. */
static double shrink(layout_plan *p, document *d)
{
    double sum = -p->gap;

    for (int c = 0; c < p->t->n_col; c++)
        sum += p->width[c] + p->gap;
    double scale = (d->right - d->left) / sum;
    if (scale >= 1 || scale < LEAST_SCALE)
        return 1;
    scale_cells(d, scale);
    for (int c = 0; c < p->t->n_col; c++)
        p->width[c] *= scale;
    p->gap *= scale;
    return scale;
}

static double row_height(document *d, const layout_plan *p, document_face face, const char *const *cells)
{
    double h = 0;

    for (int i = 0; i < p->n; i++) {
        int c = p->column[i];
        double of = document_layout_height(document_layout(d, face, cells[c], p->width[c]));
        h = of > h ? of : h;
    }
    return h + 2 * PAD;
}

static void put_row(document *d, const layout_plan *p, document_face face, const char *const *cells, double height)
{
    double x = d->left;

    document_ink(d, .1);
    for (int i = 0; i < p->n; i++) {
        int c = p->column[i];
        PangoLayout *l = document_layout(d, face, cells[c], p->width[c]);
        pango_layout_set_alignment(l, p->t->number[c] ? PANGO_ALIGN_RIGHT : PANGO_ALIGN_LEFT);
        document_show(d, l, x, d->y + PAD);
        pango_layout_set_alignment(l, PANGO_ALIGN_LEFT);
        x += p->width[c] + p->gap;
    }
    d->y += height;
}

static double part_width(const layout_plan *p)
{
    double w = -p->gap;

    for (int i = 0; i < p->n; i++)
        w += p->width[p->column[i]] + p->gap;
    return w;
}

static void put_head(document *d, const layout_plan *p, double height)
{
    double right = d->left + part_width(p);

    document_rule(d, d->left, right, d->y, .4, .6);
    put_row(d, p, FACE_CELL_BOLD, p->t->head, height);
    document_rule(d, d->left, right, d->y, .4, .4);
    d->y += .8;
}

static int put_part(document *d, const layout_plan *p, bool first, err *e)
{
    const document_table *t = p->t;
    double head = row_height(d, p, FACE_CELL_BOLD, t->head);

    d->y += d->y > d->top && first ? 5 : 0; /* away from what stands above */
    document_room(d, head + 46);
    if (t->caption && first)
        document_quiet(d, t->caption);
    put_head(d, p, head);
    for (int64_t r = 0; r < t->n_row; r++) {
        const char *const *cells = t->cells + r * t->n_col;
        double h = row_height(d, p, FACE_CELL, cells);
        if (document_room(d, h)) {
            document_quiet(d, "continued");
            d->y -= 6;
            put_head(d, p, head);
        }
        put_row(d, p, FACE_CELL, cells, h);
        document_rule(d, d->left, d->left + part_width(p), d->y, .88, .3);
        if (cancel_check(e))
            return ERR_CANCELLED;
    }
    d->y += 10;
    return 0;
}

int document_table_add(document *d, const document_table *t, err *e)
{
    layout_plan p = {.t = t, .gap = GAP};
    double scale = 1;
    int rc = 0;

    if (t->n_col < 1)
        return 0;
    p.width = mem_array((size_t)t->n_col, sizeof *p.width, e);
    p.column = p.width ? mem_array((size_t)t->n_col + 1, sizeof *p.column, e) : NULL;
    rc = p.column ? measure(&p, d, e) : ERR_RESOURCE;
    if (!rc)
        scale = shrink(&p, d);
    for (int c = 0; c < t->n_col && !rc;) {
        bool first = c == 0;
        p.n = 0;
        if (!first)
            p.column[p.n++] = 0;
        do
            p.column[p.n++] = c++;
        while (c < t->n_col && part_width(&p) + p.gap + p.width[c] <= d->right - d->left + .5);
        rc = put_part(d, &p, first, e);
    }
    scale_cells(d, 1 / scale);
    free(p.width);
    free(p.column);
    return rc;
}
