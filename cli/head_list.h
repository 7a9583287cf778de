/* Lists of heads in files, as other tools write them. */
#ifndef ATTNSCOPE_CLI_HEAD_LIST_H
#define ATTNSCOPE_CLI_HEAD_LIST_H

#include "cli/command_util.h"

typedef struct head_list {
    store_head *heads; /* [n] in the order of the file, each once */
    int64_t n;
    int64_t n_twice;   /* named again: left out */
} head_list;

/* text [size] of the file at path (for errors):
 *   JSON       [[10, 7], [10, 7, 0.5], "L10H7", {"layer": 10, "head": 7, "score": 0.5, "kind": "enc"}], the same below
 *              "heads", {"L10H7": 0.5, ...}, or {"10": [7, 8]}
 *   CSV, TSV   with a header that names layer and head (score, kind); or two or three columns of numbers
 *   lines      10.7, L10H7, a10.h7, blocks.10.attn.hook_z[:, :, 7], blocks.10.attn.hook_pattern 7; a score may follow
 * Empty lines and those that begin with # are passed over.  ERR_INPUT names the line or element.  free(out->heads). */
int head_list_read(head_list *out, const char *text, size_t size, const char *path, err *e);

/* The heads of the list called name in the session's store, in its order: free(*out).  ERR_USAGE: there is no such list. */
int head_list_stored(head_id **out, int *n, session *s, const char *name, err *e);

#endif
