/* Stores that become one: parts of a run, whole runs, sweeps; the order of merges does not matter, nothing is there twice, and
 * a run with two results is refused.  Space that is given back; summaries that follow their values. */
#include <float.h>
#include "base/strbuf.h"
#include "tests/store_fixture.h"

enum { PROMPTS = 12, LAYERS = 2, HEADS = 4 };
static const char a_uid[] = "0123456789abcdef0123456789abcdef", sweep_uid[] = "ffffffffffffffffffffffffffffffff";

/* A value that depends on its place alone; other values for another flavour. */
static double value_at(int64_t prompt, int metric, int layer, int head, int64_t position, int flavour)
{
    return sin((double)(prompt * 1000 + metric * 100 + layer * 10 + head) + (double)position * .01) + flavour;
}

static void add_values(store *s, int64_t index, int flavour)
{
    static const char *const names[] = {"sink", "entropy", "nll"};
    /* not the same order in every unit: ids of metrics and sites differ between stores */
    for (int k = 0; k < 3; k++) {
        int m = (int)((k + index) % 3);
        for (int l = 0; l < LAYERS && m < 2; l++)
            for (int h = 0; h < HEADS; h++)
                for (int q = 0; q < (m ? 1 : 2); q++)
                    MUST(store_value(s, &(result_value){ATTN_SELF, names[m], l, h, m ? NO_INDEX : q,
                                                        value_at(index, m, l, h, q, flavour)}, &error));
        if (m == 2)
            MUST(store_value(s, &(result_value){ATTN_SELF, names[m], NO_INDEX, NO_INDEX, 1,
                                                value_at(index, m, 0, 0, 1, 0)}, &error));
    }
}

static void add_unit(store *s, int64_t run, int64_t index, int flavour)
{
    char text[32];
    float cells[4] = {1, NAN, .25f, (float)index};
    int n = snprintf(text, sizeof text, "prompt %d", (int)(index % 5));
    const store_token tokens[] = {{7, "prompt", 6, false}, {(int32_t)(index % 5), "a\0b", 3, true}};
    const store_sequence own = {ATTN_SELF, tokens, 2};
    const store_input input = {.role = "source", .sha256 = "aa", .text = "it", .text_len = 2};
    const store_prompt p = {.label = index % 2 ? "odd" : NULL, .text = text, .text_len = (size_t)n, .policy = "none",
                            .sequences = &own, .n_sequence = 1, .inputs = &input, .n_input = index == 3};
    MUST(store_unit_begin(s, run, index, &p, &error));
    add_values(s, index, flavour);
    MUST(store_fact(s, "domain", "code\0!", 6, &error));
    if (index % 3 == 0)
        MUST(store_map(s, &(result_map){ATTN_SELF, 1, 2, 2, 2, 1, "none", cells}, &error));
    MUST(store_unit_commit(s, &error));
}

/* Units that runs of parts say they are to have; 0: they do not. */
static int64_t n_wanted;

/* A store with the units first, first + step, ... of the run. */
static void make_part(char path[640], int64_t first, int64_t step, const char *status)
{
    store *s = open_new(path);
    store_run r = a_run;
    const store_sweep w = {sweep_uid, "plan.txt", "models m\n", "sweep plan.txt"};
    int64_t run;
    r.uid = a_uid;
    r.cell = "{\"precision\":\"f32\"}";
    r.n_unit = n_wanted;
    MUST(store_sweep_begin(s, &w, &r.sweep, &error));
    MUST(store_run_begin(s, &a_model, &r, &run, &error));
    for (int64_t i = first; i < PROMPTS; i += step)
        add_unit(s, run, i, 0);
    if (status)
        MUST(store_run_end(s, run, status, strcmp(status, "done") ? "why" : NULL, &error));
    store_close(s);
}

