/* One prompt through one model with a set of metrics and maps: the middle of the one path from words to
 * figures. */
#ifndef ATTNSCOPE_ANALYSIS_ANALYSE_H
#define ATTNSCOPE_ANALYSIS_ANALYSE_H

#include "analysis/metric.h"
#include "model/forward.h"

typedef struct analysis_request {
    const metric *const *metrics;     /* [n_metric] */
    int n_metric;
    const params *p;                  /* values of the metrics' parameters (their tables are in use) */
    const head_id *maps;              /* [n_map] heads whose attention map is kept */
    int n_map;
    int64_t map_limit;                /* cells a side above which a map is pooled (mean); 0: never */
    const tokenizer *tok;             /* for metrics that read texts of tokens; NULL: none */
} analysis_request;

/* Does a metric say anything about this kind of attention of the model; about any? */
bool metric_applies(const metric *measure, const model *m, attn_kind kind);
bool metric_applies_somewhere(const metric *measure, const model *m);
/* The same of a metric of weights, which `weights` measures and analyse does not. */
bool metric_weighs(const metric *measure, const model *m, attn_kind kind);

/* Values go to out in a fixed order: stack as they run (vision, encoder, main), layer, self before cross
 * attention, head, metric in request order, position; then the metrics of logits.  Nothing is emitted for a
 * head before the head is complete.  Metrics are left out where they do not apply. */
int analyse(runtime *r, const model *m, const model_input *in, const analysis_request *req, const result_sink *out,
            const progress *p, err *e);
/* Several prompts that pass together (model/forward.h, forward_batch): the rows of each are those of analyse, to the last
 * bit and in the same order, but come prompt by prompt after the pass.  out [n].  An error is that of any of them: who wants
 * to know of which, runs them one by one. */
int analyse_batch(runtime *r, const model *m, const model_input *const *in, int n, const analysis_request *req,
                  const result_sink *const *out, const progress *p, err *e);

/* One prompt's part in a run: what watches it, from before the run until after it. */
typedef struct analysis analysis;
int analysis_begin(analysis **out, runtime *r, const model *m, const model_input *in, const analysis_request *req,
                   const result_sink *sink, err *e);
const observer *analysis_observer(const analysis *a);
void analysis_end(analysis *a); /* a may be NULL */
/* Bytes that the states of its metrics take, over all heads in flight; maps, and what a metric keeps by itself, aside. */
size_t analysis_memory(const analysis *a);

/* What analyse would refuse before it runs: input, parameters of metrics, heads, memory. */
int analyse_check(const runtime *r, const model *m, const model_input *in, const analysis_request *req, err *e);

/* dump and verify: the arrays of a reference file.  Inputs: [n] ids, [m] enc_ids, [channels, height, width]
 * pixel_values, [n_mel, n_frame] input_features, those that the model takes.  Main stack: [H, n, n] attn_<l>, [n, C]
 * hidden_<l> (residual stream after l blocks, before the final norm), [n, V] logits.  Encoder, or image tower in
 * front of a decoder: [H, m, m] enc_attn_<l>, [m, C] enc_hidden_<l>.  Cross attention: [H, n, m] cross_attn_<l>. */
typedef struct verify_row {
    char array[32];      /* "hidden", "attn", "enc_hidden", "enc_attn", "cross_attn", "logits" */
    int layer;           /* as in the array's name; NO_INDEX for logits */
    double max_abs;      /* largest absolute difference; infinite when a value is not a number */
    double nmse;         /* mean squared difference / mean square of the reference; likewise */
    double rms;          /* of the reference */
    double gate;         /* what max_abs (attn, hidden) or nmse (logits) may reach */
    double resolution;   /* attn: what float32 scores of this size can tell apart; 0 otherwise */
    bool pass;
} verify_row;

/* The gates: attn, absolute; hidden, times the rms of that reference array; logits, nmse. */
#define VERIFY_GATE_ATTN 1e-5
#define VERIFY_GATE_HIDDEN 1e-4
#define VERIFY_GATE_LOGITS 1e-8

/* Hold a run of ids (taken from the reference) against those arrays of the reference file that are there,
 * in the order of the run: hidden_0, attn_0, hidden_1, ..., logits.  Weights on keys that a query does not
 * see count as 0.  rows: allocated, free().
 * 0 when all pass.  ERR_DIFFERS when one does not: rows are filled all the same, e names the worst.
 * ERR_INPUT (rows NULL): nothing to compare, or an array of another shape than the model's. */
int verify_run(runtime *r, const model *m, const char *reference, verify_row **rows, int *n_row,
               const progress *p, err *e);
/* Write the inputs (ids as i64), logits, hidden states and, if asked, attention (f32) of a run.  The attention of
 * some heads is held at a time: ERR_RESOURCE when that does not fit the memory that is free. */
int dump_run(runtime *r, const model *m, const model_input *in, bool attention, const char *path, const progress *p,
             err *e);

/* A part of it, or other names. */
typedef struct dump_choice {
    bool attention;            /* maps too */
    const head_id *heads;      /* [n_head] maps of these alone, attn_<l> [h, n, n] in the order of heads, with their numbers as
                                * i64 attn_<l>_heads [h]; layers without one have none.  NULL: all, without numbers */
    int n_head;
    /* Arrays of TransformerLens' names and shapes (float32, a batch of one in front), in place of all others but ids [1, n]:
     * hook_embed, hook_pos_embed, ln_final.hook_scale [1, n, 1], ln_final.hook_normalized [1, n, C], blocks.<l>.ln1.* and ln2.*
     * likewise, blocks.<l>.mlp.hook_post [1, n, inner],
     * blocks.<l>.hook_resid_pre, hook_attn_out, hook_resid_mid, hook_mlp_out, hook_resid_post [1, n, C],
     * blocks.<l>.attn.hook_v and hook_rot_q, hook_rot_k or, without RoPE, hook_q, hook_k [1, n, heads, d], hook_z
     * [1, n, H, d_v], hook_attn_scores (-inf where masked) and hook_pattern [1, H, n, n]. */
    bool transformerlens;
    const char *hooks;         /* of those only these, separated by commas, whole or their last parts, with * and ?; NULL: all */
} dump_choice;
/* ERR_USAGE: a model of several stacks under TransformerLens' names, or a word of hooks that names no array. */
int dump_run_chosen(runtime *r, const model *m, const model_input *in, const dump_choice *choice, const char *path,
                    const progress *p, err *e);

#endif
