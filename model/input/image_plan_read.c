/* preprocessor_config.json: each key's spellings, and what each processor does when it is absent. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/input/image.h"
#include "model/input/processor_config.h"

enum { LARGEST_EDGE = 16384 };

static const double half[3] = {0.5, 0.5, 0.5};
static const double clip_mean[3] = {0.48145466, 0.4578275, 0.40821073};
static const double clip_std[3] = {0.26862954, 0.26130258, 0.27577711};

/* The defaults of a class: what differs. */
typedef struct processor {
    const char *type;
    image_filter filter;
    image_size_kind size;
    int edge;
    bool crop;            /* 224 x 224 */
    bool square_number;   /* a size that is one number is both edges, not the shorter */
    bool pad_is_square;
    const double *mean, *std;
} processor;

static const processor processors[] = {
    {"ViTImageProcessor", IMAGE_BILINEAR, IMAGE_SIZE_EXACT, 224, false, true, false, half, half},
    {"DeiTImageProcessor", IMAGE_BICUBIC, IMAGE_SIZE_EXACT, 256, true, true, false, half, half},
    {"CLIPImageProcessor", IMAGE_BICUBIC, IMAGE_SIZE_SHORTEST, 224, true, false, false, clip_mean, clip_std},
    {"SiglipImageProcessor", IMAGE_BICUBIC, IMAGE_SIZE_EXACT, 224, false, false, false, half, half},
    {"BitImageProcessor", IMAGE_BICUBIC, IMAGE_SIZE_SHORTEST, 224, true, false, false, clip_mean, clip_std},
    {"LlavaImageProcessor", IMAGE_BICUBIC, IMAGE_SIZE_SHORTEST, 224, true, false, true, clip_mean, clip_std},
};

static int wrong(err *e, const char *key, const char *why)
{
    err_set(e, ERR_INPUT, "preprocessor config: %s %s", key, why);
    return err_hint(e, "compare preprocessor_config.json with the original checkpoint's");
}

static bool edge_of(int *out, const json *v)
{
    int64_t n;

    if (!json_int(&n, v) || n < 1 || n > LARGEST_EDGE)
        return false;
    *out = (int)n;
    return true;
}

static const json *present(const json *map, const char *key)
{
    const json *v = json_get(map, key);

    return json_kind_of(v) == JSON_NULL_ ? NULL : v;
}

/* {"height", "width"}, [height, width] or one number: false when it is neither. */
static bool pair_of(int *height, int *width, const json *v)
{
    if (json_kind_of(v) == JSON_LIST)
        return json_count(v) == 2 && edge_of(height, json_at(v, 0)) && edge_of(width, json_at(v, 1));
    if (json_kind_of(v) == JSON_MAP)
        return edge_of(height, json_get(v, "height")) && edge_of(width, json_get(v, "width"));
    if (!edge_of(height, v))
        return false;
    *width = *height;
    return true;
}

static int read_size(image_plan *p, const json *config, bool square_number, err *e)
{
    const json *v = present(config, "size");
    bool ok;

    if (!v)
        return 0;
    if (json_kind_of(v) == JSON_MAP && present(v, "shortest_edge")) {
        p->size = present(v, "longest_edge") ? IMAGE_SIZE_RANGE : IMAGE_SIZE_SHORTEST;
        ok = edge_of(&p->shortest, json_get(v, "shortest_edge")) &&
             (p->size == IMAGE_SIZE_SHORTEST || edge_of(&p->longest, json_get(v, "longest_edge")));
    } else if (json_kind_of(v) == JSON_MAP && present(v, "max_height")) {
        p->size = IMAGE_SIZE_WITHIN;
        ok = edge_of(&p->height, json_get(v, "max_height")) && edge_of(&p->width, json_get(v, "max_width"));
    } else if (json_kind_of(v) == JSON_MAP && !present(v, "height")) {
        return wrong(e, "size", "has neither height and width, shortest_edge, nor max_height and max_width");
    } else if (json_kind_of(v) == JSON_INT && !square_number) {
        p->size = IMAGE_SIZE_SHORTEST;
        ok = edge_of(&p->shortest, v);
    } else {
        p->size = IMAGE_SIZE_EXACT;
        ok = pair_of(&p->height, &p->width, v);
    }
    return ok ? 0 : wrong(e, "size", "is not a size from 1 to 16384");
}

static int read_pair(int *height, int *width, const json *config, const char *key, err *e)
{
    const json *v = present(config, key);

    return !v || pair_of(height, width, v) ? 0 : wrong(e, key, "is not a height and width from 1 to 16384");
}

/* Three numbers, or one for all channels. */
static int read_colour(double out[3], const json *config, const char *key, err *e)
{
    const json *v = present(config, key);
    bool list = json_kind_of(v) == JSON_LIST;

    if (!v)
        return 0;
    for (size_t c = 0; c < 3; c++) {
        double x;
        if ((list && json_count(v) != 3) || !json_real(&x, list ? json_at(v, c) : v) || !(fabs(x) <= 1e6))
            return wrong(e, key, "is not three numbers");
        out[c] = x;
    }
    return 0;
}

static const processor *find(const char *type)
{
    for (size_t i = 0; i < sizeof processors / sizeof *processors; i++)
        if (strcmp(type, processors[i].type) == 0)
            return &processors[i];
    return NULL;
}

