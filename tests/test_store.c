/* What goes into the store comes out of it: values, maps, prompts, provenance; and only whole units. */
#include <float.h>
#include <stdint.h>
#include <zlib.h>
#include "tests/store_fixture.h"

/* ---- the schema, as SQLite sees it ---- */

static void test_schema(void **state)
{
    char path[640];
    (void)state;
    store *s = open_new(path);
    assert_int_equal(number(s, "PRAGMA foreign_keys"), 1);
    assert_int_equal(number(s, "PRAGMA synchronous"), 2); /* FULL: a commit is on the disk */
    store_close(s);
    assert_string_equal(ask(path, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type "
                                  "= 'table' AND NOT strict AND name NOT LIKE 'sqlite_%'"), "0");
    assert_string_equal(ask(path, "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE "
                                  "type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name)"),
                        "fact figure head_set head_set_item input map metric model prompt run site summary sweep "
                        "token unit value");
    assert_string_equal(ask(path, "PRAGMA application_id"), "1098142563"); /* the letters AtSc */
    assert_string_equal(ask(path, "PRAGMA user_version"), "4");
    assert_string_equal(ask(path, "PRAGMA journal_mode"), "wal");
    assert_sound(path);
}

/* Every view can be read, and holds the columns that the header promises. */
static void test_views(void **state)
{
    static const char *const views[][2] = {
        {"run_list", "run,model,verb,status,prompts,started,seconds,precision,operator,command"},
        {"head_value", "run,prompt,metric,kind,layer,head,head_name,position,value"},
        {"value_list", "run,prompt,metric,kind,layer,head,head_name,position,value"},
        {"map_list", "run,prompt,kind,layer,head,head_name,n_query,n_key,pool,pooling,bytes"},
        {"fact_list", "run,prompt,label,name,text"},
        {"prompt_token", "run,prompt,sequence,position,id,text,special"},
        {"prompt_list", "run,prompt,label,tokens,text,status,started,seconds,sha256"},
        {"sweep_list", "sweep,name,run,model,verb,status,cell,prompts,started,seconds,precision,operator,command"},
        {"model_list", "model_id,model,family,format,dtype,layers,heads,kv_heads,width,vocab,context,params,runs,path,sha256"},
        {"figure_list", "figure,run,recipe,path,created,command"},
        {"head_set_list", "name,place,head_name,kind,layer,head,score,source,sha256,created"},
        {"value_summary", "run,metric,kind,layer,head,head_name,position,n,mean,sd,min,max"},
        {"head_summary", "run,metric,kind,layer,head,head_name,position,n,mean,sd,min,max"},
        {"layer_summary", "run,metric,kind,layer,position,heads,mean,sd,min,max"},
        {"metric_summary", "run,metric,kind,layers,heads,positions,n,mean,min,max"},
        {"sink_by_layer", "run,kind,layer,heads,mean,max,sinks"},
    };
    char path[640], sql[160];
    (void)state;
    store *s = open_new(path);
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", views[i][0]);
        assert_int_equal(number(s, sql), 0);
        snprintf(sql, sizeof sql, "SELECT group_concat(name) FROM pragma_table_info('%s')", views[i][0]);
        assert_string_equal(ask(path, sql), views[i][1]);
    }
    store_close(s);
}

/* ---- facts, and runs that go on ---- */

static void test_facts(void **state)
{
    char path[640];
    (void)state;
    store *s = open_new(path);
    int64_t run = begin_run(s);
    MUST_FAIL(store_fact(s, "domain", "code", 4, &error), ERR_FAILED, "no unit");
    MUST(begin_unit(s, run, 0, &error));
    MUST(store_fact(s, "domain", "code and more", 4, &error));
    MUST(store_fact(s, "generated", "it's \"so\"", 9, &error));
    MUST(store_fact(s, "nul", "a\0b", 3, &error)); /* a model may write any byte */
    MUST(store_unit_commit(s, &error));
    MUST(begin_unit(s, run, 1, &error));
    MUST(store_fact(s, "domain", "lost", 4, &error));
    store_unit_rollback(s);
    MUST(begin_unit(s, run, 2, &error));
    MUST(store_fact(s, "domain", "a", 1, &error));
    MUST(store_fact(s, "domain", "b", 1, &error));
    MUST_FAIL(store_unit_commit(s, &error), ERR_FAILED, "writing a fact"); /* one text a name */
    store_close(s);
    assert_string_equal(ask(path, "SELECT group_concat(prompt || label || name || '=' || CASE name WHEN 'nul'"
                                  " THEN length(CAST(text AS BLOB)) ELSE text END, ' ')"
                                  " FROM (SELECT * FROM fact_list ORDER BY prompt, name)"),
                        "0firstdomain=code 0firstgenerated=it's \"so\" 0firstnul=3");
}

