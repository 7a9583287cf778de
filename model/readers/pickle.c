/* The stack machine.  Opcodes are those of torch's own restricted unpickler; what names, calls and
 * persistent ids mean is in pickle_torch.c. */
#include "model/readers/pickle.h"

#include <stdlib.h>

#include "base/strbuf.h"

enum {
    PROTOCOL = 2,           /* what torch.save writes */
    LONGEST_SYMBOL = 200,
};

typedef enum opcode {
    OP_MARK = '(', OP_STOP = '.', OP_BINFLOAT = 'G', OP_BININT = 'J', OP_BININT1 = 'K', OP_BININT2 = 'M',
    OP_NONE = 'N', OP_BINPERSID = 'Q', OP_REDUCE = 'R', OP_SHORT_BINSTRING = 'U', OP_BINUNICODE = 'X',
    OP_EMPTY_LIST = ']', OP_APPEND = 'a', OP_BUILD = 'b', OP_GLOBAL = 'c', OP_APPENDS = 'e', OP_BINGET = 'h',
    OP_LONG_BINGET = 'j', OP_BINPUT = 'q', OP_LONG_BINPUT = 'r', OP_SETITEM = 's', OP_TUPLE = 't',
    OP_SETITEMS = 'u', OP_EMPTY_DICT = '}', OP_EMPTY_TUPLE = ')', OP_PROTO = 0x80, OP_NEWOBJ = 0x81,
    OP_TUPLE1 = 0x85, OP_TUPLE2 = 0x86, OP_TUPLE3 = 0x87, OP_NEWTRUE = 0x88, OP_NEWFALSE = 0x89,
    OP_LONG1 = 0x8a, OP_EMPTY_SET = 0x8f,
} opcode;

