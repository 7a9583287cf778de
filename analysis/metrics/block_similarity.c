#include "analysis/similarity.h"

static int prepare(metric_ctx *c, err *e)
{
    return similarity_prepare(c, SIMILAR_BLOCK, NULL, e);
}

const metric metric_block_similarity = {
    .name = "block_similarity",
    .summary = "cosine of the residual stream before and after a block",
    .formula = "mean_t cos(x_t, y_t)",
    .definition =
        "mean over tokens t of cos(x_t, y_t), x the stream that the block reads and y what it leaves.  1 "
        "minus it is the block's importance: blocks of high similarity are dropped first.  Every token "
        "counts once, the first one with its large norm too.  A token whose stream is 0 does not count",
    .unit = "",
    .range = "-1 .. 1",
    .source = "He et al. 2024 (arXiv 2406.15786), LLM-Drop, block_drop.py",
    .reading = "Near 1: the block hardly turns the stream; 1 minus it ranks blocks to drop.",
    .traps =
        "The first token's huge norm keeps its cosine near 1. The first and last blocks are low and matter "
        "most.",
    .cite = "he2024drop",
    .missing_mass = "does not apply",
    .cost = "a copy of the residual stream",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .prepare = prepare,
    .release = similarity_release,
    .hidden = similarity_hidden,
};
