#include "analysis/edit.h"

/* Rows of the reference are floats of the head's width: straight into place. */
static void output(const edit_use *u, head_id head, int64_t pos0, float *o, int64_t n, int64_t ld, int width)
{
    (void)width;
    for (int64_t i = 0; i < n; i++)
        head_reference_mean(u->ref, head, pos0 + i, o + i * ld);
}

static const char *const positions[] = {"pooled", "each", NULL};
static const param own[] = {
    {.name = "prompts", .kind = PARAM_PATH, .value = "FILE", .help = "JSON Lines of prompts to take the mean over"},
    {.name = "position", .kind = PARAM_ENUM, .def = "pooled", .value = "WHICH", .choices = positions,
     .help = "one mean over all positions, or one for each position"},
    {.name = NULL},
};

const edit edit_mean = {
    .name = "mean",
    .summary = "the head's output is its mean over other prompts",
    .definition = "output of the head = mean of its outputs over the reference prompts, of all their positions (pooled, "
                  "each token counts once) or of the same position (each; beyond the longest prompt, the pooled mean).  "
                  "Removes what the head says about this prompt, keeps what it always says",
    .source = "mean ablation, Wang et al., arXiv 2211.00593",
    .reading =
        "The usual ablation: takes away what depends on the prompt and keeps the average that later layers "
        "expect.",
    .traps =
        "Depends on the reference prompts: name them. A mean of very different outputs is itself unusual.",
    .cite = "wang2023ioi",
    .decoding = "the same at every step; each: position of the token in the text",
    .needs_reference = true, .params = own, .output = output,
};