static void test_resume(void **state)
{
    char path[640];
    bool there;
    (void)state;
    store *s = open_new(path);
    int64_t run = begin_run(s);
    MUST(begin_unit(s, run, 3, &error));
    MUST(store_unit_commit(s, &error));
    MUST(store_unit_done(s, run, 3, &there, &error));
    assert_true(there);
    MUST(store_unit_done(s, run, 2, &there, &error));
    assert_false(there);
    MUST(store_run_end(s, run, "cancelled", "stopped", &error));

    store_run other = a_run;
    store_model changed = a_model;
    other.settings = "{}";
    MUST_FAIL(store_run_resume(s, run, &a_model, &other, &error), ERR_USAGE, "not the same settings");
    other = a_run;
    other.seed = 4;
    MUST_FAIL(store_run_resume(s, run, &a_model, &other, &error), ERR_USAGE, "not the same seed");
    other = a_run;
    other.verb = "census";
    MUST_FAIL(store_run_resume(s, run, &a_model, &other, &error), ERR_USAGE, "not the same command");
    changed.plan = "0: 8 heads of 32, causal, RoPE half over 32, base 20000";
    MUST_FAIL(store_run_resume(s, run, &changed, &a_run, &error), ERR_USAGE, "not the same configuration of the model");
    changed = a_model;
    changed.sha256 = "00";
    MUST_FAIL(store_run_resume(s, run, &changed, &a_run, &error), ERR_USAGE, "not the same model");
    MUST_FAIL(store_run_resume(s, run + 1, &a_model, &a_run, &error), ERR_USAGE, "no run 2");
    assert_string_equal(ask(path, "SELECT status || message FROM run"), "cancelledstopped");

    other = a_run;
    other.threads = 7; /* changes no number */
    MUST(store_run_resume(s, run, &a_model, &other, &error));
    assert_string_equal(ask(path, "SELECT status || ifnull(message, '') || ifnull(finished, '') FROM run"), "running");
    MUST(begin_unit(s, run, 2, &error));
    MUST(store_unit_commit(s, &error));
    MUST(store_run_end(s, run, "done", NULL, &error));
    store_close(s);
    assert_string_equal(ask(path, "SELECT group_concat(prompt_index) FROM (SELECT * FROM unit ORDER BY id)"), "3,2");
}

/* ---- values ---- */

static uint64_t bits_of(double v)
{
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}

