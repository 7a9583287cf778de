#include "cli/model_search.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/param.h"
#include "base/strbuf.h"

#define MOST_LOOKED_AT 4000 /* entries of one folder: a search stays quick */
#define MOST_NEAR 5

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && !strcasecmp(s + n - m, end);
}

static bool exists(const char *folder, const char *name)
{
    strbuf b = {0};
    strbuf_printf(&b, "%s/%s", folder, name);
    bool yes = !b.failed && access(strbuf_str(&b), F_OK) == 0;
    strbuf_free(&b);
    return yes;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* config.json beside weights, of whatever kind a reader takes. */
static bool is_model_folder(const char *path)
{
    static const char *const weights[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                          "pytorch_model.bin.index.json", NULL};
    static const char *const endings[] = {".safetensors", ".npz", ".pth", ".pt", ".gguf", NULL};
    if (!exists(path, "config.json"))
        return false;
    for (int i = 0; weights[i]; i++) {
        if (exists(path, weights[i]))
            return true;
    }
    bool found = false;
    DIR *d = opendir(path);
    const struct dirent *entry;
    for (int n = 0; d && !found && n < MOST_LOOKED_AT && (entry = readdir(d)); n++) {
        for (int i = 0; endings[i] && !found; i++)
            found = ends_with(entry->d_name, endings[i]);
    }
    if (d)
        closedir(d);
    return found;
}

/* A .gguf file; of a split one ("x-00002-of-00005.gguf") the first. */
static bool is_model_file(const char *name)
{
    if (!ends_with(name, ".gguf"))
        return false;
    size_t n = strlen(name), part = sizeof "-00001-of-00002.gguf" - 1;
    if (n <= part || name[n - part] != '-' || strncmp(name + n - part + 6, "-of-", 4) != 0)
        return true;
    return !strncmp(name + n - part + 1, "00001", 5);
}

static void add(model_entries *l, const char *name, const char *path)
{
    for (int i = 0; i < l->n; i++) {
        if (!strcmp(l->v[i].name, name))
            return;
    }
    if (l->n == l->cap) {
        int cap = l->cap ? 2 * l->cap : 16;
        model_entry *grown = mem_grow(l->v, (size_t)cap, sizeof *grown, NULL);
        if (!grown)
            return;
        l->v = grown;
        l->cap = cap;
    }
    model_entry m = {mem_strdup(name, NULL), mem_strdup(path, NULL)};
    if (m.name && m.path) {
        l->v[l->n++] = m;
        return;
    }
    free(m.name);
    free(m.path);
}

void model_entries_free(model_entries *l)
{
    for (int i = 0; i < l->n; i++) {
        free(l->v[i].name);
        free(l->v[i].path);
    }
    free(l->v);
    *l = (model_entries){0};
}

static int visible(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

/* Call each for the entries of a folder, by name: the same order every time. */
static void each_entry(model_entries *l, const char *folder, void (*each)(model_entries *, const char *, const char *))
{
    struct dirent **list;
    int n = scandir(*folder ? folder : ".", &list, visible, alphasort);
    for (int i = 0; i < n; i++) {
        if (i < MOST_LOOKED_AT)
            each(l, folder, list[i]->d_name);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

static void add_entry(model_entries *l, const char *folder, const char *name)
{
    strbuf path = {0};
    strbuf_printf(&path, "%s%s%s", folder, *folder ? "/" : "", name);
    const char *p = strbuf_str(&path);
    if (!path.failed && (is_model_file(name) ? !is_folder(p) : is_folder(p) && is_model_folder(p)))
        add(l, name, p);
    strbuf_free(&path);
}

/* The newest snapshot of a repository in the hub's cache, or the one that refs/main names. */
static void add_snapshot(model_entries *l, const char *repository, const char *name)
{
    strbuf path = {0};
    char revision[128] = "";
    strbuf_printf(&path, "%s/refs/main", repository);
    FILE *f = fopen(strbuf_str(&path), "r");
    if (f) {
        if (!fgets(revision, sizeof revision, f))
            revision[0] = '\0';
        revision[strcspn(revision, "\r\n")] = '\0';
        fclose(f);
    }
    strbuf_clear(&path);
    strbuf_printf(&path, "%s/snapshots", repository);
    DIR *d = revision[0] && !strchr(revision, '/') && exists(strbuf_str(&path), revision) ? NULL : opendir(strbuf_str(&path));
    struct timespec newest = {0};
    for (const struct dirent *entry; d && (entry = readdir(d));) {
        struct stat st;
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof revision ||
            fstatat(dirfd(d), entry->d_name, &st, 0) != 0 || st.st_mtim.tv_sec < newest.tv_sec)
            continue;
        newest = st.st_mtim;
        snprintf(revision, sizeof revision, "%s", entry->d_name);
    }
    if (d)
        closedir(d);
    strbuf_printf(&path, "/%s", revision);
    if (revision[0] && !path.failed && is_model_folder(strbuf_str(&path)))
        add(l, name, strbuf_str(&path));
    else if (revision[0] && !path.failed)
        each_entry(l, strbuf_str(&path), add_entry); /* a repository of .gguf files */
    strbuf_free(&path);
}

/* "models--org--name" */
static void add_repository(model_entries *l, const char *cache, const char *entry)
{
    static const char prefix[] = "models--";
    if (strncmp(entry, prefix, sizeof prefix - 1) != 0)
        return;
    strbuf path = {0}, name = {0};
    strbuf_printf(&path, "%s/%s", cache, entry);
    const char *rest = entry + sizeof prefix - 1, *bars = strstr(rest, "--");
    strbuf_add(&name, rest, bars ? (size_t)(bars - rest) : strlen(rest));
    if (bars)
        strbuf_printf(&name, "/%s", bars + 2);
    if (!path.failed && !name.failed)
        add_snapshot(l, strbuf_str(&path), strbuf_str(&name));
    strbuf_free(&path);
    strbuf_free(&name);
}

static void add_hub(model_entries *l)
{
    static const struct { const char *variable, *below; } places[] = {
        {"HF_HUB_CACHE", ""}, {"HF_HOME", "/hub"}, {"XDG_CACHE_HOME", "/huggingface/hub"},
        {"HOME", "/.cache/huggingface/hub"},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *value = getenv(places[i].variable);
        strbuf path = {0};
        if (!value || !*value)
            continue;
        strbuf_printf(&path, "%s%s", value, places[i].below);
        if (!path.failed)
            each_entry(l, strbuf_str(&path), add_repository);
        strbuf_free(&path);
        return; /* the first that is set holds, as with the hub's own library */
    }
}

/* The examples as installed: ../share beside the folder of the program, for an installation that was moved, then where
 * configure said that they go. */
static void add_installed(model_entries *l)
{
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    const char *slash = strrchr(program, '/');
    strbuf path = {0};
    if (slash) {
        strbuf_add(&path, program, (size_t)(slash - program));
        strbuf_puts(&path, "/../share/attnscope/examples/models");
        if (!path.failed)
            each_entry(l, strbuf_str(&path), add_entry);
    }
    strbuf_free(&path);
    each_entry(l, ATTNSCOPE_DATADIR "/examples/models", add_entry);
}

void model_entries_find(model_entries *out)
{
    const char *more = getenv("ATTNSCOPE_MODELS");
    *out = (model_entries){0};
    each_entry(out, "", add_entry);
    while (more && *more) {
        size_t n = strcspn(more, ":");
        char *folder = n ? mem_strndup(more, n, NULL) : NULL;
        if (folder)
            each_entry(out, folder, add_entry);
        free(folder);
        more += n + (more[n] == ':');
    }
    each_entry(out, "examples/models", add_entry);
    add_installed(out);
    add_hub(out);
}

/* --- by name --- */

static bool same_name(const char *name, const char *typed)
{
    size_t n = strlen(typed);
    const char *slash = strrchr(name, '/'), *last = slash && !strchr(typed, '/') ? slash + 1 : name;
    return !strcmp(name, typed) || !strcmp(last, typed) ||
           (!strncmp(last, typed, n) && !strcasecmp(last + n, ".gguf"));
}

/* One of the names and the typed one hold each other, whatever their case. */
static bool resembles(const char *name, const char *typed)
{
    return (strlen(typed) > 2 && strcasestr(name, typed)) || (strlen(name) > 3 && strcasestr(typed, name));
}

static void put_near(strbuf *b, const char *const *near, int n)
{
    for (int i = 0; i < n; i++)
        strbuf_printf(b, "%s\"%s\"", i == 0 ? "" : i + 1 < n ? ", " : " or ", near[i]);
}

void model_search_near(const char *name, err *e)
{
    model_entries l = {0};
    const char *near[MOST_NEAR + 1], *slash = strrchr(name, '/');
    int n = 0;
    if (!e || access(name, F_OK) == 0)
        return;
    if (strchr("/.~", *name) || slash) { /* what lies beside the path that was typed */
        char *folder = mem_strndup(name, slash ? (size_t)(slash - name) : 0, NULL);
        if (folder)
            each_entry(&l, slash == name ? "/" : folder, add_entry);
        free(folder);
    }
    if (l.n == 0)
        model_entries_find(&l);
    const char *typed = slash && !strchr(l.n ? l.v[0].name : "", '/') ? slash + 1 : name;
    const char **names = mem_array((size_t)l.n + 1, sizeof *names, NULL);
    for (int i = 0; names && i < l.n; i++)
        names[i] = l.v[i].name;
    const char *nearest = names ? nearest_word(typed, names) : NULL;
    for (int i = 0; names && !nearest && !strchr(typed, '/') && i < l.n; i++) { /* without the organisation */
        const char *last = strrchr(names[i], '/');
        if (last && nearest_word(typed, (const char *const[]){last + 1, NULL}))
            nearest = names[i];
    }
    if (nearest)
        near[n++] = nearest;
    for (int i = 0; names && i < l.n && n < MOST_NEAR; i++) {
        if (names[i] != nearest && *typed && resembles(names[i], typed))
            near[n++] = names[i];
    }
    strbuf text = {0};
    put_near(&text, near, n);
    if (n && !text.failed)
        err_hint(e, "did you mean %s? `list models` shows what is found", strbuf_str(&text));
    else if (slash && *name != '/' && *name != '~')
        err_hint(e, "the path is taken from the current directory; `list models` shows models that a name alone finds");
    else if (!slash && *name != '.')
        err_hint(e, "no model of that name is in the search path (`list models`, `help models`); a path does as well: a "
                 "directory with config.json and weights, or a .gguf file");
    strbuf_free(&text);
    free(names);
    model_entries_free(&l);
}

int model_search(char **path, const char *name, err *e)
{
    model_entries l;
    const model_entry *found = NULL, *other = NULL;
    int rc = 0;
    *path = NULL;
    if (!*name || strchr("/.~", *name) || access(name, F_OK) == 0) {
        *path = mem_strdup(name, e);
        return *path ? 0 : ERR_RESOURCE;
    }
    model_entries_find(&l);
    for (int i = 0; i < l.n && !(found && !strcmp(found->name, name)); i++) {
        if (!strcmp(l.v[i].name, name))
            found = &l.v[i], other = NULL;
        else if (same_name(l.v[i].name, name))
            other = found ? &l.v[i] : NULL, found = found ? found : &l.v[i];
    }
    if (other) {
        err_set(e, ERR_USAGE, "\"%s\" is the name of several models", name);
        rc = err_hint(e, "say which: \"%s\" or \"%s\"", found->name, other->name);
    } else {
        *path = mem_strdup(found ? found->path : name, e);
        rc = *path ? 0 : ERR_RESOURCE;
    }
    model_entries_free(&l);
    return rc;
}
