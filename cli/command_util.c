#include "cli/command_util.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "analysis/metric.h"
#include "base/near_file.h"
#include "cli/help.h"
#include "cli/model_search.h"
#include "cli/pager.h"
#include "cli/parse.h"
#include "cli/progress_bar.h"
#include "cli/run_name.h"
#include "model/quantize.h"

static const char *const precision_names[] = {"f32", "f32-strict", "bf16", NULL};

const param precision_params[] = {
    {.name = "precision", .kind = PARAM_ENUM, .value = "P", .choices = precision_names,
     .help = "arithmetic: f32, f32-strict (float32 operands only) or bf16"},
    {.name = NULL},
};

const param config_params[] = {
    {.name = "config", .kind = PARAM_PATH, .value = "FILE",
     .help = "configuration of MODEL, where no config.json lies beside its weights"},
    {.name = "quantize", .kind = PARAM_ENUM, .value = "FORM", .choices = quantize_names,
     .help = "round the weights of the layers through this form, to see what quantisation changes"},
    {.name = "quantize-embeddings", .kind = PARAM_BOOL,
     .help = "with --quantize: the token embeddings and the unembedding too"},
    {.name = NULL},
};

const param tokenizer_params[] = {
    {.name = "tokenizer", .kind = PARAM_PATH, .value = "FILE",
     .help = "tokenizer of MODEL, where none lies with its weights: a file or directory that tokenize takes"},
    {.name = NULL},
};

const char *precision_name(precision p)
{
    return precision_names[p];
}

/* An option of this command, else the session's setting of the same name, else NULL. */
static const char *option_or_setting(const session *s, const command_args *a, const char *name)
{
    if (params_row(a->p, name) && params_str(a->p, name))
        return params_str(a->p, name);
    return params_row(s->settings, name) ? params_str(s->settings, name) : NULL;
}

int64_t option_threads(const session *s, const command_args *a)
{
    const char *text = option_or_setting(s, a, "threads");
    int64_t n = 0;
    return text && parse_int(&n, text) ? n : 0;
}

precision option_precision(const session *s, const command_args *a)
{
    const char *text = option_or_setting(s, a, "precision");
    for (int i = 0; text && precision_names[i]; i++)
        if (strcmp(text, precision_names[i]) == 0)
            return (precision)i;
    return PRECISION_F32;
}

output_format command_format(const session *s, const command_args *a)
{
    static const char *const names[] = {"table", "csv", "tsv", "json"};
    for (int i = FORMAT_CSV; i <= FORMAT_JSON; i++)
        if (params_row(a->p, names[i]) && params_bool(a->p, names[i]))
            return (output_format)i;
    const char *text = params_row(s->settings, "format") ? params_str(s->settings, "format") : NULL;
    for (int i = FORMAT_CSV; text && i <= FORMAT_JSON; i++)
        if (strcmp(text, names[i]) == 0)
            return (output_format)i;
    return FORMAT_TABLE;
}

static void say_text(const session *s, const char *text)
{
    strbuf line = {0}, rows = {0};
    strbuf_put_visible(&line, text, strlen(text)); /* names that a user or a file gave */
    help_fit(&rows, strbuf_str(&line), STDERR_FILENO);
    pager_end(s);
    progress_bar_clear(s->bar);
    if (s->out)
        fflush(s->out); /* where both go to one pipe, results stand before what is said of them */
    fputs(strbuf_str(&rows), stderr);
    strbuf_free(&rows);
    strbuf_free(&line);
}

void say(const session *s, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (!s->quiet && vasprintf(&text, fmt, ap) >= 0) {
        say_text(s, text);
        free(text);
    }
    va_end(ap);
}

/* Was this said before?  From now on it was.  With too many to remember it was not. */
static bool said_before(const char *text)
{
    enum { MOST = 256 };
    static char *said[MOST];
    static int n;
    for (int i = 0; i < n; i++) {
        if (!strcmp(said[i], text))
            return true;
    }
    if (n < MOST && (said[n] = mem_strdup(text, NULL)))
        n++;
    return false;
}

void say_once(const session *s, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (!s->quiet && vasprintf(&text, fmt, ap) >= 0) {
        if (!said_before(text))
            say_text(s, text);
        free(text);
    }
    va_end(ap);
}

static const char *option_text(const command_args *a, const char *name)
{
    return params_row(a->p, name) ? params_str(a->p, name) : NULL;
}

load_options load_options_of(const session *s, const command_args *a, const char *quantize)
{
    return (load_options){
        .config = option_text(a, "config"),
        .tokenizer = option_text(a, "tokenizer"),
        .quantize = quantize,
        .quantize_embeddings = quantize && params_row(a->p, "quantize-embeddings") && params_bool(a->p, "quantize-embeddings"),
        .threads = (int)option_threads(s, a),
    };
}

