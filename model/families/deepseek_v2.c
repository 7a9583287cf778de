/* DeepSeek-V2, V2.5, V2-Lite, Coder-V2: latent attention, softmax scores, groups by their best expert.
 * Hugging Face DeepseekV2ForCausalLM, which passes norm_topk_prob over; GGUF architecture "deepseek2", which
 * is V3's too. */
#include "model/families/deepseek.h"

static int configure(model *m, err *e)
{
    static const config_name methods[] = {{"greedy", MOE_GROUP_NONE},
                                          {"group_limited_greedy", MOE_GROUP_MAX},
                                          {NULL, 0}};
    deepseek_shape d = {.kind = ROPE_INTERLEAVED, .every = 1, .rule = {.score = MOE_SOFTMAX, .scale = 1}};
    int method = MOE_GROUP_NONE, rc;
    if (!m->config)
        return deepseek_configure_gguf(m, e);
    if ((rc = config_enum(&method, m->config, "topk_method", methods, false, e)) ||
        (rc = deepseek_expect(m, "scoring_func", "softmax", e)) ||
        (rc = config_must_be_bool(m->config, "rope_interleave", true, e)))
        return rc;
    d.rule.group_rule = (moe_group_rule)method;
    if (method != MOE_GROUP_NONE && (rc = deepseek_read_groups(m, &d.rule, e)))
        return rc;
    return deepseek_configure(m, &d, e);
}

static const char *const model_types[] = {"deepseek_v2", NULL};
static const char *const gguf_archs[] = {"deepseek2", NULL};

const family family_deepseek_v2 = {
    .name = "deepseek_v2",
    .summary = "DeepSeek-V2, V2.5, V2-Lite, Coder-V2; in GGUF V3 and R1 as well",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = deepseek_bind,
};
