/* What a checkpoint's pickle may name, and what each name means.  This table is the whole of what a file can
 * ask for. */
#include "model/readers/pickle.h"

enum {
    LONGEST_KEY = 200,    /* of a storage; torch.save numbers them */
};

typedef enum symbol_role {
    ROLE_ORDERED_DICT,
    ROLE_COUNTER,
    ROLE_SIZE,
    ROLE_TENSOR,          /* (storage, offset, size, stride) */
    ROLE_TENSOR_V2,       /* ..., requires_grad, hooks[, metadata] */
    ROLE_TENSOR_V3,       /* ..., requires_grad, hooks, dtype[, metadata] */
    ROLE_PARAMETER,       /* (tensor, requires_grad, hooks) */
    ROLE_PARAMETER_STATE, /* ..., state */
    ROLE_PARAMETER_CLASS, /* (tensor[, requires_grad]) */
    ROLE_OPAQUE,          /* made of anything, used for nothing */
    ROLE_STORAGE,
    ROLE_UNTYPED_STORAGE,
    ROLE_TYPE,
} symbol_role;

typedef enum type_index {
    T_F32, T_F64, T_F16, T_BF16, T_I64, T_I32, T_I16, T_I8, T_U8, T_U16, T_U32, T_U64, T_BOOL, T_C32, T_C64,
    T_C128, T_E4M3, T_E5M2, T_E4M3Z, T_E5M2Z, T_E8M0,
} type_index;

static const torch_type types[] = {
    [T_F32] = {"float32", DT_F32, 4},
    [T_F64] = {"float64", DT_F64, 8},
    [T_F16] = {"float16", DT_F16, 2},
    [T_BF16] = {"bfloat16", DT_BF16, 2},
    [T_I64] = {"int64", DT_I64, 8},
    [T_I32] = {"int32", DT_I32, 4},
    [T_I16] = {"int16", DT_I16, 2},
    [T_I8] = {"int8", DT_I8, 1},
    [T_U8] = {"uint8", DT_U8, 1},
    [T_U16] = {"uint16", DT_U16, 2},
    [T_U32] = {"uint32", DT_U32, 4},
    [T_U64] = {"uint64", DT_U64, 8},
    [T_BOOL] = {"bool", DT_BOOL, 1},
    [T_C32] = {"complex32", DT_COUNT, 4},
    [T_C64] = {"complex64", DT_C64, 8},
    [T_C128] = {"complex128", DT_COUNT, 16},
    [T_E4M3] = {"float8_e4m3fn", DT_F8_E4M3, 1},
    [T_E5M2] = {"float8_e5m2", DT_F8_E5M2, 1},
    [T_E4M3Z] = {"float8_e4m3fnuz", DT_F8_E4M3FNUZ, 1},
    [T_E5M2Z] = {"float8_e5m2fnuz", DT_F8_E5M2FNUZ, 1},
    [T_E8M0] = {"float8_e8m0fnu", DT_F8_E8M0, 1},
};

typedef struct pickle_symbol {
    const char *module, *name;
    symbol_role role;
    type_index type; /* ROLE_STORAGE, ROLE_TYPE */
} pickle_symbol;

