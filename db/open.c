/* Opening: what is at the path, whether it is ours, and the settings of a connection. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/cancel.h"
#include "base/near_file.h"
#include "base/strbuf.h"
#include "db/internal.h"

#define BUSY_MS 5000
#define CANCELLED_BUSY_MS 50

/* The first bytes of a database file, from SQLite's file format: the file header, then the root page of the
 * schema with its type and number of entries. */
enum { HEADER_BYTES = 105, HEADER_APPLICATION_ID = 68, SCHEMA_TYPE = 100, SCHEMA_ENTRIES = 103, LEAF = 13 };

const char *store_library_version(void)
{
    return sqlite3_libversion();
}

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t now_ms(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* SQLite's own busy timeout would not see Ctrl-C, after which there is still a moment to note that the run
 * was cancelled. */
static int wait_for_lock(void *ud, int tries)
{
    store *s = ud;
    if (tries == 0)
        s->busy_since = now_ms();
    int64_t limit = cancel_requested() && s->busy_ms > CANCELLED_BUSY_MS ? CANCELLED_BUSY_MS : s->busy_ms;
    if (now_ms() - s->busy_since >= limit)
        return 0;
    usleep(tries < 10 ? 1000 : 10000);
    return 1;
}

/* The name SQLite shall open: a relative one gets "./" so that "file:x" or ":x" means a file. */
static char *file_name(const char *path, err *e)
{
    strbuf b = {0};
    if (path[0] != '/')
        strbuf_puts(&b, "./");
    strbuf_puts(&b, path);
    return strbuf_take(&b, e);
}

/* Read the header through SQLite's file layer: closing a descriptor of our own would drop every lock that
 * this process holds on the file.  *n: bytes read, at most HEADER_BYTES. */
static int read_file_header(store *s, const char *name, unsigned char *header, err *e)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_file *f = vfs ? mem_array(1, (size_t)vfs->szOsFile, e) : NULL;
    if (!f)
        return vfs ? ERR_RESOURCE : err_nomem(e, "the store");
    int code = 0;
    sqlite3_filename known = sqlite3_create_filename(name, "", "", 0, NULL);
    if (!known) {
        free(f);
        return err_nomem(e, "the store");
    }
    int rc = vfs->xOpen(vfs, known, f, SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB, NULL);
    if (rc == SQLITE_OK)
        rc = f->pMethods->xRead(f, header, HEADER_BYTES, 0);
    if ((rc & 0xff) == SQLITE_CANTOPEN) {
        err_set(e, ERR_INPUT, "cannot open store %s: it cannot be read", s->path);
        code = err_hint(e, "check the permissions of the file and of its folder");
    } else if (rc == SQLITE_IOERR_SHORT_READ) {
        code = store_fail(s, SQLITE_NOTADB, "", e);
    } else if (rc != SQLITE_OK) {
        code = store_fail(s, rc, "reading its header", e);
    }
    if (f->pMethods)
        f->pMethods->xClose(f);
    sqlite3_free_filename(known);
    free(f);
    return code;
}

/* Look before SQLite opens the file, for opening a database of somebody else already touches it (recovery,
 * files beside it).  *missing: nothing is there. */
static int look_at(store *s, const char *name, bool *missing, err *e)
{
    static const char magic[16] = "SQLite format 3";
    struct stat st;
    if (stat(s->path, &st) != 0) {
        if (errno == ENOENT && !s->read_only) {
            *missing = true;
            return 0;
        }
        if (errno == ENOENT) {
            err_set(e, ERR_INPUT, "no store at %s", s->path);
            return near_file_hint(e, s->path, "check the name; a run with this store makes it");
        }
        err_set(e, ERR_INPUT, "cannot open store %s: %s", s->path,
                errno == ENOTDIR ? "a part of the path is not a folder"
                : errno == EACCES ? "permission denied" : "the path cannot be followed");
        return err_hint(e, "check the path");
    }
    if (!S_ISREG(st.st_mode)) {
        err_set(e, ERR_INPUT, "%s is a %s, not a store", s->path,
                S_ISDIR(st.st_mode) ? "folder" : "special file");
        return err_hint(e, "name a file");
    }
    if (st.st_size == 0)
        return 0; /* as good as missing; store_migrate fills it, or refuses when it may only read */
    unsigned char header[HEADER_BYTES] = {0};
    int code = read_file_header(s, name, header, e);
    if (code)
        return code;
    uint32_t id = be32(header + HEADER_APPLICATION_ID);
    int entries = header[SCHEMA_ENTRIES] << 8 | header[SCHEMA_ENTRIES + 1];
    bool empty = header[SCHEMA_TYPE] == LEAF && entries == 0;
    bool ours = id == STORE_APPLICATION_ID || (id == 0 && empty);
    if (memcmp(header, magic, sizeof magic) != 0 || !ours)
        return store_fail(s, SQLITE_NOTADB, "", e);
    return 0;
}

