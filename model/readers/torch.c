/* PyTorch files (torch.save): a zip archive with a pickle, NAME/data.pkl, and the bytes of each storage,
 * NAME/data/KEY; or the older stream.  The pickle is read by pickle.c, which runs nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/zip.h"
#include "model/readers/torch.h"

enum { LONGEST_TOP = 4096 };

static bool ends(const char *s, size_t n, const char *suffix)
{
    size_t m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* PROTO 2 to 5, then another opcode.  (0x80 0x02 may also be a length; then zeros follow.) */
static bool is_pickle(const unsigned char *p, size_t n)
{
    return n >= 3 && p[0] == 0x80 && p[1] >= 2 && p[1] <= 5 && p[2] >= 0x20;
}

/* torch.save puts everything into one folder of its archive. */
static bool torch_sniff(const unsigned char *head, size_t n, size_t file_size)
{
    const char *name;
    size_t len;
    (void)file_size;
    return is_pickle(head, n) || (zip_first_name(&name, &len, head, n) && memchr(name, '/', len) &&
                                !ends(name, len, ".npy"));
}

/* ---- the archive ---- */

typedef struct torch_zip {
    zip_archive zip;
    const zip_member *pickle;
    char *path;       /* "NAME/" with room for what follows */
    size_t top_len;   /* of "NAME/" */
} torch_zip;

/* The member called "NAME/" + rest; NULL when absent. */
static const zip_member *member(const torch_zip *z, const char *rest, size_t n)
{
    memcpy(z->path + z->top_len, rest, n);
    z->path[z->top_len + n] = '\0';
    return zip_find(&z->zip, z->path);
}

/* The one NAME/data.pkl. */
static int find_pickle(torch_zip *z, arena *memory, err *e)
{
    static const char file[] = "data.pkl";
    enum { ROOM = 256 };
    size_t top = 0;
    for (int i = 0; i < z->zip.n; i++) {
        const char *name = z->zip.members[i].name, *slash = strchr(name, '/');
        if (!slash || slash == name || strcmp(slash + 1, file) != 0)
            continue;
        if (z->pickle) {
            err_set(e, ERR_INPUT, "has two pickles, \"%s\" and \"%s\"", z->pickle->name, name);
            return err_hint(e, "take the file apart: one checkpoint in each");
        }
        z->pickle = &z->zip.members[i];
        top = (size_t)(slash + 1 - name);
    }
    if (!z->pickle) {
        err_set(e, ERR_INPUT, "is a zip archive, but not of PyTorch (no data.pkl in it)");
        return err_hint(e, "unpack it first, and give what is in it");
    }
    if (top > LONGEST_TOP)
        return err_set(e, ERR_INPUT, "the name of its folder has %zu bytes", top);
    z->path = arena_alloc(memory, top + ROOM, 1, e);
    if (!z->path)
        return ERR_RESOURCE;
    memcpy(z->path, z->pickle->name, top);
    z->top_len = top;
    return 0;
}

/* A member's bytes, unpacked if need be into memory of c.  A checksum of 0 stands for none: torch can be told
 * not to compute them. */
static int contents(const unsigned char **out, checkpoint *c, const zip_member *m, mem_budget *budget, err *e)
{
    *out = m->bytes;
    if (!m->deflated)
        return 0;
    int rc = budget_take(budget, (size_t)m->size, e);
    if (rc)
        return rc;
    void *block = mem_array((size_t)m->size, 1, e);
    if (!block)
        return ERR_RESOURCE;
    *out = block;
    rc = checkpoint_own(c, block, e);
    if (!rc)
        rc = zip_unpack(block, m, e);
    if (!rc && m->crc && !zip_crc_matches(m, block)) {
        err_set(e, ERR_INPUT, "the checksum of \"%s\" is wrong", m->name);
        rc = err_hint(e, "the file is damaged; fetch it again");
    }
    return rc;
}

static bool has_folder(const torch_zip *z, const char *folder)
{
    for (int i = 0; i < z->zip.n; i++) {
        const char *name = z->zip.members[i].name;
        if (strncmp(name, z->path, z->top_len) == 0 &&
            strncmp(name + z->top_len, folder, strlen(folder)) == 0)
            return true;
    }
    return false;
}