static const pickle_symbol symbols[] = {
    {"collections", "OrderedDict", ROLE_ORDERED_DICT, 0},
    {"collections", "Counter", ROLE_COUNTER, 0},
    {"torch", "Size", ROLE_SIZE, 0},
    {"torch", "device", ROLE_OPAQUE, 0},
    {"torch.serialization", "_get_layout", ROLE_OPAQUE, 0},
    {"_codecs", "encode", ROLE_OPAQUE, 0},
    {"builtins", "set", ROLE_OPAQUE, 0},
    {"builtins", "bytearray", ROLE_OPAQUE, 0},
    {"builtins", "complex", ROLE_OPAQUE, 0},
    {"__builtin__", "set", ROLE_OPAQUE, 0}, /* protocol 2 writes the names of Python 2 */
    {"__builtin__", "bytearray", ROLE_OPAQUE, 0},
    {"__builtin__", "complex", ROLE_OPAQUE, 0},

    {"torch._utils", "_rebuild_tensor", ROLE_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v2", ROLE_TENSOR_V2, 0},
    {"torch._utils", "_rebuild_tensor_v3", ROLE_TENSOR_V3, 0},
    {"torch._utils", "_rebuild_parameter", ROLE_PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", ROLE_PARAMETER_STATE, 0},
    {"torch.nn.parameter", "Parameter", ROLE_PARAMETER_CLASS, 0},

    {"torch.storage", "UntypedStorage", ROLE_UNTYPED_STORAGE, 0},
    {"torch", "UntypedStorage", ROLE_UNTYPED_STORAGE, 0},
    {"torch", "FloatStorage", ROLE_STORAGE, T_F32},
    {"torch", "DoubleStorage", ROLE_STORAGE, T_F64},
    {"torch", "HalfStorage", ROLE_STORAGE, T_F16},
    {"torch", "BFloat16Storage", ROLE_STORAGE, T_BF16},
    {"torch", "LongStorage", ROLE_STORAGE, T_I64},
    {"torch", "IntStorage", ROLE_STORAGE, T_I32},
    {"torch", "ShortStorage", ROLE_STORAGE, T_I16},
    {"torch", "CharStorage", ROLE_STORAGE, T_I8},
    {"torch", "ByteStorage", ROLE_STORAGE, T_U8},
    {"torch", "BoolStorage", ROLE_STORAGE, T_BOOL},
    {"torch", "ComplexFloatStorage", ROLE_STORAGE, T_C64},
    {"torch", "ComplexDoubleStorage", ROLE_STORAGE, T_C128},

    {"torch", "float32", ROLE_TYPE, T_F32},
    {"torch", "float64", ROLE_TYPE, T_F64},
    {"torch", "float16", ROLE_TYPE, T_F16},
    {"torch", "bfloat16", ROLE_TYPE, T_BF16},
    {"torch", "int64", ROLE_TYPE, T_I64},
    {"torch", "int32", ROLE_TYPE, T_I32},
    {"torch", "int16", ROLE_TYPE, T_I16},
    {"torch", "int8", ROLE_TYPE, T_I8},
    {"torch", "uint8", ROLE_TYPE, T_U8},
    {"torch", "uint16", ROLE_TYPE, T_U16},
    {"torch", "uint32", ROLE_TYPE, T_U32},
    {"torch", "uint64", ROLE_TYPE, T_U64},
    {"torch", "bool", ROLE_TYPE, T_BOOL},
    {"torch", "complex32", ROLE_TYPE, T_C32},
    {"torch", "complex64", ROLE_TYPE, T_C64},
    {"torch", "complex128", ROLE_TYPE, T_C128},
    {"torch", "float8_e4m3fn", ROLE_TYPE, T_E4M3},
    {"torch", "float8_e5m2", ROLE_TYPE, T_E5M2},
    {"torch", "float8_e4m3fnuz", ROLE_TYPE, T_E4M3Z},
    {"torch", "float8_e5m2fnuz", ROLE_TYPE, T_E5M2Z},
    {"torch", "float8_e8m0fnu", ROLE_TYPE, T_E8M0},
};

static bool same(const char *text, const char *s, size_t n)
{
    return strlen(text) == n && memcmp(text, s, n) == 0;
}

int pickle_symbol_find(pickle_value *out, const char *module, size_t module_len, const char *name,
                       size_t name_len, err *e)
{
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        if (same(symbols[i].name, name, name_len) && same(symbols[i].module, module, module_len)) {
            *out = (pickle_value){.kind = PICKLE_SYMBOL, .symbol = &symbols[i]};
            return 0;
        }
    }
    shown_name m, n;
    err_set(e, ERR_INPUT, "asks for \"%s.%s\", which no plain checkpoint needs",
            show_name(m, module, module_len), show_name(n, name, name_len));
    return err_hint(e, "nothing in the file was run; if you trust it, save its weights alone: "
                       "torch.save(model.state_dict(), FILE)");
}

/* ---- arguments ---- */

static const torch_type *type_of(const pickle_symbol *s)
{
    return &types[s->type];
}

static int bad_arguments(const char *what, err *e)
{
    return err_set(e, ERR_INPUT, "the parts of %s are not what they should be", what);
}

/* A tuple or list of integers; *n_dim of them. */
static int read_dims(int64_t *dims, int *n_dim, const pickle_value *v, err *e)
{
    if (v->kind != PICKLE_TUPLE && v->kind != PICKLE_LIST)
        return bad_arguments("a tensor", e);
    if (v->list->n > TENSOR_MAX_DIM)
        return err_set(e, ERR_INPUT, "a tensor has %zu dimensions (at most %d)", v->list->n, TENSOR_MAX_DIM);
    *n_dim = (int)v->list->n;
    for (int i = 0; i < *n_dim; i++) {
        if (v->list->items[i].kind != PICKLE_INT)
            return bad_arguments("a tensor", e);
        dims[i] = v->list->items[i].i;
    }
    return 0;
}

/* ---- tensors ---- */

/* Every element inside the storage, which has n of the tensor's elements; and the tensor's own size in
 * bytes can be counted. */
static int check_extent(const torch_tensor *t, int64_t n, err *e)
{
    int64_t last = t->offset, count = 1, bytes;
    bool empty = false, fits = true;
    for (int i = 0; i < t->n_dim; i++) {
        if (t->shape[i] < 0 || t->stride[i] < 0)
            return err_set(e, ERR_INPUT, "a tensor has a negative size or stride");
        empty |= t->shape[i] == 0;
    }
    if (t->offset < 0)
        return err_set(e, ERR_INPUT, "a tensor has a negative offset");
    for (int i = 0; i < t->n_dim && !empty && fits; i++) {
        int64_t step;
        fits = !__builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &step) &&
               !__builtin_add_overflow(last, step, &last) &&
               !__builtin_mul_overflow(count, t->shape[i], &count);
    }
    fits = fits && !__builtin_mul_overflow(count, (int64_t)t->type->item, &bytes);
    if (empty ? t->offset > n : !fits || last >= n)
        return err_set(e, ERR_INPUT, "a tensor reaches beyond its storage of %lld elements", (long long)n);
    return 0;
}

