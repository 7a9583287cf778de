/* A folder of its own for each test (FILE_TEST) or for all of a program (folder_setup and folder_teardown of the group),
 * removed with all that is in it.  For one test program. */
#ifndef ATTNSCOPE_TESTS_TEST_BASE_FOLDER_H
#define ATTNSCOPE_TESTS_TEST_BASE_FOLDER_H

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[448];

/* A path in the folder; eight of them may be in use at a time. */
static inline const char *in_folder(const char *name)
{
    static char paths[8][1024];
    static int next;
    char *p = paths[next++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", folder, name);
    return p;
}

static inline void write_bytes(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A file of the folder; its path. */
static inline const char *write_in_folder(const char *name, const void *bytes, size_t n)
{
    const char *path = in_folder(name);
    write_bytes(path, bytes, n);
    return path;
}

/* How many files and folders lie in path. */
static inline int entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    if (!d)
        return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline void remove_tree(const char *path)
{
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int folder_setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%.400s/attnscope-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    umask(022);
    return mkdtemp(folder) && chmod(folder, 0755) == 0 ? 0 : -1;
}

static inline int folder_teardown(void **state)
{
    (void)state;
    remove_tree(folder);
    return 0;
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, folder_setup, folder_teardown)

#endif
