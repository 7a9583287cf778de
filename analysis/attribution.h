/* Direct logit attribution: the logit of a token at one position as a sum over what every head, MLP, bias and embedding
 * wrote into the residual stream (Elhage et al. 2021; TransformerLens logit_attrs with apply_ln_to_stack).
 *
 * The final norm is taken as it was at that position: its scale is that of the whole stream, for all parts alike.  The
 * logit is that before a softcap.  Everything but the model's own float32 activations is in double. */
#ifndef ATTNSCOPE_ANALYSIS_ATTRIBUTION_H
#define ATTNSCOPE_ANALYSIS_ATTRIBUTION_H

#include "analysis/metric.h"

/* attribution-token, attribution-against, attribution-position */
extern const param attribution_params[];

/* What of the sum a metric emits. */
typedef enum attribution_part {
    ATTRIBUTION_HEADS,      /* a value for each head of self attention (delta rule: value head) */
    ATTRIBUTION_CROSS,      /* cross attention of a layer as a whole, without its bias */
    ATTRIBUTION_MLP,        /* the MLP of a layer, without its bias */
    ATTRIBUTION_BIAS,       /* all biases of a layer; without a layer: of the final norm and of the unembedding */
    ATTRIBUTION_EMBEDDING,  /* the token, and the position where it cannot be told apart */
    ATTRIBUTION_POSITION,   /* the position, where it is added to the token's embedding as it is */
    ATTRIBUTION_LOGIT,      /* the logit as the model has it: what all others add up to */
} attribution_part;

/* Callbacks of the metrics; all parts keep the same things. */
int attribution_prepare(metric_ctx *c, err *e);
void attribution_release(metric_ctx *c);
int attribution_heads(metric_ctx *c, const head_outputs *h, const result_sink *out, err *e);
int attribution_added(metric_ctx *c, const part_rows *p, const result_sink *out, err *e);
int attribution_hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e);
int attribution_end(metric_ctx *c, attribution_part part, const result_sink *out, err *e);
/* Why a model's stream is no sum: see metric.unfit. */
const char *attribution_unfit(const model *m, attn_kind kind);
/* The same, and why it has no such part: cross attention; learned positions added to the token as they are. */
const char *attribution_unfit_cross(const model *m, attn_kind kind);
const char *attribution_unfit_position(const model *m, attn_kind kind);
/* Is what the positions add to the stream of this width their learned rows as they are? */
bool attribution_has_positions(const embedding *b, int64_t width);

/* A token from an option: a number is an id, anything else a text that the tokenizer makes one token of.  -1: not given. */
int read_token_option(int32_t *out, const metric_ctx *c, const char *option, err *e);

#define ATTRIBUTION_RULES \
    "The token is attribution-token, by default the one of the highest logit at attribution-position (default: the last); " \
    "with attribution-against the logit of that token is subtracted. A part r of the stream gives ((r - mean r) / s) . " \
    "(g W_U[:, token]), centred for LayerNorm only, with s the root mean square (standard deviation) of the whole stream " \
    "at the position, g the gain of the final norm, times the model's scale of logits. attribution, attribution_cross, " \
    "attribution_mlp, attribution_bias, attribution_embedding and attribution_position add up to attribution_logit. A " \
    "softcap on the logits is not in it. A norm behind a sublayer (Gemma 2) is taken as it was, too. Not for models whose " \
    "blocks norm the stream itself (post-norm), whose stream is no sum"
#define ATTRIBUTION_SOURCE \
    "Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; TransformerLens logit_attrs, apply_ln_to_stack"
#define ATTRIBUTION_COST "one pass over the output projections and one row of the unembedding; L (H d + 3 C) floats"

#endif
