/* Pickles as torch.save writes them: a stack machine that builds tagged values and calls nothing.
 *
 * A pickle is a program.  Here a name in it is looked up in a fixed table (pickle_torch.c): the plain
 * containers, the element types and the few functions that assemble a tensor from a storage.  Each of these
 * has one meaning that is carried out in C; any other name, and any opcode that torch.save does not write,
 * ends the reading with a message.  Nothing recurses, so nesting and self-reference cost no stack. */
#ifndef ATTNSCOPE_MODEL_READERS_PICKLE_H
#define ATTNSCOPE_MODEL_READERS_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "compute/tensor.h"
#include "model/readers/reader.h"

/* What may still be allocated on behalf of a file: a small multiple of its size. */
typedef struct mem_budget {
    size_t left, whole;
} mem_budget;

mem_budget budget_for(size_t file_size);
/* Take n bytes; ERR_INPUT when the file asks for more than its size justifies. */
int budget_take(mem_budget *b, size_t n, err *e);

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_LONG,    /* an integer beyond 64 bits: n bytes at s, little-endian two's complement */
    PICKLE_FLOAT,
    PICKLE_TEXT,    /* n bytes of UTF-8 at s, in the file; may hold NUL */
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_SYMBOL,
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_OPAQUE,  /* a device, a set, bytes: of no use here */
} pickle_kind;

typedef struct pickle_value {
    pickle_kind kind;
    uint32_t n;
    union {
        int64_t i;  /* BOOL, INT */
        double f;
        const char *s;
        struct pickle_list *list;           /* TUPLE, LIST, DICT; shared by all who refer to it */
        const struct pickle_symbol *symbol;
        struct torch_storage *storage;
        struct torch_tensor *tensor;
    };
} pickle_value;

typedef struct pickle_list {
    size_t n, room;
    pickle_value *items; /* [n]; DICT: keys and values alternate, in the order they were set */
    bool ordered;        /* an OrderedDict: may be given attributes */
} pickle_list;

/* An element type as PyTorch calls it. */
typedef struct torch_type {
    const char *name;  /* "float32" */
    dtype type;        /* DT_COUNT when tensors of it are not supported */
    size_t item;       /* bytes of an element */
} torch_type;

/* A run of elements in the file.  The pickle gives the upper half; its reader looks for the bytes. */
typedef struct torch_storage {
    const torch_type *type;  /* NULL: untyped, counted in bytes */
    const char *key;         /* [key_len] */
    uint32_t key_len;
    int64_t count;           /* elements that the file holds under this key */
    int64_t first, n;        /* the part of them that is meant (all, but for views in old files) */
    struct torch_storage *next;

    const unsigned char *data; /* of element 0 of the file's run; NULL until found */
    const void *packed;        /* the zip member to inflate first, or NULL */
} torch_storage;

/* Checked: every element lies inside the storage. */
typedef struct torch_tensor {
    torch_storage *storage;
    const torch_type *type;
    int64_t offset;          /* elements */
    int n_dim;
    int64_t shape[TENSOR_MAX_DIM], stride[TENSOR_MAX_DIM];
} torch_tensor;

typedef struct pickle {
    mem_budget *budget;      /* the caller's */
    bool legacy;             /* persistent ids as in files that are not zip archives */
    torch_storage *storages; /* all that were named, newest first */
    size_t n_storage;
    /* private */
    arena arena_;
    pickle_value *stack_, *memo_;
    uint32_t *marks_;
    size_t n_stack_, room_stack_, n_memo_, room_memo_, n_mark_, room_mark_, fence_;
} pickle;

/* Read one pickle from the front of c, up to its STOP.  Values live until pickle_free, which is to be called
 * on failure too; several pickles may be read into one p. */
int pickle_read(pickle_value *out, pickle *p, cursor *c, err *e);
void pickle_free(pickle *p);

bool pickle_is_text(const pickle_value *v, const char *text);
/* The value that a DICT has for a key of text; NULL when absent or when v is no DICT. */
const pickle_value *pickle_get(const pickle_value *v, const char *key);
const char *pickle_kind_name(const pickle_value *v); /* "a list" */

/* ---- between pickle.c and pickle_torch.c ---- */

/* Memory that lives as long as p, zeroed, charged to the budget. */
int pickle_alloc(void **out, pickle *p, size_t count, size_t size, err *e);
int pickle_new_list(pickle_value *out, pickle *p, pickle_kind kind, size_t room, err *e);
int pickle_reserve(pickle *p, pickle_list *l, size_t n, err *e); /* room for n more */
int pickle_append(pickle *p, pickle_list *l, const pickle_value *v, err *e);

/* GLOBAL: the symbol called module.name. */
int pickle_symbol_find(pickle_value *out, const char *module, size_t module_len, const char *name,
                       size_t name_len, err *e);
/* REDUCE: what calling f would give. */
int pickle_call(pickle_value *out, pickle *p, const pickle_value *f, const pickle_value *args, err *e);
/* NEWOBJ */
int pickle_instance(pickle_value *out, pickle *p, const pickle_value *of, const pickle_value *args, err *e);
/* BUILD: give v a state. */
int pickle_set_state(const pickle_value *v, const pickle_value *state, err *e);
/* BINPERSID */
int pickle_persistent(pickle_value *out, pickle *p, const pickle_value *id, err *e);

#endif
