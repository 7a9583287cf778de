/* base: mapped files, output files, near file names, SHA-256. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/hash.h"
#include "base/mapfile.h"
#include "base/mem.h"
#include "base/near_file.h"
#include "base/outfile.h"
#include "base/strbuf.h"
#include "tests/test_base_folder.h"

enum { NOBODY = 65534 };

static void assert_content(const char *path, const char *text)
{
    char *got;
    size_t n;
    assert_int_equal(read_file(&got, &n, path, 1 << 20, NULL), 0);
    assert_int_equal(n, strlen(text));
    assert_string_equal(got, text);
    free(got);
}

/* Run fn in a child process; its exit status, or -1 when a signal ended it. */
static int in_child(void (*fn)(void), const char *stderr_to)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(stderr_to, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        dup2(fd, STDERR_FILENO);
        signal(SIGBUS, SIG_DFL); /* the test library catches it */
        fn();
        _exit(0);
    }
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- mapfile --- */

static void map_content(void **state)
{
    (void)state;
    mapfile m, again;
    const char *path = in_folder("data");

    write_bytes(path, "some content", 12);
    assert_int_equal(mapfile_open(&m, path, NULL), 0);
    assert_int_equal(m.size, 12);
    assert_memory_equal(m.data, "some content", 12);
    assert_int_equal(mapfile_open(&again, path, NULL), 0);
    assert_true(m.device == again.device && m.inode == again.inode && m.mtime_ns == again.mtime_ns);
    mapfile_close(&again);
    assert_memory_equal(m.data, "some content", 12);
    mapfile_close(&m);
    assert_null(m.data);
    mapfile_close(&m); /* nothing left to close */

    write_bytes(path, "", 0);
    assert_int_equal(mapfile_open(&m, path, NULL), 0);
    assert_null(m.data);
    assert_int_equal(m.size, 0);
    mapfile_close(&m);
}

static void map_refused(const char *path, int code, const char *what)
{
    mapfile m = {0};
    err e = {0};
    assert_int_equal(mapfile_open(&m, path, &e), code);
    assert_non_null(strstr(e.msg, what));
    assert_non_null(strstr(e.msg, *path ? path : "empty"));
    assert_null(m.data);
}

static void map_not_a_file(void **state)
{
    (void)state;

    map_refused(in_folder("nothing"), ERR_INPUT, "no such file");
    map_refused("", ERR_INPUT, "empty file name");
    map_refused(folder, ERR_INPUT, "is a directory");
    map_refused("/dev/null", ERR_INPUT, "not a regular file");
    assert_int_equal(mkfifo(in_folder("fifo"), 0666), 0);
    map_refused(in_folder("fifo"), ERR_INPUT, "not a regular file"); /* and does not wait for a writer */
    write_bytes(in_folder("file"), "x", 1);
    map_refused(in_folder("file/inside"), ERR_INPUT, "no such file");
}

static char child_path[512];

static void map_without_permission(void)
{
    mapfile m;
    err e = {0};
    if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) != 0)
        _exit(77);
    if (mapfile_open(&m, child_path, &e) != ERR_INPUT || !strstr(e.msg, "permission denied") || !e.hint[0])
        _exit(1);
}

static void map_unreadable(void **state)
{
    (void)state;
    strcpy(child_path, in_folder("secret"));
    write_bytes(child_path, "x", 1);
    assert_int_equal(chmod(child_path, 0), 0);
    assert_int_equal(in_child(map_without_permission, "/dev/null"), 0);
}

static void read_shrunken_map(void)
{
    mapfile m[3], other;
    if (mapfile_open(&other, "/proc/self/exe", NULL))
        _exit(1);
    for (int i = 0; i < 3; i++) { /* slots are used again */
        if (mapfile_open(&m[i], child_path, NULL))
            _exit(1);
        if (i < 2)
            mapfile_close(&m[i]);
    }
    if (truncate(child_path, 10) != 0)
        _exit(1);
    volatile unsigned char c = m[2].data[50000];
    (void)c;
    _exit(2);
}

