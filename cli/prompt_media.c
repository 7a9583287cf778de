/* Pictures and sound of a prompt. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mapfile.h"
#include "base/mem.h"
#include "cli/prompt_parts.h"
#include "model/input/audio.h"
#include "model/input/image.h"

static int name_file(media_file *f, const char *role, const char *path, err *e)
{
    mapfile m;
    f->role = role;
    if (!(f->path = mem_strdup(path, e)))
        return ERR_RESOURCE;
    int rc = mapfile_open(&m, path, e);
    if (rc)
        return rc;
    rc = sha256_of(f->sha256, m.data, m.size, e);
    mapfile_close(&m);
    return rc;
}

/* Where the checkpoint's preprocessing is described. */
static int folder_of(const char **out, const loaded_model *lm, const char *instead, err *e)
{
    *out = lm->m->ckpt->directory;
    if (*out)
        return 0;
    err_set(e, ERR_INPUT, "%s is a bare file: nothing says how its inputs are prepared", lm->m->name);
    return err_hint(e, "prepare them and give %s FILE.npy", instead);
}

static int read_image(prompt_input *out, const loaded_model *lm, const char *path, err *e)
{
    const char *folder;
    image_plan plan;
    image im;
    float *pixels;
    int height, width;
    int rc = folder_of(&folder, lm, "--pixels", e);
    if (!rc)
        rc = image_plan_load(&plan, folder, e);
    if (!rc)
        rc = name_file(&out->file, "image", path, e);
    if (rc || (rc = image_load(&im, path, e)))
        return rc;
    rc = image_pixels(&pixels, &height, &width, &im, &plan, e);
    image_free(&im);
    if (rc)
        return rc;
    out->pixels = pixels;
    out->in.channels = 3;
    out->in.height = height;
    out->in.width = width;
    return 0;
}

static int read_audio(prompt_input *out, const loaded_model *lm, const char *path, err *e)
{
    const char *folder;
    mel_plan plan;
    float *samples = NULL, *features;
    int64_t n, n_frame;
    int rate;
    int rc = folder_of(&folder, lm, "--features", e);
    if (!rc)
        rc = mel_plan_load(&plan, folder, e);
    if (!rc)
        rc = name_file(&out->file, "audio", path, e);
    if (rc || (rc = wav_load(&samples, &n, &rate, path, e)))
        return rc;
    rc = whisper_log_mel(&features, &n_frame, samples, n, rate, &plan, e);
    free(samples);
    if (rc)
        return rc;
    out->features = features;
    out->in.n_frame = n_frame;
    out->in.n_mel = plan.feature_size;
    out->frame_seconds = 2.0 * plan.hop_length / plan.sampling_rate;
    out->sound_seconds = (double)n / rate;
    out->most_seconds = plan.chunk_length;
    return 0;
}

/* What a reader leaves in its result when it fails is not ours: only finished numbers get into out. */
int media_read(prompt_input *out, const loaded_model *lm, const prompt_request *q, err *e)
{
    int64_t shape[3];
    float *values;
    int rc = 0;
    if (q->image) {
        rc = read_image(out, lm, q->image, e);
    } else if (q->pixels) {
        rc = name_file(&out->file, "pixels", q->pixels, e);
        if (!rc && !(rc = pixels_from_npy(&values, shape, q->pixels, e))) {
            out->pixels = values;
            out->in.channels = shape[0];
            out->in.height = shape[1];
            out->in.width = shape[2];
        }
    } else if (q->audio) {
        rc = read_audio(out, lm, q->audio, e);
    } else if (q->features) {
        rc = name_file(&out->file, "features", q->features, e);
        if (!rc && !(rc = features_from_npy(&values, shape, q->features, e))) {
            out->features = values;
            out->in.n_mel = shape[0];
            out->in.n_frame = shape[1];
        }
    }
    out->in.pixels = out->pixels;
    out->in.features = out->features;
    return rc;
}

/* For a model without a tokenizer; -1: not known. */
static int64_t bos_of(const model *m)
{
    const json *c = m->ckpt->config;
    int64_t id = -1;
    if (!json_int(&id, json_get(json_get(c, "text_config"), "bos_token_id")) && !json_int(&id, json_get(c, "bos_token_id")))
        return -1;
    return id;
}

int media_place_image(prompt_input *out, const loaded_model *lm, err *e)
{
    const model *m = lm->m;
    const embedding *b = &m->vision->embed;
    token_list *t = &out->main;
    if (b->patch < 1)
        return 0;
    int64_t want = (out->in.height / b->patch) * (out->in.width / b->patch) + b->n_prefix + b->n_register -
                   (m->vision_drop_first ? 1 : 0);
    int64_t have = 0, at = 0;
    for (int64_t i = 0; i < t->n; i++)
        if (t->ids[i] == m->image_token && have++ == 0)
            at = i;
    if (have == want || want < 0)
        return 0;
    if (have > 1) {
        err_set(e, ERR_USAGE, "the prompt has %" PRId64 " image tokens (id %" PRId32 "), the image takes %" PRId64, have,
                m->image_token, want);
        return err_hint(e, "write one where the image belongs, or none to have it behind BOS");
    }
    if (have == 0) /* behind BOS, where there is one */
        at = t->n > 0 && (t->special[0] || t->ids[0] == bos_of(m)) ? 1 : 0;
    token_list wide = {0};
    int64_t n = t->n - have + want, rest = t->n - at - have;
    wide.ids = mem_array((size_t)n + 1, sizeof *wide.ids, e);
    wide.special = mem_array((size_t)n + 1, sizeof *wide.special, e);
    if (!wide.ids || !wide.special) {
        free(wide.ids);
        free(wide.special);
        return ERR_RESOURCE;
    }
    memcpy(wide.ids, t->ids, (size_t)at * sizeof *wide.ids);
    memcpy(wide.special, t->special, (size_t)at * sizeof *wide.special);
    for (int64_t i = 0; i < want; i++) {
        wide.ids[at + i] = m->image_token;
        wide.special[at + i] = true;
    }
    memcpy(wide.ids + at + want, t->ids + at + have, (size_t)rest * sizeof *wide.ids);
    memcpy(wide.special + at + want, t->special + at + have, (size_t)rest * sizeof *wide.special);
    free(t->ids);
    free(t->special);
    t->ids = wide.ids;
    t->special = wide.special;
    t->n = n;
    size_t used = strlen(t->policy);
    snprintf(t->policy + used, sizeof t->policy - used, "; %" PRId64 " image tokens at %" PRId64, want, at);
    return 0;
}
