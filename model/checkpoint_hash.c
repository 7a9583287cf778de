/* SHA-256 of the weights, and the cache of digests.
 *
 * The cache is a text file, a line for each weight file: device inode size mtime_ns digest.  It only saves
 * time: whatever is wrong with it, the digest is computed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cancel.h"
#include "base/outfile.h"
#include "base/strbuf.h"
#include "model/checkpoint.h"
#include "model/locate.h"

enum {
    CHUNK = 4 << 20,              /* between looks at cancellation: a few milliseconds */
    LARGEST_CACHE = 1 << 20,
    MOST_LINES = 2000,            /* the oldest are forgotten */
};

/* A file changed less than this ago may change again within the same time stamp. */
static const int64_t settled_ns = 2000000000;

/* Directory of the cache: allocated, NULL when there is none. */
static char *cache_directory(void)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/')
        return path_join(xdg, "attnscope", NULL);
    return home && home[0] == '/' ? path_join(home, ".cache/attnscope", NULL) : NULL;
}

/* "device inode size mtime_ns " */
static int print_key(char *out, size_t size, const mapfile *f)
{
    return snprintf(out, size, "%" PRIu64 " %" PRIu64 " %zu %" PRId64 " ", f->device, f->inode, f->size,
                    f->mtime_ns);
}

static bool is_digest(const char *s, size_t n)
{
    return n == sizeof(sha256_hex) - 1 && strspn(s, "0123456789abcdef") >= n;
}

/* The cache's text, empty when it cannot be read; allocated, NULL without memory. */
static char *read_cache(const char *directory)
{
    char *path = path_join(directory, "hashes", NULL), *text = NULL;
    size_t n;
    if (path && read_file(&text, &n, path, LARGEST_CACHE, NULL) != 0)
        text = mem_strdup("", NULL);
    free(path);
    return text;
}

/* Look for the file's line. */
static bool look_up(sha256_hex out, const char *text, const mapfile *f)
{
    char key[128];
    size_t n = (size_t)print_key(key, sizeof key, f);
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        if (len > n && memcmp(line, key, n) == 0 && is_digest(line + n, len - n)) {
            memcpy(out, line + n, sizeof(sha256_hex) - 1);
            out[sizeof(sha256_hex) - 1] = '\0';
            return true;
        }
        line += len + (line[len] == '\n');
    }
    return false;
}

static size_t count_lines(const char *s)
{
    size_t n = 0;
    while ((s = strchr(s, '\n'))) {
        n++;
        s++;
    }
    return n;
}

/* The old lines but those of the same file, then the new one.  Lines from elsewhere are kept as they are as
 * long as they begin with a digit; anything else is dropped. */
static void put_lines(strbuf *b, const char *old, const mapfile *f, const char *digest)
{
    char key[128], same[64];
    print_key(key, sizeof key, f);
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

static void write_cache(const char *directory, const mapfile *f, const char *digest)
{
    strbuf b = {0};
    outfile *o = NULL;
    char *path = path_join(directory, "hashes", NULL), *old = read_cache(directory);
    if (!path || !old || make_directories(directory, NULL) != 0)
        goto out;
    put_lines(&b, old, f, digest);
    if (b.failed || outfile_open(&o, path, NULL) != 0)
        goto out;
    if (outfile_write(o, b.s, b.len, NULL) == 0)
        outfile_commit(o, NULL);
    else
        outfile_abandon(o);
out:
    strbuf_free(&b);
    free(old);
    free(path);
}

static bool is_settled(const mapfile *f)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - f->mtime_ns > settled_ns;
}

/* Digest of one file by reading it.  done and total are bytes, over all files. */
static int digest_file(sha256_hex out, const mapfile *f, const progress *p, double done, double total, err *e)
{
    sha256 *h;
    int rc = sha256_new(&h, e);
    if (rc)
        return rc;
    for (size_t at = 0; at < f->size; at += CHUNK) {
        size_t n = f->size - at < CHUNK ? f->size - at : CHUNK;
        if ((rc = cancel_check(e)) || (rc = sha256_add(h, f->data + at, n, e))) {
            sha256_abandon(h);
            return rc;
        }
        progress_step(p, "hashing", done + (double)(at + n), total);
    }
    return sha256_done(h, out, e);
}

static int hash_files(const checkpoint *c, sha256_hex *digests, const progress *p, err *e)
{
    double done = 0, total = 0;
    char *directory = c->borrowed_ ? NULL : cache_directory();
    char *cache = directory ? read_cache(directory) : NULL;
    int rc = 0;
    for (int i = 0; i < c->n_file; i++)
        total += (double)c->files[i].size;
    for (int i = 0; i < c->n_file && !rc; i++) {
        const mapfile *f = &c->files[i];
        if (!cache || !look_up(digests[i], cache, f)) {
            rc = digest_file(digests[i], f, p, done, total, e);
            if (!rc && directory && is_settled(f))
                write_cache(directory, f, digests[i]);
        }
        done += (double)f->size;
    }
    free(cache);
    free(directory);
    return rc;
}

int checkpoint_hash(const checkpoint *c, sha256_hex out, const progress *p, err *e)
{
    if (c->n_file == 1)
        return hash_files(c, (sha256_hex *)out, p, e);

    sha256 *h;
    sha256_hex *digests = mem_array((size_t)c->n_file, sizeof *digests, e);
    if (!digests)
        return ERR_RESOURCE;
    int rc = hash_files(c, digests, p, e);
    if (!rc)
        rc = sha256_new(&h, e);
    for (int i = 0; i < c->n_file && !rc; i++) {
        digests[i][sizeof(sha256_hex) - 1] = '\n';
        if ((rc = sha256_add(h, digests[i], sizeof(sha256_hex), e)))
            sha256_abandon(h);
    }
    if (!rc)
        rc = sha256_done(h, out, e);
    free(digests);
    return rc;
}
