/* Small models with references by Hugging Face: those that the project carries in tests/families/, and the many of
 * ../shared/golden ($ATTNSCOPE_SHARED).  Uses cmocka's asserts. */
#ifndef ATTNSCOPE_TESTS_FAMILY_CASES_H
#define ATTNSCOPE_TESTS_FAMILY_CASES_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "analysis/analyse.h"
#include "base/npz.h"

enum { CASES_MAX = 128, CASE_PATH = 1024, REFERENCES_MAX = 16 };

typedef struct model_case {
    char name[64];          /* of its directory */
    char path[CASE_PATH];
} model_case;

static inline void carried_path(char out[CASE_PATH], const char *name)
{
    const char *srcdir = getenv("srcdir");
    snprintf(out, CASE_PATH, "%s/tests/families/%.63s", srcdir ? srcdir : ".", name);
}

static inline void golden_path(char out[CASE_PATH], const char *name)
{
    const char *shared = getenv("ATTNSCOPE_SHARED"), *srcdir = getenv("srcdir");
    if (shared)
        snprintf(out, CASE_PATH, "%s/golden/%.63s", shared, name);
    else
        snprintf(out, CASE_PATH, "%s/../shared/golden/%.63s", srcdir ? srcdir : ".", name);
}

static inline bool file_exists(const char *folder, const char *name)
{
    char path[CASE_PATH + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, R_OK) == 0;
}

static inline int by_name(const void *a, const void *b)
{
    return strcmp(((const model_case *)a)->name, ((const model_case *)b)->name);
}

/* All directories of root with a config.json and weights, sorted; 0 when there is no root. */
static inline int list_cases(model_case *out, const char *root)
{
    int n = 0;
    DIR *d = opendir(root);
    if (!d)
        return 0;
    for (const struct dirent *entry; (entry = readdir(d)) && n < CASES_MAX;) {
        model_case *c = &out[n];
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof c->name)
            continue;
        snprintf(c->name, sizeof c->name, "%.63s", entry->d_name);
        snprintf(c->path, sizeof c->path, "%.900s/%s", root, c->name);
        n += file_exists(c->path, "config.json") && file_exists(c->path, "model.safetensors");
    }
    closedir(d);
    qsort(out, (size_t)n, sizeof *out, by_name);
    return n;
}

/* The ref-*.npz of a directory, sorted by name. */
static inline int list_references(model_case *out, const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    if (!d)
        return 0;
    for (const struct dirent *entry; (entry = readdir(d)) && n < REFERENCES_MAX;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (strncmp(entry->d_name, "ref-", 4) || !dot || strcmp(dot, ".npz"))
            continue;
        snprintf(out[n].name, sizeof out[n].name, "%.60s", entry->d_name);
        snprintf(out[n].path, CASE_PATH, "%.900s/%s", path, out[n].name);
        n++;
    }
    closedir(d);
    qsort(out, (size_t)n, sizeof *out, by_name);
    return n;
}

/* Arrays of a reference that a run of m must be held against. */
static inline int arrays_to_compare(const model *m, const char *reference)
{
    npz *z;
    int n = 0;
    err e = {0};
    if (npz_open(&z, reference, &e))
        fail_msg("%s: %s", reference, e.msg);
    for (int i = 0; i < npz_count(z); i++) {
        const char *name = npz_name(z, i);
        n += strstr(name, "hidden_") || strstr(name, "attn_") || (!strcmp(name, "logits") && m->head.unembedding.data);
    }
    npz_close(z);
    return n;
}

/* Runs m against a reference.  On success all arrays must have been compared.  The code; e says what differs. */
static inline int run_reference(runtime *r, const model *m, const char *reference, err *e)
{
    verify_row *rows;
    int n, rc = verify_run(r, m, reference, &rows, &n, NULL, e);
    if (rc == 0 && n != arrays_to_compare(m, reference))
        fail_msg("%s: %d arrays were compared, %d are there", reference, n, arrays_to_compare(m, reference));
    free(rows);
    return rc;
}

#endif