/* Opcodes that pickles may have and these may not, by name: for the message. */
static const struct { unsigned char op; const char *name; } foreign[] = {
    {'0', "POP"}, {'1', "POP_MARK"}, {'2', "DUP"}, {'B', "BINBYTES"}, {'C', "SHORT_BINBYTES"}, {'F', "FLOAT"},
    {'I', "INT"}, {'L', "LONG"}, {'P', "PERSID"}, {'S', "STRING"}, {'T', "BINSTRING"}, {'V', "UNICODE"},
    {'d', "DICT"}, {'g', "GET"}, {'i', "INST"}, {'l', "LIST"}, {'o', "OBJ"}, {'p', "PUT"}, {0x82, "EXT1"},
    {0x83, "EXT2"}, {0x84, "EXT4"}, {0x8b, "LONG4"}, {0x8c, "SHORT_BINUNICODE"}, {0x8d, "BINUNICODE8"},
    {0x8e, "BINBYTES8"}, {0x90, "ADDITEMS"}, {0x91, "FROZENSET"}, {0x92, "NEWOBJ_EX"}, {0x93, "STACK_GLOBAL"},
    {0x94, "MEMOIZE"}, {0x95, "FRAME"}, {0x96, "BYTEARRAY8"},
    {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
};

/* ---- the stack ---- */

/* Room for one more in a vector that doubles. */
static int make_room(pickle *p, void **items, size_t *room, size_t n, size_t size, err *e)
{
    if (n < *room)
        return 0;
    size_t more = *room ? 2 * *room : 64;
    int rc = budget_take(p->budget, (more - *room) * size, e);
    void *grown = rc ? NULL : mem_grow(*items, more, size, e);
    if (!grown)
        return rc ? rc : ERR_RESOURCE;
    *items = grown;
    *room = more;
    return 0;
}

void pickle_free(pickle *p)
{
    free(p->stack_);
    free(p->memo_);
    free(p->marks_);
    arena_free(&p->arena_);
    *p = (pickle){0};
}

static int push(pickle *p, const pickle_value *v, err *e)
{
    int rc = make_room(p, (void **)&p->stack_, &p->room_stack_, p->n_stack_, sizeof *p->stack_, e);
    if (!rc)
        p->stack_[p->n_stack_++] = *v;
    return rc;
}

/* Are there n values above the last mark? */
static bool has(const pickle *p, size_t n)
{
    return p->n_stack_ - p->fence_ >= n;
}

static int too_few(err *e)
{
    return err_set(e, ERR_INPUT, "an opcode takes more values than there are");
}

static pickle_value *top(const pickle *p, size_t below)
{
    return &p->stack_[p->n_stack_ - 1 - below];
}

static int push_mark(pickle *p, err *e)
{
    if (p->n_stack_ > UINT32_MAX)
        return err_set(e, ERR_INPUT, "too many values");
    int rc = make_room(p, (void **)&p->marks_, &p->room_mark_, p->n_mark_, sizeof *p->marks_, e);
    if (!rc) {
        p->marks_[p->n_mark_++] = (uint32_t)p->fence_;
        p->fence_ = p->n_stack_;
    }
    return rc;
}

/* Take the values above the last mark, and the mark.  They stay where they are until the next push. */
static int pop_mark(const pickle_value **items, size_t *n, pickle *p, err *e)
{
    if (!p->n_mark_)
        return err_set(e, ERR_INPUT, "an opcode takes values from a mark, but there is none");
    *items = p->n_stack_ ? p->stack_ + p->fence_ : NULL; /* nothing was ever pushed: no block to point into */
    *n = p->n_stack_ - p->fence_;
    p->n_stack_ = p->fence_;
    p->fence_ = p->marks_[--p->n_mark_];
    return 0;
}

/* Replace the top n values by a tuple of them. */
static int make_tuple(pickle *p, size_t n, err *e)
{
    pickle_value v;
    if (!has(p, n))
        return too_few(e);
    int rc = pickle_new_list(&v, p, PICKLE_TUPLE, n, e);
    if (rc)
        return rc;
    p->n_stack_ -= n;
    if (n)
        memcpy(v.list->items, p->stack_ + p->n_stack_, n * sizeof v);
    v.list->n = n;
    return push(p, &v, e);
}

static int tuple_from_mark(pickle *p, err *e)
{
    const pickle_value *items;
    size_t n = 0;
    int rc = pop_mark(&items, &n, p, e);
    if (rc)
        return rc;
    p->n_stack_ += n;
    return make_tuple(p, n, e);
}

static int append_items(pickle *p, const pickle_value *items, size_t n, err *e)
{
    if (!has(p, 1))
        return too_few(e);
    const pickle_value *target = top(p, 0);
    if (target->kind != PICKLE_LIST)
        return err_set(e, ERR_INPUT, "values are appended to %s", pickle_kind_name(target));
    int rc = pickle_reserve(p, target->list, n, e);
    if (!rc && n) {
        memcpy(target->list->items + target->list->n, items, n * sizeof *items);
        target->list->n += n;
    }
    return rc;
}

static int set_items(pickle *p, const pickle_value *items, size_t n, err *e)
{
    if (!has(p, 1))
        return too_few(e);
    const pickle_value *target = top(p, 0);
    if (target->kind != PICKLE_DICT)
        return err_set(e, ERR_INPUT, "items are set on %s", pickle_kind_name(target));
    if (n % 2)
        return err_set(e, ERR_INPUT, "a key is set without a value");
    for (size_t i = 0; i < n; i += 2)
        if (items[i].kind == PICKLE_LIST || items[i].kind == PICKLE_DICT)
            return err_set(e, ERR_INPUT, "%s is used as a key", pickle_kind_name(&items[i]));
    int rc = pickle_reserve(p, target->list, n, e);
    if (!rc && n) {
        memcpy(target->list->items + target->list->n, items, n * sizeof *items);
        target->list->n += n;
    }
    return rc;
}

/* ---- the memo ---- */

/* op_count: opcodes so far.  Picklers number their puts from 0, so no honest index is above it, and the memo
 * stays smaller than the pickle. */
static int memo_put(pickle *p, uint32_t i, size_t op_count, err *e)
{
    if (!has(p, 1))
        return too_few(e);
    if (i >= op_count)
        return err_set(e, ERR_INPUT, "memo index %u is out of order", i);
    while (p->n_memo_ <= i) {
        int rc = make_room(p, (void **)&p->memo_, &p->room_memo_, p->n_memo_, sizeof *p->memo_, e);
        if (rc)
            return rc;
        p->memo_[p->n_memo_++] = (pickle_value){.kind = PICKLE_NONE, .n = 1}; /* n 1: not set */
    }
    p->memo_[i] = *top(p, 0);
    return 0;
}

static int memo_get(pickle *p, uint32_t i, err *e)
{
    if (i >= p->n_memo_ || (p->memo_[i].kind == PICKLE_NONE && p->memo_[i].n))
        return err_set(e, ERR_INPUT, "memo index %u was never set", i);
    return push(p, &p->memo_[i], e);
}

/* ---- operands ---- */

static int cut_short(err *e)
{
    err_set(e, ERR_INPUT, "the pickle ends in the middle");
    return err_hint(e, "the download is probably incomplete; fetch the file again");
}

static int push_int(pickle *p, int64_t i, err *e)
{
    return push(p, &(pickle_value){.kind = PICKLE_INT, .i = i}, e);
}

/* n bytes, little-endian two's complement. */
static int push_long(pickle *p, const unsigned char *s, uint32_t n, err *e)
{
    if (n > sizeof(int64_t))
        return push(p, &(pickle_value){.kind = PICKLE_LONG, .s = (const char *)s, .n = n}, e);
    uint64_t v = n && s[n - 1] & 0x80 ? UINT64_MAX : 0;
    memcpy(&v, s, n);
    return push_int(p, (int64_t)v, e);
}

static int push_float(pickle *p, const unsigned char *s, err *e)
{
    pickle_value v = {.kind = PICKLE_FLOAT};
    uint64_t bits;
    memcpy(&bits, s, sizeof bits);
    bits = __builtin_bswap64(bits);
    memcpy(&v.f, &bits, sizeof bits);
    return push(p, &v, e);
}

static bool is_utf8(const char *s, size_t n)
{
    while (n) {
        int len = (unsigned char)*s < 0x80 ? 1 : utf8_next(NULL, s, n);
        if (!len)
            return false;
        s += len;
        n -= (size_t)len;
    }
    return true;
}

static int push_text(pickle *p, const unsigned char *s, uint32_t n, bool bytes, err *e)
{
    pickle_value v = {.kind = PICKLE_TEXT, .s = (const char *)s, .n = n};
    if (!is_utf8(v.s, n)) {
        shown_name text;
        if (!bytes)
            return err_set(e, ERR_INPUT, "the string \"%s\" is not UTF-8", show_name(text, v.s, n));
        v.kind = PICKLE_OPAQUE;
    }
    return push(p, &v, e);
}

/* A line; its newline is taken and not counted. */
static int take_line(const char **s, size_t *n, cursor *c, err *e)
{
    const unsigned char *end = memchr(c->at, '\n', c->left < LONGEST_SYMBOL ? c->left : LONGEST_SYMBOL);
    if (!end && c->left < LONGEST_SYMBOL)
        return cut_short(e);
    if (!end)
        return err_set(e, ERR_INPUT, "a name has more than %d bytes", LONGEST_SYMBOL - 1);
    *s = (const char *)c->at;
    *n = (size_t)(end - c->at);
    c->at += *n + 1;
    c->left -= *n + 1;
    return 0;
}

static int push_symbol(pickle *p, cursor *c, err *e)
{
    const char *module, *name;
    size_t module_len, name_len;
    pickle_value v;
    int rc = take_line(&module, &module_len, c, e);
    if (!rc)
        rc = take_line(&name, &name_len, c, e);
    if (!rc)
        rc = pickle_symbol_find(&v, module, module_len, name, name_len, e);
    return rc ? rc : push(p, &v, e);
}

/* ---- opcodes ---- */

static int refuse_opcode(unsigned op, err *e)
{
    const char *name = "unknown";
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (foreign[i].op == op)
            name = foreign[i].name;
    err_set(e, ERR_INPUT, "opcode 0x%02x (%s) is not one that PyTorch's checkpoints are made of", op, name);
    return err_hint(e, "save the weights again: torch.save(model.state_dict(), FILE)");
}

static int check_protocol(unsigned protocol, err *e)
{
    if (protocol == PROTOCOL)
        return 0;
    err_set(e, ERR_INPUT, "pickle protocol %u (PyTorch writes %d)", protocol, PROTOCOL);
    return err_hint(e, "save the weights again with torch.save, without pickle_protocol");
}

static int run_container(pickle *p, unsigned op, err *e)
{
    const pickle_value *items = NULL;
    pickle_value v = {.kind = PICKLE_OPAQUE};
    size_t n = 0;
    int rc;
    switch (op) {
    case OP_EMPTY_LIST:
    case OP_EMPTY_DICT:
        rc = pickle_new_list(&v, p, op == OP_EMPTY_LIST ? PICKLE_LIST : PICKLE_DICT, 0, e);
        return rc ? rc : push(p, &v, e);
    case OP_EMPTY_SET:
        return push(p, &v, e);
    case OP_EMPTY_TUPLE:
        return make_tuple(p, 0, e);
    case OP_TUPLE1:
    case OP_TUPLE2:
    case OP_TUPLE3:
        return make_tuple(p, op - OP_TUPLE1 + 1, e);
    case OP_TUPLE:
        return tuple_from_mark(p, e);
    case OP_APPEND:
    case OP_SETITEM:
        n = op == OP_APPEND ? 1 : 2;
        if (!has(p, n + 1))
            return too_few(e);
        p->n_stack_ -= n;
        items = p->stack_ + p->n_stack_;
        return n == 1 ? append_items(p, items, n, e) : set_items(p, items, n, e);
    default: /* OP_APPENDS, OP_SETITEMS */
        if ((rc = pop_mark(&items, &n, p, e)))
            return rc;
        return op == OP_APPENDS ? append_items(p, items, n, e) : set_items(p, items, n, e);
    }
}

/* Opcodes that give objects; all but BINPERSID take two values. */
static int run_object(pickle *p, unsigned op, err *e)
{
    pickle_value v = {0};
    int rc;
    if (op == OP_BINPERSID) {
        if (!has(p, 1))
            return too_few(e);
        rc = pickle_persistent(&v, p, top(p, 0), e);
        if (!rc)
            *top(p, 0) = v;
        return rc;
    }
    if (!has(p, 2))
        return too_few(e);
    const pickle_value *a = top(p, 1), *b = top(p, 0);
    v = *a;
    rc = op == OP_REDUCE   ? pickle_call(&v, p, a, b, e)
         : op == OP_NEWOBJ ? pickle_instance(&v, p, a, b, e)
                           : pickle_set_state(a, b, e);
    if (rc)
        return rc;
    p->n_stack_--;
    *top(p, 0) = v;
    return 0;
}

static int run_opcode(pickle *p, cursor *c, unsigned op, size_t op_count, err *e)
{
    const unsigned char *s;
    uint32_t n;
    switch (op) {
    case OP_PROTO:
        return take_bytes(&s, c, 1) ? check_protocol(*s, e) : cut_short(e);
    case OP_MARK:
        return push_mark(p, e);
    case OP_NONE:
        return push(p, &(pickle_value){.kind = PICKLE_NONE}, e);
    case OP_NEWTRUE:
    case OP_NEWFALSE:
        return push(p, &(pickle_value){.kind = PICKLE_BOOL, .i = op == OP_NEWTRUE}, e);
    case OP_BININT:
        return take_u32(&n, c) ? push_int(p, (int32_t)n, e) : cut_short(e);
    case OP_BININT1:
        return take_bytes(&s, c, 1) ? push_int(p, *s, e) : cut_short(e);
    case OP_BININT2:
        return take_bytes(&s, c, 2) ? push_int(p, s[0] | s[1] << 8, e) : cut_short(e);
    case OP_LONG1:
        if (!take_bytes(&s, c, 1) || (n = *s, !take_bytes(&s, c, n)))
            return cut_short(e);
        return push_long(p, s, n, e);
    case OP_BINFLOAT:
        return take_bytes(&s, c, 8) ? push_float(p, s, e) : cut_short(e);
    case OP_BINUNICODE:
        return take_u32(&n, c) && take_bytes(&s, c, n) ? push_text(p, s, n, false, e) : cut_short(e);
    case OP_SHORT_BINSTRING:
        if (!take_bytes(&s, c, 1) || (n = *s, !take_bytes(&s, c, n)))
            return cut_short(e);
        return push_text(p, s, n, true, e);
    case OP_BINPUT:
        return take_bytes(&s, c, 1) ? memo_put(p, *s, op_count, e) : cut_short(e);
    case OP_LONG_BINPUT:
        return take_u32(&n, c) ? memo_put(p, n, op_count, e) : cut_short(e);
    case OP_BINGET:
        return take_bytes(&s, c, 1) ? memo_get(p, *s, e) : cut_short(e);
    case OP_LONG_BINGET:
        return take_u32(&n, c) ? memo_get(p, n, e) : cut_short(e);
    case OP_GLOBAL:
        return push_symbol(p, c, e);
    case OP_EMPTY_LIST:
    case OP_EMPTY_DICT:
    case OP_EMPTY_SET:
    case OP_EMPTY_TUPLE:
    case OP_TUPLE1:
    case OP_TUPLE2:
    case OP_TUPLE3:
    case OP_TUPLE:
    case OP_APPEND:
    case OP_APPENDS:
    case OP_SETITEM:
    case OP_SETITEMS:
        return run_container(p, op, e);
    case OP_REDUCE:
    case OP_NEWOBJ:
    case OP_BUILD:
    case OP_BINPERSID:
        return run_object(p, op, e);
    default:
        return refuse_opcode(op, e);
    }
}

int pickle_read(pickle_value *out, pickle *p, cursor *c, err *e)
{
    const unsigned char *s = NULL, *begin = c->at;
    p->n_stack_ = p->n_memo_ = p->n_mark_ = p->fence_ = 0;
    if (c->left && *c->at != OP_PROTO)
        return err_set(e, ERR_INPUT, "is not a pickle (it begins with 0x%02x)", *c->at);
    for (size_t op_count = 0;; op_count++) {
        size_t at = (size_t)(c->at - begin);
        int rc = take_bytes(&s, c, 1) ? 0 : cut_short(e);
        if (!rc && *s == OP_STOP) {
            if (p->n_mark_ == 0 && p->n_stack_ == 1) {
                *out = p->stack_[0];
                return 0;
            }
            rc = err_set(e, ERR_INPUT, "it stops with %zu values instead of one", p->n_stack_);
        } else if (!rc) {
            rc = run_opcode(p, c, *s, op_count, e);
        }
        if (rc)
            return rc == ERR_INPUT ? err_prefix(e, "byte %zu of the pickle", at) : rc;
    }
}
