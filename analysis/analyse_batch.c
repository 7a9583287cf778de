/* Prompts side by side.  Their rows come mixed, layer by layer; each prompt's are kept until the pass is over. */
#include <stdlib.h>
#include "analysis/analyse.h"
#include "base/mem.h"
#include "base/result_list.h"

typedef struct member {
    analysis *a;
    result_list rows;
    result_sink sink;
} member;

int analyse_batch(runtime *r, const model *m, const model_input *const *in, int n, const analysis_request *req,
                  const result_sink *const *out, const progress *p, err *e)
{
    int rc = 0;
    if (n == 1)
        return analyse(r, m, in[0], req, out[0], p, e);
    member *each = mem_array((size_t)n, sizeof *each, e);
    const observer **watch = mem_array((size_t)n, sizeof *watch, e);
    rc = each && watch ? 0 : ERR_RESOURCE;
    for (int i = 0; i < n && !rc; i++) {
        each[i].sink = result_list_sink(&each[i].rows);
        rc = analysis_begin(&each[i].a, r, m, in[i], req, &each[i].sink, e);
        if (!rc)
            watch[i] = analysis_observer(each[i].a);
    }
    if (!rc)
        rc = forward_batch(r, in, watch, n, p, e);
    for (int i = 0; i < n && !rc; i++)
        rc = result_list_replay(&each[i].rows, out[i], e);
    for (int i = 0; i < n && each; i++) {
        analysis_end(each[i].a);
        result_list_free(&each[i].rows);
    }
    free(each);
    free(watch);
    return rc;
}