/* TorchScript archives are programs; big-endian ones would give wrong numbers. */
static int check_kind(const torch_zip *z, checkpoint *c, mem_budget *budget, err *e)
{
    static const char constants[] = "constants.pkl", order[] = "byteorder";
    z->path[z->top_len] = '\0';
    if (has_folder(z, "code/") || member(z, constants, sizeof constants - 1)) {
        err_set(e, ERR_INPUT, "is a TorchScript program, not a checkpoint");
        return err_hint(e, "save its weights: torch.save(torch.jit.load(FILE).state_dict(), OUT)");
    }
    const zip_member *m = member(z, order, sizeof order - 1);
    const unsigned char *bytes;
    if (!m)
        return 0; /* files before 2.1 */
    if (m->size > 16)
        return err_set(e, ERR_INPUT, "its byteorder is no word");
    int rc = contents(&bytes, c, m, budget, e);
    if (rc || (m->size == 6 && memcmp(bytes, "little", 6) == 0))
        return rc;
    if (m->size != 3 || memcmp(bytes, "big", 3) != 0)
        return err_set(e, ERR_INPUT, "its byteorder is neither little nor big");
    err_set(e, ERR_INPUT, "was written on a big-endian machine");
    return err_hint(e, "load it in Python and save it again on a little-endian machine");
}

/* Find the member of every storage, of exactly its size. */
static int find_storages(const torch_zip *z, const pickle *p, err *e)
{
    enum { FOLDER = 5 };
    char name[FOLDER + 256];
    shown_name text;
    memcpy(name, "data/", FOLDER);
    for (torch_storage *s = p->storages; s; s = s->next) {
        memcpy(name + FOLDER, s->key, s->key_len);
        const zip_member *m = member(z, name, FOLDER + s->key_len);
        size_t bytes = (size_t)s->count * (s->type ? s->type->item : 1);
        show_name(text, s->key, s->key_len);
        if (!m)
            return err_set(e, ERR_INPUT, "storage \"%s\" is not in the archive", text);
        if (m->size != bytes)
            return err_set(e, ERR_INPUT, "storage \"%s\" should have %zu bytes, but its member has %llu",
                           text, bytes, (unsigned long long)m->size);
        s->data = m->bytes;
        s->packed = m->deflated ? m : NULL;
    }
    return 0;
}

/* Storages of one member share what it unpacks to. */
static int unpack_storages(const torch_zip *z, checkpoint *c, const pickle *p, err *e)
{
    const unsigned char **unpacked = NULL;
    int rc = 0;
    for (torch_storage *s = p->storages; s && !rc; s = s->next) {
        if (!s->packed)
            continue;
        const zip_member *m = s->packed;
        if (!unpacked && !(unpacked = mem_array((size_t)z->zip.n, sizeof *unpacked, e)))
            return ERR_RESOURCE;
        size_t i = (size_t)(m - z->zip.members);
        if (!unpacked[i])
            rc = contents(&unpacked[i], c, m, p->budget, e);
        s->data = unpacked[i];
    }
    free(unpacked);
    return rc;
}

static int read_pickle(pickle_value *root, pickle *p, const torch_zip *z, checkpoint *c, err *e)
{
    const unsigned char *bytes;
    int rc = contents(&bytes, c, z->pickle, p->budget, e);
    if (rc)
        return rc;
    if (z->pickle->crc && !zip_crc_matches(z->pickle, bytes)) {
        err_set(e, ERR_INPUT, "the checksum of \"%s\" is wrong", z->pickle->name);
        return err_hint(e, "the file is damaged; fetch it again");
    }
    cursor in = {bytes, (size_t)z->pickle->size};
    rc = pickle_read(root, p, &in, e);
    if (!rc && in.left)
        rc = err_set(e, ERR_INPUT, "%zu bytes follow the end of the pickle", in.left);
    return rc;
}

static int read_archive(pickle_value *root, pickle *p, torch_zip *z, checkpoint *c, err *e)
{
    int rc = find_pickle(z, &c->arena_, e);
    if (!rc)
        rc = check_kind(z, c, p->budget, e);
    if (!rc)
        rc = read_pickle(root, p, z, c, e);
    if (!rc)
        rc = find_storages(z, p, e);
    return rc ? rc : unpack_storages(z, c, p, e);
}

/* ---- the reader ---- */

static int torch_read(checkpoint *c, int file, err *e)
{
    const mapfile *f = &c->files[file];
    mem_budget budget = budget_for(f->size);
    pickle p = {.budget = &budget};
    torch_zip z = {0};
    pickle_value root = {0};
    int rc;
    if (is_pickle(f->data, f->size)) {
        rc = torch_read_stream(&root, &p, f, e);
    } else {
        rc = zip_open(&z.zip, f->data, f->size, e);
        if (!rc)
            rc = read_archive(&root, &p, &z, c, e);
    }
    if (!rc)
        rc = torch_add_tensors(c, file, &p, &root, e);
    pickle_free(&p);
    zip_close(&z.zip);
    return rc;
}

const checkpoint_reader reader_torch = {
    .name = "torch",
    .summary = "PyTorch's file (.bin, .pt, .pth), zip or older; nothing in it is ever run",
    .suffix = ".pt",
    .sniff = torch_sniff,
    .read = torch_read,
};