/* All that views say, but for times. */
static char *dump(const char *path)
{
    static const char *const questions[] = {
        "SELECT run, model, verb, status, prompts, precision, operator, command FROM run_list ORDER BY run",
        "SELECT * FROM value_list ORDER BY run, prompt, metric, kind, layer, head, position",
        ("SELECT run, metric, kind, layer, head, head_name, position, n, mean, sd, min, max FROM value_summary ORDER BY run,"
         " metric, kind, layer, head, position"),
        "SELECT run, prompt, kind, layer, head, n_query, n_key, pool, pooling FROM map_list ORDER BY run, prompt, layer, head",
        "SELECT hex(a.cells) FROM unit u JOIN map a ON a.unit_id = u.id ORDER BY u.prompt_index",
        "SELECT run, prompt, label, name, hex(text) FROM fact_list ORDER BY run, prompt, name",
        "SELECT run, prompt, sequence, position, id, hex(text), special FROM prompt_token ORDER BY run, prompt, position",
        "SELECT run, prompt, label, tokens, text, status, sha256 FROM prompt_list ORDER BY run, prompt",
        "SELECT sweep, name, run, model, status, cell, prompts FROM sweep_list ORDER BY run",
        "SELECT uid, message, sweep_id, settings, edits, isa, threads, seed, version FROM run ORDER BY id",
        "SELECT u.prompt_index, i.role, i.sha256, i.text FROM unit u JOIN input i ON i.unit_id = u.id",
        "SELECT model, family, layers, path, sha256, runs FROM model_list ORDER BY path",
        "SELECT * FROM head_set_list ORDER BY name, place",
    };
    strbuf b = {0};
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        sqlite3_stmt *q = NULL;
        if (sqlite3_prepare_v2(db, questions[i], -1, &q, NULL) != SQLITE_OK)
            fail_msg("%s: %s", questions[i], sqlite3_errmsg(db));
        while (sqlite3_step(q) == SQLITE_ROW) {
            for (int c = 0; c < sqlite3_column_count(q); c++) {
                if (sqlite3_column_type(q, c) == SQLITE_FLOAT)
                    strbuf_printf(&b, "%.17g|", sqlite3_column_double(q, c));
                else
                    strbuf_printf(&b, "%s|", sqlite3_column_text(q, c) ? (const char *)sqlite3_column_text(q, c) : "NULL");
            }
            strbuf_putc(&b, '\n');
        }
        sqlite3_finalize(q);
    }
    sqlite3_close(db);
    char *out = strbuf_take(&b, &error);
    assert_non_null(out);
    return out;
}

static void assert_same_content(const char *x, const char *y)
{
    char *a = dump(x), *b = dump(y);
    assert_string_equal(a, b);
    free(a);
    free(b);
}

static void check_sound(const char *path)
{
    store *s = NULL;
    table *t = NULL;
    MUST(store_open(&s, path, true, &error));
    MUST(store_check(s, &t, NULL, &error));
    for (int64_t i = 0; i < t->n_row; i++)
        if (table_cell(t, i, 1)->u.i)
            fail_msg("%s: %s: %s", path, table_cell(t, i, 0)->u.s, table_cell(t, i, 2)->u.s);
    table_free(t);
    store_close(s);
}

static store_merge_report merge(const char *into, const char *from)
{
    store *s = NULL;
    store_merge_report n = {0};
    MUST(store_open(&s, into, false, &error));
    MUST(store_merge(s, from, &n, NULL, &error));
    store_close(s);
    return n;
}

/* ---- parts of one run ---- */

static void test_parts(void **state)
{
    char part[3][640], whole[640], joined[640];
    static const int orders[][3] = {{0, 1, 2}, {2, 0, 1}, {1, 2, 0}, {2, 1, 0}};
    (void)state;
    make_part(whole, 0, 1, "done");
    for (int i = 0; i < 3; i++)
        make_part(part[i], i, 3, "done");
    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
        store_close(open_new(joined));
        for (int i = 0; i < 3; i++) {
            store_merge_report n = merge(joined, part[orders[k][i]]);
            assert_int_equal(n.units, PROMPTS / 3);
            assert_int_equal(n.runs, i == 0);
            assert_int_equal(n.models, i == 0);
            assert_int_equal(n.same_units, 0);
            assert_int_equal(n.values, PROMPTS / 3 * (LAYERS * HEADS * 3 + 1));
        }
        assert_same_content(whole, joined);
        check_sound(joined);
        assert_string_equal(ask(joined, "SELECT summed FROM run"), "1");
        /* once more: everything is there */
        store_merge_report n = merge(joined, part[1]);
        assert_int_equal(n.units + n.values + n.maps + n.prompts + n.runs, 0);
        assert_int_equal(n.same_units, PROMPTS / 3);
        assert_same_content(whole, joined);
        n = merge(joined, joined);
        assert_int_equal(n.same_units, PROMPTS);
        assert_same_content(whole, joined);
    }
    /* the other way round: the whole into a part */
    assert_int_equal(merge(part[2], whole).same_units, PROMPTS / 3);
    assert_same_content(whole, part[2]);
}

