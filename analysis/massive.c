#include "analysis/massive.h"

#include <stdlib.h>
#include "base/mem.h"

int massive_prepare(metric_ctx *c, const char *above, const char *ratio, err *e)
{
    massive *s = mem_array(1, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    s->above = above ? params_real(c->p, above) : 0;
    s->ratio = ratio ? params_real(c->p, ratio) : 0;
    c->shared = s;
    return 0;
}

void massive_release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

double massive_least(massive *s, const float *x, int64_t n)
{
    return s->ratio * (double)abs_median(x, n, s->counts);
}
