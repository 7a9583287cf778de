#include "base/hash_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/outfile.h"
#include "base/strbuf.h"

enum {
    LARGEST = 1 << 20,   /* bytes */
    MOST_LINES = 2000,
    MOST_WAITS = 1000,   /* for another process that writes, of 2 ms */
};

static bool off;
static int64_t settled_ns = 2000000000;

void hash_cache_use(bool on)
{
    off = !on;
}

void hash_cache_settle(int64_t ns)
{
    settled_ns = ns;
}

/* A directory that is open, -1 when there is none; make: with all above it. */
static int open_directory(bool make)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    strbuf path = {0};
    int fd = -1;
    if (xdg && xdg[0] == '/')
        strbuf_puts(&path, xdg);
    else if (home && home[0] == '/')
        strbuf_printf(&path, "%s/.cache", home);
    if (path.len && !path.failed) {
        bool there = !make || make_directories(strbuf_str(&path), NULL) == 0;
        strbuf_puts(&path, "/attnscope");
        if (there && !path.failed) {
            if (make)
                (void)mkdir(strbuf_str(&path), 0700);
            fd = open(strbuf_str(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
    }
    strbuf_free(&path);
    return fd;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A time in the future does not count as long ago. */
static bool is_settled(const mapfile *f)
{
    int64_t now = now_ns();
    return now - f->mtime_ns > settled_ns && now - f->ctime_ns > settled_ns;
}

static bool is_trusted(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) &&
           st.st_size <= LARGEST;
}

/* The cache's text; empty when there is none to believe. */
static void read_cache(strbuf *out, int directory)
{
    char block[1 << 14];
    int fd = openat(directory, "hashes", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = is_trusted(fd) ? 1 : 0;
    while (n > 0 && out->len <= LARGEST) {
        n = read(fd, block, sizeof block);
        if (n > 0)
            strbuf_add(out, block, (size_t)n);
    }
    if (n < 0 || out->failed || (out->len && memchr(out->s, '\0', out->len)))
        strbuf_clear(out);
    close(fd);
}

/* "device inode size mtime_ns ctime_ns " */
static size_t print_key(char out[128], const mapfile *f)
{
    return (size_t)snprintf(out, 128, "%" PRIu64 " %" PRIu64 " %zu %" PRId64 " %" PRId64 " ", f->device, f->inode, f->size,
                            f->mtime_ns, f->ctime_ns);
}

static bool is_digest(const char *s, size_t n)
{
    return n == sizeof(sha256_hex) - 1 && strspn(s, "0123456789abcdef") >= n;
}

bool hash_cache_find(sha256_hex out, const mapfile *f)
{
    strbuf text = {0};
    char key[128];
    bool found = false;
    int directory = off || !is_settled(f) ? -1 : open_directory(false);
    if (directory < 0)
        return false;
    read_cache(&text, directory);
    close(directory);
    size_t n = print_key(key, f);
    for (const char *line = strbuf_str(&text); *line && !found;) {
        size_t len = strcspn(line, "\n");
        if (line[len] == '\n' && len > n && memcmp(line, key, n) == 0 && is_digest(line + n, len - n)) {
            memcpy(out, line + n, sizeof(sha256_hex) - 1);
            out[sizeof(sha256_hex) - 1] = '\0';
            found = true;
        }
        line += len + (line[len] == '\n');
    }
    strbuf_free(&text);
    return found;
}

static size_t count_lines(const char *s)
{
    size_t n = 0;
    for (; (s = strchr(s, '\n')); s++)
        n++;
    return n;
}

/* The old lines but those of the same file, then the new one.  Whole lines that begin with a digit are kept as they are. */
static void put_lines(strbuf *b, const char *old, const mapfile *f, const char *digest)
{
    char key[128], same[64];
    print_key(key, f);
    size_t n = (size_t)snprintf(same, sizeof same, "%" PRIu64 " %" PRIu64 " ", f->device, f->inode);
    size_t lines = count_lines(old), skip = lines >= MOST_LINES ? lines - MOST_LINES + 1 : 0;
    for (const char *line = old; *line;) {
        size_t len = strcspn(line, "\n");
        bool keep = line[len] == '\n' && *line >= '0' && *line <= '9' && strncmp(line, same, n) != 0;
        if (skip)
            skip--;
        else if (keep)
            strbuf_add(b, line, len + 1);
        line += len + (line[len] == '\n');
    }
    strbuf_printf(b, "%s%s\n", key, digest);
}

/* The lock of the directory, for as long as it is open; not to be had soon: false. */
static bool lock(int directory)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    for (int i = 0; i < MOST_WAITS; i++) {
        if (flock(directory, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return false;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* Under the lock, so that the temporary name is ours; what a killed process left there is replaced. */
static bool write_new(int directory, const strbuf *b)
{
    (void)unlinkat(directory, "hashes.new", 0);
    int fd = openat(directory, "hashes.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    size_t done = 0;
    while (done < b->len) {
        ssize_t n = write(fd, b->s + done, b->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return close(fd) == 0 && done == b->len;
}

void hash_cache_keep(const mapfile *f, const sha256_hex digest)
{
    strbuf old = {0}, b = {0};
    int directory = off || !is_settled(f) ? -1 : open_directory(true);
    if (directory < 0)
        return;
    if (lock(directory)) {
        read_cache(&old, directory);
        put_lines(&b, strbuf_str(&old), f, digest);
        bool ready = !b.failed && write_new(directory, &b);
        if (!ready || renameat(directory, "hashes.new", directory, "hashes") != 0)
            (void)unlinkat(directory, "hashes.new", 0);
    }
    close(directory); /* gives the lock back */
    strbuf_free(&old);
    strbuf_free(&b);
}
