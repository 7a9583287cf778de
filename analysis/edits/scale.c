#include "analysis/edit.h"

#include <stdlib.h>
#include "base/mem.h"

static int prepare(edit_use *u, const model *m, err *e)
{
    (void)m;
    if (!params_given(u->values, "factor")) {
        err_set(e, ERR_USAGE, "edit scale has no factor");
        return err_hint(e, "write scale 2 L0H1, or scale factor=0.5 L0H1");
    }
    double *factor = mem_array(1, sizeof *factor, e);
    if (!factor)
        return ERR_RESOURCE;
    *factor = params_real(u->values, "factor");
    u->state = factor;
    return 0;
}

static void release(edit_use *u)
{
    free(u->state);
}

static void output(const edit_use *u, head_id head, int64_t pos0, float *o, int64_t n, int64_t ld, int width)
{
    float factor = (float)*(const double *)u->state;
    (void)head;
    (void)pos0;
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < width; c++)
            o[i * ld + c] *= factor;
}

static const param own[] = {
    {.name = "factor", .kind = PARAM_REAL, .value = "A", .min = -1e6, .max = 1e6,
     .help = "what the output is multiplied by"},
    {.name = NULL},
};

const edit edit_scale = {
    .name = "scale",
    .summary = "the head's output is multiplied by a number",
    .definition = "output of the head = factor * output, at every position, before the output projection.  1 changes "
                  "nothing, 0 is the edit zero",
    .source = "head gates; He et al., arXiv 2412.13949 (2 for chosen heads)",
    .reading =
        "A knob: the slope of the effect near factor 1 tells how much the head matters here, factors above "
        "1 whether more of it helps.",
    .traps = "Large factors leave what the model was trained on.",
    .cite = "he2025vhd",
    .decoding = "the same at every step",
    .params = own, .prepare = prepare, .release = release, .output = output,
};