static void test_states_of_parts(void **state)
{
    static const struct { const char *a, *b, *want; } cases[] = {
        {"done", "done", "done"},   {"done", NULL, "running"},     {NULL, "failed", "failed"},
        {"failed", "done", "failed"}, {"cancelled", "done", "cancelled"}, {"cancelled", "failed", "failed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char a[640], b[640], x[640], y[640];
        make_part(a, 0, 2, cases[i].a);
        make_part(b, 1, 2, cases[i].b);
        store_close(open_new(x));
        store_close(open_new(y));
        merge(x, a);
        merge(x, b);
        merge(y, b);
        merge(y, a);
        assert_string_equal(ask(x, "SELECT status FROM run"), cases[i].want);
        assert_same_content(x, y);
        assert_string_equal(ask(x, "SELECT group_concat(ifnull(finished, '-') || started) FROM run"),
                            ask(y, "SELECT group_concat(ifnull(finished, '-') || started) FROM run"));
        check_sound(x);
    }
}

static void test_two_results(void **state)
{
    char a[640], b[640];
    store_merge_report n;
    static const char *const changes[][2] = {
        {"DELETE FROM value WHERE unit_id = 2 AND metric_id = 1", "prompt 1: "},
        {"INSERT INTO value SELECT 2, metric_id, site_id, 99, 0.5 FROM value WHERE unit_id = 2 LIMIT 1", "at 99 is not there"},
        {"UPDATE value SET value = value + 0.001 WHERE unit_id = 2 AND metric_id = (SELECT id FROM metric WHERE name ="
         " 'entropy') AND site_id = (SELECT id FROM site WHERE name = 'L1H2')", "entropy of L1H2 is "},
        {"UPDATE fact SET text = 'prose' WHERE unit_id = 2", "its facts are others"},
        {"UPDATE unit SET prompt_id = 4 WHERE id = 2", "it is another text"},
        {"DELETE FROM map WHERE unit_id = 1", "its maps are others"},
        {"UPDATE run SET settings = '{}'", "not with the same settings"},
        {"UPDATE run SET seed = 5", "not with the same seed"},
    };
    (void)state;
    make_part(a, 0, 1, "done");
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        store *s = NULL;
        make_part(b, 0, 1, "done");
        tell(b, changes[i][0]);
        char *before = dump(a);
        MUST(store_open(&s, a, false, &error));
        MUST_FAIL(store_merge(s, b, &n, NULL, &error), ERR_INPUT, changes[i][1]);
        HINTS("nothing was merged");
        store_close(s);
        char *after = dump(a);
        assert_string_equal(before, after);
        free(before);
        free(after);
    }
}

/* A half unit of a process that was killed gives way to a whole one. */
static void test_half_units(void **state)
{
    char a[640], b[640], whole[640];
    (void)state;
    make_part(whole, 0, 1, "done");
    make_part(a, 0, 1, "done");
    make_part(b, 0, 1, "done");
    tell(a, "PRAGMA foreign_keys = ON; UPDATE unit SET status = 'running' WHERE prompt_index = 4; DELETE FROM value WHERE unit_id"
            " = 5 AND metric_id = 1");
    store_merge_report n = merge(a, b);
    assert_int_equal(n.units, 1);
    assert_int_equal(n.same_units, PROMPTS - 1);
    assert_same_content(whole, a);
    /* and a half unit is not taken over */
    make_part(a, 0, 1, "done");
    store_close(open_new(b));
    tell(a, "UPDATE unit SET status = 'running' WHERE prompt_index = 4");
    assert_int_equal(merge(b, a).units, PROMPTS - 1);
}

/* ---- runs of their own, figures, lists ---- */

