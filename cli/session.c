#include "cli/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "cli/model_search.h"
#include "cli/progress_bar.h"
#include "cli/settings.h"
#include "cli/standard_out.h"
#include "model/quantize.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#else
#define PACKAGE_VERSION "0.0"
#endif

const char *program_version = PACKAGE_VERSION;

void loaded_model_free(loaded_model *lm)
{
    if (!lm)
        return;
    runtime_free(lm->rt);
    tokenizer_free(lm->tok);
    model_free(lm->m);
    free(lm->quantize);
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
        params_call(s->settings, "setting");
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
    name_list_free(&s->variables);
    name_list_free(&s->aliases);
    name_list_free(&s->chosen);
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

static int open_model(loaded_model *lm, const char *path, const load_options *o, const progress *prog, err *e)
{
    const checkpoint_options how = {.config = o->config};
    checkpoint *c;
    lm->path = mem_strdup(path, e);
    if (!lm->path || (o->config && !(lm->config = mem_strdup(o->config, e))) ||
        (o->tokenizer && !(lm->tokenizer = mem_strdup(o->tokenizer, e))) ||
        (o->quantize && !(lm->quantize = mem_strdup(o->quantize, e))))
        return ERR_RESOURCE;
    int rc = checkpoint_open_with(&c, path, &how, e);
    if (!rc)
        rc = model_from_checkpoint(&lm->m, c, e);
    lm->quantize_embeddings = o->quantize_embeddings;
    return rc || !o->quantize ? rc : model_quantize(lm->m, o->quantize, o->quantize_embeddings, o->threads, prog, e);
}

static int load(loaded_model **out, const char *path, const load_options *o, const progress *prog, err *e)
{
    loaded_model *lm = mem_array(1, sizeof *lm, e);
    if (!lm)
        return ERR_RESOURCE;
    int rc = open_model(lm, path, o, prog, e);
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

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* path: as model_search found it. */
static int use_model(session *s, const char *path, const load_options *options, loaded_model **out, err *e)
{
    load_options o = *options;
    if (!path && o.config) {
        err_set(e, ERR_USAGE, "--config without a model");
        return err_hint(e, "name the weights that it describes after the verb");
    }
    if (!path && !s->current) {
        err_set(e, ERR_USAGE, "no model is loaded");
        return err_hint(e, "name one (a directory or a model file) after the verb, or `load` it first");
    }
    if (!path && !o.quantize) {
        o.quantize = s->current->quantize;
        o.quantize_embeddings = s->current->quantize_embeddings;
    }
    if (o.quantize && strcmp(o.quantize, quantize_names[0]) == 0)
        o.quantize = NULL;
    path = path ? path : s->current->path;
    bool same = s->current && !strcmp(path, s->current->path);
    if (same) { /* what is not named stays */
        const loaded_model *now = s->current;
        o.config = o.config ? o.config : now->config;
        o.tokenizer = o.tokenizer ? o.tokenizer : now->tokenizer;
        same = same_text(o.config, now->config) && same_text(o.tokenizer, now->tokenizer) &&
               same_text(o.quantize, now->quantize) && (!o.quantize || o.quantize_embeddings == now->quantize_embeddings);
    }
    if (same && !changed_on_disk(s->current)) {
        *out = s->current;
        return 0;
    }
    loaded_model *lm = NULL;
    int rc = load(&lm, path, &o, &s->prog, e);
    if (rc)
        return rc;
    if (s->hold && !s->hold->changed) {
        s->hold->changed = true;
        s->hold->before = s->current;
        if (s->current) { /* its buffers are made anew when it comes back */
            runtime_free(s->current->rt);
            s->current->rt = NULL;
        }
    } else {
        loaded_model_free(s->current);
    }
    s->current = lm;
    *out = lm;
    return 0;
}

void session_hold_model(session *s, model_hold *h)
{
    *h = (model_hold){.outer = s->hold};
    s->hold = h;
}

void session_release_model(session *s, model_hold *h, bool give_back)
{
    loaded_model *gone = h->before;
    s->hold = h->outer;
    if (!h->changed)
        return;
    if (give_back) {
        gone = s->current;
        s->current = h->before;
    } else if (h->outer && !h->outer->changed) {
        h->outer->changed = true;
        h->outer->before = h->before;
        gone = NULL;
    }
    loaded_model_free(gone);
}

int session_model_with(session *s, const char *path, const load_options *options, loaded_model **out, err *e)
{
    char *found = NULL;
    int rc = path ? model_search(&found, path, e) : 0;
    if (!rc)
        rc = use_model(s, found, options, out, e);
    if (rc == ERR_INPUT && path)
        model_search_near(path, e);
    free(found);
    return rc;
}

int session_model_beside(session *s, const char *path, const load_options *options, loaded_model **out, err *e)
{
    load_options o = *options;
    if (o.quantize && strcmp(o.quantize, quantize_names[0]) == 0)
        o.quantize = NULL;
    char *found = NULL;
    int rc = model_search(&found, path, e);
    if (!rc)
        rc = load(out, found, &o, &s->prog, e);
    if (rc == ERR_INPUT)
        model_search_near(path, e);
    free(found);
    return rc;
}

int session_model(session *s, const char *path, loaded_model **out, err *e)
{
    return session_model_with(s, path, &(load_options){0}, out, e);
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