/* Marks of lazily negated or conjugated tensors. */
static int check_metadata(const pickle_value *v, err *e)
{
    if (v->kind == PICKLE_NONE || (v->kind == PICKLE_DICT && !v->list->n))
        return 0;
    err_set(e, ERR_INPUT, "a tensor has marks beside its elements (such as a lazy conjugation)");
    return err_hint(e, "save it again after tensor.resolve_conj().resolve_neg()");
}

static int make_tensor(pickle_value *out, pickle *p, symbol_role role, const pickle_list *args, err *e)
{
    static const size_t fewest[] = {[ROLE_TENSOR] = 4, [ROLE_TENSOR_V2] = 6, [ROLE_TENSOR_V3] = 7};
    size_t n = fewest[role];
    const pickle_value *a = args->items;
    torch_tensor t = {0};
    int n_stride;
    if (args->n < n || args->n > n + (role != ROLE_TENSOR) || a[0].kind != PICKLE_STORAGE ||
        a[1].kind != PICKLE_INT)
        return bad_arguments("a tensor", e);
    t.storage = a[0].storage;
    t.type = t.storage->type;
    t.offset = a[1].i;
    int rc = read_dims(t.shape, &t.n_dim, &a[2], e);
    if (!rc)
        rc = read_dims(t.stride, &n_stride, &a[3], e);
    if (!rc && t.n_dim != n_stride)
        rc = err_set(e, ERR_INPUT, "a tensor has %d dimensions but %d strides", t.n_dim, n_stride);
    if (!rc && args->n > n)
        rc = check_metadata(&a[n], e);
    if (rc)
        return rc;
    int64_t room = t.storage->n;
    if (role == ROLE_TENSOR_V3) {
        if (a[6].kind != PICKLE_SYMBOL || a[6].symbol->role != ROLE_TYPE)
            return bad_arguments("a tensor", e);
        const torch_type *type = type_of(a[6].symbol);
        if (t.type && t.type != type)
            return err_set(e, ERR_INPUT, "a tensor of %s is in a storage of %s", type->name, t.type->name);
        if (!t.type)
            room /= (int64_t)type->item;
        t.type = type;
    }
    if (!t.type)
        return err_set(e, ERR_INPUT, "a tensor without element type is in an untyped storage");
    if ((rc = check_extent(&t, room, e)))
        return rc;
    void *copy;
    if ((rc = pickle_alloc(&copy, p, 1, sizeof t, e)))
        return rc;
    memcpy(copy, &t, sizeof t);
    *out = (pickle_value){.kind = PICKLE_TENSOR, .tensor = copy};
    return 0;
}