static void test_values_come_back(void **state)
{
    static const double numbers[] = {
        0.0, 1.0, -1.0, 1.0 / 3, 0.1, DBL_MIN, DBL_TRUE_MIN, DBL_MAX, -DBL_MAX, DBL_EPSILON,
        9007199254740993.0, 1e300, -1e-300, 123456789.0, 4503599627370497.5,
    };
    const int n = sizeof numbers / sizeof *numbers;
    char path[640];
    (void)state;
    store *s = open_new(path);
    int64_t run = begin_run(s);
    MUST(begin_unit(s, run, 0, &error));
    for (int i = 0; i < n; i++) {
        /* from the last to the first: the store sorts */
        MUST(store_value(s, &(result_value){ATTN_SELF, "entropy", n - 1 - i, 7, NO_INDEX, numbers[n - 1 - i]},
                         &error));
        MUST(store_value(s, &(result_value){ATTN_CROSS, "sink", 3, 2, n - 1 - i, -numbers[n - 1 - i]},
                         &error));
    }
    /* SQLite has one zero */
    MUST(store_value(s, &(result_value){ATTN_SELF, "self", 0, 0, NO_INDEX, -0.0}, &error));
    MUST(store_value(s, &(result_value){ATTN_SELF, "nll", NO_INDEX, NO_INDEX, 5, 2.5}, &error));
    MUST(store_value(s, &(result_value){ATTN_ENCODER, "norm", 4, NO_INDEX, NO_INDEX, 7}, &error));
    MUST(store_unit_commit(s, &error));
    s = reopen(s, path);

    table *t = NULL;
    const cell bind[] = {cell_int(run)};
    MUST(store_query(s, &t, "SELECT layer, head, head_name, position, value FROM head_value "
                     "WHERE run = ?1 AND metric = 'entropy' ORDER BY layer", bind, 1, &error));
    assert_int_equal(t->n_row, n);
    for (int i = 0; i < n; i++) {
        head_text name;
        snprintf(name, sizeof name, "L%dH7", i);
        assert_int_equal(table_cell(t, i, 0)->u.i, i);
        assert_int_equal(table_cell(t, i, 1)->u.i, 7);
        assert_string_equal(table_cell(t, i, 2)->u.s, name);
        assert_int_equal(table_cell(t, i, 3)->kind, CELL_NULL);
        assert_int_equal(table_cell(t, i, 4)->kind, CELL_REAL);
        assert_true(bits_of(table_cell(t, i, 4)->u.r) == bits_of(numbers[i]));
    }
    table_free(t);
    MUST(store_query(s, &t, "SELECT position, value, head_name FROM head_value "
                     "WHERE run = ?1 AND metric = 'sink' AND kind = 'cross' AND layer = 3 AND head = 2 "
                     "ORDER BY position", bind, 1, &error));
    assert_int_equal(t->n_row, n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(table_cell(t, i, 0)->u.i, i);
        assert_true(table_cell(t, i, 1)->u.r == -numbers[i]);
        assert_string_equal(table_cell(t, i, 2)->u.s, "cross.L3H2");
    }
    table_free(t);
    /* values without a head are in value_list only */
    assert_int_equal(number(s, "SELECT count(*) FROM head_value"), 2 * n + 1);
    assert_int_equal(number(s, "SELECT count(*) FROM value_list"), 2 * n + 3);
    assert_true(number(s, "SELECT value FROM head_value WHERE metric = 'self'") == 0);
    assert_true(number(s, "SELECT value FROM value_list "
                          "WHERE metric = 'nll' AND layer IS NULL AND head IS NULL AND "
                          "head_name IS NULL AND position = 5") == 2.5);
    assert_true(number(s, "SELECT value FROM value_list "
                          "WHERE kind = 'enc' AND layer = 4 AND head IS NULL") == 7);
    store_close(s);
    assert_sound(path);
}

static void test_values_refused(void **state)
{
    char path[640];
    (void)state;
    store *s = open_new(path);
    int64_t run = begin_run(s);
    MUST_FAIL(store_value(s, &(result_value){ATTN_SELF, "x", 0, 0, 0, 1}, &error), ERR_FAILED, "no unit");
    MUST_FAIL(store_unit_commit(s, &error), ERR_FAILED, "no unit");
    MUST(begin_unit(s, run, 0, &error));
    MUST_FAIL(store_value(s, &(result_value){ATTN_SELF, "x", 0, 0, 0, NAN}, &error), ERR_FAILED, "x");
    MUST_FAIL(store_value(s, &(result_value){ATTN_SELF, "x", 0, 0, 0, -INFINITY}, &error), ERR_FAILED,
              "finite");
    MUST_FAIL(store_value(s, &(result_value){ATTN_SELF, "x", NO_INDEX, 3, 0, 1}, &error), ERR_FAILED,
              "head 3");
    store_unit_rollback(s);

    MUST(begin_unit(s, run, 0, &error));
    for (int i = 0; i < 2; i++)
        MUST(store_value(s, &(result_value){ATTN_SELF, "induction", 1, 2, 3, i}, &error));
    MUST_FAIL(store_unit_commit(s, &error), ERR_FAILED,
              "metric induction gave two values for L1H2, position 3");
    MUST_FAIL(store_unit_commit(s, &error), ERR_FAILED, "no unit");
    assert_int_equal(number(s, "SELECT (SELECT count(*) FROM unit) + (SELECT count(*) FROM value) + "
                               "(SELECT count(*) FROM prompt) + (SELECT count(*) FROM token)"), 0);
    store_close(s);
}