static void map_truncated_while_open(void **state)
{
    (void)state;
    char expected[700], *text = calloc(1, 60000);

    strcpy(child_path, in_folder("shrinks\x1b[2J"));
    write_bytes(child_path, text, 60000);
    free(text);
    assert_int_equal(in_child(read_shrunken_map, in_folder("message")), ERR_INPUT);
    snprintf(expected, sizeof expected,
             "attnscope: %s/shrinks\\x1B[2J: file became shorter while it was being read\n"
             "hint: let the program that writes it finish, then run the command again\n", folder);
    assert_content(in_folder("message"), expected);
}

static void foreign_bus_error(void)
{
    mapfile m;
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (mapfile_open(&m, child_path, NULL))
        _exit(1);
    int fd = open(child_path, O_RDWR);
    unsigned char *mine = mmap(NULL, 60000, PROT_READ, MAP_SHARED, fd, 0);
    mapfile_close(&m);
    if (mine == MAP_FAILED || ftruncate(fd, 10) != 0)
        _exit(1);
    volatile unsigned char c = mine[50000];
    (void)c;
    _exit(ERR_INPUT);
}

static void sent_bus_error(void)
{
    mapfile m;
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (mapfile_open(&m, child_path, NULL))
        _exit(1);
    raise(SIGBUS);
    _exit(ERR_INPUT);
}

/* A fault elsewhere keeps its meaning. */
static void other_bus_errors_stay(void **state)
{
    (void)state;
    char *text = calloc(1, 60000);

    strcpy(child_path, in_folder("data"));
    write_bytes(child_path, text, 60000);
    assert_int_equal(in_child(foreign_bus_error, "/dev/null"), -1);
    write_bytes(child_path, text, 60000);
    assert_int_equal(in_child(sent_bus_error, "/dev/null"), -1);
    free(text);
}

static void small_files(void **state)
{
    (void)state;
    err e = {0};
    char *text;
    size_t n;
    const char *path = in_folder("small");

    write_bytes(path, "ab\0cd", 5);
    assert_int_equal(read_file(&text, &n, path, 5, &e), 0);
    assert_int_equal(n, 5);
    assert_memory_equal(text, "ab\0cd", 6);
    free(text);
    assert_int_equal(read_file(&text, NULL, path, 4, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "larger than 4 bytes"));
    write_bytes(path, "", 0);
    assert_int_equal(read_file(&text, &n, path, 0, &e), 0);
    assert_int_equal(n, 0);
    assert_string_equal(text, "");
    free(text);
    assert_int_equal(read_file(&text, &n, folder, 100, &e), ERR_INPUT);
    assert_int_equal(read_file(&text, &n, in_folder("none"), 100, &e), ERR_INPUT);
    assert_int_equal(read_file(&text, &n, "/dev/zero", 10000, &e), ERR_INPUT); /* endless */
    assert_int_equal(read_file(&text, &n, "/proc/self/status", 1 << 20, &e), 0); /* its size reads as 0 */
    assert_true(n > 100 && strlen(text) == n);
    free(text);

    for (long nth = 1; nth < 3; nth++) {
        mem_fail_at(nth);
        int rc = read_file(&text, &n, path, 100, &e);
        mem_fail_at(0);
        if (rc == 0)
            free(text);
        else
            assert_int_equal(rc, ERR_RESOURCE);
    }
}

static void read_from_a_pipe(void **state)
{
    (void)state;
    char *text, path[64];
    size_t n;
    int fd[2];

    assert_int_equal(pipe(fd), 0);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(write(fd[1], "0123456789", 10), 10);
    close(fd[1]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd[0]); /* what <(command) expands to */
    assert_int_equal(read_file(&text, &n, path, 1 << 20, NULL), 0);
    close(fd[0]);
    assert_int_equal(n, 30000);
    assert_memory_equal(text + 29990, "0123456789", 11);
    free(text);
}

