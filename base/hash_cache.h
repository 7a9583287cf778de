/* Digests of files that were hashed before: $XDG_CACHE_HOME/attnscope/hashes (else ~/.cache/...).
 *
 * A text file, a line for each file: device inode size mtime_ns ctime_ns digest.  It only saves time: it never fails, and
 * whatever is wrong with it, the answer is "not known".  A cache that somebody else owns or may write to is not read.  A file
 * that was touched a moment ago is neither looked up nor kept, for it may change again within the same time stamp; the time
 * of the last change of the inode (ctime) is part of the key because it cannot be set back as mtime can. */
#ifndef ATTNSCOPE_BASE_HASH_CACHE_H
#define ATTNSCOPE_BASE_HASH_CACHE_H

#include <stdbool.h>
#include "base/hash.h"
#include "base/mapfile.h"

/* Off (for the whole process): every file is read.  On at the start. */
void hash_cache_use(bool on);

/* The digest of the file that f maps, if it is known. */
bool hash_cache_find(sha256_hex out, const mapfile *f);
/* Remember it.  Written beside the cache and renamed, by one process at a time; the oldest lines of many are dropped. */
void hash_cache_keep(const mapfile *f, const sha256_hex digest);

/* Tests only: how long ago a file must have been touched, in ns (2 s). */
void hash_cache_settle(int64_t ns);

#endif
