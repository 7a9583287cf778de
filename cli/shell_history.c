#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <readline/history.h>
#include "base/mapfile.h"
#include "base/outfile.h"
#include "cli/output.h"
#include "cli/shell.h"

#define KEEP 10000               /* lines */
#define LARGEST ((size_t)1 << 28) /* bytes of the file */

static bool loaded;

/* --- the file ---
 * As Readline writes it: before each entry a line "#SECONDS".  A line of an entry that reads like one, after any number of
 * backslashes, stands there behind one more. */

static bool like_timestamp(const char *line, size_t n)
{
    size_t sign = 0, end;
    while (sign < n && line[sign] == '\\')
        sign++;
    end = sign + 1;
    while (end < n && isdigit((unsigned char)line[end]))
        end++;
    return sign < n && line[sign] == '#' && end == n && end > sign + 1;
}

bool shell_history_path(strbuf *out)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state && state[0] == '/')
        strbuf_printf(out, "%s/attnscope/history", state);
    else if (home && home[0] == '/')
        strbuf_printf(out, "%s/.local/state/attnscope/history", home);
    else
        return false;
    return !out->failed;
}

static void put_entry(strbuf *entry, const char *stamp)
{
    if (entry->len > 1 && !entry->failed) {
        entry->s[entry->len - 1] = '\0'; /* its last newline */
        add_history(entry->s);
        if (*stamp)
            add_history_time(stamp);
    }
    strbuf_clear(entry);
}

/* Lines before the first time, as of a file that something else wrote, are an entry each. */
static int read_entries(const char *text, size_t n)
{
    strbuf entry = {0};
    char stamp[32] = "";
    int lines = 0;
    for (size_t at = 0; at < n; lines++) {
        const char *line = text + at, *end = memchr(line, '\n', n - at);
        size_t len = end ? (size_t)(end - line) : n - at;
        bool like = like_timestamp(line, len);
        at += len + 1;
        if ((like && *line == '#') || !*stamp)
            put_entry(&entry, stamp);
        if (like && *line == '#') {
            snprintf(stamp, sizeof stamp, "%.*s", (int)len, line);
            continue;
        }
        strbuf_add(&entry, line + like, len - like);
        strbuf_putc(&entry, '\n');
    }
    put_entry(&entry, stamp);
    strbuf_free(&entry);
    return lines;
}

void shell_history_load(void)
{
    strbuf path = {0};
    char *text;
    size_t n;
    if (loaded)
        return;
    loaded = true;
    using_history();
    history_comment_char = '#';
    history_write_timestamps = 1; /* history_truncate_file: they are no lines of entries */
    stifle_history(KEEP);
    if (shell_history_path(&path) && read_file(&text, &n, strbuf_str(&path), LARGEST, NULL) == 0) {
        if (read_entries(text, n) > 2 * KEEP)
            history_truncate_file(strbuf_str(&path), KEEP);
        free(text);
    }
    strbuf_free(&path);
}

/* Write at the end of the file, which is made with its folder if need be; only the owner may read what was typed. */
static void append(const char *path, const strbuf *text)
{
    char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    char *folder = strndup(path, n);
    bool ok = folder && !text->failed && make_directories(folder, NULL) == 0;
    free(folder);
    int fd = ok ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    for (size_t done = 0; fd >= 0 && done < text->len;) { /* trouble with the file is no reason not to run the line */
        ssize_t w = write(fd, text->s + done, text->len - done);
        if (w < 0 && errno != EINTR)
            break;
        done += w > 0 ? (size_t)w : 0;
    }
    if (fd >= 0)
        close(fd);
}

static void put_lines(strbuf *b, const char *entry)
{
    strbuf_printf(b, "#%lld\n", (long long)time(NULL));
    for (const char *line = entry;; line++) {
        size_t n = strcspn(line, "\n");
        if (like_timestamp(line, n))
            strbuf_putc(b, '\\');
        strbuf_add(b, line, n);
        strbuf_putc(b, '\n');
        line += n;
        if (!*line)
            return;
    }
}

void shell_history_add(const char *line)
{
    strbuf path = {0}, text = {0};
    if (!*line || *line == ' ')
        return;
    HIST_ENTRY *last = history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
    if (last && !strcmp(last->line, line))
        return;
    add_history(line);
    put_lines(&text, line);
    if (shell_history_path(&path))
        append(strbuf_str(&path), &text);
    strbuf_free(&path);
    strbuf_free(&text);
}

static int no_such_line(const char *event, size_t n, err *e)
{
    err_set(e, ERR_USAGE, "%.*s: no such line in the history", (int)(n > 60 ? 60 : n), event);
    return err_hint(e, "`history 20` shows the last ones; a word that begins with ! goes into quotes");
}

int shell_history_expand(char **line, bool *expanded, err *e)
{
    strbuf b = {0};
    const char *text = *line;
    int end = 0;
    *expanded = text[0] == '!' && text[1] && !strchr(" \t=(\"'", text[1]);
    if (!*expanded)
        return 0;
    char *event = get_history_event(text, &end, 0);
    size_t n = strcspn(text, " \t;");
    if (!event) {
        *expanded = false;
        return no_such_line(text, n, e);
    }
    strbuf_puts(&b, event);
    strbuf_puts(&b, text + end);
    char *whole = strbuf_take(&b, e);
    if (!whole)
        return ERR_RESOURCE;
    free(*line);
    *line = whole;
    return 0;
}

int shell_history_print(FILE *f, int64_t n, err *e)
{
    strbuf b = {0};
    shell_history_load();
    HIST_ENTRY **list = history_list();
    int64_t count = history_length, first = n > 0 && n < count ? count - n : 0;
    for (int64_t i = first; list && i < count; i++) {
        strbuf_printf(&b, "%5lld  ", (long long)i + history_base);
        strbuf_put_visible(&b, list[i]->line, strlen(list[i]->line));
        strbuf_putc(&b, '\n');
    }
    int rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}

int shell_history_clear(err *e)
{
    strbuf path = {0};
    int rc = 0;
    shell_history_load();
    clear_history();
    if (shell_history_path(&path) && truncate(strbuf_str(&path), 0) != 0 && errno != ENOENT)
        rc = err_errno(e, ERR_FAILED, errno, "%s", strbuf_str(&path));
    strbuf_free(&path);
    return rc;
}
