#include "analysis/edit.h"

const edit edit_drop_block = {
    .name = "drop_block",
    .summary = "layers left out",
    .definition = "the residual stream passes all sublayers of the layer by: self attention, cross "
                  "attention, MLP and their norms",
    .source = "LLM-Drop, He et al., arXiv 2406.15786",
    .reading = "The coarsest cut: what the whole layer is worth.",
    .traps =
        "First and last layers break the model, which says that they set up and read out the stream, not "
        "that they know most.",
    .cite = "he2024drop",
    .decoding = "the same at every step",
    .target = EDIT_LAYERS, .skips = 1u << PART_SELF | 1u << PART_CROSS | 1u << PART_MLP,
};