/* A parameter is its tensor. */
static int make_parameter(pickle_value *out, const pickle_list *args, size_t fewest, size_t most, err *e)
{
    if (args->n < fewest || args->n > most || args->items[0].kind != PICKLE_TENSOR)
        return bad_arguments("a parameter", e);
    *out = args->items[0];
    return 0;
}

/* ---- containers ---- */

/* OrderedDict(), or, from Python 2, OrderedDict([[key, value], ...]). */
static int make_ordered(pickle_value *out, pickle *p, const pickle_list *args, err *e)
{
    if (args->n > 1 || (args->n == 1 && args->items[0].kind != PICKLE_LIST))
        return bad_arguments("an OrderedDict", e);
    int rc = pickle_new_list(out, p, PICKLE_DICT, 0, e);
    if (rc)
        return rc;
    out->list->ordered = true;
    const pickle_list *pairs = args->n ? args->items[0].list : NULL;
    for (size_t i = 0; pairs && i < pairs->n && !rc; i++) {
        const pickle_value *pair = &pairs->items[i];
        if ((pair->kind != PICKLE_LIST && pair->kind != PICKLE_TUPLE) || pair->list->n != 2)
            return bad_arguments("an OrderedDict", e);
        rc = pickle_append(p, out->list, &pair->list->items[0], e);
        if (!rc)
            rc = pickle_append(p, out->list, &pair->list->items[1], e);
    }
    return rc;
}

static int make_size(pickle_value *out, const pickle_list *args, err *e)
{
    if (args->n != 1 || (args->items[0].kind != PICKLE_TUPLE && args->items[0].kind != PICKLE_LIST))
        return bad_arguments("a size", e);
    *out = args->items[0];
    return 0;
}

static int make_counter(pickle_value *out, pickle *p, const pickle_list *args, err *e)
{
    if (!args->n)
        return pickle_new_list(out, p, PICKLE_DICT, 0, e);
    if (args->n != 1 || args->items[0].kind != PICKLE_DICT)
        return bad_arguments("a Counter", e);
    *out = args->items[0];
    return 0;
}

/* ---- the machine's questions ---- */

static int not_callable(const pickle_value *f, err *e)
{
    if (f->kind != PICKLE_SYMBOL)
        return err_set(e, ERR_INPUT, "%s is called like a function", pickle_kind_name(f));
    return err_set(e, ERR_INPUT, "\"%s.%s\" is called like a function", f->symbol->module, f->symbol->name);
}

int pickle_call(pickle_value *out, pickle *p, const pickle_value *f, const pickle_value *args, err *e)
{
    if (args->kind != PICKLE_TUPLE)
        return err_set(e, ERR_INPUT, "%s stands where arguments should be", pickle_kind_name(args));
    if (f->kind != PICKLE_SYMBOL)
        return not_callable(f, e);
    const pickle_list *a = args->list;
    switch (f->symbol->role) {
    case ROLE_TENSOR:
    case ROLE_TENSOR_V2:
    case ROLE_TENSOR_V3:
        return make_tensor(out, p, f->symbol->role, a, e);
    case ROLE_PARAMETER:
        return make_parameter(out, a, 3, 3, e);
    case ROLE_PARAMETER_STATE:
        return make_parameter(out, a, 4, 4, e);
    case ROLE_PARAMETER_CLASS:
        return make_parameter(out, a, 1, 2, e);
    case ROLE_ORDERED_DICT:
        return make_ordered(out, p, a, e);
    case ROLE_COUNTER:
        return make_counter(out, p, a, e);
    case ROLE_SIZE:
        return make_size(out, a, e);
    case ROLE_OPAQUE:
        *out = (pickle_value){.kind = PICKLE_OPAQUE};
        return 0;
    case ROLE_STORAGE:
    case ROLE_UNTYPED_STORAGE:
    case ROLE_TYPE:
        break;
    }
    return not_callable(f, e);
}

