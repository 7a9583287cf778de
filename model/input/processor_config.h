/* Where a checkpoint says how its inputs are prepared. */
#ifndef ATTNSCOPE_MODEL_INPUT_PROCESSOR_CONFIG_H
#define ATTNSCOPE_MODEL_INPUT_PROCESSOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include "base/json.h"

/* The settings of one processor ("image_processor" or "feature_extractor"): that member of config where it
 * has one (processor_config.json), else config itself (preprocessor_config.json). */
const json *processor_config_part(const json *config, const char *member);

/* The name of the class that config was written for, without the suffixes "Fast" and "Pil"; "" when none
 * is named. True when it ended in "Fast". */
bool processor_config_type(char *out, size_t size, const json *config);

/* Load the file that has those settings from a checkpoint's folder: processor_config.json if it has the
 * member, else preprocessor_config.json.  ERR_INPUT when neither is there.  Free the root. */
int processor_config_load(json **root, const char *folder, const char *member, err *e);

/* Optional members of config: absent or null leaves *out as it is; anything else than the type wanted, or
 * a number outside low .. high, is ERR_INPUT by the key's name. */
int processor_bool(bool *out, const json *config, const char *key, err *e);
int processor_int(int *out, const json *config, const char *key, int low, int high, err *e);

#endif
