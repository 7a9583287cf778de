#include "analysis/edit.h"

const edit edit_drop_mlp = {
    .name = "drop_mlp",
    .summary = "layers without the MLP",
    .definition = "the residual stream passes the MLP (or the experts) of the layer by, with its norms",
    .source = "LLM-Drop, He et al., arXiv 2406.15786",
    .reading = "What the MLP is worth; usually more than the attention of the same layer.",
    .traps = "Dropping an early MLP can take the massive activation away and with it every sink above.",
    .cite = "he2024drop,sun2024massive",
    .decoding = "the same at every step",
    .target = EDIT_LAYERS, .skips = 1u << PART_MLP,
};
