/* What the experiments with edits try a model on: texts, trials of a needle, or both; and the units of a run, one a text
 * or trial, in this order. */
#ifndef ATTNSCOPE_CLI_EFFECT_INPUT_H
#define ATTNSCOPE_CLI_EFFECT_INPUT_H

#include "analysis/experiments/effect.h"
#include "cli/builtin_prompts.h"
#include "cli/experiment.h"

/* --trials FILE. */
extern const param trials_params[];

typedef struct effect_input {
    loaded_model *lm;
    prompt_rules rules;
    prompt_request *request;  /* [n_text] */
    int64_t n_text;
    trials trials;
    sha256_hex texts_hash;    /* of all tokens of texts and trials: part of the settings */
} effect_input;

/* Texts from --prompts, --builtin or the options of one prompt, trials from --trials where the command has it; the
 * built-in texts, cut to the context, when neither is given.  All are read and checked.  ERR_USAGE or ERR_INPUT, naming the
 * line: a text of one token, a trial without room for its answer, a model without loss. */
int effect_input_read(effect_input *out, session *s, const command_args *a, loaded_model *lm, err *e);
void effect_input_free(effect_input *in);
static inline int64_t effect_units(const effect_input *in)
{
    return in->n_text + in->trials.n;
}
/* Members of the settings: what was tried. */
void effect_input_settings(strbuf *b, const effect_input *in, const params *p);

/* Unit i of a run: begun in the store by _begin, then measured under as many plans as wanted, then _end. */
typedef struct effect_unit {
    const effect_input *in;
    experiment *x;
    prompt_input text;        /* of a text */
    const trial *t;           /* NULL: a text */
} effect_unit;
int effect_unit_begin(effect_unit *u, const effect_input *in, experiment *x, int64_t i, err *e);
void effect_unit_end(effect_unit *u);
/* Values of the unit under a plan (NULL: none): of a text nll<suffix> and accuracy<suffix> (and entropy_next<suffix> with
 * `entropy`), of a trial recall<suffix>, at this site and position. */
typedef struct effect_site { const char *suffix; attn_kind kind; int layer, head; int64_t position; bool entropy; } effect_site;
int effect_unit_measure(effect_unit *u, edit_plan *plan, effect_site at, err *e);
/* Progress of the unit: part done of n. */
void effect_unit_step(const effect_unit *u, int64_t done, int64_t n);

#endif
