/* Reading a model's structure from its configuration: config.json or GGUF metadata.
 *
 * Every key is either read, known to be harmless, or refused when its name says that it changes attention:
 * a default is never assumed for something that the checkpoint states and this program does not know. */
#ifndef ATTNSCOPE_MODEL_CONFIG_H
#define ATTNSCOPE_MODEL_CONFIG_H

#include "model/gguf.h"
#include "model/model.h"

/* config.json.  The readers take a key and aliases tried in order, separated by '|': "n_head|num_attention_heads".
 * A member that is null counts as absent.  required: ERR_INPUT when absent; else *out keeps its value. */
int config_int(int64_t *out, const json *config, const char *keys, bool required, int64_t min, int64_t max, err *e);
int config_real(double *out, const json *config, const char *keys, bool required, double min, double max, err *e);
int config_bool(bool *out, const json *config, const char *keys, err *e);
/* One of the names in table (name, value pairs ended by a NULL name); an unknown one is refused by key and value. */
typedef struct config_name { const char *name; int value; } config_name;
int config_enum(int *out, const json *config, const char *keys, const config_name *table, bool required, err *e);
/* Refuse what is set to anything but the given value ("add_cross_attention" must be false). */
int config_must_be_bool(const json *config, const char *key, bool value, err *e);

/* Go through all keys of config: known (NULL-terminated list of this family), harmless, or to be refused.
 * Harmless unknown ones are recorded in m->ignored. */
int config_check_keys(model *m, const json *config, const char *const *known, err *e);

/* Activation names of Hugging Face configurations. */
extern const config_name config_activations[];

/* GGUF: key "<arch>.<suffix>", or the key itself when it holds a '.' at its start (".general.name" = "general.name"). */
int meta_int(int64_t *out, const gguf_meta *g, const char *arch, const char *suffix, bool required, int64_t min,
             int64_t max, err *e);
int meta_real(double *out, const gguf_meta *g, const char *arch, const char *suffix, bool required, double min,
              double max, err *e);
int meta_bool(bool *out, const gguf_meta *g, const char *arch, const char *suffix, err *e);
/* Refuse keys under "<arch>." that are not in known (suffixes) and whose name touches attention; note others. */
int meta_check_keys(model *m, const gguf_meta *g, const char *arch, const char *const *known, err *e);

/* RoPE of config.json, old spelling (rope_theta, rope_scaling) or new (rope_parameters), as rope 0 of m.
 * dim: rotated dimensions. */
int config_rope(model *m, const json *config, int dim, rope_kind kind, err *e);
/* RoPE of GGUF metadata, with the rope_freqs tensor where there is one. */
int meta_rope(model *m, const gguf_meta *g, const char *arch, int dim, rope_kind kind, err *e);
/* Fill r->inv_freq from the rest of *r (rope.c); factors [dim/2] divide the frequencies, NULL: none. */
int rope_frequencies(model *m, rope_plan *r, const float *factors, err *e);

/* Allocate layers and give each the plan and the activation; checks that key/value heads divide the heads. */
int config_layers(model *m, const attn_plan *plan, act_kind act, err *e);

#endif
