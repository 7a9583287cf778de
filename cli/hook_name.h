/* TransformerLens' names of activations as other names of heads and layers:
 *
 *     blocks.3.attn.hook_pattern           all heads of layer 3
 *     blocks.3.attn.hook_z[:, :, 7]        head 7 of layer 3: the only number of the index
 *     blocks.3.hook_resid_pre              layer 3
 *     decoder.3.cross_attn.hook_pattern    cross attention of layer 3; encoder.3.attn...: of the encoder
 *
 * `blocks` is the stack that gives the logits; `*` in place of the layer is every layer. */
#ifndef ATTNSCOPE_CLI_HOOK_NAME_H
#define ATTNSCOPE_CLI_HOOK_NAME_H

#include "base/result.h"

/* What a name is of here. */
typedef struct hook_point {
    const char *hook;      /* "hook_resid_pre", "attn.hook_z": behind the layer; NULL ends the list */
    const char *what;      /* `patch --what` of it; NULL: none */
    const char *array;     /* of `dump`, with <l> for the layer; NULL: none */
    const char *help;
} hook_point;
extern const hook_point hook_points[];

typedef struct hook_name {
    attn_kind kind;
    _Bool prefixed;        /* encoder or decoder: the kind is said; else it is that of the model's main stack */
    _Bool attention;       /* of heads; else of a whole layer */
    int64_t layer, head;   /* NO_INDEX: all of them */
    const hook_point *at;  /* NULL: blocks.3, blocks.3.attn */
} hook_name;

/* Layers and heads are below it: a larger number is a mistake. */
enum { INDEX_LIMIT = 100000 };
/* The decimal number at *s, which moves behind its digits; false: none stands there, or it is not below INDEX_LIMIT. */
_Bool index_read(int64_t *out, const char **s);

/* Does text begin as such a name does? */
_Bool hook_name_begins(const char *text);
/* The name at *s, which moves behind it; false, and *s stays: no such name. */
_Bool hook_name_read(hook_name *out, const char **s);

#endif
