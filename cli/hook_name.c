#include "cli/hook_name.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

const hook_point hook_points[] = {
    {"attn.hook_pattern", "pattern", "attn_<l>", "attention weights"},
    {"attn.hook_q", "q", NULL, "queries"},
    {"attn.hook_k", "k", NULL, "keys"},
    {"attn.hook_v", "v", NULL, "values"},
    {"attn.hook_rot_q", "q", NULL, "queries behind RoPE"},
    {"attn.hook_rot_k", "k", NULL, "keys behind RoPE"},
    {"attn.hook_z", "z", NULL, "output of a head before the output projection"},
    {"attn.hook_result", NULL, NULL, "output of a head"},
    {"attn.hook_attn_scores", NULL, NULL, "logits of the attention"},
    {"hook_resid_pre", "resid", "hidden_<l>", "residual stream before the block"},
    {"hook_resid_post", NULL, "hidden_<l+1>", "residual stream behind the block"},
    {"hook_resid_mid", NULL, NULL, "residual stream between attention and MLP"},
    {"hook_attn_out", "attn_out", NULL, "what attention adds to the residual stream"},
    {"hook_mlp_out", "mlp_out", NULL, "what the MLP adds to it"},
    {"hook_attn_in", NULL, NULL, "copies of the stream that attention reads"},
    {"hook_q_input", NULL, NULL, "the same, for queries"},
    {"hook_k_input", NULL, NULL, "for keys"},
    {"hook_v_input", NULL, NULL, "for values"},
    {"hook_mlp_in", NULL, NULL, "copy of the stream that the MLP reads"},
    {"ln1.hook_scale", NULL, NULL, "what the norm of attention divides by"},
    {"ln1.hook_normalized", NULL, NULL, "what it gives"},
    {"ln2.hook_scale", NULL, NULL, "what the norm of the MLP divides by"},
    {"ln2.hook_normalized", NULL, NULL, "what it gives"},
    {"mlp.hook_pre", NULL, NULL, "what the MLP's activation function reads"},
    {"mlp.hook_pre_linear", NULL, NULL, "what a gated MLP multiplies it by"},
    {"mlp.hook_post", NULL, NULL, "what the MLP's down projection reads"},
    {NULL, NULL, NULL, NULL},
};

static const struct { const char *name; attn_kind attn, cross; bool prefixed; } stacks[] = {
    {"blocks.", ATTN_SELF, ATTN_CROSS, false},
    {"decoder.", ATTN_SELF, ATTN_CROSS, true},
    {"encoder.", ATTN_ENCODER, ATTN_ENCODER, true},
};
enum { N_STACK = sizeof stacks / sizeof *stacks };

static int stack_of(const char *text)
{
    for (int i = 0; i < N_STACK; i++)
        if (strncmp(text, stacks[i].name, strlen(stacks[i].name)) == 0)
            return i;
    return N_STACK;
}

_Bool hook_name_begins(const char *text)
{
    return stack_of(text) < N_STACK;
}

_Bool index_read(int64_t *out, const char **s)
{
    if (!isdigit((unsigned char)**s))
        return false;
    for (*out = 0; isdigit((unsigned char)**s); (*s)++)
        if ((*out = *out * 10 + (**s - '0')) >= INDEX_LIMIT)
            return false;
    return true;
}

/* "[:, :, 7]" or "[:, 7]": one number among colons, or none. */
static bool read_brackets(int64_t *head, const char **s)
{
    int n = 0;
    const char *p = *s + 1;
    for (; *p && *p != ']';) {
        if (strchr(":, \t", *p))
            p++;
        else if (++n > 1 || !index_read(head, &p))
            return false;
    }
    if (*p != ']')
        return false;
    *s = p + 1;
    return true;
}

/* What follows the layer: ".attn.hook_z", ".cross_attn", ".hook_resid_pre", or nothing. */
static bool read_point(hook_name *h, const char **s, int stack)
{
    const char *word = **s == '.' ? *s + 1 : *s;
    size_t n = strcspn(word, "[ \t,()\";");
    const bool cross = n > 5 && strncmp(word, "cross_", 6) == 0, dotted = **s == '.';
    if (cross) {
        word += 6;
        n -= 6;
        h->kind = stacks[stack].cross;
        h->prefixed |= h->kind == ATTN_CROSS;
    }
    h->attention = n >= 4 && strncmp(word, "attn", 4) == 0;
    for (const hook_point *x = hook_points; x->hook; x++)
        if (strlen(x->hook) == n && strncmp(word, x->hook, n) == 0)
            h->at = x;
    *s = word + n;
    return h->at || (n == 4 && h->attention) || (n == 0 && !dotted);
}

_Bool hook_name_read(hook_name *out, const char **s)
{
    int stack = stack_of(*s);
    if (stack == N_STACK)
        return false;
    const char *p = *s + strlen(stacks[stack].name);
    hook_name h = {.kind = stacks[stack].attn, .prefixed = stacks[stack].prefixed, .layer = NO_INDEX, .head = NO_INDEX};
    if (*p == '*')
        p++;
    else if (!index_read(&h.layer, &p))
        return false;
    if ((*p && !strchr(". \t,()", *p)) || !read_point(&h, &p, stack))
        return false;
    if (*p == '[' && (!h.attention || !read_brackets(&h.head, &p)))
        return false;
    *out = h;
    *s = p;
    return true;
}
