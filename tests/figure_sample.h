/* Sample data for the figure tests. */
#ifndef ATTNSCOPE_TESTS_FIGURE_SAMPLE_H
#define ATTNSCOPE_TESTS_FIGURE_SAMPLE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/figure.h"

static const char *const sample_tokens[] = {
    "<|bos|>",
    " The",
    " old",
    " lamp",
    " keeper",
    " walked",
    " down",
    " to",
    " the",
    " harbour",
    ".",
    "\n",
    "\xe5\x8c\x97\xe4\xba\xac",
    "antidisestablishmentarianism",
    "\x1b[31m",
    " ",
    "\xe4\xbd",
    "\xe2\x80\xae",
    "\t",
    "g",
    "j",
    "|",
    "W",
    "\xf0\x9f\x99\x82",
};
enum { SAMPLE_TOKENS = sizeof sample_tokens / sizeof *sample_tokens };

typedef struct sample {
    figure_data d;
    float *cells;
    const char **labels;
    params *p;
    const figure *f;
} sample;

/* Options for a recipe: name, value, ..., NULL. */
static inline params *sample_params(const figure *f, const char *const *options)
{
    params *p = NULL;
    err e = {0};

    if (params_new(&p, &e) || params_use(p, figure_params, &e) || (f->params && params_use(p, f->params, &e)))
        abort();
    for (; options && options[0]; options += 2) {
        if (params_set(p, options[0], options[1], &e)) {
            fprintf(stderr, "option %s: %s\n", options[0], e.msg);
            abort();
        }
    }
    return p;
}

/* A matrix of values in (0, 1) that depend on the place alone; causal: NaN above the diagonal. */
static inline void sample_init(sample *s, const char *recipe, int64_t rows, int64_t cols, bool causal, bool words,
                               const char *const *options)
{
    memset(s, 0, sizeof *s);
    s->f = figure_find(recipe);
    s->cells = malloc((size_t)(rows * cols) * sizeof *s->cells);
    s->labels = malloc((size_t)(rows > cols ? rows : cols) * sizeof *s->labels);
    if (!s->f || !s->cells || !s->labels)
        abort();
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++) {
            uint32_t h = (uint32_t)(r * 2654435761u) ^ (uint32_t)(c * 40503u + 12345u);
            h = (h ^ h >> 13) * 1274126177u;
            double v = ((double)(h >> 8) + 0.5) / (1 << 24);
            s->cells[r * cols + c] = causal && c > r ? NAN : (float)(v * v * v);
        }
    }
    for (int64_t i = 0; i < (rows > cols ? rows : cols); i++)
        s->labels[i] = sample_tokens[i % SAMPLE_TOKENS];
    s->d = (figure_data){
        .m = {.rows = rows, .cols = cols, .cells = s->cells, .row_labels = words ? s->labels : NULL,
              .col_labels = words ? s->labels : NULL},
        .title = "L1H3 \xc2\xb7 lantern-3m",
        .subtitle = "run 3, a prompt of some tokens",
        .row_axis = "query token",
        .col_axis = "key token",
        .quantity = "attention weight",
        .unit = "",
        .lo = 0,
        .hi = 1,
        .pool = 1,
    };
    s->p = sample_params(s->f, options);
}

static inline void sample_free(sample *s)
{
    params_free(s->p);
    free(s->cells);
    free(s->labels);
}

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL, NULL})

#endif
