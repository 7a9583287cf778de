/* What may stand in a statement of SQL. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/strbuf.h"
#include "cli/command_util.h"
#include "cli/complete.h"

static const char *const keywords[] = {
    "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "BY", "LIMIT", "OFFSET", "JOIN", "LEFT", "USING", "ON", "AS", "AND", "OR",
    "NOT", "NULL", "IS", "IN", "LIKE", "GLOB", "BETWEEN", "DISTINCT", "HAVING", "UNION", "EXCEPT", "INTERSECT", "WITH",
    "CASE", "WHEN", "THEN", "ELSE", "END", "EXISTS", "CAST", "OVER", "PARTITION", "DESC", "ASC", "COUNT", "AVG", "MIN", "MAX",
    "SUM", "ROUND", "ABS", "GROUP_CONCAT", NULL,
};

/* Tables and views with their columns: a row each, [table, column].  Of the store; where there is none yet of an empty one in
 * memory, made once and kept: *own is false. */
static int read_schema(table **out, bool *own, const session *s, const line_context *at)
{
    static const char sql[] = "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type IN "
                              "('table', 'view') AND t.name NOT LIKE 'sqlite_%' ORDER BY t.type DESC, t.name, c.cid";
    static table *empty;
    static bool tried;
    *own = complete_query(out, s, at, sql) == 0;
    if (*own)
        return 0;
    if (!tried) {
        store *st = NULL;
        tried = true;
        if (store_open(&st, ":memory:", false, NULL) == 0)
            store_query(st, &empty, sql, NULL, 0, NULL);
        store_close(st);
    }
    *out = empty;
    return empty ? 0 : ERR_FAILED;
}

bool complete_names(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = text; (at = strcasestr(at, name)); at++) {
        bool begins = at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_');
        if (begins && !isalnum((unsigned char)at[n]) && at[n] != '_')
            return true;
    }
    return false;
}

/* The word before the one at point is FROM or JOIN, or a comma behind a table. */
static bool wants_table(const char *statement, size_t point)
{
    size_t end = point;
    while (end > 0 && (isalnum((unsigned char)statement[end - 1]) || statement[end - 1] == '_'))
        end--; /* the word itself */
    while (end > 0 && isspace((unsigned char)statement[end - 1]))
        end--;
    size_t begin = end;
    while (begin > 0 && isalpha((unsigned char)statement[begin - 1]))
        begin--;
    return end - begin == 4 &&
           (!strncasecmp(statement + begin, "FROM", 4) || !strncasecmp(statement + begin, "JOIN", 4));
}

static const char *text_of(const table *t, int64_t row, int col)
{
    return cell_string(table_cell(t, row, col));
}

static void add_once(word_list *out, const char *word)
{
    for (int i = 0; i < out->n; i++) {
        if (!strcmp(out->word[i], word))
            return;
    }
    word_list_add(out, word);
}

static void add_tables(word_list *out, const table *t)
{
    for (int64_t row = 0; row < t->n_row; row++) {
        if (row == 0 || strcmp(text_of(t, row, 0), text_of(t, row - 1, 0)) != 0)
            word_list_add(out, text_of(t, row, 0));
    }
}

/* Of the tables that the statement names; of all while it names none. */
static void add_columns(word_list *out, const table *t, const char *statement)
{
    bool any = false;
    for (int64_t row = 0; row < t->n_row && !any; row++)
        any = complete_names(statement, text_of(t, row, 0));
    for (int64_t row = 0; row < t->n_row; row++) {
        if (!any || complete_names(statement, text_of(t, row, 0)))
            add_once(out, text_of(t, row, 1));
    }
}

/* 'text' of SQL within the "quotes" of the command language. */
static bool in_literal(const char *statement, size_t point)
{
    bool literal = false;
    for (size_t i = 0; i < point; i++)
        literal = statement[i] == '\'' ? !literal : literal;
    return literal && memchr(statement, '"', point);
}

void complete_sql(word_list *out, const session *s, const line_context *at, const char *statement, size_t point)
{
    table *t = NULL;
    bool own = false;
    size_t begin = point;
    while (begin > 0 && (isalnum((unsigned char)statement[begin - 1]) || statement[begin - 1] == '_'))
        begin--;
    char before = begin > 0 ? statement[begin - 1] : '\0';
    if (in_literal(statement, point)) {
        complete_measured(out, s, at, "");
        return;
    }
    if (read_schema(&t, &own, s, at) != 0)
        t = NULL;
    bool tables = wants_table(statement, point);
    for (int i = 0; !tables && before != '.' && keywords[i]; i++)
        word_list_add(out, keywords[i]);
    if (t && before != '.')
        add_tables(out, t);
    if (t && !tables)
        add_columns(out, t, statement);
    if (own)
        table_free(t);
}