static void test_other_runs(void **state)
{
    char a[640], b[640];
    (void)state;
    for (int k = 0; k < 2; k++) {
        store *s = open_new(k ? b : a);
        store_model m = a_model;
        m.path = k ? "elsewhere/tiny" : m.path;
        int64_t run;
        MUST(store_run_begin(s, &m, &a_run, &run, &error));
        add_unit(s, run, 0, k);
        MUST(store_run_end(s, run, "done", NULL, &error));
        MUST(store_figure(s, run, "score_grid", k ? "b.png" : "a.png", "plot", &error));
        MUST(store_figure(s, NO_INDEX, "track", "both.png", "plot", &error));
        store_close(s);
    }
    tell(a, "INSERT INTO head_set VALUES (1, 'mine', 'f', 'aa', '2026'); INSERT INTO head_set_item VALUES (1, 0, 'self', 0, 1,"
            " 'L0H1', 0.5)");
    tell(b, "INSERT INTO head_set VALUES (7, 'yours', 'f', 'aa', '2026'), (8, 'mine', 'g', 'bb', '2027');"
            "INSERT INTO head_set_item VALUES (7, 0, 'self', 1, 1, 'L1H1', NULL), (8, 0, 'self', 0, 1, 'L0H1', 0.5)");
    store_merge_report n = merge(a, b);
    assert_int_equal(n.runs, 1);
    assert_int_equal(n.models, 1);
    assert_int_equal(n.prompts, 0);
    merge(a, b);
    assert_string_equal(ask(a, "SELECT count(*) || ' ' || count(DISTINCT uid) FROM run"), "2 2");
    assert_string_equal(ask(a, "SELECT group_concat(ifnull(run, 0) || path) FROM (SELECT * FROM figure_list ORDER BY path, run)"),
                        "1a.png,2b.png,0both.png,0both.png");
    assert_string_equal(ask(a,
                            "SELECT group_concat(name || place || head_name) FROM (SELECT * FROM head_set_list ORDER BY name)"),
                        "mine0L0H1,yours0L1H1");
    assert_string_equal(ask(a, "SELECT group_concat(value > 0) FROM (SELECT value FROM head_value WHERE metric = 'entropy' AND"
                               " head_name = 'L0H0' ORDER BY run)"), "0,1");
    check_sound(a);
    tell(b, "UPDATE head_set_item SET score = 0.25 WHERE head_set_id = 8");
    store *s = NULL;
    MUST(store_open(&s, a, false, &error));
    MUST_FAIL(store_merge(s, b, &n, NULL, &error), ERR_INPUT, "the head list mine is another one");
    MUST_FAIL(store_merge(s, in_folder("nothing.db"), &n, NULL, &error), ERR_INPUT, "no store at");
    tell(in_folder("mail.db"), "CREATE TABLE mail (a)");
    MUST_FAIL(store_merge(s, in_folder("mail.db"), &n, NULL, &error), ERR_INPUT, "not an attnscope store");
    MUST_FAIL(store_merge(s, folder, &n, NULL, &error), ERR_INPUT, "is a folder");
    store_close(s);
    check_sound(a);
}

/* ---- uids and sweeps ---- */

static void test_shared_runs(void **state)
{
    char path[640];
    store_run r = a_run;
    int64_t first, second, sweep;
    (void)state;
    store *s = open_new(path);
    const store_sweep w = {sweep_uid, "plan.txt", "models m\n", "sweep plan.txt"}, again = {sweep_uid, "other", "x", "y"};
    const store_sweep bad = {"plan", "plan.txt", "models m\n", "sweep plan.txt"};
    MUST(store_sweep_begin(s, &w, &r.sweep, &error));
    MUST(store_sweep_begin(s, &again, &sweep, &error));
    assert_int_equal(sweep, r.sweep);
    MUST_FAIL(store_sweep_begin(s, &bad, &sweep, &error), ERR_FAILED, "no uid");
    r.uid = a_uid;
    r.cell = "{\"precision\":\"f32\"}";
    MUST(store_run_begin(s, &a_model, &r, &first, &error));
    add_unit(s, first, 0, 0);
    MUST(store_run_end(s, first, "done", NULL, &error));
    MUST(store_run_begin(s, &a_model, &r, &second, &error));
    assert_int_equal(first, second);
    assert_string_equal(ask(path, "SELECT status || ifnull(finished, '-') FROM run"), "running-");
    r.settings = "{}";
    MUST_FAIL(store_run_begin(s, &a_model, &r, &second, &error), ERR_USAGE, "not the same settings");
    r.uid = "0123456789ABCDEF0123456789abcdef";
    MUST_FAIL(store_run_begin(s, &a_model, &r, &second, &error), ERR_FAILED, "no uid");
    store_close(s);
    assert_string_equal(ask(path, "SELECT count(*) FROM run"), "1");
    assert_string_equal(ask(path, "SELECT name || ' ' || run || ' ' || json_extract(cell, '$.precision') FROM sweep_list"),
                        "plan.txt 1 f32");
    assert_string_equal(ask(path, "SELECT text FROM sweep"), "models m\n");
}

