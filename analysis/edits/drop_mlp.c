#include "analysis/edit.h"

const edit edit_drop_mlp = {
    .name = "drop_mlp",
    .summary = "layers without the MLP",
    .definition = "the residual stream passes the MLP (or the experts) of the layer by, with its norms",
    .source = "LLM-Drop, He et al., arXiv 2406.15786",
    .decoding = "the same at every step",
    .target = EDIT_LAYERS, .skips = 1u << PART_MLP,
};
