/* Many prompts: a file of JSON Lines or of plain text, a folder of such files, standard input, or the set that is compiled
 * in. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/gzip.h"
#include "base/json_lines.h"
#include "base/mapfile.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "cli/builtin_prompts.h"
#include "cli/prompt_request.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)
#define MAX_TEXT_BYTES ((size_t)64 << 20) /* of one prompt */

static const char *const units[] = {"line", "document", "file", NULL};

const param prompts_params[] = {
    {.name = "prompts", .kind = PARAM_PATH, .value = "FILE|FOLDER|-",
     .help = "many prompts: JSON Lines (an object a line with text, ids or messages, and optionally label, source, target, "
             "image, audio; other members are kept as facts), plain text, a folder of *.jsonl and *.txt, or standard input; "
             "also packed by gzip"},
    {.name = "prompt-unit", .kind = PARAM_ENUM, .value = "UNIT", .choices = units,
     .help = "how plain text is cut into prompts: by line, by document (between form feeds where there are any, else between "
             "blank lines), or the whole file; line unless given, in a folder file"},
    {.name = NULL},
};

prompt_unit prompt_unit_of(const params *p)
{
    const char *text = params_str(p, "prompt-unit");
    for (int i = 0; text && units[i]; i++)
        if (strcmp(text, units[i]) == 0)
            return (prompt_unit)(PROMPT_LINE + i);
    return PROMPT_USUAL;
}

/* ---- what grows ---- */

typedef struct prompt_set {
    prompt_request *list;
    int64_t n;
    size_t cap;
} prompt_set;

static int too_many(const char *path, err *e)
{
    err_set(e, ERR_INPUT, "%s: more than %d prompts", path, JSON_LINES_MOST);
    return err_hint(e, "split them into several sets; --prompt-unit file or document makes fewer of a text");
}

static int add_text(prompt_set *s, const char *text, size_t n, const char *path, int64_t line, bool whole, err *e)
{
    json_lines_where where;
    json_lines_place(where, path, line);
    if (n > MAX_TEXT_BYTES) {
        err_set(e, ERR_INPUT, "%s: a prompt of %zu MiB, more than %zu MiB", where, n >> 20, MAX_TEXT_BYTES >> 20);
        return err_hint(e, "cut it into smaller ones, by --prompt-unit line or document");
    }
    if (s->n == JSON_LINES_MOST)
        return too_many(path, e);
    if ((size_t)s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        prompt_request *more = mem_grow(s->list, cap, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        s->list = more;
        s->cap = cap;
    }
    prompt_request *q = &s->list[s->n++];
    *q = (prompt_request){0};
    memcpy(q->where, where, sizeof q->where);
    if (whole)
        *strrchr(where, ':') = '\0';
    q->prompt.text = mem_strndup(text, n, e);
    q->prompt.text_len = n;
    q->label = q->prompt.text ? mem_strdup(where, e) : NULL;
    return q->label ? 0 : ERR_RESOURCE;
}

static int add_lines(prompt_set *s, const char *text, size_t size, const char *path, err *e)
{
    prompt_request *list;
    int64_t n;
    int rc = prompt_requests_parse(&list, &n, text, size, path, e);
    if (rc)
        return rc;
    if (s->n + n > JSON_LINES_MOST)
        rc = too_many(path, e);
    prompt_request *all = rc ? NULL : mem_grow(s->list, (size_t)(s->n + n), sizeof *all, e);
    if (!all) {
        prompt_requests_free(list, n);
        return rc ? rc : ERR_RESOURCE;
    }
    memcpy(all + s->n, list, (size_t)n * sizeof *all);
    free(list);
    s->list = all;
    s->n += n;
    s->cap = (size_t)s->n;
    return 0;
}

/* ---- plain text ---- */

static bool is_blank(const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!memchr(" \t\r\n", line[i], 4))
            return false;
    return true;
}

/* What is no text is said with its line, before a tokenizer makes something of it. */
static int check_text(const char *text, size_t size, const char *path, err *e)
{
    json_lines_where where;
    int64_t line = 1;
    for (size_t i = 0; i < size;) {
        int n = utf8_next(NULL, text + i, size - i);
        if (n > 0 && text[i] != '\0') {
            line += text[i] == '\n';
            i += (size_t)n;
            continue;
        }
        json_lines_place(where, path, line);
        if (n > 0)
            err_set(e, ERR_INPUT, "%s: holds a NUL byte", where);
        else
            err_set(e, ERR_INPUT, "%s: byte 0x%02x is no UTF-8", where, (unsigned char)text[i]);
        return err_hint(e, n > 0 ? "is it a text? UTF-16 must be turned into UTF-8 first"
                                 : "turn the text into UTF-8 first, say with iconv");
    }
    return 0;
}

