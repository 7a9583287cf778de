/* What check finds, in stores that were changed by hand and in files with flipped bytes. */
#include <fcntl.h>
#include "tests/store_fixture.h"

/* A store with rows in every table that check looks at. */
static void make_store(char path[640])
{
    float cells[9] = {1, NAN, NAN, .5f, .5f, NAN, .25f, .25f, .5f};
    store *s = open_new(path);
    const store_sweep w = {"ffffffffffffffffffffffffffffffff", "plan.txt", "models m\n", "sweep plan.txt"};
    store_run r = a_run;
    int64_t run;
    r.cell = "{\"precision\":\"f32\"}";
    MUST(store_sweep_begin(s, &w, &r.sweep, &error));
    MUST(store_run_begin(s, &a_model, &r, &run, &error));
    for (int64_t i = 0; i < 10; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "text %d", (int)i);
        MUST(begin_text(s, run, i, "first", text, (size_t)n, "none", three_tokens, 3, &error));
        for (int l = 0; l < 2; l++)
            for (int h = 0; h < 4; h++)
                for (int q = 0; q < 8; q++)
                    MUST(store_value(s, &(result_value){ATTN_SELF, "sink", l, h, q, sin((double)(i + 10 * q + h))}, &error));
        MUST(store_map(s, &(result_map){ATTN_SELF, 1, 3, 3, 3, 1, "none", cells}, &error));
        MUST(store_fact(s, "domain", "code", 4, &error));
        MUST(store_unit_commit(s, &error));
    }
    /* a model of two stacks and an image */
    const store_token patches[2] = {{NO_INDEX, "0,0", 3, false}, {NO_INDEX, "0,1", 3, false}};
    const store_sequence both[2] = {{ATTN_SELF, three_tokens, 3}, {ATTN_VISION, patches, 2}};
    const store_input image = {.role = "image", .path = "a.png", .sha256 = "aa"};
    const store_prompt p = {.text = "see", .text_len = 3, .policy = "none", .sequences = both, .n_sequence = 2,
                            .inputs = &image, .n_input = 1};
    MUST(store_unit_begin(s, run, 10, &p, &error));
    MUST(store_unit_commit(s, &error));
    MUST(store_run_end(s, run, "done", NULL, &error));
    begin_run(s); /* one that is going on */
    store_close(s);
    tell(path, "INSERT INTO head_set VALUES (1, 'mine', 'f', 'aa', '2026');"
               "INSERT INTO head_set_item VALUES (1, 0, 'cross', 0, 1, 'cross.L0H1', 0.5)");
}

/* The findings of a store, by check; NULL when it cannot be opened. */
static table *check(const char *path, err *e)
{
    store *s = NULL;
    table *t = NULL;
    *e = (err){0};
    if (store_open(&s, path, true, e) == 0 && store_check(s, &t, NULL, e) != 0)
        t = NULL;
    store_close(s);
    return t;
}

static void expect(const char *path, const char *name, int64_t found, const char *detail)
{
    table *t = check(path, &error);
    bool there = false;
    assert_non_null(t);
    for (int64_t i = 0; i < t->n_row; i++) {
        const cell *c = table_cell(t, i, 0);
        bool own = name && strcmp(c[0].u.s, name) == 0;
        there |= own;
        if (c[1].u.i != (own ? found : 0))
            fail_msg("%s: %lld found, %s", c[0].u.s, (long long)c[1].u.i, c[2].kind == CELL_TEXT ? c[2].u.s : "-");
        if (own && !strstr(c[2].u.s, detail))
            fail_msg("\"%s\" does not say \"%s\"", c[2].u.s, detail);
        assert_int_equal(c[2].kind == CELL_TEXT, c[1].u.i > 0);
    }
    assert_int_equal(there, name != NULL);
    table_free(t);
}

static void test_sound(void **state)
{
    char path[640];
    (void)state;
    store_close(open_new(path));
    expect(path, NULL, 0, NULL);
    make_store(path);
    expect(path, NULL, 0, NULL);
    /* what a user adds is the user's own */
    tell(path, "CREATE TABLE note (run INTEGER, text TEXT); CREATE VIEW mine AS SELECT * FROM head_value; INSERT INTO note VALUES"
               " (1, 'good'); CREATE TRIGGER own AFTER INSERT ON note BEGIN DELETE FROM note WHERE run < new.run; END");
    expect(path, NULL, 0, NULL);
}

