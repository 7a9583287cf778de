/* Models by name: where a MODEL is looked for that is no file or folder as it stands. */
#ifndef ATTNSCOPE_CLI_MODEL_SEARCH_H
#define ATTNSCOPE_CLI_MODEL_SEARCH_H

#include "base/err.h"

typedef struct model_entry {
    char *name;   /* what the user types: "lantern-3m", "org/model", "model.Q4_1.gguf" */
    char *path;   /* what checkpoint_open takes */
} model_entry;
typedef struct model_entries { int n, cap; model_entry *v; } model_entries;

/* The models of the search path, each name once, the first found wins: the current folder, those of ATTNSCOPE_MODELS
 * (apart by colons), examples/models here and as installed, and the cache of Hugging Face's hub (HF_HUB_CACHE, HF_HOME,
 * XDG_CACHE_HOME or ~/.cache, as its own library looks for it).  A model is a folder with config.json and weights, or a
 * .gguf file (of a split one the first part).  Opens no weights; names that do not fit into memory are left out. */
void model_entries_find(model_entries *out);
void model_entries_free(model_entries *l);

/* The path of a model: name itself when it exists, or is written as a path (from / . or ~ on); else the model of the
 * search path of that name: a .gguf ending and the organisation of the hub may be left out when one model alone fits
 * (ERR_USAGE when several do).  Nothing found: name as it is.  *path is to be freed. */
int model_search(char **path, const char *name, err *e);
/* A model that could not be opened: where nothing is called so, the hint of e becomes what was probably meant. */
void model_search_near(const char *name, err *e);

#endif