/* A run is done when all its units are there, not before, whatever befell its parts and in whatever order they are merged. */
static void test_whole_runs(void **state)
{
    static const char *const endings[] = {NULL, "failed", "cancelled"};
    static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
    static const char about[] = "SELECT status || ' ' || ifnull(message, '-') || ' ' || (SELECT count(*) FROM unit) || '/' ||"
                                " ifnull(n_unit, '-') || ' ' || ifnull(finished = (SELECT max(finished) FROM unit), '-') FROM"
                                " run";
    char part[3][640], all[640], wanted[64];
    store_merge_report n;
    (void)state;
    n_wanted = PROMPTS;
    for (int ending = 0; ending < 3; ending++) {
        for (int i = 0; i < 3; i++)
            make_part(part[i], i, 3, i == 1 ? endings[ending] : NULL);
        for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
            store *s = open_new(all);
            MUST(store_merge(s, part[orders[o][0]], &n, NULL, &error));
            MUST(store_merge(s, part[orders[o][1]], &n, NULL, &error));
            const char *was = ask(all, "SELECT status FROM run");
            bool ended = endings[ending] && (orders[o][0] == 1 || orders[o][1] == 1);
            assert_string_equal(was, ended ? endings[ending] : "running");
            MUST(store_merge(s, part[orders[o][2]], &n, NULL, &error));
            snprintf(wanted, sizeof wanted, "done - %d/%d 1", PROMPTS, PROMPTS);
            assert_string_equal(ask(all, about), wanted);
            assert_string_equal(ask(all, "SELECT summed FROM run"), "1");
            MUST(store_merge(s, part[0], &n, NULL, &error)); /* again */
            assert_string_equal(ask(all, about), wanted);
            store_close(s);
            check_sound(all);
        }
    }
    n_wanted = 0;
    make_part(part[0], 0, 1, NULL); /* of an older version: nobody can know */
    store *s = open_new(all);
    MUST(store_merge(s, part[0], &n, NULL, &error));
    assert_string_equal(ask(all, "SELECT status FROM run"), "running");
    store_close(s);
}

/* The same where a run is ended. */
static void test_whole_end(void **state)
{
    char path[640];
    store_run r = a_run;
    int64_t run;
    (void)state;
    store *s = open_new(path);
    r.n_unit = 2;
    MUST(store_run_begin(s, &a_model, &r, &run, &error));
    add_unit(s, run, 0, 0);
    MUST(store_run_end(s, run, "failed", "no memory", &error));
    assert_string_equal(ask(path, "SELECT status || ' ' || message || ' ' || n_unit FROM run"), "failed no memory 2");
    MUST(store_run_resume(s, run, &a_model, &r, &error));
    add_unit(s, run, 1, 0);
    MUST(store_run_end(s, run, "cancelled", "stopped", &error));
    assert_string_equal(ask(path, "SELECT status || ifnull(message, ' ') || (finished IS NOT NULL) FROM run"), "done 1");
    tell(path, "UPDATE run SET n_unit = NULL"); /* made before it was kept */
    MUST(store_run_resume(s, run, &a_model, &r, &error));
    assert_string_equal(ask(path, "SELECT status || n_unit FROM run"), "running2");
    store_close(s);
}

/* ---- summaries ---- */