/* "file:" URI of name that promises SQLite that nobody changes the file. */
static char *immutable_name(const char *name, err *e)
{
    strbuf b = {0};
    strbuf_puts(&b, "file:");
    for (const char *p = name; *p; p++) {
        if (strchr("?#%", *p))
            strbuf_printf(&b, "%%%02X", (unsigned)(unsigned char)*p);
        else
            strbuf_putc(&b, *p);
    }
    strbuf_puts(&b, "?immutable=1");
    return strbuf_take(&b, e);
}

static int connect_to(store *s, const char *name, int flags, err *e)
{
    int rc = sqlite3_open_v2(name, &s->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK)
        return store_fail(s, rc, "opening", e);
    sqlite3_busy_handler(s->db, wait_for_lock, s);
    /* A store may come from anywhere: its schema must not run functions behind our back. */
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* "x" is a column and nothing else, so that a misspelt name is an error. */
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    /* Until it is known to be ours, closing must not write either. */
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return store_functions(s, e);
}

/* The first look inside: here SQLite finds out what it can do with the file. */
static int probe(store *s, err *e)
{
    int64_t ignored;
    return store_one_int(s, &ignored, NULL, "SELECT count(*) FROM sqlite_schema", NULL, 0, "opening", e);
}

/* On a medium that cannot be written SQLite cannot make the shared-memory file that WAL needs.  Without a
 * WAL nobody is writing, and the file can be read as it is. */
static int open_immutable(store *s, const char *name, err *e)
{
    char *uri = immutable_name(name, e);
    if (!uri)
        return ERR_RESOURCE;
    sqlite3_close(s->db);
    s->db = NULL;
    int code = connect_to(s, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, e);
    free(uri);
    return code ? code : probe(s, e);
}

/* What lies beside the store: bytes of the WAL or of its shared memory, -1: no such file. */
static int64_t size_beside(const char *name, const char *suffix)
{
    strbuf b = {0};
    struct stat st;
    strbuf_printf(&b, "%s%s", name, suffix);
    int64_t size = b.failed ? INT64_MAX : stat(strbuf_str(&b), &st) == 0 ? (int64_t)st.st_size : -1;
    strbuf_free(&b);
    return size;
}

static bool wal_exists(const char *name)
{
    return size_beside(name, "-wal") > 0;
}

/* A connection that only reads makes the files of the WAL but may not remove them.  One that may write does
 * so when it is the last, under the lock that keeps others out; as the WAL is empty it changes nothing
 * else. */
