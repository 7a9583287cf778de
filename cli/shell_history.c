#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <readline/history.h>
#include "base/outfile.h"
#include "cli/output.h"
#include "cli/shell.h"

#define KEEP 10000 /* lines */

static bool loaded;

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

void shell_history_load(void)
{
    strbuf path = {0};
    if (loaded)
        return;
    loaded = true;
    using_history();
    history_comment_char = '#';
    history_write_timestamps = 1; /* they also keep the lines of one entry together */
    stifle_history(KEEP);
    if (shell_history_path(&path) && read_history(strbuf_str(&path)) == 0)
        history_truncate_file(strbuf_str(&path), KEEP);
    strbuf_free(&path);
}

/* Make the file and its folder; only the owner may read what was typed. */
static bool make_file(const char *path)
{
    char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    char *folder = strndup(path, n);
    bool ok = folder && make_directories(folder, NULL) == 0;
    free(folder);
    int fd = ok ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

void shell_history_add(const char *line)
{
    strbuf path = {0};
    if (!*line || *line == ' ')
        return;
    HIST_ENTRY *last = history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
    if (last && !strcmp(last->line, line))
        return;
    add_history(line);
    if (shell_history_path(&path) && make_file(strbuf_str(&path)))
        append_history(1, strbuf_str(&path));
    strbuf_free(&path);
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
        rc = err_set(e, ERR_FAILED, "%s: %s", strbuf_str(&path), strerror(errno));
    strbuf_free(&path);
    return rc;
}
