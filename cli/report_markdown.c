/* A report as Markdown with its figures as files: DIR/report.md and DIR/figures/, which appear at once. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cancel.h"
#include "base/outdir.h"
#include "cli/report.h"

/* The first line, by which a folder is known as a report that may be replaced. */
static const char marker[] = "<!-- attnscope report -->";

/* Characters that Markdown or the HTML in it could take for more than text. */
static void put_part(strbuf *out, const char *s, size_t n)
{
    for (; n > 0; s++, n--) {
        if (*s == '&')
            strbuf_puts(out, "&amp;");
        else if (*s == '<')
            strbuf_puts(out, "&lt;");
        else if (*s == '>')
            strbuf_puts(out, "&gt;");
        else if (strchr("\\`*_[]|#~$!", *s))
            strbuf_printf(out, "\\%c", *s);
        else
            strbuf_putc(out, *s);
    }
}

static void put_text(strbuf *out, const char *s)
{
    put_part(out, s, strlen(s));
}

/* Between as many backticks as the text does not have, but at least this many. */
static void put_fenced(strbuf *out, const char *s, size_t least, const char *gap)
{
    size_t longest = 0, now = 0;
    for (const char *c = s; *c; c++) {
        now = *c == '`' ? now + 1 : 0;
        longest = now > longest ? now : longest;
    }
    size_t n = longest < least ? least : longest + 1;
    for (size_t i = 0; i < n; i++)
        strbuf_putc(out, '`');
    strbuf_printf(out, "%s%s%s", gap, s, gap);
    for (size_t i = 0; i < n; i++)
        strbuf_putc(out, '`');
}

/* Code of a prose has no backticks inside. */
static void put_prose(strbuf *out, const char *s)
{
    const char *piece;
    size_t n;
    bool code;
    while (report_piece(&s, &piece, &n, &code)) {
        if (code)
            strbuf_printf(out, "`%.*s`", (int)n, piece);
        else
            put_part(out, piece, n);
    }
}

static void put_code(strbuf *out, const report_block *k)
{
    if (k->folded) {
        strbuf_puts(out, "<details><summary>");
        put_text(out, k->fold);
        strbuf_puts(out, "</summary>\n\n");
    }
    put_fenced(out, k->text, 3, "\n");
    strbuf_puts(out, k->folded ? "\n\n</details>\n\n" : "\n\n");
}

static void put_table(strbuf *out, const report_block *k, int number)
{
    const table *t = k->t;
    if (k->folded)
        strbuf_printf(out, "<details><summary>Table %d, %" PRId64 " rows</summary>\n\n", number, t->n_row);
    strbuf_printf(out, "**Table %d.** ", number);
    put_text(out, k->text);
    strbuf_puts(out, "\n\n|");
    for (int c = 0; c < t->n_col; c++) {
        strbuf_putc(out, ' ');
        put_text(out, t->column[c]);
        if (t->unit[c] && *t->unit[c]) {
            strbuf_puts(out, " (");
            put_text(out, t->unit[c]);
            strbuf_putc(out, ')');
        }
        strbuf_puts(out, " |");
    }
    strbuf_puts(out, "\n|");
    for (int c = 0; c < t->n_col; c++)
        strbuf_puts(out, report_numeric(t, c) ? " ---: |" : " --- |");
    strbuf_putc(out, '\n');
    for (int64_t r = 0; r < t->n_row; r++) {
        strbuf_putc(out, '|');
        for (int c = 0; c < t->n_col; c++) {
            strbuf text = {0};
            report_cell(&text, k, r, c);
            strbuf_putc(out, ' ');
            put_text(out, strbuf_str(&text));
            strbuf_puts(out, " |");
            out->failed |= text.failed;
            strbuf_free(&text);
        }
        strbuf_putc(out, '\n');
    }
    strbuf_puts(out, k->folded ? "\n</details>\n\n" : "\n");
}

static void put_facts(strbuf *out, const report_block *k)
{
    if (k->n && k->text) {
        strbuf_puts(out, "#### ");
        put_text(out, k->text);
        strbuf_puts(out, "\n\n");
    }
    for (int i = 0; i < k->n; i++) {
        strbuf_puts(out, "- **");
        put_text(out, k->fact[i].name);
        strbuf_puts(out, ":** ");
        if (k->fact[i].code)
            put_fenced(out, k->fact[i].value, 1, " ");
        else
            put_prose(out, k->fact[i].value);
        strbuf_putc(out, '\n');
    }
    strbuf_puts(out, k->n ? "\n" : "");
}

static int write_bytes(outdir *dir, const char *name, const strbuf *bytes, err *e)
{
    outfile *f = NULL;
    int rc = outdir_create(&f, dir, name, e);
    if (!rc)
        rc = outfile_write(f, strbuf_str(bytes), bytes->len, e);
    if (!rc)
        return outfile_commit(f, e) ? outdir_explain(dir, e) : 0;
    outfile_abandon(f);
    return outdir_explain(dir, e);
}

