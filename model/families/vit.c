/* ViT (Dosovitskiy et al., arXiv 2010.11929): a class token and image patches, learned positions, pre-norm
 * layers.  Hugging Face ViTModel. */
#include "model/families/vision.h"

static int configure(model *m, err *e)
{
    return vision_configure_vit(m, 1, e);
}

static int bind(model *m, err *e)
{
    return vision_bind_alone(m, vision_names_vit, e);
}

static const char *const model_types[] = {"vit", NULL};

const family family_vit = {
    .name = "vit",
    .summary = "ViT, DINO, and DeiT without distillation",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