static void test_findings(void **state)
{
    static const struct { const char *sql, *name; int64_t found; const char *detail; } cases[] = {
        {"DROP VIEW head_value", "schema", 1, "view head_value is missing or was changed"},
        {"DROP INDEX unit_prompt; DROP TRIGGER summary_of_removed_value", "schema", 2, "trigger summary_of_removed_value"},
        {"CREATE TRIGGER more AFTER INSERT ON value BEGIN UPDATE value SET value = value + 1; END", "schema", 1,
         "the trigger more on value is none of this program's"},
        {"PRAGMA foreign_keys = OFF; DELETE FROM model", "references", 2, "a row of run refers to a row of model"},
        {"UPDATE model SET name = 'other'", "models", 1, "its columns are not those"},
        {"UPDATE run SET finished = NULL", "runs", 1, "run 1: done without an end"},
        {"UPDATE run SET settings = '{' WHERE id = 2", "runs", 1, "run 2: its settings, edits or cell are not JSON"},
        {"UPDATE run SET uid = 'ABCDEF' WHERE id = 2", "names", 1, "run 2: its uid"},
        {"UPDATE sweep SET uid = 'x'", "names", 1, "sweep 1: its uid"},
        {"UPDATE site SET name = 'L9H9' WHERE name = 'L1H2'", "names", 1, "L9H9"},
        {"UPDATE site SET kind = 'odd' WHERE name = 'L1H2'", "names", 1, "kind odd"},
        {"UPDATE head_set_item SET name = 'L0H1'", "names", 1, "is not cross.L0H1"},
        {"UPDATE unit SET status = 'running' WHERE prompt_index = 2", "units", 1, "run 1, prompt 2: left running"},
        {"UPDATE unit SET finished = NULL WHERE prompt_index = 2", "units", 1, "done without a time"},
        {"UPDATE prompt SET text = 'others' WHERE id = 4", "prompts", 1, "prompt row 4: its text"},
        {"UPDATE prompt SET policy = 'bos' WHERE id = 4", "prompts", 1, "prompt row 4: its tokens"},
        {"UPDATE token SET id = 5 WHERE prompt_id = 11 AND sequence = 'self' AND position = 1", "prompts", 1,
         "row 11: its tokens"},
        {"UPDATE token SET text = 'z' WHERE prompt_id = 3 AND position = 1", "prompts", 1, "prompt row 3: its tokens"},
        {"UPDATE map SET cells = substr(cells, 1, length(cells) - 1) WHERE id = 3", "maps", 1, "map of L1H3, run 1, prompt 2"},
        {"UPDATE map SET n_col = 4 WHERE id = 3", "maps", 1, "its bytes do not decode"},
        {"UPDATE map SET n_query = 1000000000, n_row = 1000000000 WHERE id = 3", "maps", 1, "its bytes do not decode"},
        {"UPDATE map SET codec = 'rot13' WHERE id < 3", "maps", 2, "codec \"rot13\""},
        {"UPDATE map SET cells = x'' WHERE id = 3", "maps", 1, "map of L1H3"},
        {"UPDATE value SET value = 9e999 WHERE unit_id = 1 AND site_id = 1 AND position = 0", "values", 1, "infinite"},
        {"UPDATE value SET value = 1 WHERE unit_id = 1 AND site_id = 1 AND position = 0; UPDATE run SET summed = 1 WHERE id = 1",
         "summaries", 1, "run 1: 1 rows"},
        {"DELETE FROM summary WHERE position = 3", "summaries", 1, "run 1: 8 rows"},
        {"INSERT INTO summary SELECT run_id, metric_id, 99, site_id, n, mean, sd, min, max FROM summary LIMIT 1", "summaries", 1,
         "run 1: 1 rows"},
    };
    char path[640];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_store(path);
        tell(path, cases[i].sql);
        expect(path, cases[i].name, cases[i].found, cases[i].detail);
    }
    /* one fault, two findings: a token that is gone is missed by its number and by the hash */
    make_store(path);
    tell(path, "DELETE FROM token WHERE prompt_id = 4 AND position = 1");
    table *t = check(path, &error);
    assert_non_null(t);
    for (int64_t i = 0; i < t->n_row; i++) {
        const char *name = table_cell(t, i, 0)->u.s;
        int64_t want = !strcmp(name, "tokens") ? 2 : !strcmp(name, "prompts") ? 1 : 0;
        assert_int_equal(table_cell(t, i, 1)->u.i, want);
    }
    table_free(t);
}

