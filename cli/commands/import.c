/* import: what other tools found, into the store. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mapfile.h"
#include "cli/head_list.h"
#include "cli/head_rule.h"

enum { MAX_FILE = 64 << 20 };

static int show_lists(session *s, const command_args *a, err *e)
{
    store *st;
    table *t = NULL;
    int rc = store_to_read(s, &st, e);
    if (!rc)
        rc = store_query(st, &t, "SELECT name, count(*) AS heads, count(score) AS scores, min(CASE place WHEN 0 THEN head_name"
                         " END) AS first, source, sha256, created FROM head_set_list GROUP BY name ORDER BY name", NULL, 0, e);
    if (!rc && t->n_row == 0 && command_format(s, a) == FORMAT_TABLE)
        say(s, "no lists of heads; make one with `import heads FILE --name NAME`");
    else if (!rc)
        rc = print_table(s, a, t, "attnscope.head_list/1", e);
    table_free(t);
    return rc;
}

static int check_name(const char *name, err *e)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    if (name && *name && !name[strspn(name, allowed)])
        return 0;
    if (name)
        err_set(e, ERR_USAGE, "'%s' is no name for a list of heads", name);
    else
        err_set(e, ERR_USAGE, "the list needs a name");
    return err_hint(e, "--name NAME, of letters, digits, _, - and .; then --heads @NAME chooses its heads");
}

/* Every head must be one of the model: the first that is not is named. */
static int check_model(session *s, const char *path, const head_list *l, err *e)
{
    loaded_model *lm;
    int rc = session_model(s, path, &lm, e);
    for (int64_t i = 0; i < l->n && !rc; i++) {
        head_text name;
        head_id *heads = NULL;
        int n;
        head_format(name, l->heads[i].head);
        rc = head_select(&heads, &n, lm->m, name, e);
        if (rc)
            err_prefix(e, "%s", name);
        free(heads);
    }
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    const char *name = params_str(a->p, "name"), *of = params_str(a->p, "model"), *path = a->n > 1 ? a->word[1] : NULL;
    head_list l = {0};
    sha256_hex digest;
    char *text = NULL;
    size_t size = 0;
    store *st;
    if (strcmp(a->word[0], "heads") != 0) {
        err_set(e, ERR_USAGE, "'%s' cannot be imported", a->word[0]);
        return err_hint(e, "import heads FILE --name NAME");
    }
    if (!path)
        return show_lists(s, a, e);
    int rc = check_name(name, e);
    if (!rc)
        rc = read_file(&text, &size, path, MAX_FILE, e);
    if (!rc)
        rc = sha256_of(digest, text, size, e);
    if (!rc)
        rc = head_list_read(&l, text, size, path, e);
    if (!rc && of)
        rc = check_model(s, of, &l, e);
    if (!rc)
        rc = session_store(s, &st, e);
    if (!rc)
        rc = store_head_set(st, name, path, digest, l.heads, l.n, params_bool(a->p, "replace"), e);
    if (!rc && l.n_twice)
        say(s, "%" PRId64 " named again: each head is taken once", l.n_twice);
    if (!rc)
        say(s, "%s: %" PRId64 " heads; --heads @%s chooses them", name, l.n, name);
    free(l.heads);
    free(text);
    return rc;
}

static const param own[] = {
    {.name = "name", .kind = PARAM_STR, .value = "NAME", .help = "what the list is called from now on"},
    {.name = "model", .kind = PARAM_PATH, .value = "MODEL", .complete = "models",
     .help = "refuse heads that this model does not have"},
    {.name = "replace", .kind = PARAM_BOOL, .help = "in place of a list that has this name"},
    {.name = NULL},
};
static const char *const examples[] = {
    "import heads induction.json --name induction --store heads.db", "a list that another tool wrote, under a name",
    "ablate examples/models/lantern-3m --heads '@induction' --prompt 'A lamp, a lamp.' --store heads.db",
    "its heads, wherever heads are chosen",
    "import heads --store heads.db", "the lists there are",
    NULL,
};
static const char *const complete[] = {"imports", "files", NULL};

const command command_import = {
    .name = "import", .group = "store", .usage = "heads [FILE --name NAME]",
    .summary = "take lists of heads from files of other tools",
    .help = "FILE is JSON ([[10, 7], ...], [{\"layer\": 10, \"head\": 7, \"score\": 0.5}, ...], [\"L10H7\", ...], "
            "{\"L10H7\": 0.5, ...}, {\"10\": [7, 8]}), CSV or TSV with columns layer and head (score, kind), or lines: 10.7, "
            "L10H7, a10.h7, blocks.10.attn.hook_z[:, :, 7] or blocks.10.attn.hook_pattern 7, each perhaps with a score behind. "
            "The list is stored with the file's name and SHA-256. --heads @NAME and --rule \"heads NAME\" choose its heads; "
            "a head that the model does not have is refused by name, here with --model, else when it is used. Without FILE "
            "the lists are shown; the view head_set_list holds their heads.",
    .examples = examples, .params = own, .min_args = 1, .max_args = 2, .complete = complete, .run = run,
};