/* What a run's summary says is what its values say, computed by SQLite. */
static const char *const by_values = "SELECT count(*) FROM (SELECT s.run_id, s.n, s.mean, s.sd, s.min, s.max, count(*) AS cn,"
    " avg(v.value) AS cm, sqrt((sum(v.value * v.value) - sum(v.value) * avg(v.value)) / (count(*) - 1)) AS cs, min(v.value) AS"
    " lo, max(v.value) AS hi FROM summary s JOIN unit u ON u.run_id = s.run_id JOIN value v ON v.unit_id = u.id AND v.metric_id ="
    " s.metric_id AND v.site_id = s.site_id AND v.position = s.position GROUP BY s.run_id, s.metric_id, s.site_id, s.position)"
    " WHERE n = cn AND abs(mean - cm) < 1e-14 AND abs(sd - cs) < 1e-12 AND min = lo AND max = hi";

static void test_summary(void **state)
{
    char path[640];
    (void)state;
    make_part(path, 0, 1, "done");
    const int places = LAYERS * HEADS * 3 + 1;
    assert_string_equal(ask(path, "SELECT summed FROM run"), "1");
    assert_int_equal(atoi(ask(path, "SELECT count(*) FROM summary")), places);
    assert_int_equal(atoi(ask(path, by_values)), places);
    /* the view says the same with and without */
    char *with = dump(path);
    tell(path, "UPDATE run SET summed = 0");
    assert_int_equal(atoi(ask(path, "SELECT count(*) FROM value_summary WHERE n = 12")), places);
    char means[2][64];
    for (int i = 0; i < 2; i++) {
        tell(path, i ? "UPDATE run SET summed = 1" : "UPDATE run SET summed = 0");
        snprintf(means[i], sizeof means[i], "%s",
                 ask(path, "SELECT printf('%.12f %.12f', sum(mean), sum(sd)) FROM head_summary"));
    }
    assert_string_equal(means[0], means[1]);
    free(with);
    /* whatever changes takes it away */
    static const char *const changes[] = {
        "UPDATE value SET value = 3 WHERE unit_id = 1", "DELETE FROM value WHERE unit_id = 3 AND position = 0",
        "PRAGMA foreign_keys = ON; DELETE FROM unit WHERE id = 4",
        "INSERT INTO unit (run_id, prompt_index, prompt_id, status) VALUES (1, 77, 1, 'pending')",
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        tell(path, "UPDATE run SET summed = 1");
        tell(path, changes[i]);
        assert_string_equal(ask(path, "SELECT summed FROM run"), "0");
    }
    /* a deleted run takes its summary along */
    tell(path, "PRAGMA foreign_keys = ON; DELETE FROM run");
    assert_string_equal(ask(path, "SELECT (SELECT count(*) FROM summary) + (SELECT count(*) FROM value)"), "0");
}

static void test_few_prompts_and_resume(void **state)
{
    char path[640];
    (void)state;
    store *s = open_new(path);
    int64_t run = begin_run(s);
    for (int64_t i = 0; i < SUMMARY_PROMPTS - 1; i++)
        add_unit(s, run, i, 0);
    MUST(store_run_end(s, run, "done", NULL, &error));
    assert_int_equal(number(s, "SELECT summed FROM run"), 0);
    assert_int_equal(number(s, "SELECT count(*) FROM head_summary WHERE n = 7"), LAYERS * HEADS * 3);
    MUST(store_run_resume(s, run, &a_model, &a_run, &error));
    add_unit(s, run, 20, 0);
    assert_int_equal(number(s, "SELECT summed FROM run"), 0);
    MUST(store_run_end(s, run, "failed", "why", &error));
    assert_int_equal(number(s, "SELECT summed FROM run"), 1);
    MUST(store_run_resume(s, run, &a_model, &a_run, &error));
    assert_int_equal(number(s, "SELECT summed FROM run"), 1); /* still what the values say */
    add_unit(s, run, 21, 0);
    assert_int_equal(number(s, "SELECT summed FROM run"), 0);
    assert_int_equal(number(s, "SELECT max(n) FROM head_summary"), 9);
    MUST(store_run_end(s, run, "done", NULL, &error));
    assert_int_equal(number(s, "SELECT max(n) FROM head_summary"), 9);
    assert_int_equal(number(s, "SELECT summed FROM run"), 1);
    store_close(s);
    check_sound(path);
}

