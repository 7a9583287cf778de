/* DeepSeek-V3, R1: latent attention, sigmoid scores with a bias for the choice alone, groups by their best
 * two.  Hugging Face DeepseekV3ForCausalLM; the layers for predicting several tokens are not run. */
#include "model/families/deepseek.h"

static int configure(model *m, err *e)
{
    deepseek_shape d = {.kind = ROPE_INTERLEAVED,
                        .first_sparse = 3,
                        .every = 1,
                        .rule = {.score = MOE_SIGMOID,
                                 .scale = 2.5f,
                                 .normalise = true,
                                 .normalise_eps = 1e-20f,
                                 .group_rule = MOE_GROUP_TOP2}};
    bool interleaved = true;
    int rc;
    if ((rc = deepseek_expect(m, "topk_method", "noaux_tc", e)) ||
        (rc = deepseek_expect(m, "scoring_func", "sigmoid", e)) ||
        (rc = config_bool(&interleaved, m->config, "rope_interleave", e)) ||
        (rc = config_bool(&d.rule.normalise, m->config, "norm_topk_prob", e)) ||
        (rc = deepseek_read_groups(m, &d.rule, e)))
        return rc;
    d.kind = interleaved ? ROPE_INTERLEAVED : ROPE_HALF;
    return deepseek_configure(m, &d, e);
}

static const char *const model_types[] = {"deepseek_v3", NULL};

const family family_deepseek_v3 = {
    .name = "deepseek_v3",
    .summary = "DeepSeek-V3 and R1",
    .model_types = model_types,
    .configure = configure,
    .bind = deepseek_bind,
};
