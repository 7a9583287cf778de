#include "model/convert/convert.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/convert/plan.h"
#include "model/locate.h"

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;
    while (dir && n < 3 && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return dir && n == 2; /* "." and ".." */
}

/* --force must not remove the source itself, nor a directory that is no model. */
static int check_replaced(const checkpoint *c, const char *out, err *e)
{
    struct stat st, source;
    char *config;

    if (stat(out, &st) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    if (c->directory && stat(c->directory, &source) == 0 && st.st_dev == source.st_dev &&
        st.st_ino == source.st_ino) {
        err_set(e, ERR_USAGE, "%s: is the model that is converted", out);
        return err_hint(e, "name another directory with -o");
    }
    for (int i = 0; i < c->n_file; i++) {
        const char *slash = strrchr(c->file_paths[i], '/');
        strbuf folder = {0};
        strbuf_printf(&folder, "%.*s", slash ? (int)(slash - c->file_paths[i]) + 1 : 1, slash ? c->file_paths[i] : ".");
        bool same = !folder.failed && stat(folder.s, &source) == 0 && st.st_dev == source.st_dev &&
                    st.st_ino == source.st_ino;
        strbuf_free(&folder);
        if (same) {
            err_set(e, ERR_USAGE, "%s: holds the model that is converted", out);
            return err_hint(e, "name another directory with -o");
        }
    }
    config = path_join(out, "config.json", e);
    if (!config)
        return ERR_RESOURCE;
    bool model = access(config, F_OK) == 0;
    free(config);
    if (model || is_empty(out))
        return 0;
    err_set(e, ERR_FAILED, "%s: exists and is no model directory (no config.json), so it is not replaced", out);
    return err_hint(e, "name another directory");
}

static int write_all(plan *p, outdir *d, const checkpoint *c, const convert_options *o, const progress *prog,
                     convert_report *r, err *e)
{
    int rc = plan_put_file(d, "config.json", &p->config, e);
    if (!rc)
        rc = c->gguf ? hf_tokenizer(d, c->gguf, r->tokenizer, e) : side_files_copy(d, c, r->tokenizer, e);
    return rc ? rc : shards_write(p, d, o->shard_bytes, &r->n_shard, prog, e);
}

int convert_checkpoint(const checkpoint *c, const char *out, const convert_options *o, const progress *prog,
                       convert_report *report, err *e)
{
    convert_report unseen, *r = report ? report : &unseen;
    outdir *d = NULL;
    plan p;

    *r = (convert_report){0};
    int rc = plan_make(&p, c, o, e);
    if (!rc && o->replace)
        rc = check_replaced(c, out, e);
    if (!rc)
        rc = outdir_open(&d, out, o->replace, e);
    if (rc)
        goto done;
    rc = write_all(&p, d, c, o, prog, r, e);
    if (rc)
        outdir_abandon(d);
    else
        rc = outdir_commit(d, e);
    r->model_type = p.model_type;
    r->n_tensor = p.n;
    for (int i = 0; i < p.n; i++)
        r->bytes += p.t[i].bytes;
    snprintf(r->note, sizeof r->note, "%s", p.note);
done:
    plan_free(&p);
    return rc;
}