/* Sums of the largest doubles have no mean in doubles, but a summary has. */
static void test_largest_values(void **state)
{
    char path[640];
    volatile long double most = DBL_MAX;
    (void)state;
    most *= 2;
    most /= 2;
    if (most != DBL_MAX) {
        fprintf(stderr, "a long double has no wider range than a double here (or valgrind computes it so)\n");
        skip();
    }
    store *s = open_new(path);
    int64_t run = begin_run(s);
    for (int64_t i = 0; i < SUMMARY_PROMPTS; i++) {
        MUST(begin_unit(s, run, i, &error));
        MUST(store_value(s, &(result_value){ATTN_SELF, "huge", 0, 0, NO_INDEX, i % 2 ? DBL_MAX : -DBL_MAX},
                         &error));
        MUST(store_unit_commit(s, &error));
    }
    MUST(store_run_end(s, run, "done", NULL, &error));
    assert_int_equal(number(s, "SELECT summed FROM run WHERE id = 1"), 1);
    assert_true(fabs(number(s, "SELECT mean FROM head_summary WHERE run = 1")) < 1e300);
    store_close(s);
    check_sound(path);
}

/* ---- gc ---- */

static void test_gc(void **state)
{
    char path[640];
    store_gc_report n;
    store *s = NULL;
    (void)state;
    make_part(path, 0, 1, "done");
    MUST(store_open(&s, path, false, &error));
    MUST(store_gc(s, &n, &error));
    assert_int_equal(n.prompts + n.models + n.sites + n.metrics + n.units, 0);
    char *before = dump(path);
    store_model other = a_model;
    store_run r = a_run;
    int64_t run;
    other.path = "other";
    MUST(store_run_begin(s, &other, &r, &run, &error));
    for (int64_t i = 0; i < 40; i++) {
        MUST(begin_unit(s, run, i, &error));
        for (int h = 0; h < 500; h++)
            MUST(store_value(s, &(result_value){ATTN_CROSS, "other", 5, h, NO_INDEX, h}, &error));
        MUST(store_unit_commit(s, &error));
    }
    MUST(store_run_end(s, run, "done", NULL, &error));
    store_close(s);
    tell(path, "PRAGMA foreign_keys = ON; DELETE FROM run WHERE id = 2");
    tell(path, "INSERT INTO unit (id, run_id, prompt_index, prompt_id, status) VALUES (900, 1, 90, 6, 'running')");
    tell(path, "INSERT INTO value SELECT 900, metric_id, site_id, position, value FROM value WHERE unit_id = 1");
    s = NULL;
    MUST(store_open(&s, path, false, &error));
    MUST(store_gc(s, &n, &error));
    assert_int_equal(n.units, 1);
    assert_int_equal(n.prompts, 1);
    assert_int_equal(n.models, 1);
    assert_int_equal(n.metrics, 1);
    assert_int_equal(n.sites, 500);
    assert_true(n.bytes_after < n.bytes_before);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, n.bytes_after);
    assert_int_equal(number(s, "PRAGMA foreign_keys"), 1);
    /* numbers of runs are never used again */
    assert_int_equal(begin_run(s), 3);
    tell(path, "PRAGMA foreign_keys = ON; DELETE FROM run WHERE id = 3");
    /* a unit of a run that is going on stays */
    store_close(s);
    char *after = dump(path);
    assert_string_equal(before, after);
    free(before);
    free(after);
    check_sound(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts), cmocka_unit_test(test_states_of_parts), cmocka_unit_test(test_two_results),
        cmocka_unit_test(test_half_units), cmocka_unit_test(test_other_runs), cmocka_unit_test(test_shared_runs),
        cmocka_unit_test(test_whole_runs), cmocka_unit_test(test_whole_end),
        cmocka_unit_test(test_summary), cmocka_unit_test(test_few_prompts_and_resume),
        cmocka_unit_test(test_largest_values), cmocka_unit_test(test_gc),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("store_merge", tests, make_folder, remove_folder);
}