static int put_file(outdir *dir, const report_figure *f, const figure_source *src, int number, const char *extension, err *e)
{
    char name[96];
    strbuf bytes = {0};
    snprintf(name, sizeof name, "figures/figure-%02d-%s.%s", number, f->recipe->name, extension);
    int rc = figure_encode(&bytes, f->recipe, &src->d, f->p, name, e);
    if (!rc)
        rc = write_bytes(dir, name, &bytes, e);
    strbuf_free(&bytes);
    return rc;
}

static int put_figure(strbuf *out, outdir *dir, report_build *b, const report_block *k, int number, err *e)
{
    figure_source src = {0};
    strbuf alt = {0};
    const report_figure *f = k->figure;
    int rc = report_figure_load(&src, &alt, b, f, e);
    if (rc == ERR_FAILED || rc == ERR_USAGE) {
        strbuf_printf(out, "**Figure %d.** Not drawn: %s: ", number, f->recipe->name);
        put_text(out, report_visible(b->doc, e->msg, false));
        strbuf_puts(out, "\n\n");
        *e = (err){0};
        rc = 0;
        goto out;
    }
    if (!rc)
        rc = put_file(dir, f, &src, number, "svg", e);
    if (!rc && b->opt->png)
        rc = put_file(dir, f, &src, number, "png", e);
    if (rc)
        goto out;
    strbuf_puts(out, "![");
    put_text(out, strbuf_str(&alt));
    strbuf_printf(out, "](figures/figure-%02d-%s.svg)\n\n**Figure %d.** ", number, f->recipe->name, number);
    put_text(out, report_visible(b->doc, src.d.title ? src.d.title : "", false));
    strbuf_puts(out, ". ");
    put_text(out, report_visible(b->doc, src.d.caption ? src.d.caption : src.d.subtitle ? src.d.subtitle : "", false));
    strbuf_puts(out, "\n\n");
    if (f->command) {
        put_fenced(out, f->command, 1, " ");
        strbuf_puts(out, "\n\n");
    }
out:
    figure_source_free(&src);
    strbuf_free(&alt);
    return rc;
}

static int put_blocks(strbuf *out, outdir *dir, report_build *b, err *e)
{
    const report_doc *d = b->doc;
    int n_figure = 0, n_table = 0, rc = 0;
    for (int i = 0; i < d->n && !rc; i++) {
        const report_block *k = &d->block[i];
        progress_step(&b->s->prog, "writing the report", i, d->n);
        switch (k->kind) {
        case REPORT_HEADING:
            strbuf_printf(out, "<a id=\"%s\"></a>\n\n%.*s ", k->id, k->level, "####");
            put_text(out, k->text);
            strbuf_puts(out, "\n\n");
            break;
        case REPORT_TEXT:
            (k->prose ? put_prose : put_text)(out, k->text);
            strbuf_puts(out, "\n\n");
            break;
        case REPORT_CODE: put_code(out, k); break;
        case REPORT_FACTS: put_facts(out, k); break;
        case REPORT_TABLE: put_table(out, k, ++n_table); break;
        case REPORT_FIGURE: rc = put_figure(out, dir, b, k, ++n_figure, e); break;
        }
        if (!rc)
            rc = cancel_check(e);
    }
    return rc ? rc : out->failed || d->failed ? err_nomem(e, "report") : 0;
}

/* A folder is replaced when it is a report: nothing else begins with the marker. */
static int may_replace(bool *replace, const char *path, bool force, err *e)
{
    struct stat st;
    strbuf name = {0};
    char line[sizeof marker] = "";
    *replace = false;
    if (lstat(path, &st) < 0)
        return 0;
    strbuf_printf(&name, "%s/report.md", path);
    FILE *f = name.failed ? NULL : fopen(strbuf_str(&name), "r");
    bool ours = f && fread(line, 1, sizeof marker - 1, f) == sizeof marker - 1 && strcmp(line, marker) == 0;
    if (f)
        fclose(f);
    strbuf_free(&name);
    if (!ours) {
        err_set(e, ERR_FAILED, "%s: exists and is no report of attnscope, so it is not replaced", path);
        return err_hint(e, "name another folder");
    }
    if (!force) {
        err_set(e, ERR_FAILED, "%s: holds a report already", path);
        return err_hint(e, "name another folder, or replace that one with --force");
    }
    *replace = true;
    return 0;
}

int report_write_markdown(const char *path, report_build *b, bool force, err *e)
{
    const report_doc *d = b->doc;
    outdir *dir = NULL;
    strbuf out = {0};
    bool replace;
    int rc = may_replace(&replace, path, force, e);
    if (!rc)
        rc = outdir_open_with(&dir, path, replace, "figures", e);
    if (rc)
        return rc;
    strbuf_printf(&out, "%s\n\n# ", marker);
    put_text(&out, d->title);
    strbuf_puts(&out, "\n\n");
    for (int i = 0; i < 2; i++) {
        const char *text = i ? d->author : d->subtitle;
        if (text && *text) {
            put_text(&out, text);
            strbuf_puts(&out, "\n\n");
        }
    }
    rc = put_blocks(&out, dir, b, e);
    if (!rc)
        rc = write_bytes(dir, "report.md", &out, e);
    strbuf_free(&out);
    if (!rc)
        return outdir_commit(dir, e);
    outdir_abandon(dir);
    return rc;
}
