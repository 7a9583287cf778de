#include "cli/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "cli/progress_bar.h"
#include "cli/settings.h"
#include "cli/standard_out.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#else
#define PACKAGE_VERSION "0.0"
#endif

const char program_version[] = PACKAGE_VERSION;

static void loaded_model_free(loaded_model *lm)
{
    if (!lm)
        return;
    runtime_free(lm->rt);
    tokenizer_free(lm->tok);
    model_free(lm->m);
    free(lm->tokenizer);
    free(lm->config);
    free(lm->path);
    free(lm);
}

int session_new(session **out, err *e)
{
    session *s = mem_array(1, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    int rc = standard_out_open(&s->standard_out, e);
    if (rc)
        goto fail;
    s->out = s->standard_out;
    s->store_path = mem_strdup(":memory:", e);
    rc = s->store_path ? 0 : ERR_RESOURCE;
    if (!rc)
        rc = params_new(&s->settings, e);
    if (!rc)
        rc = params_use(s->settings, settings_params, e);
    if (!rc)
        rc = progress_bar_new(&s->bar, e);
    if (rc)
        goto fail;
    s->prog = (progress){progress_bar_step, s->bar};
    *out = s;
    return 0;
fail:
    session_free(s);
    return rc;
}

void session_free(session *s)
{
    if (!s)
        return;
    loaded_model_free(s->current);
    store_close(s->st);
    free(s->store_path);
    params_free(s->settings);
    progress_bar_free(s->bar);
    if (s->standard_out)
        fclose(s->standard_out);
    free(s);
}

int session_store(session *s, store **out, err *e)
{
    int rc = s->st ? 0 : store_open(&s->st, s->store_path, false, e);
    *out = rc ? NULL : s->st;
    return rc;
}

int session_use_store(session *s, const char *path, err *e)
{
    char *copy = mem_strdup(path, e);
    if (!copy)
        return ERR_RESOURCE;
    store_close(s->st);
    s->st = NULL;
    free(s->store_path);
    s->store_path = copy;
    s->last_run = 0;
    return 0;
}

/* Have the files of a loaded model been replaced or written to since? */
static bool changed_on_disk(const loaded_model *lm)
{
    const checkpoint *c = lm->m->ckpt;
    for (int i = 0; i < c->n_file; i++) {
        struct stat st;
        const mapfile *f = &c->files[i];
        if (stat(c->file_paths[i], &st) != 0)
            continue; /* deleted: what is mapped stays as it was */
        int64_t mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        if ((uint64_t)st.st_dev != f->device || (uint64_t)st.st_ino != f->inode || mtime != f->mtime_ns)
            return true;
    }
    return false;
}

/* The tokenizer that was named, else the one with or beside the weights, or beside the configuration that was named
 * for them. */
static int open_tokenizer(loaded_model *lm, err *e)
{
    if (lm->tokenizer)
        return tokenizer_open(&lm->tok, lm->tokenizer, e);
    int rc = tokenizer_of_checkpoint(&lm->tok, lm->m->ckpt, e);
    if (rc != ERR_INPUT || !lm->config)
        return rc;
    const char *slash = strrchr(lm->config, '/');
    size_t n = slash == lm->config ? 1 : slash ? (size_t)(slash - lm->config) : 0;
    char *directory = n ? mem_strndup(lm->config, n, e) : mem_strdup(".", e);
    if (!directory)
        return ERR_RESOURCE;
    rc = tokenizer_open(&lm->tok, directory, NULL) == 0 ? 0 : rc; /* else the first error stands */
    free(directory);
    return rc;
}

static int open_model(loaded_model *lm, const char *path, const char *config, const char *tokenizer_path, err *e)
{
    const checkpoint_options o = {.config = config};
    checkpoint *c;
    lm->path = mem_strdup(path, e);
    if (!lm->path || (config && !(lm->config = mem_strdup(config, e))) ||
        (tokenizer_path && !(lm->tokenizer = mem_strdup(tokenizer_path, e))))
        return ERR_RESOURCE;
    int rc = checkpoint_open_with(&c, path, &o, e);
    return rc ? rc : model_from_checkpoint(&lm->m, c, e);
}

static int load(loaded_model **out, const char *path, const char *config, const char *tokenizer_path, err *e)
{
    loaded_model *lm = mem_array(1, sizeof *lm, e);
    if (!lm)
        return ERR_RESOURCE;
    int rc = open_model(lm, path, config, tokenizer_path, e);
    if (!rc && open_tokenizer(lm, &lm->tok_err) != 0) {
        lm->tok = NULL; /* raw ids still work: who needs text reports tok_err */
        bool fatal = lm->tokenizer || lm->tok_err.code == ERR_RESOURCE || lm->tok_err.code == ERR_CANCELLED;
        rc = fatal ? lm->tok_err.code : 0;
        if (rc && e)
            *e = lm->tok_err;
    }
    if (rc) {
        loaded_model_free(lm);
        return rc;
    }
    *out = lm;
    return 0;
}

int session_model_with(session *s, const char *path, const char *config, const char *tokenizer_path,
                       loaded_model **out, err *e)
{
    if (!path && config) {
        err_set(e, ERR_USAGE, "--config without a model");
        return err_hint(e, "name the weights that it describes after the verb");
    }
    if (!path) {
        if (!s->current) {
            err_set(e, ERR_USAGE, "no model is loaded");
            return err_hint(e, "name one (a directory or a model file) after the verb, or `load` it first");
        }
        path = s->current->path;
    }
    bool same = s->current && !strcmp(path, s->current->path);
    if (same) { /* what is not named stays */
        const char *old_config = s->current->config, *old_tokenizer = s->current->tokenizer;
        same = (!config || (old_config && !strcmp(config, old_config))) &&
               (!tokenizer_path || (old_tokenizer && !strcmp(tokenizer_path, old_tokenizer)));
        config = config ? config : old_config;
        tokenizer_path = tokenizer_path ? tokenizer_path : old_tokenizer;
    }
    if (same && !changed_on_disk(s->current)) {
        *out = s->current;
        return 0;
    }
    loaded_model *lm = NULL;
    int rc = load(&lm, path, config, tokenizer_path, e);
    if (rc)
        return rc;
    loaded_model_free(s->current);
    s->current = lm;
    *out = lm;
    return 0;
}

int session_model(session *s, const char *path, loaded_model **out, err *e)
{
    return session_model_with(s, path, NULL, NULL, out, e);
}

int session_runtime(session *s, loaded_model *lm, int threads, precision prec, err *e)
{
    (void)s;
    if (lm->rt && lm->rt_threads == threads && lm->rt_precision == prec)
        return 0;
    runtime_free(lm->rt);
    lm->rt = NULL;
    int rc = runtime_new(&lm->rt, lm->m, threads, prec, e);
    if (rc) {
        lm->rt = NULL;
        return rc;
    }
    lm->rt_threads = threads;
    lm->rt_precision = prec;
    return 0;
}
