#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "model/input/processor_config.h"

enum { LARGEST = 16 << 20 }; /* Whisper's older files carry a table of mel filters */

const json *processor_config_part(const json *config, const char *member)
{
    const json *part = json_get(config, member);

    return json_kind_of(part) == JSON_MAP ? part : config;
}

/* Cut `end` from the end of s. */
static bool cut(char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    if (n <= m || strcmp(s + n - m, end) != 0)
        return false;
    s[n - m] = '\0';
    return true;
}

bool processor_config_type(char *out, size_t size, const json *config)
{
    const char *name = json_str(json_get(config, "image_processor_type"), NULL);
    bool fast;

    if (!name)
        name = json_str(json_get(config, "feature_extractor_type"), NULL);
    snprintf(out, size, "%s", name ? name : "");
    fast = cut(out, "Fast");
    cut(out, "Pil");
    return fast;
}

/* *root stays NULL when the file is not there or has no use. */
static int try_file(json **root, const char *folder, const char *name, const char *member, err *e)
{
    strbuf path = {0};
    json *j = NULL;
    int rc = 0;

    strbuf_printf(&path, "%s/%s", folder, name);
    if (path.failed)
        rc = err_nomem(e, "a file name");
    else if (access(path.s, F_OK) == 0)
        rc = json_load(&j, path.s, LARGEST, e);
    if (rc == 0 && j && member && json_kind_of(json_get(j, member)) != JSON_MAP) {
        json_free(j);
        j = NULL;
    }
    strbuf_free(&path);
    *root = rc ? NULL : j;
    return rc;
}

int processor_config_load(json **root, const char *folder, const char *member, err *e)
{
    int rc = try_file(root, folder, "processor_config.json", member, e);

    if (rc == 0 && !*root)
        rc = try_file(root, folder, "preprocessor_config.json", NULL, e);
    if (rc || *root)
        return rc;
    err_set(e, ERR_INPUT, "%s: no preprocessor_config.json", folder);
    return err_hint(e, "it says how inputs are prepared: copy it from where the checkpoint came from");
}

int processor_bool(bool *out, const json *config, const char *key, err *e)
{
    const json *v = json_get(config, key);

    if (!v || json_kind_of(v) == JSON_NULL_ || json_bool(out, v))
        return 0;
    err_set(e, ERR_INPUT, "preprocessor config: %s is neither true nor false", key);
    return err_hint(e, "compare preprocessor_config.json with the original checkpoint's");
}

int processor_int(int *out, const json *config, const char *key, int low, int high, err *e)
{
    const json *v = json_get(config, key);
    int64_t n;

    if (!v || json_kind_of(v) == JSON_NULL_)
        return 0;
    if (json_int(&n, v) && n >= low && n <= high) {
        *out = (int)n;
        return 0;
    }
    err_set(e, ERR_INPUT, "preprocessor config: %s is not a whole number from %d to %d", key, low, high);
    return err_hint(e, "compare preprocessor_config.json with the original checkpoint's");
}