static int cut_lines(prompt_set *s, const char *text, size_t size, const char *path, err *e)
{
    int64_t number = 1;
    int rc = 0;
    for (size_t at = 0; at < size && !rc; number++) {
        const char *line = text + at, *end = memchr(line, '\n', size - at);
        size_t n = end ? (size_t)(end - line) : size - at;
        at += n + 1;
        if (n && line[n - 1] == '\r')
            n--;
        if (!is_blank(line, n))
            rc = add_text(s, line, n, path, number, false, e);
    }
    return rc;
}

/* Between form feeds, or between blank lines; blank lines around a document are not of it. */
static int cut_documents(prompt_set *s, const char *text, size_t size, const char *path, err *e)
{
    bool feeds = memchr(text, '\f', size) != NULL;
    size_t begin = 0, finish = 0;      /* of the document so far; empty: none */
    int64_t number = 1, first = 1;
    int rc = 0;
    for (size_t at = 0; at <= size && !rc;) {
        size_t stop = at;
        while (stop < size && text[stop] != '\n' && text[stop] != '\f')
            stop++;
        bool blank = is_blank(text + at, stop - at), feed = stop < size && text[stop] == '\f';
        if (!blank) {
            if (finish == begin) {
                begin = at;
                first = number;
            }
            finish = stop > at && text[stop - 1] == '\r' ? stop - 1 : stop;
        }
        if (finish > begin && ((feeds ? feed : blank) || stop >= size)) {
            rc = add_text(s, text + begin, finish - begin, path, first, false, e);
            begin = finish = 0;
        }
        number += stop < size && text[stop] == '\n';
        at = stop + 1;
    }
    return rc;
}

/* ---- files ---- */

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return n >= k && strcmp(name + n - k, end) == 0;
}

/* The name without .gz. */
static bool has_type(const char *name, const char *const *types)
{
    for (; *types; types++) {
        char packed[16];
        snprintf(packed, sizeof packed, "%s.gz", *types);
        if (ends_in(name, *types) || ends_in(name, packed))
            return true;
    }
    return false;
}

static const char *const line_types[] = {".jsonl", ".ndjson", ".json", NULL};
static const char *const text_types[] = {".txt", ".text", ".md", NULL};
static const char *const folder_types[] = {".jsonl", ".txt", NULL};

static bool is_json(const char *path, const char *text, size_t size, prompt_unit unit)
{
    if (has_type(path, line_types))
        return true;
    size_t i = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (i < size && strchr(" \t\r\n", text[i]) && text[i])
        i++;
    return !has_type(path, text_types) && unit == PROMPT_USUAL && i < size && text[i] == '{';
}

static int read_bytes(char **out, size_t *size, const char *path, err *e)
{
    char *packed;
    int rc = prompt_read_bytes(out, size, path, MAX_FILE_BYTES, e);
    if (rc || !gzip_begins(*out, *size))
        return rc;
    packed = *out;
    rc = gzip_unpack(out, size, packed, *size, MAX_FILE_BYTES, e);
    free(packed);
    return rc == ERR_INPUT ? err_prefix(e, "%s", path) : rc;
}

static int add_file(prompt_set *s, const char *path, prompt_unit unit, prompt_unit usual, err *e)
{
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    char *text;
    size_t size;
    int64_t before = s->n;
    int rc = read_bytes(&text, &size, path, e);
    if (rc)
        return rc;
    if (is_json(path, text, size, unit)) {
        rc = add_lines(s, text, size, name, e);
        free(text);
        return rc;
    }
    size_t mark = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    unit = unit == PROMPT_USUAL ? usual : unit;
    rc = check_text(text + mark, size - mark, name, e);
    if (!rc && unit == PROMPT_FILE && !is_blank(text + mark, size - mark))
        rc = add_text(s, text + mark, size - mark, name, 1, true, e);
    else if (!rc)
        rc = (unit == PROMPT_DOCUMENT ? cut_documents : cut_lines)(s, text + mark, size - mark, name, e);
    free(text);
    if (!rc && s->n == before) {
        err_set(e, ERR_INPUT, "%s: holds no prompts", name);
        rc = err_hint(e, "write a prompt a line, or JSON Lines");
    }
    return rc;
}

