#include "analysis/edit.h"

static int prepare(edit_use *u, const model *m, err *e)
{
    (void)m;
    if (head_reference_prompts(u->ref) == 1)
        return 0;
    err_set(e, ERR_USAGE, "edit resample takes the outputs of one prompt, and the reference has %lld",
            (long long)head_reference_prompts(u->ref));
    return err_hint(e, "mean averages over several");
}

/* Behind the end of the other prompt its positions come again, but for the first: that is often a sink unlike the rest. */
static int64_t position_of(int64_t position, int64_t n)
{
    return position < n ? position : n > 1 ? 1 + (position - 1) % (n - 1) : 0;
}

static void output(const edit_use *u, head_id head, int64_t pos0, float *o, int64_t n, int64_t ld, int width)
{
    int64_t known = head_reference_positions(u->ref, head.kind);
    (void)width;
    for (int64_t i = 0; i < n; i++)
        head_reference_mean(u->ref, head, position_of(pos0 + i, known), o + i * ld);
}

static const param own[] = {
    {.name = "prompts", .kind = PARAM_PATH, .value = "FILE", .help = "JSON Lines of prompts, one of which is drawn"},
    {.name = "seed", .kind = PARAM_INT, .def = "0", .value = "N", .max = 9e15, .help = "which prompt is drawn"},
    {.name = NULL},
};

const edit edit_resample = {
    .name = "resample",
    .summary = "the head's output is that over another prompt",
    .definition = "output of the head at position i = its output at position i of another prompt; where that is shorter, its "
                  "positions 1 .. n - 1 come again.  Keeps outputs within what the head can say",
    .source = "interchange intervention, resample ablation: Geiger et al., arXiv 2106.02997; Chan et al. 2022 (causal scrubbing)",
    .reading = "Keeps outputs natural: what is lost is what this prompt has of its own.",
    .traps =
        "Noise of one draw: repeat with seeds and take the mean. The other prompt may carry the same "
        "answer.",
    .cite = "geiger2021,chan2022scrubbing",
    .decoding = "position of the token in the text",
    .needs_reference = true, .params = own, .prepare = prepare, .output = output,
};
