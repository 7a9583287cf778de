/* Outputs of heads (before the output projection, behind the gate) over reference prompts: what mean and resample
 * ablation put in place of a head's own.  Memory: 8 bytes x heads x positions x head width. */
#ifndef ATTNSCOPE_ANALYSIS_HEAD_REFERENCE_H
#define ATTNSCOPE_ANALYSIS_HEAD_REFERENCE_H

#include "model/forward.h"

typedef struct head_reference head_reference;

/* heads [n_head] of m, copied.  by_position: outputs of each position apart; else all positions are one. */
int head_reference_new(head_reference **out, const model *m, const head_id *heads, int n_head, bool by_position, err *e);
void head_reference_free(head_reference *r);
/* Run a prompt and add it.  The runtime must have no edits, for the outputs to be those of the model as it is.
 * After an error the reference is of no use. */
int head_reference_add(head_reference *ref, runtime *r, const model_input *in, const progress *p, err *e);
int64_t head_reference_prompts(const head_reference *r);
/* Positions that are known for this kind of attention: 1 when pooled. */
int64_t head_reference_positions(const head_reference *r, attn_kind kind);
bool head_reference_has(const head_reference *r, head_id head);
/* Mean output [d_v] at a position: over the prompts that have it; of all positions where none has, or when pooled.  False:
 * the head is not in the reference, or no prompt was added. */
bool head_reference_mean(const head_reference *r, head_id head, int64_t position, float *out);

#endif
