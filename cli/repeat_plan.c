#include "cli/repeat_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"
#include "cli/dispatch.h"
#include "cli/model_card.h"
#include "cli/parse.h"
#include "cli/rank_units.h"

/* Where the results of the recorded command went and how it was watched: not what it computed. */
static const char *const left_out[] = {"store", "output", "resume", "quiet", "help", "json", "csv", "tsv", "scores",
                                       "append-scores", "emit", NULL};

static const char facts_sql[] =
    "SELECT r.verb, r.command, r.settings, r.precision, r.isa, r.seed, r.version, r.status, m.path, m.sha256,"
    " m.tokenizer_sha256 FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1";

const char *repeat_fact(const repeat_plan *r, const char *name)
{
    return cell_string(table_cell(r->facts, 0, table_column(r->facts, name)));
}

static int not_readable(const repeat_plan *r, err *e)
{
    err_set(e, ERR_FAILED, "the command of run %" PRId64 " is none that this program knows", r->run);
    return err_hint(e, "`show %" PRId64 " --command` prints it; was it made by another version (%s)?", r->run,
                    repeat_fact(r, "version"));
}

/* The words from the verb on, owned by r->mem: "attnscope --isa X VERB ...". */
static int split(repeat_plan *r, const char ***words, int *n, err *e)
{
    const char *text = repeat_fact(r, "command");
    parsed_line p;
    parse_wait wait;
    int rc = parse_line(&p, &wait, text, strlen(text), e), first = 0;
    const parsed_command *c = !rc && !wait.missing && p.n == 1 ? &p.command[0] : NULL;
    if (c && c->n > 1 && strcmp(c->word[0].text, "attnscope") == 0)
        first = 1;
    while (c && first + 2 < c->n && strncmp(c->word[first].text, "--", 2) == 0)
        first += 2;
    if (!rc && !c)
        rc = not_readable(r, e);
    *n = rc ? 0 : c->n - first;
    *words = rc ? NULL : arena_alloc(&r->mem, (size_t)*n, sizeof **words, e);
    rc = rc || *words ? rc : ERR_RESOURCE;
    for (int i = 0; i < *n && !rc; i++)
        rc = ((*words)[i] = arena_strdup(&r->mem, c->word[first + i].text, e)) ? 0 : ERR_RESOURCE;
    parsed_free(&p);
    return rc;
}

static bool is_left_out(const char *name)
{
    for (int i = 0; left_out[i]; i++)
        if (strcmp(left_out[i], name) == 0)
            return true;
    return false;
}

/* The heads that a ranking or a condition chose then: what they read may have changed, and `last` is another run now.
 * NULL: the words of option `name` hold as they stand. */
static const char *chosen_then(repeat_plan *r, const params *given, const char *name, err *e)
{
    const char *words = params_str(given, name), *settings = repeat_fact(r, "settings");
    bool maps = !strcmp(name, "maps");
    const cell bind[] = {cell_int(r->run)};
    const char *heads = NULL;
    json *root = NULL;
    if (!words || !strpbrk(words, " @"))
        return NULL;
    if (!maps && params_row(given, "rule") && !json_parse(&root, settings, strlen(settings), "settings", NULL)) {
        const json *list = json_get(root, "heads");
        heads = list ? json_str(list, NULL) : NULL;
        heads = heads ? arena_strdup(&r->mem, heads, e) : NULL;
        json_free(root);
    } else if (maps && !strcmp(repeat_fact(r, "status"), "done")) {
        table *t = NULL;
        if (!store_query(r->st, &t, "SELECT group_concat(head_name) FROM (SELECT DISTINCT head_name, kind, layer, head FROM "
                         "map_list WHERE run = ?1 ORDER BY kind, layer, head)", bind, 1, NULL))
            heads = arena_strdup(&r->mem, cell_string(table_cell(t, 0, 0)), e);
        table_free(t);
    }
    return heads && *heads ? heads : NULL;
}

