#include "compute/attention.h"

int attention_panels(attn_scratch *s, const attn_args *of, int n, void (*block)(void *ud, const attn_panels *p), void *ud,
                     err *e)
{
    (void)s, (void)of, (void)n, (void)block, (void)ud;
    return err_set(e, ERR_FAILED, "not yet");
}
