/* The settings of Whisper's feature extractor. */
#include <string.h>

#include "model/input/audio.h"
#include "model/input/processor_config.h"

/* No honest plan comes near: Whisper's has 480000 samples and 3000 frames of 400. */
enum { MOST_SAMPLES = 1 << 28, MOST_TRANSFORMED = 1 << 28 };

int64_t mel_plan_frames(const mel_plan *p)
{
    return (int64_t)p->chunk_length * p->sampling_rate / p->hop_length;
}

static int refuse(err *e, const char *why)
{
    err_set(e, ERR_INPUT, "preprocessor config: %s", why);
    return err_hint(e, "make the features elsewhere and pass them as a .npy file");
}

static int check_type(const json *config, err *e)
{
    char type[64];

    processor_config_type(type, sizeof type, config);
    if (!type[0] || strcmp(type, "WhisperFeatureExtractor") == 0)
        return 0;
    err_set(e, ERR_INPUT, "preprocessor config: %s is not known here; WhisperFeatureExtractor is", type);
    return err_hint(e, "make the features elsewhere and pass them as a .npy file");
}

static int read_numbers(mel_plan *p, const json *config, err *e)
{
    int rc = processor_int(&p->feature_size, config, "feature_size", 1, 1024, e);

    if (rc == 0)
        rc = processor_int(&p->n_fft, config, "n_fft", 2, 65536, e);
    if (rc == 0)
        rc = processor_int(&p->hop_length, config, "hop_length", 1, 65536, e);
    if (rc == 0)
        rc = processor_int(&p->chunk_length, config, "chunk_length", 1, 3600, e);
    if (rc == 0)
        rc = processor_int(&p->sampling_rate, config, "sampling_rate", 1000, 768000, e);
    return rc;
}

int mel_plan_read(mel_plan *out, const json *config, err *e)
{
    const json *part = processor_config_part(config, "feature_extractor");
    mel_plan p = {
        .feature_size = 80, .n_fft = 400, .hop_length = 160, .chunk_length = 30, .sampling_rate = 16000,
    };
    double padding = 0, dither = 0;
    const char *side = json_str(json_get(part, "padding_side"), NULL);
    int rc = check_type(part, e);

    if (rc == 0)
        rc = read_numbers(&p, part, e);
    if (rc)
        return rc;
    json_real(&padding, json_get(part, "padding_value"));
    json_real(&dither, json_get(part, "dither"));
    p.padding_value = (float)padding;
    int64_t samples = (int64_t)p.chunk_length * p.sampling_rate;
    if (dither != 0)
        return refuse(e, "dither adds noise; results could not be repeated");
    if (side && strcmp(side, "right") != 0)
        return refuse(e, "padding_side other than right is not known");
    if (!(p.padding_value >= -1 && p.padding_value <= 1))
        return refuse(e, "padding_value lies outside -1 .. 1");
    if (p.n_fft % 2 != 0)
        return refuse(e, "an odd n_fft is not known");
    if (samples > MOST_SAMPLES || samples <= p.n_fft / 2 || samples < p.hop_length ||
        mel_plan_frames(&p) > MOST_TRANSFORMED / p.n_fft)
        return refuse(e, "chunk_length, hop_length and n_fft do not fit together");
    if (p.sampling_rate / 2 < 8000)
        return refuse(e, "the mel filters reach to 8000 hertz, which needs a sampling_rate of 16000 or more");
    *out = p;
    return 0;
}

int mel_plan_load(mel_plan *out, const char *folder, err *e)
{
    json *root;
    int rc = processor_config_load(&root, folder, "feature_extractor", e);

    if (rc)
        return rc;
    rc = mel_plan_read(out, root, e);
    json_free(root);
    return rc ? err_prefix(e, "%s", folder) : 0;
}