/* "CLIPFeatureExtractor", as it was called up to 2022, is "CLIPImageProcessor". */
static void read_type(image_plan *p, const json *config)
{
    static const char old[] = "FeatureExtractor";
    bool fast = processor_config_type(p->type, sizeof p->type, config);
    size_t n = strlen(p->type), m = sizeof old - 1;

    p->backend = fast ? IMAGE_TORCHVISION : IMAGE_PILLOW;
    if (n > m && strcmp(p->type + n - m, old) == 0)
        snprintf(p->type + n - m, sizeof p->type - (n - m), "ImageProcessor");
}

static void set_defaults(image_plan *p, const processor *d)
{
    p->filter = d->filter;
    p->size = d->size;
    p->height = p->width = p->shortest = d->edge;
    p->resize = p->rescale = p->normalize = true;
    p->crop = d->crop;
    p->crop_height = p->crop_width = d->crop ? 224 : 0;
    memcpy(p->mean, d->mean, sizeof p->mean);
    memcpy(p->std, d->std, sizeof p->std);
}

static int read_steps(image_plan *p, bool *pad, const json *config, err *e)
{
    int filter = p->filter;
    int rc = processor_bool(&p->resize, config, "do_resize", e);

    if (rc == 0)
        rc = processor_bool(&p->crop, config, "do_center_crop", e);
    if (rc == 0)
        rc = processor_bool(&p->rescale, config, "do_rescale", e);
    if (rc == 0)
        rc = processor_bool(&p->normalize, config, "do_normalize", e);
    if (rc == 0)
        rc = processor_bool(pad, config, "do_pad", e);
    if (rc == 0)
        rc = processor_int(&filter, config, "resample", IMAGE_NEAREST, IMAGE_HAMMING, e);
    p->filter = (image_filter)filter;
    return rc;
}

static int read_numbers(image_plan *p, const json *config, bool square_number, err *e)
{
    const json *factor = present(config, "rescale_factor");
    int rc = read_size(p, config, square_number, e);

    if (rc == 0)
        rc = read_pair(&p->crop_height, &p->crop_width, config, "crop_size", e);
    if (rc == 0)
        rc = read_pair(&p->pad_height, &p->pad_width, config, "pad_size", e);
    if (rc == 0)
        rc = read_colour(p->mean, config, "image_mean", e);
    if (rc == 0)
        rc = read_colour(p->std, config, "image_std", e);
    if (rc == 0 && factor && !(json_real(&p->rescale_factor, factor) && p->rescale_factor > 1e-9 &&
                               p->rescale_factor < 1e9))
        rc = wrong(e, "rescale_factor", "is not a positive number");
    return rc;
}

/* What the steps need must be there and make sense. */
static int check(const image_plan *p, err *e)
{
    if (p->resize && !(p->size == IMAGE_SIZE_EXACT || p->size == IMAGE_SIZE_WITHIN ? p->height : p->shortest))
        return wrong(e, "size", "is absent, and no processor is named whose default could be taken");
    if (p->crop && !p->crop_height)
        return wrong(e, "crop_size", "is absent, but do_center_crop is true");
    for (int c = 0; p->normalize && c < 3; c++)
        if (p->std[c] == 0 || !((float)p->std[c] != 0))
            return wrong(e, "image_std", "is absent or zero");
    for (int c = 0; p->pad_square && c < 3; c++)
        if (!(p->mean[c] >= 0 && p->mean[c] <= 1))
            return wrong(e, "image_mean", "is no colour from 0 to 1 to pad with");
    bool only_pillow = p->filter == IMAGE_BOX || p->filter == IMAGE_HAMMING;
    if (p->resize && p->backend == IMAGE_TORCHVISION && only_pillow)
        return wrong(e, "resample", "names a filter that torchvision does not have");
    return 0;
}

int image_plan_read(image_plan *out, const json *config, err *e)
{
    const json *part = processor_config_part(config, "image_processor");
    image_plan p = {.filter = IMAGE_BILINEAR, .rescale_factor = 1 / 255.0};
    bool square_number = true, pad = false;
    const processor *known;

    read_type(&p, part);
    known = find(p.type);
    if (p.type[0] && !known) {
        err_set(e, ERR_INPUT, "preprocessor config: the image processor %s is not known", p.type);
        return err_hint(e, "prepare the picture elsewhere and pass its pixels as a .npy file");
    }
    if (known) {
        set_defaults(&p, known);
        square_number = known->square_number;
    }
    int rc = processor_bool(&square_number, part, "default_to_square", e);
    if (rc == 0)
        rc = read_steps(&p, &pad, part, e);
    if (rc == 0)
        rc = read_numbers(&p, part, square_number, e);
    p.pad_square = pad && known && known->pad_is_square;
    p.pad = pad && !p.pad_square;
    if (rc == 0)
        rc = check(&p, e);
    if (rc == 0)
        *out = p;
    return rc;
}

int image_plan_load(image_plan *out, const char *folder, err *e)
{
    json *root;
    int rc = processor_config_load(&root, folder, "image_processor", e);

    if (rc)
        return rc;
    rc = image_plan_read(out, root, e);
    json_free(root);
    return rc ? err_prefix(e, "%s", folder) : 0;
}