/* Options of `given` that stay, into r->p and as words of the line. */
static int keep_options(repeat_plan *r, const params *given, const command_tables tables, err *e)
{
    const char *heads = NULL;
    int rc = 0;
    if (params_row(given, "rule")) /* one of the two (cli/head_rule.h) */
        heads = chosen_then(r, given, params_given(given, "rule") ? "rule" : "heads", e);
    for (int t = 0; tables[t]; t++)
        for (const param *row = tables[t]; row->name && !rc; row++) {
            if (!params_given(given, row->name) || params_given(r->p, row->name) || is_left_out(row->name))
                continue;
            const char *then = !strcmp(row->name, "maps") ? chosen_then(r, given, "maps", e) : NULL;
            if (heads && !strcmp(row->name, "run"))
                continue;
            if (heads && (!strcmp(row->name, "heads") || !strcmp(row->name, "rule")))
                then = heads;
            const char *value = then                      ? then
                                : row->kind != PARAM_BOOL ? params_str(given, row->name)
                                                          : params_bool(given, row->name) ? "true" : "false";
            rc = params_set(r->p, row->name, value, e);
            if (row->kind == PARAM_BOOL) {
                strbuf_printf(&r->line, " --%s%s", params_bool(given, row->name) ? "" : "no-", row->name);
            } else {
                strbuf_printf(&r->line, " --%s ", row->name);
                strbuf_put_quoted(&r->line, value);
            }
        }
    return rc;
}

/* Of runs whose precision or seed came from a setting or a default: as recorded. */
static int pin(repeat_plan *r, const char *name, const char *value, err *e)
{
    if (!*value || !params_row(r->p, name) || params_given(r->p, name))
        return 0;
    return params_set(r->p, name, value, e);
}

static int read_words(repeat_plan *r, const char *const *words, int n, err *e)
{
    command_tables tables;
    params *given = NULL;
    r->c = command_find(words[0], false);
    /* a store may come from anywhere: nothing is run but what makes the rows that it says it made */
    if (!r->c || !rank_units_of(r->c) || strcmp(r->c->name, repeat_fact(r, "verb")) != 0)
        return not_readable(r, e);
    command_get_tables(r->c, tables);
    int rc = params_new(&r->p, e);
    if (!rc)
        rc = params_new(&given, e);
    for (int i = 0; tables[i] && !rc; i++)
        if (!(rc = params_use(r->p, tables[i], e)))
            rc = params_use(given, tables[i], e);
    r->positional = rc ? NULL : arena_alloc(&r->mem, (size_t)n + 1, sizeof *r->positional, e);
    if (!rc && !r->positional)
        rc = ERR_RESOURCE;
    if (!rc)
        rc = command_read_words(r->c, given, r->positional, &r->n, n - 1, words + 1, e);
    if (!rc && (r->n < r->c->min_args || (r->c->max_args >= 0 && r->n > r->c->max_args)))
        rc = not_readable(r, e);
    strbuf_puts(&r->line, words[0]);
    for (int i = 0; i < r->n && !rc; i++) {
        strbuf_putc(&r->line, ' ');
        strbuf_put_quoted(&r->line, r->positional[i]);
    }
    if (!rc)
        rc = keep_options(r, given, tables, e);
    params_free(given);
    return rc;
}

int repeat_plan_make(repeat_plan *out, store *st, int64_t run, const char *path, err *e)
{
    const cell bind[] = {cell_int(run)};
    const char **words = NULL;
    int n = 0;
    *out = (repeat_plan){.run = run, .st = st};
    int rc = store_query(st, &out->facts, facts_sql, bind, 1, e);
    if (!rc)
        rc = split(out, &words, &n, e);
    if (!rc)
        rc = n > 0 ? read_words(out, words, n, e) : not_readable(out, e);
    if (!rc && path && out->n > 0)
        out->positional[0] = path;
    if (!rc)
        rc = pin(out, "precision", repeat_fact(out, "precision"), e);
    const cell *seed = rc ? NULL : table_cell(out->facts, 0, table_column(out->facts, "seed"));
    char number[24] = "";
    if (seed && seed->kind == CELL_INT)
        snprintf(number, sizeof number, "%" PRId64, seed->u.i);
    if (!rc)
        rc = pin(out, "seed", number, e);
    if (!rc && out->line.failed)
        rc = err_nomem(e, "command");
    if (rc)
        repeat_plan_free(out);
    return rc;
}