int choose_model(session *s, const command_args *a, bool run, loaded_model **out, err *e)
{
    const load_options o = load_options_of(s, a, option_text(a, "quantize"));
    if (params_row(a->p, "quantize-embeddings") && params_bool(a->p, "quantize-embeddings") && !o.quantize) {
        err_set(e, ERR_USAGE, "--quantize-embeddings without --quantize");
        return err_hint(e, "name the form, for example --quantize q4_0");
    }
    int rc = session_model_with(s, a->n > 0 ? a->word[0] : NULL, &o, out, e);
    if (!rc && run)
        rc = session_runtime(s, *out, (int)option_threads(s, a), option_precision(s, a), e);
    return rc;
}

int choose_checkpoint(session *s, const command_args *a, bool weights_only, const checkpoint **out,
                      checkpoint **opened, err *e)
{
    const checkpoint_options o = {.config = option_text(a, "config"), .weights_only = weights_only};
    loaded_model *lm;
    int rc;
    *opened = NULL;
    if (a->n > 0) {
        char *path = NULL;
        rc = model_search(&path, a->word[0], e);
        if (!rc)
            rc = checkpoint_open_with(opened, path, &o, e);
        if (rc == ERR_INPUT)
            model_search_near(a->word[0], e);
        free(path);
        *out = *opened;
    } else {
        rc = session_model_with(s, NULL, &(load_options){.config = o.config}, &lm, e);
        *out = rc ? NULL : lm->m->ckpt;
    }
    return rc;
}

int store_to_read(session *s, store **out, err *e)
{
    bool memory = strcmp(s->store_path, ":memory:") == 0;
    if (!s->st && !memory && access(s->store_path, F_OK) != 0) {
        err_set(e, ERR_INPUT, "no store at %s", s->store_path);
        err_hint(e, "make one with `run MODEL --prompt TEXT --store %s`", s->store_path);
        return near_file_hint(e, s->store_path, NULL);
    }
    /* on a read-only disk, or somebody else's: reading is still possible */
    if (!s->st && !memory && access(s->store_path, W_OK) != 0) {
        int rc = store_open(&s->st, s->store_path, true, e);
        *out = rc ? NULL : s->st;
        return rc;
    }
    return session_store(s, out, e);
}

int require_run(store *st, int64_t run, err *e)
{
    bool yes = false;
    int64_t last = 0;
    int rc = store_run_exists(st, run, &yes, e);
    if (rc || yes)
        return rc;
    rc = store_last_run(st, &last, e);
    if (rc)
        return rc;
    if (last == 0)
        err_set(e, ERR_FAILED, "no run %" PRId64 ": %s holds no runs yet", run, store_words(st));
    else
        err_set(e, ERR_USAGE, "no run %" PRId64 " in %s", run, store_words(st));
    return run_name_hint(st, e);
}

int run_without_values(store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    table *t = NULL;
    int rc = store_query(st, &t, "SELECT status FROM run WHERE id = ?1", bind, 1, e);
    if (rc)
        return rc;
    rc = err_set(e, ERR_FAILED, "run %" PRId64 " (%s) holds no values", run,
                 t->n_row ? cell_string(table_cell(t, 0, 0)) : "unknown");
    table_free(t);
    err_hint(e, "`show %" PRId64 "` says why; `runs` lists the others", run);
    return rc;
}

int query_count(int64_t *out, store *st, const char *sql, const cell *bind, int n_bind, err *e)
{
    table *t = NULL;
    int rc = store_query(st, &t, sql, bind, n_bind, e);
    *out = !rc && t->n_row > 0 && table_cell(t, 0, 0)->kind == CELL_INT ? table_cell(t, 0, 0)->u.i : 0;
    table_free(t);
    return rc;
}

int run_units_done(int64_t *n, store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    return query_count(n, st, "SELECT count(*) FROM unit WHERE run_id = ?1 AND status = 'done'", bind, 1, e);
}

int session_latest_run(const session *s, store *st, int64_t *run, err *e)
{
    bool yes = false;
    *run = s->last_run;
    int rc = *run > 0 ? store_run_exists(st, *run, &yes, e) : 0;
    return rc || yes ? rc : run_name_read(run, st, "last", e);
}

int choose_run(session *s, const command_args *a, store *st, const char *word, int64_t *run, err *e)
{
    if (params_row(a->p, "run") && params_given(a->p, "run"))
        word = params_str(a->p, "run");
    return word ? run_name_read(run, st, word, e) : session_latest_run(s, st, run, e);
}

void put_shell_word(strbuf *b, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:+=%";
    if (*word && strspn(word, plain) == strlen(word)) {
        strbuf_puts(b, word);
        return;
    }
    strbuf_putc(b, '\'');
    for (; *word; word++) {
        if (*word == '\'')
            strbuf_puts(b, "'\\''");
        else
            strbuf_putc(b, *word);
    }
    strbuf_putc(b, '\'');
}