/* ---- flipped bytes ---- */

static uint32_t random_state = 20260117;

static uint32_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

static void one_line(const char *said)
{
    assert_true(strlen(said) > 0);
    for (const char *p = said; *p; p++)
        assert_true((unsigned char)*p >= 32 && *p != 127);
}

/* Everything that reads, on a store that may be damaged: no crash, and one line for each failure. */
static bool use(const char *path)
{
    static const char *const reads[] = {
        "SELECT count(*), sum(value) FROM value_list", "SELECT * FROM head_summary LIMIT 50", "SELECT * FROM run_list",
        "SELECT * FROM prompt_token", "SELECT * FROM fact_list", "SELECT * FROM map_list",
    };
    err e;
    bool sound = true;
    table *t = check(path, &e);
    if (!t) {
        one_line(e.msg);
        assert_true(e.code == ERR_INPUT || e.code == ERR_FAILED);
        return false;
    }
    for (int64_t i = 0; i < t->n_row; i++) {
        sound &= table_cell(t, i, 1)->u.i == 0;
        if (table_cell(t, i, 1)->u.i)
            one_line(table_cell(t, i, 2)->u.s);
    }
    table_free(t);
    store *s = NULL;
    stored_map m;
    assert_int_equal(store_open(&s, path, true, &e), 0);
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        t = NULL;
        if (store_query(s, &t, reads[i], NULL, 0, &e))
            one_line(e.msg);
        table_free(t);
    }
    for (int64_t i = 0; i < 10; i++) {
        if (store_get_map(s, 1, i, (head_id){ATTN_SELF, 1, 3}, &m, &e))
            one_line(e.msg);
        else
            free(m.cells);
    }
    store_close(s);
    store *into = NULL;
    store_merge_report n;
    e = (err){0};
    MUST(store_open(&into, ":memory:", false, &error));
    if (store_merge(into, path, &n, NULL, &e)) {
        one_line(e.msg);
        assert_int_equal(number(into, "SELECT (SELECT count(*) FROM run) + (SELECT count(*) FROM value)"), 0);
    }
    store_close(into);
    return sound;
}

static void test_flipped_bytes(void **state)
{
    char path[640], copy[700];
    struct stat st;
    int unsound = 0;
    (void)state;
    make_store(path);
    tell(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    tell(path, "VACUUM"); /* every page is in use: what is flipped is somebody's */
    tell(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(stat(path, &st), 0);
    unsigned char *bytes = malloc((size_t)st.st_size);
    int in = open(path, O_RDONLY);
    assert_true(read(in, bytes, (size_t)st.st_size) == st.st_size);
    close(in);
    snprintf(copy, sizeof copy, "%s", in_folder("flipped.db"));
    const int rounds = 150;
    for (int i = 0; i < rounds; i++) {
        unsigned char *torn = malloc((size_t)st.st_size);
        size_t size = (size_t)st.st_size;
        memcpy(torn, bytes, size);
        for (int k = 1 << random_bits() % 5; k > 0; k--)
            torn[random_bits() % size] ^= (unsigned char)(1 << random_bits() % 8);
        if (i % 10 == 0)
            size = 1 + random_bits() % size; /* cut off */
        unlink(copy);
        int out = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        assert_true(write(out, torn, size) == (ssize_t)size);
        close(out);
        free(torn);
        unsound += !use(copy);
    }
    free(bytes);
    /* free bytes within pages belong to nobody, so not every flip can be seen */
    assert_true(unsound > rounds / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound), cmocka_unit_test(test_findings), cmocka_unit_test(test_flipped_bytes),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("store_check", tests, make_folder, remove_folder);
}
