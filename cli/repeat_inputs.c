/* The files that a run read: are they still what they were?  Texts that are not are taken from the store, as files in
 * memory, so that the command reads them in the same way as it did. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"
#include "cli/experiment.h"
#include "cli/json_line.h"
#include "cli/prompt_request.h"
#include "cli/repeat_plan.h"

/* A file in memory that lives as long as the plan; *path is owned by it. */
static int hold(repeat_plan *r, const char **path, const char *text, size_t n, err *e)
{
    int *more = mem_grow(r->fd, (size_t)r->n_fd + 1, sizeof *more, e);
    if (!more)
        return ERR_RESOURCE;
    r->fd = more;
    int fd = memfd_create("attnscope", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(e, ERR_RESOURCE, errno, "cannot keep a file in memory");
    r->fd[r->n_fd++] = fd;
    for (size_t at = 0; at < n;) {
        ssize_t w = write(fd, text + at, n - at);
        if (w < 0 && errno != EINTR)
            return err_errno(e, ERR_RESOURCE, errno, "cannot keep a file in memory");
        at += w > 0 ? (size_t)w : 0;
    }
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    *path = arena_strdup(&r->mem, name, e);
    return *path ? 0 : ERR_RESOURCE;
}

/* One of the texts that the run tokenised, with this digest. */
static int text_of_store(repeat_plan *r, const char **path, store *st, const param *row, const char *digest, err *e)
{
    static const char sql[] =
        "SELECT p.text FROM unit u JOIN prompt p ON p.id = u.prompt_id WHERE u.run_id = ?1 AND p.text IS NOT NULL"
        " UNION SELECT i.text FROM unit u JOIN input i ON i.unit_id = u.id WHERE u.run_id = ?1 AND i.text IS NOT NULL LIMIT 64";
    const cell bind[] = {cell_int(r->run)};
    table *t = NULL;
    *path = NULL;
    int rc = store_query(st, &t, sql, bind, 1, e);
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        const char *text = cell_string(table_cell(t, i, 0)), *name;
        sha256_hex now;
        bool read = false;
        rc = hold(r, &name, text, strlen(text), e);
        if (!rc)
            rc = experiment_input_digest(&read, now, row, name, e);
        if (!rc && read && strcmp(now, digest) == 0) {
            *path = name;
            break;
        }
    }
    table_free(t);
    return rc;
}

/* The ids of a unit that has no text. */
static int put_ids(strbuf *b, store *st, int64_t run, int64_t prompt, err *e)
{
    const cell bind[] = {cell_int(run), cell_int(prompt)};
    table *t = NULL;
    int rc = store_query(st, &t, "SELECT id FROM prompt_token WHERE run = ?1 AND prompt = ?2 AND sequence = 'self'"
                                 " ORDER BY position", bind, 2, e);
    json_line_key(b, "ids");
    for (int64_t i = 0; !rc && i < t->n_row; i++)
        strbuf_printf(b, "%c%" PRId64, i ? ',' : '[', index_of_cell(table_cell(t, i, 0)));
    strbuf_putc(b, ']');
    table_free(t);
    return rc;
}

static int put_facts(strbuf *b, store *st, int64_t run, int64_t prompt, err *e)
{
    const cell bind[] = {cell_int(run), cell_int(prompt)};
    table *t = NULL;
    int rc = store_query(st, &t, "SELECT name, text FROM fact_list WHERE run = ?1 AND prompt = ?2 ORDER BY name", bind, 2, e);
    for (int64_t i = 0; !rc && i < t->n_row; i++)
        json_line_text(b, cell_string(table_cell(t, i, 0)), cell_string(table_cell(t, i, 1)));
    table_free(t);
    return rc;
}