/* Nothing is ever left half made: only what needs no later state can be instantiated. */
int pickle_instance(pickle_value *out, pickle *p, const pickle_value *of, const pickle_value *args, err *e)
{
    if (of->kind == PICKLE_SYMBOL &&
        (of->symbol->role == ROLE_ORDERED_DICT || of->symbol->role == ROLE_PARAMETER_CLASS))
        return pickle_call(out, p, of, args, e);
    if (of->kind == PICKLE_SYMBOL)
        return err_set(e, ERR_INPUT, "makes an object of \"%s.%s\"", of->symbol->module, of->symbol->name);
    return err_set(e, ERR_INPUT, "makes an object of %s", pickle_kind_name(of));
}

/* Attributes (a state dict's _metadata, what a user hung on a parameter) are of no use here.  Any other
 * state would change what the object is. */
int pickle_set_state(const pickle_value *v, const pickle_value *state, err *e)
{
    bool has_attributes = v->kind == PICKLE_TENSOR || (v->kind == PICKLE_DICT && v->list->ordered);
    if (!has_attributes)
        return err_set(e, ERR_INPUT, "%s is given a state", pickle_kind_name(v));
    if (state->kind != PICKLE_DICT)
        return err_set(e, ERR_INPUT, "%s is given %s as its state", pickle_kind_name(v),
                       pickle_kind_name(state));
    return 0;
}

/* (key of the view, first element, number of elements), of files before 0.4. */
static int read_view(torch_storage *s, const pickle_value *v, err *e)
{
    if (v->kind == PICKLE_NONE)
        return 0;
    if (v->kind != PICKLE_TUPLE || v->list->n != 3 || v->list->items[1].kind != PICKLE_INT ||
        v->list->items[2].kind != PICKLE_INT)
        return bad_arguments("the view of a storage", e);
    s->first = v->list->items[1].i;
    s->n = v->list->items[2].i;
    if (s->first < 0 || s->n < 0 || s->first > s->count || s->n > s->count - s->first)
        return err_set(e, ERR_INPUT, "the view of a storage reaches beyond it");
    return 0;
}

int pickle_persistent(pickle_value *out, pickle *p, const pickle_value *id, err *e)
{
    if (id->kind != PICKLE_TUPLE || !id->list->n)
        return bad_arguments("a persistent id", e);
    const pickle_value *a = id->list->items;
    size_t n = id->list->n;
    if (pickle_is_text(&a[0], "module")) {
        err_set(e, ERR_INPUT, "holds a whole module with its source code");
        return err_hint(e, "save the weights alone: torch.save(model.state_dict(), FILE)");
    }
    /* 'storage', class, key, location, count; old files add a view or None */
    if (!pickle_is_text(&a[0], "storage") || n < 5 || n > (p->legacy ? 6 : 5) || a[1].kind != PICKLE_SYMBOL ||
        (a[1].symbol->role != ROLE_STORAGE && a[1].symbol->role != ROLE_UNTYPED_STORAGE) ||
        a[2].kind != PICKLE_TEXT || a[4].kind != PICKLE_INT)
        return bad_arguments("a storage", e);
    torch_storage s = {
        .type = a[1].symbol->role == ROLE_STORAGE ? type_of(a[1].symbol) : NULL,
        .key = a[2].s,
        .key_len = a[2].n,
        .count = a[4].i,
        .n = a[4].i,
        .next = p->storages,
    };
    int64_t bytes;
    shown_name text;
    if (!s.key_len || s.key_len > LONGEST_KEY || memchr(s.key, '\0', s.key_len))
        return err_set(e, ERR_INPUT, "a storage has no proper key");
    if (s.count < 0 || __builtin_mul_overflow(s.count, (int64_t)(s.type ? s.type->item : 1), &bytes))
        return err_set(e, ERR_INPUT, "storage \"%s\" has an impossible number of elements (%lld)",
                       show_name(text, s.key, s.key_len), (long long)s.count);
    int rc = n > 5 ? read_view(&s, &a[5], e) : 0;
    void *copy;
    if (rc || (rc = pickle_alloc(&copy, p, 1, sizeof s, e)))
        return rc;
    memcpy(copy, &s, sizeof s);
    p->storages = copy;
    p->n_storage++;
    *out = (pickle_value){.kind = PICKLE_STORAGE, .storage = copy};
    return 0;
}
