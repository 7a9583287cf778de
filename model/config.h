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
 * Harmless unknown ones are recorded in m->ignored.  more: a second list, or NULL. */
int config_check_keys(model *m, const json *config, const char *const *known, const char *const *more, err *e);

/* Activation names of Hugging Face configurations. */
extern const config_name config_activations[];

/* GGUF: key "<arch>.<suffix>", or the key itself when it holds a '.' at its start (".general.name" = "general.name"). */
int meta_int(int64_t *out, const gguf_meta *g, const char *arch, const char *suffix, bool required, int64_t min,
             int64_t max, err *e);
int meta_real(double *out, const gguf_meta *g, const char *arch, const char *suffix, bool required, double min,
              double max, err *e);
int meta_bool(bool *out, const gguf_meta *g, const char *arch, const char *suffix, err *e);
/* Refuse keys under "<arch>." that are not in known (suffixes) and whose name touches attention; note others. */
int meta_check_keys(model *m, const gguf_meta *g, const char *arch, const char *const *known, const char *const *more,
                    err *e);

/* What a family asks of a rotary embedding. */
typedef struct rope_want {
    rope_kind kind;
    int head_width;          /* d_qk */
    int offset;              /* first rotated dimension */
    int dim;                 /* rotated dimensions; 0: the configuration's fraction (or dimension_count) of head_width */
    double fraction;         /* when the configuration has none; 0: 1 */
    double base;             /* likewise */
    const char *base_keys;   /* NULL: "rope_theta|rotary_emb_base"; GGUF: "rope.freq_base" */
    const char *layer_type;  /* of rope_parameters that hold one object for each type; NULL */
    bool unscaled;           /* take no scaling, whatever the configuration says */
} rope_want;

/* Add the RoPE of config.json, old spelling (rope_theta, rope_scaling) or new (rope_parameters), to m->ropes. */
int config_rope(model *m, const json *config, const rope_want *want, int *index, err *e);
/* RoPE of GGUF metadata, with the rope_freqs and rope_factors tensors where there are some. */
int meta_rope(model *m, const gguf_meta *g, const char *arch, const rope_want *want, int *index, err *e);
/* YaRN's attention factor, 0.1 mscale ln(factor) + 1. */
double yarn_magnitude(double factor, double mscale);

/* A stack with its layers: no norms, no positions, unlimited context; residual and embedding scales 1. */
int config_stack(model *m, stack **out, attn_kind kind, int64_t layers, int64_t width, err *e);
/* Key/value heads must divide the heads, the scale must be positive. */
int config_check_attention(const attn_plan *p, err *e);
/* A list with one entry for each layer; absent or null: *out NULL. */
int config_list(const json **out, const json *config, const char *key, int64_t n, err *e);

#endif
