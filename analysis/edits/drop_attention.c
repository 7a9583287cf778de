#include "analysis/edit.h"

const edit edit_drop_attention = {
    .name = "drop_attention",
    .summary = "layers without self attention",
    .definition = "the residual stream passes self attention of the layer by, with its norms; "
                  "the layer has no keys and values either",
    .source = "LLM-Drop, He et al., arXiv 2406.15786",
    .decoding = "the same at every step",
    .target = EDIT_LAYERS, .skips = 1u << PART_SELF,
};
