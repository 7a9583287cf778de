#include "analysis/edit.h"

const edit edit_drop_attention = {
    .name = "drop_attention",
    .summary = "layers without self attention",
    .definition = "the residual stream passes self attention of the layer by, with its norms; "
                  "the layer has no keys and values either",
    .source = "LLM-Drop, He et al., arXiv 2406.15786",
    .reading =
        "Loss that hardly rises shows a layer whose attention is not needed here; compare with "
        "attention_similarity.",
    .traps =
        "Layers are not independent: two that can be dropped one by one may not be dropped together. Loss "
        "on plain text says little of recall.",
    .cite = "he2024drop",
    .decoding = "the same at every step",
    .target = EDIT_LAYERS, .skips = 1u << PART_SELF,
};
