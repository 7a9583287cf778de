/* Whole commands with the nth allocation failing: each ends with the status for missing memory and one line of error, or as if
 * nothing had been; nothing half-written stays, the store is sound.  Under AddressSanitizer also: nothing leaks.
 * ATTNSCOPE_ALL_FAULTS=1 takes every allocation, not ever fewer of them; with the name of a command in place of 1, of that. */
#include <dirent.h>
#include <fcntl.h>
#include "tests/store_fixture.h"
#include "cli/session.h"

enum { MAX_WORDS = 20 };

static char model_path[512], store_file[640], out_file[640], prompts_file[640];

typedef struct ending { int code; bool failed; int lines; } ending;

/* One command in a session of its own; what it prints goes nowhere, what it complains about is counted. */
static ending one(const char *const *words, long nth)
{
    ending r = {0};
    session *s = NULL;
    int n = 0;
    while (words[n])
        n++;
    fflush(stdout);
    fflush(stderr);
    int out = dup(STDOUT_FILENO), told = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int log = open(in_folder("told"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(out >= 0 && told >= 0 && nowhere >= 0 && log >= 0);
    dup2(nowhere, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    int made = session_new(&s, NULL);
    mem_fail_at(nth);
    r.code = made ? made : session_words(s, n, words, NULL);
    r.failed = nth > 0 && mem_failed();
    mem_fail_at(0);
    session_free(s);
    dup2(out, STDOUT_FILENO);
    dup2(told, STDERR_FILENO);
    char text[4096] = "";
    ssize_t got = pread(log, text, sizeof text - 1, 0);
    for (ssize_t i = 0; i < got; i++)
        r.lines += strncmp(text + i, "attnscope: ", 11) == 0 && (i == 0 || text[i - 1] == '\n');
    close(out);
    close(told);
    close(nowhere);
    close(log);
    return r;
}

static void assert_nothing_left(void)
{
    DIR *d = opendir(folder);
    struct dirent *x;
    assert_non_null(d);
    while ((x = readdir(d)))
        if (strstr(x->d_name, ".tmp"))
            fail_msg("%s was left behind", x->d_name);
    closedir(d);
}

static void assert_store_sound(void)
{
    store *s = NULL;
    table *t = NULL;
    if (access(store_file, F_OK) != 0)
        return;
    assert_sound(store_file);
    MUST(store_open(&s, store_file, false, &error));
    MUST(store_check(s, &t, NULL, &error));
    for (int64_t i = 0; i < t->n_row; i++)
        if (cell_number(table_cell(t, i, 1)) > 0)
            fail_msg("%s: %s", table_cell(t, i, 0)->u.s, table_cell(t, i, 2)->kind == CELL_TEXT ? table_cell(t, i, 2)->u.s : "");
    table_free(t);
    store_close(s);
}

static void loop(const char *const *words, bool writes)
{
    const char *which = getenv("ATTNSCOPE_ALL_FAULTS");
    bool all = which && (strcmp(which, "1") == 0 || strcmp(which, words[0]) == 0);
    int n_failed = 0;
    for (long nth = 1;; nth += all ? 1 : 1 + nth / 12) {
        remove(out_file);
        ending r = one(words, nth);
        if (r.code != 0 && r.code != ERR_RESOURCE)
            fail_msg("%s, allocation %ld: exit status %d", words[0], nth, r.code);
        if (r.code == ERR_RESOURCE && r.lines != 1)
            fail_msg("%s, allocation %ld: %d lines of error", words[0], nth, r.lines);
        assert_nothing_left();
        if (writes)
            assert_store_sound();
        if (r.code)
            assert_int_equal(access(out_file, F_OK), -1);
        n_failed += r.code != 0;
        assert_true(nth < 1000000);
        if (!r.failed)
            break;
    }
    assert_true(n_failed >= 10);
    ending r = one(words, 0); /* and it still works */
    assert_int_equal(r.code, 0);
    assert_int_equal(r.lines, 0);
}

#define LOOP(writes, ...) \
    do { \
        const char *const words_[MAX_WORDS] = {__VA_ARGS__}; \
        loop(words_, writes); \
    } while (0)

static void test_run(void **state)
{
    (void)state;
    LOOP(true, "run", model_path, "--prompt", "A lamp in the dark.", "--maps", "L0H0", "--store", store_file, "--threads", "2");
}

static void test_experiments(void **state)
{
    (void)state;
    LOOP(true, "census", model_path, "--prompts", prompts_file, "--length", "4", "--random", "1", "--random-length", "8",
         "--trials", "0",
         "--store", store_file);
    LOOP(true, "needle", model_path, "--lengths", "100", "--depths", "0.5", "--wording", "fact", "--store", store_file);
    LOOP(true, "ablate", model_path, "--prompt", "A lamp in the dark.", "--heads", "L0H0", "--store", store_file);
}

static void test_figures(void **state)
{
    (void)state;
    snprintf(out_file, sizeof out_file, "%s", in_folder("out.png"));
    LOOP(false, "plot", "head_map", "--run", "1", "--head", "L0H0", "--store", store_file, "-o", out_file);
    LOOP(false, "view", "head_map", "--run", "1", "--head", "L0H0", "--store", store_file);
}

static void test_tables(void **state)
{
    (void)state;
    snprintf(out_file, sizeof out_file, "%s", in_folder("out.npz"));
    LOOP(false, "export", "--run", "1", "--store", store_file, "-o", out_file);
    LOOP(false, "top", "sink", "--run", "1", "--store", store_file);
    LOOP(false, "show", "1", "--store", store_file);
    LOOP(false, "sql", "SELECT * FROM head_value LIMIT 50", "--store", store_file);
}

static void test_models(void **state)
{
    (void)state;
    LOOP(false, "load", model_path);
    LOOP(false, "info", model_path);
    LOOP(false, "tokenize", model_path, "--text", "A lamp in the dark.");
    LOOP(false, "generate", model_path, "--prompt", "A lamp", "--max-tokens", "3");
}

static void test_files(void **state)
{
    (void)state;
    snprintf(out_file, sizeof out_file, "%s", in_folder("out.jsonl"));
    LOOP(false, "export", "--run", "1", "--store", store_file, "--json", "-o", out_file);
    snprintf(out_file, sizeof out_file, "%s", in_folder("out.csv"));
    LOOP(false, "export", "--run", "1", "--store", store_file, "--wide", "-o", out_file);
    snprintf(out_file, sizeof out_file, "%s", in_folder("out.npz"));
    LOOP(false, "dump", model_path, "--prompt", "A lamp.", "-o", out_file);
    snprintf(out_file, sizeof out_file, "%s", in_folder("out.html"));
    LOOP(false, "report", "1", "--store", store_file, "-o", out_file);
    snprintf(out_file, sizeof out_file, "%s", in_folder("out.pdf"));
    LOOP(false, "report", "1", "--store", store_file, "-o", out_file);
}

static void test_stores(void **state)
{
    char part[640], heads[640], sweep[640];
    (void)state;
    snprintf(part, sizeof part, "%s", in_folder("part.db"));
    snprintf(heads, sizeof heads, "%s", in_folder("heads.json"));
    snprintf(sweep, sizeof sweep, "%s", in_folder("two.sweep"));
    const char *const words[MAX_WORDS] = {"run", model_path, "--prompt", "Another one.", "--store", part};
    assert_int_equal(one(words, 0).code, 0);
    FILE *f = fopen(heads, "w");
    assert_true(f && fputs("[\"L0H1\", [2, 3]]\n", f) >= 0 && fclose(f) == 0);
    f = fopen(sweep, "w");
    assert_true(f && fprintf(f, "command = run\nmodel = %s\nprompts = %s\nmetrics = sink\nprecision = [f32, bf16]\n", model_path,
                             prompts_file) > 0 && fclose(f) == 0);
    LOOP(true, "merge", store_file, part);
    LOOP(true, "gc", "--store", store_file);
    LOOP(true, "check", "--store", store_file);
    LOOP(true, "import", "heads", heads, "--name", "some", "--replace", "--store", store_file);
    LOOP(true, "sweep", sweep, "--try", "0", "--store", store_file);
}

static void test_repeat(void **state)
{
    (void)state;
    LOOP(true, "repeat", "1", "--store", store_file);
}

static int begin(void **state)
{
    const char *srcdir = getenv("srcdir");
    if (make_folder(state))
        return -1;
    setenv("XDG_CACHE_HOME", folder, 1);
    snprintf(model_path, sizeof model_path, "%s/examples/models/lantern-3m", srcdir ? srcdir : ".");
    snprintf(store_file, sizeof store_file, "%s", in_folder("runs.db"));
    snprintf(out_file, sizeof out_file, "%s", in_folder("out.npz"));
    snprintf(prompts_file, sizeof prompts_file, "%s", in_folder("prompts.jsonl"));
    FILE *f = fopen(prompts_file, "w");
    if (!f || fputs("{\"text\": \"A lamp in the dark.\"}\n{\"text\": \"The old man was there.\", \"domain\": \"b\"}\n", f) < 0 ||
        fclose(f) != 0)
        return -1;
    const char *const words[MAX_WORDS] = {"run", model_path, "--prompt", "A lamp in the dark.", "--maps", "L0H0", "--store",
                                          store_file};
    return one(words, 0).code;
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),    cmocka_unit_test(test_experiments), cmocka_unit_test(test_figures),
        cmocka_unit_test(test_tables), cmocka_unit_test(test_models),      cmocka_unit_test(test_files),
        cmocka_unit_test(test_stores), cmocka_unit_test(test_repeat),
    };
    return cmocka_run_group_tests_name("alloc faults", tests, begin, remove_folder);
}