/* More values than wait in memory: the unit begins to write early, and is still one. */
static void test_large_unit(void **state)
{
    const int n = 600000;
    char path[640];
    (void)state;
    store *s = open_new(path);
    int64_t run = begin_run(s);
    for (int round = 0; round < 2; round++) {
        double sum = 0;
        MUST(begin_unit(s, run, 0, &error));
        for (int i = 0; i < n; i++) {
            double v = sin(i);
            sum += v;
            if (store_value(s, &(result_value){ATTN_SELF, "mass", i % 8, i / 8 % 8, i / 64, v}, &error))
                fail_msg("%s", error.msg);
        }
        if (round == 0) {
            store_unit_rollback(s);
            assert_int_equal(number(s, "SELECT count(*) FROM value"), 0);
            assert_int_equal(number(s, "SELECT count(*) FROM unit"), 0);
        } else {
            MUST(store_unit_commit(s, &error));
            assert_int_equal(number(s, "SELECT count(*) FROM value"), n);
            assert_true(fabs(number(s, "SELECT sum(value) FROM head_value WHERE run = 1") - sum) < 1e-6);
        }
    }
    store_close(s);
}

/* ---- maps ---- */

static uint32_t random_state = 20240117;

static uint32_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

static void fill_map(float *cells, int64_t rows, int64_t cols)
{
    static const uint32_t special[] = {0x7fc00000, 0x7f800001, 0xffc12345, 0x7f800000, 0xff800000,
                                       0x80000000, 1};
    for (int64_t i = 0; i < rows * cols; i++) {
        uint32_t bits = i % cols > i / cols ? 0x7fc00000 : random_bits();
        if (i % 5 == 0)
            bits = special[random_bits() % (sizeof special / sizeof *special)];
        memcpy(&cells[i], &bits, sizeof bits);
    }
}

