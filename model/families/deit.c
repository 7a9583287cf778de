/* DeiT (Touvron et al., arXiv 2012.12877): ViT with a distillation token behind the class token.
 * Hugging Face DeiTModel; checkpoints without that token call themselves "vit". */
#include "model/families/vision.h"

static int configure(model *m, err *e)
{
    return vision_configure_vit(m, 2, e);
}

static int bind(model *m, err *e)
{
    return vision_bind_alone(m, vision_names_vit, e);
}

static const char *const model_types[] = {"deit", NULL};

const family family_deit = {
    .name = "deit",
    .summary = "DeiT with a distillation token",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