/* --prompts of `run`, a line a prompt, written anew.  *path NULL: the store does not hold all of it. */
static int prompts_of_store(repeat_plan *r, const char **path, store *st, err *e)
{
    static const char sql[] =
        "SELECT u.prompt_index, u.label, p.text, s.text,"
        " EXISTS (SELECT 1 FROM input i WHERE i.unit_id = u.id AND i.text IS NULL)"
        " FROM unit u JOIN prompt p ON p.id = u.prompt_id LEFT JOIN input s ON s.unit_id = u.id AND s.role = 'source'"
        " WHERE u.run_id = ?1 ORDER BY u.prompt_index";
    const cell bind[] = {cell_int(r->run)};
    table *t = NULL;
    strbuf b = {0};
    bool whole = strcmp(repeat_fact(r, "status"), "done") == 0 && strcmp(r->c->name, "run") == 0 &&
                 !(params_row(r->p, "chat") && params_bool(r->p, "chat")) && !params_given(r->p, "prompt-unit");
    *path = NULL;
    int rc = whole ? store_query(st, &t, sql, bind, 1, e) : 0;
    for (int64_t i = 0; whole && !rc && i < t->n_row; i++) {
        const cell *label = table_cell(t, i, 1), *text = table_cell(t, i, 2), *source = table_cell(t, i, 3);
        int64_t prompt = table_cell(t, i, 0)->u.i;
        whole = table_cell(t, i, 4)->u.i == 0;
        json_line_begin(&b, NULL);
        if (source->kind == CELL_TEXT)
            json_line_text(&b, "source", source->u.s);
        if (text->kind == CELL_TEXT)
            json_line_text(&b, source->kind == CELL_TEXT ? "target" : "text", text->u.s);
        else if (source->kind != CELL_TEXT)
            rc = put_ids(&b, st, r->run, prompt, e);
        if (label->kind == CELL_TEXT)
            json_line_text(&b, "label", label->u.s);
        if (!rc)
            rc = put_facts(&b, st, r->run, prompt, e);
        json_line_end(&b);
    }
    if (!rc && whole)
        rc = b.failed ? err_nomem(e, "prompts") : hold(r, path, strbuf_str(&b), b.len, e);
    strbuf_free(&b);
    table_free(t);
    return rc;
}

static bool is_digest(const char *s)
{
    return s && strlen(s) == sizeof(sha256_hex) - 1 && strspn(s, "0123456789abcdef") == sizeof(sha256_hex) - 1;
}

static int check_input(repeat_plan *r, store *st, const param *row, const char *digest, bool force, err *e)
{
    const char *named = params_str(r->p, row->name), *path = NULL;
    sha256_hex now;
    bool there;
    int rc = experiment_input_digest(&there, now, row, named, e);
    if (rc || (there && strcmp(now, digest) == 0))
        return rc;
    if (!(there && force)) {
        if (strcmp(row->name, "prompt-file") == 0 || strcmp(row->name, "source-file") == 0)
            rc = text_of_store(r, &path, st, row, digest, e);
        else if (strcmp(row->name, "prompts") == 0)
            rc = prompts_of_store(r, &path, st, e);
    }
    const char *why = there ? "has changed since" : "cannot be read any more";
    if (rc)
        return rc;
    if (path) {
        strbuf_printf(&r->notes, "--%s %s %s: taken from the store\n", row->name, named, why);
        return params_set(r->p, row->name, path, e);
    }
    err_set(e, ERR_INPUT, "--%s %s %s run %" PRId64 " (SHA-256 was %.12s...)", row->name, named,
            there ? "has changed since" : "cannot be read as it was for", r->run, digest);
    if (there)
        err_hint(e, "bring the old file back, or take this one with --force");
    else
        err_hint(e, "bring the file back; relative paths count from the folder you are in");
    return there ? repeat_refuse(r, force, e) : e->code;
}

/* Texts of files come into the new run, so a store could ask for any file of the user: only what it knows the digest of is
 * read. */
static int without_digest(repeat_plan *r, const param *row, bool force, err *e)
{
    const char *named = params_str(r->p, row->name);
    err_set(e, ERR_INPUT, "run %" PRId64 " holds no digest of --%s %s, so it is not known whether that is the file it read",
            r->run,
            row->name, named);
    err_hint(e, "look at it with --dry-run --force, then read it with --force");
    return repeat_refuse(r, force, e);
}