/* --- outfile --- */

static int write_file(const char *path, const char *text, err *e)
{
    outfile *f;
    int rc = outfile_open(&f, path, e);
    if (rc)
        return rc;
    rc = outfile_write(f, text, strlen(text), e);
    if (rc) {
        outfile_abandon(f);
        return rc;
    }
    return outfile_commit(f, e);
}

static void out_appears_at_commit(void **state)
{
    (void)state;
    outfile *f;
    const char *path = in_folder("result");
    struct stat st;

    assert_int_equal(outfile_open(&f, path, NULL), 0);
    assert_int_equal(outfile_write(f, "half", 4, NULL), 0);
    assert_int_equal(fflush(outfile_stream(f)), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(entries(folder), 1); /* the temporary file, beside the target */
    fprintf(outfile_stream(f), " and %d\n", 2);
    assert_int_equal(outfile_commit(f, NULL), 0);
    assert_content(path, "half and 2\n");
    assert_int_equal(entries(folder), 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644); /* umask 022 */
}

static void out_keeps_what_was_there(void **state)
{
    (void)state;
    outfile *f;
    struct stat st;
    const char *path = in_folder("result");

    write_bytes(path, "old", 3);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(outfile_open(&f, path, NULL), 0);
    assert_int_equal(outfile_write(f, "new", 3, NULL), 0);
    outfile_abandon(f);
    assert_content(path, "old");
    assert_int_equal(entries(folder), 1);
    outfile_abandon(NULL);

    assert_int_equal(write_file(path, "new one", NULL), 0);
    assert_content(path, "new one");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void out_through_links(void **state)
{
    (void)state;
    struct stat st;
    err e = {0};

    assert_int_equal(mkdir(in_folder("sub"), 0777), 0);
    write_bytes(in_folder("sub/real"), "old", 3);
    assert_int_equal(symlink("sub/real", in_folder("relative")), 0);
    assert_int_equal(symlink(in_folder("relative"), in_folder("absolute")), 0);
    assert_int_equal(symlink("sub/fresh", in_folder("dangling")), 0);
    assert_int_equal(symlink("loop", in_folder("loop")), 0);
    assert_int_equal(write_file(in_folder("absolute"), "through two", NULL), 0);
    assert_content(in_folder("sub/real"), "through two");
    assert_int_equal(write_file(in_folder("dangling"), "made", NULL), 0);
    assert_content(in_folder("sub/fresh"), "made");
    assert_int_equal(lstat(in_folder("absolute"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(write_file(in_folder("loop"), "x", &e), ERR_FAILED);
    assert_int_equal(entries(in_folder("sub")), 2);
}

static void out_bad_places(void **state)
{
    (void)state;
    err e = {0};

    assert_int_equal(write_file(in_folder("no/such/file"), "x", &e), ERR_FAILED);
    assert_non_null(strstr(e.msg, "the folder does not exist"));
    assert_true(e.hint[0] != 0);
    assert_int_equal(write_file(folder, "x", &e), ERR_FAILED);
    assert_non_null(strstr(e.msg, "is a directory"));
    write_bytes(in_folder("file"), "x", 1);
    assert_int_equal(write_file(in_folder("file/under"), "x", &e), ERR_FAILED);
    assert_int_equal(write_file("", "x", &e), ERR_USAGE);
    char name[300];
    memset(name, 'n', sizeof name);
    name[299] = '\0';
    assert_int_equal(write_file(in_folder(name), "x", &e), ERR_FAILED);
    name[255] = '\0'; /* the longest name there is: the temporary name must fit too */
    assert_int_equal(write_file(in_folder(name), "x", &e), 0);
    assert_int_equal(entries(folder), 2);
}

static void write_without_permission(void)
{
    err e = {0};
    if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) != 0)
        _exit(77);
    if (write_file(child_path, "x", &e) != ERR_FAILED || !strstr(e.msg, child_path) || !e.hint[0])
        _exit(1);
}

static void out_unwritable(void **state)
{
    (void)state;

    assert_int_equal(mkdir(in_folder("locked"), 0755), 0);
    strcpy(child_path, in_folder("locked/new"));
    assert_int_equal(chmod(in_folder("locked"), 0555), 0);
    assert_int_equal(in_child(write_without_permission, "/dev/null"), 0);
    assert_int_equal(entries(in_folder("locked")), 0);

    /* a write-protected file in a folder that may be written to is not replaced behind its owner's back */
    assert_int_equal(mkdir(in_folder("open"), 0777), 0);
    assert_int_equal(chmod(in_folder("open"), 0777), 0);
    strcpy(child_path, in_folder("open/protected"));
    write_bytes(child_path, "old", 3);
    assert_int_equal(chmod(child_path, 0444), 0);
    assert_int_equal(in_child(write_without_permission, "/dev/null"), 0);
    assert_content(child_path, "old");
    assert_int_equal(entries(in_folder("open")), 1);
}

static void out_full_disk(void **state)
{
    (void)state;
    outfile *f;
    err e = {0};

    if (access("/dev/full", W_OK) != 0)
        skip();
    assert_int_equal(write_file("/dev/full", "x", &e), ERR_RESOURCE); /* found when the buffer is flushed */
    assert_non_null(strstr(e.msg, "/dev/full: cannot be written: no space left on device"));

    assert_int_equal(outfile_open(&f, "/dev/full", &e), 0); /* found in the middle of somebody's fprintf */
    for (int i = 0; i < 100000; i++)
        fprintf(outfile_stream(f), "line %d\n", i);
    e = (err){0};
    assert_int_equal(outfile_commit(f, &e), ERR_RESOURCE);
    assert_non_null(strstr(e.msg, "no space left on device"));

    char *much = calloc(1, 1 << 20); /* found in outfile_write */
    assert_int_equal(outfile_open(&f, "/dev/full", &e), 0);
    assert_int_equal(outfile_write(f, much, 1 << 20, &e), ERR_RESOURCE);
    outfile_abandon(f);
    free(much);
    assert_int_equal(write_file("/dev/null", "x", &e), 0);
}

static void write_too_much(void)
{
    struct rlimit limit = {100000, 100000};
    err e = {0};
    outfile *f;
    char block[1000];

    signal(SIGXFSZ, SIG_IGN);
    memset(block, 'b', sizeof block);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || outfile_open(&f, child_path, &e))
        _exit(77);
    for (int i = 0; i < 1000; i++)
        fwrite(block, 1, sizeof block, outfile_stream(f));
    _exit(outfile_commit(f, &e) == ERR_RESOURCE && strstr(e.msg, child_path) ? 0 : 1);
}

static void out_file_too_large(void **state)
{
    (void)state;
    strcpy(child_path, in_folder("big"));
    write_bytes(child_path, "old", 3);
    assert_int_equal(in_child(write_too_much, "/dev/null"), 0);
    assert_content(child_path, "old");
    assert_int_equal(entries(folder), 1);
}

static void out_at_exit(void **state)
{
    (void)state;
    outfile *a, *b, *c;
    err e = {0};

    assert_int_equal(outfile_open(&a, in_folder("a"), NULL), 0);
    assert_int_equal(outfile_open(&b, in_folder("b"), NULL), 0);
    assert_int_equal(outfile_open(&c, in_folder("b"), NULL), 0); /* the same target twice */
    assert_int_equal(outfile_write(b, "x", 1, NULL), 0);
    assert_int_equal(entries(folder), 3);
    outfile_abandon_all();
    assert_int_equal(entries(folder), 0);
    outfile_abandon_all();
    assert_int_equal(outfile_commit(b, &e), ERR_FAILED); /* owners may still finish in their way */
    outfile_abandon(a);
    outfile_abandon(c);
    assert_int_equal(entries(folder), 0);
    assert_int_equal(write_file(in_folder("b"), "later", NULL), 0);
    assert_content(in_folder("b"), "later");
}

static void write_to_closed_pipe(void)
{
    int fd[2];
    err e = {0};
    signal(SIGPIPE, SIG_IGN);
    if (pipe(fd) != 0)
        _exit(77);
    close(fd[0]);
    dup2(fd[1], STDOUT_FILENO);
    _exit(write_file("-", "text", &e) == ERR_FAILED && strstr(e.msg, "standard output") ? 0 : 1);
}

static void write_to_standard_output(void)
{
    int fd = open(child_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(fd, STDOUT_FILENO);
    printf("before ");
    if (write_file("-", "during", NULL))
        _exit(1);
    printf(" after"); /* still open */
    fflush(stdout);
}

static void out_standard_output(void **state)
{
    (void)state;
    strcpy(child_path, in_folder("printed"));
    assert_int_equal(in_child(write_to_standard_output, "/dev/null"), 0);
    assert_content(child_path, "before during after");
    assert_int_equal(in_child(write_to_closed_pipe, "/dev/null"), 0);
    assert_int_equal(entries(folder), 1);
}

static void write_to_dev_stdout(void)
{
    int fd[2];
    char text[16] = "";
    if (pipe(fd) != 0)
        _exit(77);
    dup2(fd[1], STDOUT_FILENO);
    if (write_file("/dev/stdout", "in a pipe", NULL) || read(fd[0], text, 15) != 9)
        _exit(1);
    _exit(strcmp(text, "in a pipe") == 0 ? 0 : 1);
}

static void out_dev_stdout(void **state)
{
    (void)state;
    if (access("/dev/stdout", F_OK) != 0)
        skip();
    assert_int_equal(in_child(write_to_dev_stdout, "/dev/null"), 0);
}

static void out_without_memory(void **state)
{
    (void)state;
    err e = {0};
    const char *path = in_folder("x");
    for (long nth = 1;; nth++) {
        mem_fail_at(nth);
        int rc = write_file(path, "text", &e);
        mem_fail_at(0);
        if (rc == 0)
            break;
        assert_int_equal(rc, ERR_RESOURCE);
        assert_int_equal(entries(folder), 0);
        assert_true(nth < 20);
    }
    assert_content(path, "text");
}

static void directories(void **state)
{
    (void)state;
    err e = {0};
    struct stat st;

    assert_int_equal(make_directories(in_folder("a/b//c/"), &e), 0);
    assert_int_equal(stat(in_folder("a/b/c"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(make_directories(in_folder("a/b/c"), &e), 0); /* there already */
    assert_int_equal(make_directories("", &e), 0);
    assert_int_equal(make_directories("/", &e), 0);
    write_bytes(in_folder("a/file"), "x", 1);
    assert_int_equal(make_directories(in_folder("a/file"), &e), ERR_FAILED);
    assert_int_equal(make_directories(in_folder("a/file/d"), &e), ERR_FAILED);
    assert_non_null(strstr(e.msg, "is a file, not a folder"));
}

/* in_folder keeps a few names only: compare at once. */
static void assert_near(const char *missing, const char *meant)
{
    char *near = near_file(in_folder(missing));
    if (meant)
        assert_string_equal(near, in_folder(meant));
    else
        assert_null(near);
    free(near);
}

static void near_files(void **state)
{
    (void)state;
    err e = {0};
    assert_int_equal(make_directories(in_folder("near/models/tiny"), &e), 0);
    write_bytes(in_folder("near/models/tiny/config.json"), "x", 1);
    write_bytes(in_folder("near/heads.db"), "x", 1);
    write_bytes(in_folder("near/heads-b.db"), "x", 1);
    write_bytes(in_folder("near/heads-a.db"), "x", 1);
    write_bytes(in_folder("near/.hidden"), "x", 1);
    assert_near("near/haeds.db", "near/heads.db");
    assert_near("near/head.db", "near/heads.db");
    assert_near("near/heads-c.db", "near/heads-a.db"); /* of two alike the first */
    assert_near("near/modles/tiny/config.json", "near/models/tiny/config.json");
    assert_near("near/models/tniy", "near/models/tiny");
    assert_near("near/models/tiny/config.jsn", "near/models/tiny/config.json");
    assert_near("near/modles/tinny/config.json", NULL); /* one name may be wrong */
    assert_near("near/modles/other.json", NULL);
    assert_near("near/hidden", NULL);
    assert_near("near/.hiden", "near/.hidden");
    assert_near("near/something", NULL);
    assert_near("near/heads.db/inside", NULL);
    write_bytes(in_folder("near/step-100-of-200.gguf"), "x", 1);
    assert_near("near/step-1000-of-200.gguf", NULL); /* another number is another file */
    assert_near("near/stp-100-of-200.gguf", "near/step-100-of-200.gguf");
    assert_null(near_file(""));
    assert_null(near_file("/"));

    err_set(&e, ERR_INPUT, "no such file");
    assert_int_equal(near_file_hint(&e, in_folder("near/nothing at all"), "look again"), ERR_INPUT);
    assert_string_equal(e.hint, "look again");
    assert_int_equal(near_file_hint(&e, in_folder("near/nothing at all"), NULL), ERR_INPUT);
    assert_string_equal(e.hint, "look again");
    assert_int_equal(near_file_hint(&e, in_folder("near/head.db"), "look again"), ERR_INPUT);
    assert_non_null(strstr(e.hint, "did you mean \""));
    assert_non_null(strstr(e.hint, "near/heads.db\"?"));
}

/* --- SHA-256 --- */

static void sha256_published(void **state)
{
    (void)state;
    static const struct { const char *text, *digest; } cases[] = { /* FIPS 180-4 examples */
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    sha256_hex hex;
    sha256 *h;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sha256_of(hex, cases[i].text, strlen(cases[i].text), NULL), 0);
        assert_string_equal(hex, cases[i].digest);
    }

    char block[999]; /* one million 'a', in uneven pieces */
    memset(block, 'a', sizeof block);
    assert_int_equal(sha256_new(&h, NULL), 0);
    for (size_t left = 1000000; left > 0;) {
        size_t n = left < sizeof block ? left : sizeof block;
        assert_int_equal(sha256_add(h, block, n, NULL), 0);
        left -= n;
    }
    assert_int_equal(sha256_done(h, hex, NULL), 0);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");

    assert_int_equal(sha256_new(&h, NULL), 0);
    sha256_abandon(h);
    sha256_abandon(NULL);
    mem_fail_at(1);
    assert_int_equal(sha256_of(hex, "x", 1, NULL), ERR_RESOURCE);
    mem_fail_at(0);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        FILE_TEST(map_content),
        FILE_TEST(map_not_a_file),
        FILE_TEST(map_unreadable),
        FILE_TEST(map_truncated_while_open),
        FILE_TEST(other_bus_errors_stay),
        FILE_TEST(small_files),
        FILE_TEST(read_from_a_pipe),
        FILE_TEST(out_appears_at_commit),
        FILE_TEST(out_keeps_what_was_there),
        FILE_TEST(out_through_links),
        FILE_TEST(out_bad_places),
        FILE_TEST(out_unwritable),
        FILE_TEST(out_full_disk),
        FILE_TEST(out_file_too_large),
        FILE_TEST(out_at_exit),
        FILE_TEST(out_standard_output),
        FILE_TEST(out_dev_stdout),
        FILE_TEST(out_without_memory),
        FILE_TEST(directories),
        FILE_TEST(near_files),
        cmocka_unit_test(sha256_published),
    };
    return cmocka_run_group_tests_name("base files", tests, NULL, NULL);
}