static int wanted(const struct dirent *d)
{
    return d->d_name[0] != '.' && has_type(d->d_name, folder_types);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Each file of a folder, or the file itself. */
typedef int use_file(void *ud, const char *path, const char *name, bool in_folder, err *e);
static int each_file(const char *path, use_file *use, void *ud, err *e)
{
    struct stat st;
    struct dirent **names;
    int rc = 0;
    if (strcmp(path, "-") == 0 || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return use(ud, path, path, false, e);
    int n = scandir(path, &names, wanted, by_bytes);
    if (n < 0)
        return err_errno(e, ERR_INPUT, errno, "%s", path);
    for (int i = 0; i < n; i++) {
        strbuf full = {0};
        strbuf_printf(&full, "%s%s%s", path, ends_in(path, "/") ? "" : "/", names[i]->d_name);
        char *file = rc ? NULL : strbuf_take(&full, e);
        if (!rc)
            rc = file ? use(ud, file, names[i]->d_name, true, e) : ERR_RESOURCE;
        strbuf_free(&full);
        free(file);
        free(names[i]);
    }
    free(names);
    if (!rc && n == 0) {
        err_set(e, ERR_INPUT, "%s: holds no *.txt and no *.jsonl", path);
        rc = err_hint(e, "prompts are read from files of these names; those in folders below are not");
    }
    return rc;
}

typedef struct reading { prompt_set set; prompt_unit unit; } reading;

static int read_one(void *ud, const char *path, const char *name, bool in_folder, err *e)
{
    reading *r = ud;
    (void)name;
    return add_file(&r->set, path, r->unit, in_folder ? PROMPT_FILE : PROMPT_LINE, e);
}

int prompt_requests_load(prompt_request **out, int64_t *n, const char *path, prompt_unit unit, err *e)
{
    reading r = {.unit = unit};
    *out = NULL;
    *n = 0;
    if (unit != PROMPT_USUAL && has_type(path, line_types)) {
        err_set(e, ERR_USAGE, "--prompt-unit is for plain text, and %s holds a prompt a line", path);
        return err_hint(e, "leave --prompt-unit out");
    }
    int rc = each_file(path, read_one, &r, e);
    if (rc) {
        prompt_requests_free(r.set.list, r.set.n);
        return rc;
    }
    *out = r.set.list;
    *n = r.set.n;
    return 0;
}

typedef struct digest { sha256 *h; } digest;

static int hash_one(void *ud, const char *path, const char *name, bool in_folder, err *e)
{
    mapfile f;
    digest *d = ud;
    int rc = mapfile_open(&f, path, e);
    if (rc)
        return rc;
    if (in_folder)
        rc = sha256_add(d->h, name, strlen(name) + 1, e);
    if (!rc && in_folder)
        rc = sha256_add(d->h, &f.size, sizeof f.size, e);
    if (!rc && f.size)
        rc = sha256_add(d->h, f.data, f.size, e);
    mapfile_close(&f);
    return rc;
}

int prompt_requests_hash(sha256_hex out, const char *path, err *e)
{
    digest d = {NULL};
    if (strcmp(path, "-") == 0) {
        const char *read = prompt_stdin_digest();
        if (!read)
            return err_set(e, ERR_FAILED, "nothing was read from standard input");
        memcpy(out, read, sizeof(sha256_hex));
        return 0;
    }
    int rc = sha256_new(&d.h, e);
    if (rc)
        return rc;
    rc = each_file(path, hash_one, &d, e);
    if (rc) {
        sha256_abandon(d.h);
        return rc;
    }
    return sha256_done(d.h, out, e);
}

/* ---- those that come with the program, and the choice ---- */

/* examples/prompts/census.jsonl, as the build turned it into text. */
static const char builtin[] =
#include "registry/builtin_prompts.inc"
    ;

int builtin_prompts(prompt_request **out, int64_t *n, err *e)
{
    return prompt_requests_parse(out, n, builtin, sizeof builtin - 1, "builtin", e);
}

const param builtin_params[] = {
    {.name = "builtin", .kind = PARAM_BOOL,
     .help = "the prompts that come with the program: 61 short texts of prose, dialogue, code, lists, numbers, languages"},
    {.name = NULL},
};

int prompt_requests_chosen(prompt_request **out, int64_t *n, const params *p, bool otherwise_builtin, err *e)
{
    const char *file = params_str(p, "prompts");
    bool own = prompt_options_given(p), set = params_row(p, "builtin") && params_bool(p, "builtin");
    *out = NULL;
    *n = 0;
    if ((file != NULL) + own + set > 1) {
        err_set(e, ERR_USAGE, params_row(p, "builtin") ? "--prompts, --builtin and the options that give one prompt exclude "
                "each other" : "--prompts excludes the options that give one prompt");
        return err_hint(e, own && file ? "write what belongs to a prompt into its line of the file" : "keep one of them");
    }
    if (!file && params_given(p, "prompt-unit")) {
        err_set(e, ERR_USAGE, "--prompt-unit without --prompts");
        return err_hint(e, "it says how the text that --prompts names is cut");
    }
    if (file)
        return prompt_requests_load(out, n, file, prompt_unit_of(p), e);
    if (set || (!own && otherwise_builtin))
        return builtin_prompts(out, n, e);
    *out = mem_array(1, sizeof **out, e);
    if (!*out)
        return ERR_RESOURCE;
    int rc = prompt_request_read(*out, p, e);
    if (rc) {
        free(*out);
        *out = NULL;
    }
    *n = rc ? 0 : 1;
    return rc;
}