/* Token ids may be those of a file. */
static bool is_text_file(const repeat_plan *r, const param *row)
{
    if (row->kind == PARAM_STR && strstr(row->name, "ids")) {
        const char *text = params_str(r->p, row->name);
        return text[strspn(text, "0123456789, \t\r\n[]")] != '\0';
    }
    return (row->kind == PARAM_PATH && strcmp(row->name, "config") != 0 && strcmp(row->name, "tokenizer") != 0) ||
           strcmp(row->name, "haystack") == 0;
}

/* ---- files that edits read ---- */

static int check_edit_file(repeat_plan *r, const param *edit, const json *files, const char *name, bool force, err *e)
{
    const json *value = files ? json_get(files, name) : NULL;
    const char *digest = value ? json_str(value, NULL) : NULL;
    sha256_hex now;
    int rc = is_digest(digest) ? prompt_requests_hash(now, name, NULL) : ERR_INPUT;
    bool there = !rc;
    if (rc == ERR_RESOURCE)
        return err_nomem(e, "prompts");
    if (there && strcmp(now, digest) == 0)
        return 0;
    if (!is_digest(digest))
        return without_digest(r, edit, force, e);
    err_set(e, ERR_INPUT, "%s of --edit %s run %" PRId64 " (SHA-256 was %.12s...)", name,
            there ? "has changed since" : "cannot be read as it was for", r->run, digest);
    err_hint(e, "bring the old file back%s", there ? ", or take this one with --force" : "");
    return there ? repeat_refuse(r, force, e) : e->code;
}

/* Every prompts=FILE, in words as --edit reads them: quotes may stand anywhere. */
static int check_edits(repeat_plan *r, const json *files, bool force, err *e)
{
    static const char key[] = "prompts=";
    const param *row = params_row(r->p, "edit");
    const char *text = row && params_given(r->p, "edit") ? params_str(r->p, "edit") : "";
    char quote = '\0', *word = mem_array(strlen(text) + 1, 1, e);
    size_t n = 0;
    int rc = word ? 0 : ERR_RESOURCE;
    for (const char *s = text; !rc; s++) {
        bool ends = !*s || (!quote && (*s == ';' || isspace((unsigned char)*s)));
        if (!ends) {
            if (quote ? *s == quote : *s == '"' || *s == '\'')
                quote = quote ? '\0' : *s;
            else
                word[n++] = *s;
            continue;
        }
        word[n] = '\0';
        n = 0;
        if (strncmp(word, key, strlen(key)) == 0)
            rc = check_edit_file(r, row, files, word + strlen(key), force, e);
        if (!*s)
            break;
    }
    free(word);
    return rc;
}

int repeat_inputs(repeat_plan *r, store *st, bool force, err *e)
{
    const char *settings = repeat_fact(r, "settings");
    json *root = NULL;
    command_tables tables;
    int rc = 0;
    command_get_tables(r->c, tables);
    if (json_parse(&root, settings, strlen(settings), "settings", NULL))
        root = NULL; /* of an early version, which kept none */
    const json *inputs = root ? json_get(root, "inputs") : NULL;
    for (int t = 0; tables[t]; t++)
        for (const param *row = tables[t]; row->name && !rc; row++) {
            const json *value = inputs && params_given(r->p, row->name) ? json_get(inputs, row->name) : NULL;
            const char *digest = value ? json_str(value, NULL) : NULL;
            if (is_digest(digest) && strcmp(params_str(r->p, row->name), digest) != 0)
                rc = check_input(r, st, row, digest, force, e);
            else if (params_given(r->p, row->name) && is_text_file(r, row))
                rc = without_digest(r, row, force, e);
        }
    if (!rc)
        rc = check_edits(r, inputs ? json_get(inputs, "edit-prompts") : NULL, force, e);
    json_free(root);
    return rc;
}