static void remove_beside(const char *name)
{
    sqlite3 *db = NULL;
    if (size_beside(name, "-wal") == 0 && size_beside(name, "-shm") >= 0 &&
        sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
        sqlite3_db_readonly(db, "main") == 0)
        sqlite3_exec(db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    sqlite3_close(db);
}

/* SQLite tries a file that it may not make once more for reading, and then knows only that it is not there:
 * say what is wrong with the folder. */
static int explain_folder(const store *s, const char *name, int code, err *e)
{
    strbuf folder = {0};
    const char *slash = strrchr(name, '/');
    if (s->read_only || !s->db || (sqlite3_extended_errcode(s->db) & 0xff) != SQLITE_CANTOPEN)
        return code;
    strbuf_add(&folder, name, (size_t)(slash - name) + 1);
    bool known = !folder.failed && faccessat(AT_FDCWD, strbuf_str(&folder), W_OK | X_OK, AT_EACCESS) < 0 &&
                 (errno == EACCES || errno == EPERM || errno == EROFS);
    if (known) {
        err_set(e, ERR_FAILED, "cannot open store %s: %s", s->path,
                errno == EROFS ? "the file system is read-only" : "permission denied");
        code = err_hint(e, "name a store in a folder that this user may write to");
    }
    strbuf_free(&folder);
    return code;
}

static int open_file(store *s, const char *name, bool *missing, err *e)
{
    err first = {0};
    int code = look_at(s, name, missing, e);
    if (code)
        return code;
    int flags = s->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (*missing)
        flags |= SQLITE_OPEN_CREATE;
    code = connect_to(s, name, flags, e);
    if (code)
        return explain_folder(s, name, code, e);
    code = probe(s, &first);
    int primary = sqlite3_extended_errcode(s->db) & 0xff;
    if (code && s->read_only && (primary == SQLITE_CANTOPEN || primary == SQLITE_READONLY) &&
        !wal_exists(name))
        return open_immutable(s, name, e);
    if (code) {
        if (e)
            *e = first;
        return explain_folder(s, name, code, e);
    }
    /* SQLite falls back to reading when it may not write. */
    if (!s->read_only && sqlite3_db_readonly(s->db, "main") == 1)
        return store_fail(s, SQLITE_READONLY, "", e);
    return 0;
}

/* Settings of the connection; those of the file are made once, by whoever creates it. */
static int configure(store *s, err *e)
{
    static const char doing[] = "setting up the connection";
    int code = store_exec(s, "PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON;"
                          "PRAGMA cache_size = -16384;" /* KiB */
                          "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;", doing, e);
    if (!code && s->memory && s->read_only)
        code = store_exec(s, "PRAGMA query_only = ON", doing, e);
    if (code || s->memory || s->read_only)
        return code;
    /* Readers and a writer side by side.  Where the file system cannot do that SQLite keeps its rollback
     * journal, which is as safe; a process that is at this point too does it for us. */
    err ignored;
    code = store_exec(s, "PRAGMA journal_mode = WAL", doing, &ignored);
    if (code && (sqlite3_errcode(s->db) & 0xff) != SQLITE_BUSY) {
        if (e)
            *e = ignored;
        return code;
    }
    return 0;
}

/* A new store that could not be filled for want of disk leaves no empty file. */
static void remove_empty(const char *name)
{
    struct stat st;
    if (stat(name, &st) == 0 && st.st_size == 0)
        unlink(name);
}

int store_open_with(store **out, const char *path, bool read_only, const store_options *o, err *e)
{
    *out = NULL;
    if (!*path) {
        err_set(e, ERR_USAGE, "the store has no name");
        return err_hint(e, "name a file, or :memory: to keep nothing");
    }
    store *s = mem_array(1, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    char *name = NULL;
    bool missing = false;
    int code = ERR_RESOURCE;
    s->read_only = read_only;
    s->memory = strcmp(path, ":memory:") == 0;
    s->busy_ms = o->busy_ms;
    s->path = mem_strdup(path, e);
    if (!s->path)
        goto out;
    if (s->memory) {
        s->read_only = false; /* for store_migrate: it has to be filled first */
        code = connect_to(s, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY, e);
    } else if ((name = file_name(path, e))) {
        code = open_file(s, name, &missing, e);
    }
    if (!code)
        code = store_migrate(s, o->migrations, o->n_migration, e);
    s->read_only = read_only;
    if (!code)
        code = configure(s, e);
    if (!code)
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
out:
    if (code) {
        store_close(s);
        if (missing && code == ERR_RESOURCE)
            remove_empty(name);
    } else {
        *out = s;
    }
    free(name);
    return code;
}

int store_open(store **out, const char *path, bool read_only, err *e)
{
    const store_options o = {BUSY_MS, store_migrations, store_n_migration};
    return store_open_with(out, path, read_only, &o, e);
}

void store_close(store *s)
{
    if (!s)
        return;
    store_unit_rollback(s);
    for (int i = 0; i < STMT_COUNT; i++)
        sqlite3_finalize(s->stmt[i]);
    char *name = s->db && s->read_only && !s->memory ? file_name(s->path, NULL) : NULL;
    sqlite3_close(s->db);
    if (name)
        remove_beside(name);
    free(name);
    free(s->path);
    free(s);
}

const char *store_path(const store *s)
{
    return s->path;
}