/* Do words i and i + 1 (or i alone) give an option of its own value?  Returns how many words it takes; 0:
 * words[i] is no option.  The reading of command_read_words, for words that it accepted. */
static int option_words(const params *p, const parsed_command *c, int i)
{
    const char *w = c->word[i].text;
    double number;
    if (w[0] != '-' || !w[1] || parse_real(&number, w))
        return 0;
    if (w[1] != '-')
        return i + 1 < c->n && strcmp(w, "-q") != 0 && strcmp(w, "-h") != 0 ? 2 : 1;
    if (strchr(w, '='))
        return 1;
    const param *row = params_row(p, w + 2);
    return row && row->kind != PARAM_BOOL && i + 1 < c->n ? 2 : 1;
}

static bool from_stdin(const parsed_command *c, int i, int n)
{
    return strcmp(c->word[i].text, "--prompt-file=-") == 0 ||
           (n == 2 && strcmp(c->word[i].text, "--prompt-file") == 0 && strcmp(c->word[i + 1].text, "-") == 0);
}

static void put_option(strbuf *b, const char *name, const char *value)
{
    if (!value)
        return;
    strbuf_printf(b, " --%s ", name);
    put_shell_word(b, value);
}

/* An option as f->chosen has it: true where it was put, or falls away. */
static bool put_chosen(strbuf *b, const command_args *a, const char *word, const repeat_facts *f)
{
    char name[32];
    const char *bare = word + strspn(word, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(bare, "="), bare);
    const name_entry *heads = name_list_find(f->chosen, name);
    if (heads)
        put_option(b, name, heads->text);
    /* --run says what a ranking reads, and names are none (cli/head_rule.h) */
    return heads || (!strcmp(name, "run") && params_row(a->p, "rule") &&
                     (name_list_find(f->chosen, "heads") || name_list_find(f->chosen, "rule")));
}

static void put_words(strbuf *b, const command_args *a, const parsed_command *c, const repeat_facts *f)
{
    bool options = true;
    for (int i = 1, n; i < c->n; i += n) {
        options = options && strcmp(c->word[i].text, "--") != 0;
        n = options ? option_words(a->p, c, i) : 0;
        if (n && f->stdin_text && from_stdin(c, i, n)) {
            put_option(b, "prompt", f->stdin_text);
            continue;
        }
        if (n && f->chosen && put_chosen(b, a, c->word[i].text, f))
            continue;
        n = n ? n : 1;
        for (int k = i; k < i + n; k++) {
            strbuf_putc(b, ' ');
            put_shell_word(b, c->word[k].text);
        }
    }
}

char *repeatable_command(const command_args *a, const repeat_facts *facts, err *e)
{
    static const repeat_facts none = {0};
    const repeat_facts *f = facts ? facts : &none;
    parsed_line p;
    parse_wait wait;
    strbuf b = {0};
    int rc = parse_line(&p, &wait, a->line, strlen(a->line), e);
    strbuf_puts(&b, "attnscope");
    if (!rc && p.n > 0) {
        put_option(&b, "isa", f->isa);
        strbuf_putc(&b, ' ');
        put_shell_word(&b, p.command[0].word[0].text);
        if (f->model_path) {
            strbuf_putc(&b, ' ');
            put_shell_word(&b, f->model_path);
        }
        put_option(&b, "config", f->config);
        put_option(&b, "tokenizer", f->tokenizer);
        put_option(&b, "quantize", f->quantize);
        if (f->quantize && f->quantize_embeddings)
            strbuf_puts(&b, " --quantize-embeddings");
        put_option(&b, "precision", f->precision);
        put_words(&b, a, &p.command[0], f);
    }
    parsed_free(&p);
    if (rc) {
        strbuf_free(&b);
        return NULL;
    }
    return strbuf_take(&b, e);
}

char *repeatable_on_store(const session *s, const command_args *a, err *e)
{
    strbuf b = {0};
    char *words = repeatable_command(a, NULL, e);
    if (!words)
        return NULL;
    strbuf_puts(&b, words);
    free(words);
    if (!params_given(a->p, "store") && strcmp(s->store_path, ":memory:") != 0) {
        strbuf_puts(&b, " --store ");
        put_shell_word(&b, s->store_path);
    }
    return strbuf_take(&b, e);
}

int append_params(param *rows, int n, int max, const param *more)
{
    for (; more && more->name && n < max; more++) {
        bool known = false;
        for (int i = 0; i < n && !known; i++)
            known = strcmp(rows[i].name, more->name) == 0;
        if (!known)
            rows[n++] = *more;
    }
    rows[n] = (param){.name = NULL};
    return n;
}