static void test_maps_come_back(void **state)
{
    static const int64_t shape[][3] = {{1, 1, 1}, {3, 5, 1}, {17, 300, 1}, {300, 17, 4}, {100, 100, 7},
                                       {2, 9000, 1}, {1000, 1000, 1000}};
    const int n = sizeof shape / sizeof *shape;
    static const char *const pooling[] = {"none", "mean", "max"};
    float *cells[sizeof shape / sizeof *shape];
    char path[640];
    (void)state;
    store *s = open_new(path);
    int64_t run = begin_run(s);
    MUST(begin_unit(s, run, 0, &error));
    for (int i = 0; i < n; i++) {
        int64_t pool = shape[i][2];
        int64_t rows = (shape[i][0] + pool - 1) / pool, cols = (shape[i][1] + pool - 1) / pool;
        cells[i] = malloc((size_t)(rows * cols) * sizeof(float));
        fill_map(cells[i], rows, cols);
        const result_map m = {ATTN_SELF, i, 1, shape[i][0], shape[i][1], pool,
                              pooling[pool == 1 ? 0 : i % 2 + 1], cells[i]};
        MUST(store_map(s, &m, &error));
    }
    MUST_FAIL(store_map(s, &(result_map){ATTN_SELF, 0, 2, 0, 1, 1, "none", cells[0]}, &error), ERR_FAILED,
              "map");
    MUST_FAIL(store_map(s, &(result_map){ATTN_SELF, 0, 2, 1, 1, 1, "median", cells[0]}, &error), ERR_FAILED,
              "median");
    MUST(store_unit_commit(s, &error));
    s = reopen(s, path);
    for (int i = 0; i < n; i++) {
        int64_t pool = shape[i][2];
        stored_map m;
        MUST(store_get_map(s, run, 0, (head_id){ATTN_SELF, i, 1}, &m, &error));
        assert_int_equal(m.n_query, shape[i][0]);
        assert_int_equal(m.n_key, shape[i][1]);
        assert_int_equal(m.pool, pool);
        assert_int_equal(m.rows, (shape[i][0] + pool - 1) / pool);
        assert_int_equal(m.cols, (shape[i][1] + pool - 1) / pool);
        assert_string_equal(m.pooling, pooling[pool == 1 ? 0 : i % 2 + 1]);
        assert_memory_equal(m.cells, cells[i], (size_t)(m.rows * m.cols) * sizeof(float));
        free(m.cells);
    }
    stored_map m;
    MUST_FAIL(store_get_map(s, run, 0, (head_id){ATTN_CROSS, 0, 1}, &m, &error), ERR_FAILED,
              "no map of cross.L0H1");
    HINTS("L0H1, L1H1");
    MUST_FAIL(store_get_map(s, run, 1, (head_id){ATTN_SELF, 0, 1}, &m, &error), ERR_FAILED,
              "no maps of prompt 1");
    assert_null(m.cells);

    /* the bytes are what the codec's description says, by zlib's own uncompress */
    table *t = NULL;
    MUST(store_query(s, &t, "SELECT hex(cells), codec FROM map JOIN site ON site.id = site_id "
                     "WHERE layer = 1", NULL, 0, &error));
    const char *hex = table_cell(t, 0, 0)->u.s;
    assert_string_equal(table_cell(t, 0, 1)->u.s, "zlib");
    unsigned char packed[256], plain[60];
    uLongf size = sizeof plain;
    size_t n_packed = strlen(hex) / 2;
    assert_true(n_packed <= sizeof packed);
    for (size_t i = 0; i < n_packed; i++) {
        const char digits[] = {hex[2 * i], hex[2 * i + 1], 0};
        packed[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    assert_int_equal(uncompress(plain, &size, packed, n_packed), Z_OK);
    assert_int_equal(size, 3 * 5 * 4);
    for (int i = 0; i < 3 * 5; i++) {
        uint32_t bits;
        memcpy(&bits, &cells[1][i], sizeof bits);
        for (int byte = 0; byte < 4; byte++)
            assert_int_equal(plain[4 * i + byte], bits >> 8 * byte & 0xff);
    }
    table_free(t);
    store_close(s);
    for (int i = 0; i < n; i++)
        free(cells[i]);
}

/* Rows that lie about their map. */
static void test_damaged_maps(void **state)
{
    static const char *const damage[] = {
        "UPDATE map SET cells = substr(cells, 1, length(cells) - 1)",
        "UPDATE map SET cells = CAST(cells || x'00' AS BLOB)",
        "UPDATE map SET cells = x''",
        "UPDATE map SET cells = x'ffffffff'",
        "UPDATE map SET n_query = 7, n_row = 7",
        "UPDATE map SET n_query = 9, n_row = 9",
        "UPDATE map SET n_row = 7",
        "UPDATE map SET n_query = 9000000000, n_row = 9000000000, n_key = 9000000000, n_col = 9000000000",
        "UPDATE map SET n_query = 9223372036854775807, n_row = 9223372036854775807",
        "UPDATE map SET n_query = 100000, n_row = 100000, n_key = 10000, n_col = 10000",
        "UPDATE map SET codec = 'lzma'",
    };
    float cells[64];
    (void)state;
    fill_map(cells, 8, 8);
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        char path[640];
        stored_map m;
        store *s = open_new(path);
        int64_t run = begin_run(s);
        MUST(begin_unit(s, run, 0, &error));
        MUST(store_map(s, &(result_map){ATTN_SELF, 0, 0, 8, 8, 1, "none", cells}, &error));
        MUST(store_unit_commit(s, &error));
        tell(path, damage[i]);
        MUST_FAIL(store_get_map(s, run, 0, (head_id){ATTN_SELF, 0, 0}, &m, &error), ERR_INPUT, "map of L0H0");
        assert_null(m.cells);
        store_close(s);
    }
}

/* ---- prompts and provenance ---- */

static void test_prompts(void **state)
{
    static const store_token other_piece[3] = {{1, "a", 1, false}, {2, "_b", 2, false},
                                               {3, "<end>", 5, true}};
    static const store_token other_id[3] = {{1, "a", 1, false}, {4, " b", 2, false}, {3, "<end>", 5, true}};
    static const store_token bytes[2] = {{254, "\xe4\xb8", 2, false}, {255, "\0\xad", 2, false}};
    static const struct {
        const char *text, *policy;
        size_t len;
        const store_token *tokens;
        int n, prompts; /* tokens of this one; rows after it */
    } unit[] = {
        {"a b", "none", 3, three_tokens, 3, 1},
        {"a b", "none", 3, three_tokens, 3, 1},  /* the same prompt again: the same row */
        {"a b", "bos", 3, three_tokens, 3, 2},
        {NULL, "none", 0, three_tokens, 3, 3},
        {"a b", "none", 3, other_piece, 3, 4},   /* the same ids of another vocabulary */
        {"a b", "none", 3, other_id, 3, 5},
        {"", "none", 0, three_tokens, 3, 6},     /* an empty text is not no text */
        {"a\0b", "none", 3, bytes, 2, 7},
        {NULL, "none", 0, NULL, 0, 8},
        {NULL, "none", 0, three_tokens, 3, 8},
    };
    char path[640];
    (void)state;
    store *s = open_new(path);
    int64_t run = begin_run(s);
    for (int i = 0; i < (int)(sizeof unit / sizeof *unit); i++) {
        MUST(begin_text(s, run, i, NULL, unit[i].text, unit[i].len, unit[i].policy, unit[i].tokens, unit[i].n,
                        &error));
        MUST(store_unit_commit(s, &error));
        assert_int_equal(number(s, "SELECT count(*) FROM prompt"), unit[i].prompts);
    }
    assert_int_equal(number(s, "SELECT count(*) FROM token"), 6 * 3 + 2);
    assert_int_equal(number(s, "SELECT count(DISTINCT prompt_id) FROM unit WHERE prompt_index IN (0, 1)"), 1);
    assert_int_equal(number(s, "SELECT count(*) FROM prompt WHERE text IS NULL AND text_sha256 IS NULL"), 2);
    /* as Python computes them: sha256(b"a b"), sha256(numpy.array([1, 2, 3], "<i8")) */
    assert_int_equal(number(s, "SELECT count(*) FROM prompt WHERE text = 'a b' AND text_sha256 = "
                               "'c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65'"), 4);
    assert_int_equal(number(s, "SELECT count(*) FROM prompt WHERE ids_sha256 = "
                               "'e2e2033ae7e19d680599d4eb0a1359a2b48ec5baac75066c317fbf85159c54ef'"), 5);
    assert_int_equal(number(s, "SELECT length(CAST(text AS BLOB)) "
                               "FROM prompt JOIN unit ON prompt.id = prompt_id WHERE prompt_index = 7"), 3);
    table *t = NULL;
    MUST(store_query(s, &t, "SELECT id, hex(text), special FROM prompt_token "
                     "WHERE run = 1 AND prompt = 7 ORDER BY position", NULL, 0, &error));
    assert_int_equal(t->n_row, 2);
    assert_int_equal(table_cell(t, 0, 0)->u.i, 254);
    assert_string_equal(table_cell(t, 0, 1)->u.s, "E4B8");
    assert_string_equal(table_cell(t, 1, 1)->u.s, "00AD");
    table_free(t);
    MUST(store_query(s, &t, "SELECT position, id, text, special FROM prompt_token "
                     "WHERE prompt = 0 ORDER BY position", NULL, 0, &error));
    assert_int_equal(t->n_row, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(table_cell(t, i, 0)->u.i, i);
        assert_int_equal(table_cell(t, i, 1)->u.i, three_tokens[i].id);
        assert_string_equal(table_cell(t, i, 2)->u.s, three_tokens[i].text);
        assert_int_equal(table_cell(t, i, 3)->u.i, three_tokens[i].special);
    }
    table_free(t);
    store_close(s);
    assert_sound(path);
}

/* Several sequences, patches without ids, and inputs by content: what makes two prompts the same one. */
static void test_sequences(void **state)
{
    static const store_token patches[2] = {{NO_INDEX, "CLS", 3, false}, {NO_INDEX, "patch 0,0", 9, false}};
    static const store_sequence of[] = {{ATTN_SELF, three_tokens, 3}, {ATTN_VISION, patches, 2},
                                        {ATTN_ENCODER, three_tokens, 2}};
    const store_input cat = {.role = "image", .path = "cat.png", .sha256 = a_model.sha256};
    const store_input same = {.role = "image", .path = "other/name.png", .sha256 = a_model.sha256};
    const store_input dog = {.role = "image", .path = "cat.png", .sha256 = "00"};
    const store_input source = {.role = "source", .sha256 = "11", .text = "x\0y", .text_len = 3, .policy = "eos"};
    const struct { store_prompt p; int prompts; } unit[] = {
        {{.label = "one", .policy = "none", .sequences = of, .n_sequence = 2, .inputs = &cat, .n_input = 1}, 1},
        {{.policy = "none", .sequences = of, .n_sequence = 2, .inputs = &same, .n_input = 1}, 1},
        {{.policy = "none", .sequences = of, .n_sequence = 2, .inputs = &dog, .n_input = 1}, 2},
        {{.policy = "none", .sequences = of, .n_sequence = 1}, 3},
        {{.policy = "none", .sequences = of + 1, .n_sequence = 1, .inputs = &cat, .n_input = 1}, 4},
        {{.policy = "none", .sequences = of, .n_sequence = 3, .inputs = &source, .n_input = 1}, 5},
        {{.policy = "none", .sequences = of + 2, .n_sequence = 1}, 6},
    };
    char path[640];
    (void)state;
    store *s = open_new(path);
    int64_t run = begin_run(s);
    for (int i = 0; i < (int)(sizeof unit / sizeof *unit); i++) {
        MUST(store_unit_begin(s, run, i, &unit[i].p, &error));
        MUST(store_unit_commit(s, &error));
        assert_int_equal(number(s, "SELECT count(*) FROM prompt"), unit[i].prompts);
    }
    store_close(s);
    assert_string_equal(ask(path, "SELECT group_concat(position || text, ' ') FROM prompt_token "
                                  "WHERE prompt = 0 AND sequence = 'vis' AND id IS NULL"), "0CLS 1patch 0,0");
    assert_string_equal(ask(path, "SELECT count(*) FROM prompt_token WHERE prompt = 5 AND sequence = 'enc'"), "2");
    assert_string_equal(ask(path, "SELECT n_token FROM prompt JOIN unit ON prompt.id = prompt_id "
                                  "WHERE prompt_index = 4"), "2");
    assert_string_equal(ask(path, "SELECT group_concat(path, ' ') FROM input WHERE role = 'image'"),
                        "cat.png other/name.png cat.png cat.png");
    assert_string_equal(ask(path, "SELECT hex(text) || policy FROM input WHERE path IS NULL"), "780079eos");
    tell(path, "PRAGMA foreign_keys = ON; DELETE FROM run");
    assert_string_equal(ask(path, "SELECT count(*) FROM input"), "0");
    assert_sound(path);
}

static void test_models(void **state)
{
    char path[640];
    int64_t run;
    (void)state;
    store *s = open_new(path);
    store_model m = a_model;
    begin_run(s);
    begin_run(s);
    assert_int_equal(number(s, "SELECT count(*) FROM model"), 1);
    m.tokenizer_sha256 = a_model.sha256;
    MUST(store_run_begin(s, &m, &a_run, &run, &error));
    m.plan = "0-1: window 16"; /* the same weights, read with another configuration */
    MUST(store_run_begin(s, &m, &a_run, &run, &error));
    m.path = "models/copy";
    MUST(store_run_begin(s, &m, &a_run, &run, &error));
    MUST(store_run_begin(s, &m, &a_run, &run, &error));
    assert_int_equal(number(s, "SELECT count(*) FROM model"), 4);
    assert_int_equal(run, 6);
    m.sha256 = NULL;
    MUST_FAIL(store_run_begin(s, &m, &a_run, &run, &error), ERR_FAILED, "model.sha256");
    assert_int_equal(number(s, "SELECT count(*) FROM run"), 6);
    store_close(s);
}

static void test_runs(void **state)
{
    char path[640];
    int64_t run, last = -1;
    bool yes = true;
    (void)state;
    store *s = open_new(path);
    assert_string_equal(store_path(s), path);
    MUST(store_last_run(s, &last, &error));
    assert_int_equal(last, 0);
    run = begin_run(s);
    assert_string_equal(ask(path, "SELECT status || ' ' || (finished IS NULL) || ' ' || (seed IS NULL) "
                                  "FROM run"), "running 1 1");
    MUST(begin_unit(s, run, 0, &error));
    MUST_FAIL(store_run_end(s, run, "done", NULL, &error), ERR_FAILED, "still open");
    MUST_FAIL(begin_unit(s, run, 1, &error), ERR_FAILED, "still open");
    MUST(store_unit_commit(s, &error));
    MUST_FAIL(begin_unit(s, run, 0, &error), ERR_FAILED, "already");
    MUST_FAIL(begin_unit(s, run, -1, &error), ERR_FAILED, "negative");
    MUST_FAIL(begin_unit(s, run + 1, 0, &error), ERR_FAILED, "run 2 is not in store");
    MUST_FAIL(store_run_end(s, run + 1, "done", NULL, &error), ERR_FAILED, "run 2 is not in store");
    MUST_FAIL(store_run_end(s, run, "paused", NULL, &error), ERR_FAILED, "CHECK");
    MUST(store_run_end(s, run, "failed", "layer 1: something", &error));
    s = reopen(s, path);
    MUST(store_last_run(s, &last, &error));
    assert_int_equal(last, run);
    MUST(store_run_exists(s, run, &yes, &error));
    assert_true(yes);
    MUST(store_run_exists(s, run + 1, &yes, &error));
    assert_false(yes);
    assert_string_equal(ask(path, "SELECT status || ' ' || message || ' ' || command FROM run"),
                        "failed layer 1: something run models/tiny --prompt 'a b'");
    assert_string_equal(ask(path, "SELECT count(*) FROM unit WHERE status = 'done' AND label = 'first' AND "
                                  "started <= finished AND started GLOB '20[0-9][0-9]-[01][0-9]-[0-3][0-9]T"
                                  "[0-2][0-9]:[0-5][0-9]:[0-6][0-9].[0-9][0-9][0-9]Z'"), "1");
    assert_string_equal(ask(path, "SELECT count(*) FROM run "
                                  "WHERE abs(julianday('now') - julianday(started)) < 0.5 "
                                  "AND started <= finished AND length(uid) = 32"), "1");
    assert_int_equal(number(s, "SELECT prompts FROM run_list "
                               "WHERE run = 1 AND model = 'tiny' AND seconds >= 0"), 1);
    MUST(store_figure(s, run, "head_map", "a.png", "plot head_map", &error));
    MUST(store_figure(s, NO_INDEX, "score_grid", "b.png", "plot score_grid", &error));
    assert_int_equal(number(s, "SELECT count(*) FROM figure WHERE run_id = 1 AND recipe = 'head_map'"), 1);
    assert_int_equal(number(s, "SELECT count(*) FROM figure WHERE run_id IS NULL"), 1);
    MUST_FAIL(store_figure(s, 77, "head_map", "a.png", "plot", &error), ERR_FAILED, "FOREIGN KEY");
    /* a deleted run takes everything with it, and its number is not used again */
    tell(path, "PRAGMA foreign_keys = ON; DELETE FROM run");
    assert_int_equal(number(s, "SELECT count(*) FROM unit"), 0);
    assert_int_equal(begin_run(s), 2);
    store_close(s);
    assert_sound(path);
}

/* While one process computes a unit, another can write one; each sees the other's afterwards. */
static void test_two_writers(void **state)
{
    char path[640];
    store *b = NULL;
    (void)state;
    store *a = open_new(path);
    MUST(store_open(&b, path, false, &error));
    int64_t run_a = begin_run(a), run_b = begin_run(b);
    MUST(begin_unit(a, run_a, 0, &error));
    MUST(store_value(a, &(result_value){ATTN_SELF, "sink", 0, 1, 0, 0.25}, &error));
    MUST(begin_unit(b, run_b, 0, &error));
    MUST(store_value(b, &(result_value){ATTN_SELF, "entropy", 1, 1, 0, 0.5}, &error));
    MUST(store_unit_commit(b, &error));
    MUST(store_value(a, &(result_value){ATTN_SELF, "entropy", 1, 1, 0, 0.75}, &error));
    assert_int_equal(number(a, "SELECT count(*) FROM head_value"), 1);
    MUST(store_unit_commit(a, &error));
    assert_int_equal(number(b, "SELECT count(*) FROM head_value"), 3);
    assert_int_equal(number(b, "SELECT count(*) FROM prompt"), 1);
    assert_true(number(b, "SELECT value FROM head_value WHERE run = 1 AND head_name = 'L1H1'") == 0.75);
    store_close(a);
    store_close(b);
    assert_sound(path);
}

static void test_in_memory(void **state)
{
    store *s = NULL;
    int64_t run;
    (void)state;
    MUST(store_open(&s, ":memory:", false, &error));
    run = begin_run(s);
    MUST(begin_unit(s, run, 0, &error));
    MUST(store_value(s, &(result_value){ATTN_SELF, "sink", 0, 1, 0, 0.25}, &error));
    MUST(store_unit_commit(s, &error));
    assert_true(number(s, "SELECT value FROM head_value") == 0.25);
    store_close(s);
    MUST(store_open(&s, ":memory:", true, &error));
    MUST_FAIL(store_run_begin(s, &a_model, &a_run, &run, &error), ERR_FAILED, "read-only");
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema), cmocka_unit_test(test_views), cmocka_unit_test(test_facts),
        cmocka_unit_test(test_resume), cmocka_unit_test(test_values_come_back),
        cmocka_unit_test(test_values_refused), cmocka_unit_test(test_large_unit),
        cmocka_unit_test(test_maps_come_back), cmocka_unit_test(test_damaged_maps),
        cmocka_unit_test(test_prompts), cmocka_unit_test(test_sequences), cmocka_unit_test(test_models),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_two_writers),
        cmocka_unit_test(test_in_memory),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("store", tests, make_folder, remove_folder);
}
