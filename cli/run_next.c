#include "cli/run_next.h"

#include <string.h>
#include "cli/command_util.h"

/* A head worth looking at: the strongest by induction, else by the first metric. */
static head_id notable_head(store *st, int64_t run, const run_kept *k)
{
    const cell bind[] = {cell_int(run), cell_text(k->metric ? k->metric : "")};
    head_id head = k->n_map ? k->maps[0] : (head_id){k->kind, 0, 0};
    head_id best;
    table *t = NULL;
    int rc = store_query(st, &t,
        "SELECT head_name FROM head_value WHERE run = ?1 AND metric IN ('induction', ?2)"
        " ORDER BY metric = 'induction' DESC, value DESC LIMIT 1", bind, 2, NULL);
    if (rc)
        return head;
    bool stored = k->n_map == 0, found = t->n_row && head_parse(&best, cell_string(table_cell(t, 0, 0)));
    for (int i = 0; found && i < k->n_map; i++)
        stored |= k->maps[i].kind == best.kind && k->maps[i].layer == best.layer && k->maps[i].head == best.head;
    table_free(t);
    return found && stored ? best : head;
}

void run_next(session *s, store *st, int64_t run, const run_kept *k)
{
    bool memory = strcmp(store_path(st), ":memory:") == 0;
    if (memory && !s->interactive) {
        say_once(s, "kept in memory only: with --store FILE runs can be asked, drawn and exported later");
        return;
    }
    if (memory)
        say_once(s, "kept in memory until the shell ends; what runs after `set store FILE` stays in that file");
    strbuf where = {0};
    if (!s->interactive) {
        strbuf_puts(&where, " --store ");
        put_shell_word(&where, store_path(st));
    }
    head_text head;
    head_format(head, notable_head(st, run, k));
    if (k->n_map)
        say(s, "next: view head_map --head %s%s", head, strbuf_str(&where));
    else
        say(s, "next: top %s%s, or run again with --maps %s to see where a head looks", k->metric, strbuf_str(&where), head);
    strbuf_free(&where);
}