void repeat_plan_free(repeat_plan *r)
{
    for (int i = 0; i < r->n_fd; i++)
        close(r->fd[i]);
    free(r->fd);
    params_free(r->p);
    table_free(r->facts);
    strbuf_free(&r->line);
    strbuf_free(&r->notes);
    arena_free(&r->mem);
    *r = (repeat_plan){0};
}

int repeat_refuse(repeat_plan *r, bool force, err *e)
{
    if (!force)
        return e->code;
    strbuf_printf(&r->notes, "%s\n", e->msg);
    *e = (err){0};
    return 0;
}

static int differs(repeat_plan *r, const char *what, const char *path, const char *was, const char *is, bool force, err *e)
{
    if (strcmp(was, is) == 0)
        return 0;
    err_set(e, ERR_INPUT, "%s: not the %s of run %" PRId64 " (SHA-256 %.12s..., it was %.12s...)", path, what, r->run,
            *is ? is : "none", *was ? was : "none");
    err_hint(e, "name the right one with --model, or take this one with --force");
    return repeat_refuse(r, force, e);
}

static int check_first(repeat_plan *r, session *s, const char *path, const load_options *o, bool force, err *e)
{
    loaded_model *lm;
    model_card card = {0};
    int rc = session_model_with(s, path, o, &lm, e);
    if (!rc)
        rc = model_card_make(&card, lm, true, &s->prog, e);
    if (!rc)
        rc = differs(r, "weights", path, repeat_fact(r, "sha256"), card.weights, force, e);
    if (!rc)
        rc = differs(r, "tokenizer", path, repeat_fact(r, "tokenizer_sha256"), lm->tok ? card.tokenizer : "", force, e);
    model_card_free(&card);
    return rc;
}

/* The models of `compare` and `track` behind the first: what they were is in the settings. */
static int check_others(repeat_plan *r, session *s, const load_options *o, bool force, err *e)
{
    const char *settings = repeat_fact(r, "settings");
    json *root = NULL;
    int rc = 0;
    if (r->n < 2 || (strcmp(r->c->name, "compare") != 0 && strcmp(r->c->name, "track") != 0))
        return 0;
    if (json_parse(&root, settings, strlen(settings), "settings", NULL))
        root = NULL;
    const json *list = root ? json_get(root, "checkpoints") : NULL;
    for (int i = 1; i < r->n && !rc; i++) {
        const json *was = list ? json_get(json_at(list, (size_t)i), "sha256") : root ? json_get(root, "second-sha256") : NULL;
        const char *digest = was ? json_str(was, NULL) : NULL;
        loaded_model *lm = NULL;
        model_card card = {0};
        rc = session_model_beside(s, r->positional[i], o, &lm, e);
        if (!rc)
            rc = model_card_make(&card, lm, true, &s->prog, e);
        if (!rc)
            rc = differs(r, "weights", r->positional[i], digest ? digest : "", card.weights, force, e);
        model_card_free(&card);
        loaded_model_free(lm);
    }
    json_free(root);
    return rc;
}

int repeat_check(repeat_plan *r, session *s, store *st, bool force, err *e)
{
    const char *path = r->n > 0 ? r->positional[0] : repeat_fact(r, "path");
    const char *quantize = params_row(r->p, "quantize") ? params_str(r->p, "quantize") : NULL;
    const command_args a = {.n = r->n, .word = r->positional, .p = r->p, .line = strbuf_str(&r->line)};
    const load_options o = load_options_of(s, &a, quantize);
    int rc = repeat_inputs(r, st, force, e); /* first: a model is slow to read */
    if (!rc)
        rc = check_first(r, s, path, &o, force, e);
    if (!rc)
        rc = check_others(r, s, &o, force, e);
    if (!rc && strcmp(repeat_fact(r, "version"), program_version) != 0)
        strbuf_printf(&r->notes, "recorded by version %s, repeated by %s\n", repeat_fact(r, "version"), program_version);
    return rc;
}
