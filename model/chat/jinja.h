/* The Jinja interpreter behind chat.h: values, syntax tree, evaluation.  Inside model/chat/ only.
 *
 * Everything lives in one arena for the time of a rendering.  Failure is sticky: jinja_fail fills the error once,
 * and from then on every function returns at once. */
#ifndef ATTNSCOPE_MODEL_CHAT_JINJA_H
#define ATTNSCOPE_MODEL_CHAT_JINJA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/mem.h"
#include "base/strbuf.h"

/* ---- values ---- */

typedef enum value_kind {
    V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_REAL, V_TEXT, V_LIST, V_DICT, V_NAMESPACE, V_MACRO, V_GLOBAL, V_METHOD,
    V_LOOP,
} value_kind;

typedef struct text { const char *s; size_t n; } text;
typedef struct value value;
typedef struct node node;

typedef struct list { size_t n; value *v; bool tuple; } list;
typedef struct dict { size_t n, cap; struct pair *p; } dict; /* in order of insertion */
typedef struct loop loop;

struct value {
    value_kind kind;
    union {
        bool b;
        int64_t i;
        double d;
        text t;                   /* V_TEXT; V_UNDEFINED and V_GLOBAL: its name */
        list *list;
        dict *dict;               /* V_DICT, V_NAMESPACE */
        const node *macro;
        const struct method *method;
        const loop *loop;
    } u;
};
typedef struct pair { value key, v; } pair;
typedef struct method { value self; text name; } method;
struct loop { int64_t index; const list *items; };

/* ---- syntax ---- */

typedef enum node_kind {
    N_CONST, N_NAME, N_LIST, N_TUPLE, N_DICT, N_ATTRIBUTE, N_ITEM, N_SLICE, N_CALL, N_FILTER, N_TEST, N_NOT,
    N_NEGATE, N_BINARY, N_AND, N_OR, N_COMPARE, N_CHOICE,
    S_TEXT, S_OUTPUT, S_IF, S_FOR, S_SET, S_SET_BLOCK, S_FILTER_BLOCK, S_MACRO, S_BREAK, S_CONTINUE, S_BODY,
} node_kind;

typedef struct argument { text name; const node *v; } argument; /* name.s NULL: by position */

struct node {
    node_kind kind;
    int line;
    text name;              /* name, attribute, filter, test, operator, macro */
    value constant;
    const node *a, *b, *c, *d;
    const node **items; size_t n_item;   /* elements, keys and values in turn, targets, statements */
    argument *args; size_t n_arg;        /* of calls, filters, tests; parameters of a macro (v: default or NULL) */
    bool negated;                        /* is not, not in */
};

/* ---- the interpreter ---- */

typedef struct variable { text name; value v; } variable;
typedef struct scope { struct scope *up; variable *v; size_t n, cap; } scope;

enum { MAX_DEPTH = 200, MAX_STEPS = 5000000, MAX_RANGE = 100000 };
static const size_t jinja_memory = (size_t)256 << 20, jinja_output = (size_t)64 << 20;

typedef struct jinja {
    arena mem;
    const char *name;       /* of the template, in messages */
    err *e;
    int rc;
    int depth;
    int64_t steps;
    scope *scope;
    strbuf *out;
    enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } flow;
} jinja;

value jinja_fail(jinja *j, int line, const char *fmt, ...) PRINTF_LIKE(3, 4); /* V_UNDEFINED */
void *jinja_alloc(jinja *j, size_t count, size_t size); /* NULL when failed; zeroed */
bool jinja_enter(jinja *j, int line);   /* one level deeper; false when too deep.  Leave with j->depth--. */
bool jinja_step(jinja *j, int line);    /* false when there were too many, or on Ctrl-C */

/* parse.c, parse_statement.c: NULL when failed. */
const node *jinja_parse(jinja *j, const char *source, size_t n);

/* eval.c */
value jinja_eval(jinja *j, const node *n);
value jinja_call_macro(jinja *j, const node *call, const node *macro); /* exec.c */
bool jinja_arguments(jinja *j, const node *call, value *out, size_t n, const char *const *names, bool *given);
/* exec.c */
void jinja_exec(jinja *j, const node *n);
void jinja_define(jinja *j, text name, value v);
bool jinja_lookup(const jinja *j, text name, value *v);

/* methods.c, filters.c, tests.c, globals.c */
bool jinja_has_method(const value *self, text name);
value jinja_call_method(jinja *j, const node *call, const value *self, text name);
value jinja_filter(jinja *j, const node *n, value in);
bool jinja_test(jinja *j, int line, text name, const value *v, const value *arg, size_t n_arg);
value jinja_call_global(jinja *j, const node *call, text name);
bool jinja_is_global(text name);

/* value.c */
#define TEXT(literal) ((text){"" literal, sizeof literal - 1})
static inline bool text_is(text t, const char *s)
{
    size_t i = 0;
    while (i < t.n && s[i] && t.s[i] == s[i])
        i++;
    return i == t.n && !s[i];
}
bool text_equal(text a, text b);
static inline value value_bool(bool b) { return (value){V_BOOL, {.b = b}}; }
static inline value value_int(int64_t i) { return (value){V_INT, {.i = i}}; }
static inline value value_real(double d) { return (value){V_REAL, {.d = d}}; }
static inline value value_text(text t) { return (value){V_TEXT, {.t = t}}; }
static inline value value_none(void) { return (value){V_NONE, {0}}; }
static inline value value_undefined(text name) { return (value){V_UNDEFINED, {.t = name}}; }
value value_copy_text(jinja *j, const char *s, size_t n);
value value_take(jinja *j, strbuf *b);             /* the text of b, which is freed */
value value_new_list(jinja *j, size_t n, bool tuple);
value value_new_dict(jinja *j);
void value_dict_set(jinja *j, value *dict, value key, value v);
const value *value_dict_get(const value *dict, const value *key);
const value *value_dict_name(const value *dict, text key);
bool value_true(const value *v);
bool value_equal(const value *a, const value *b);
bool value_number(double *out, const value *v);    /* also booleans, as in Python */
bool value_int_of(int64_t *out, const value *v);
int value_order(jinja *j, int line, const value *a, const value *b); /* < 0, 0, > 0 */
bool value_contains(jinja *j, int line, const value *in, const value *v);
/* What a loop goes over: elements, keys, characters. */
const list *value_items(jinja *j, int line, const value *v);
int64_t value_length(jinja *j, int line, const value *v);
const char *value_kind_name(const value *v);
/* str(v) and repr(v) of Python; JSON as json.dumps(ensure_ascii=False) writes it (indent < 0: on one line). */
void value_print(jinja *j, strbuf *b, const value *v);
void value_repr(jinja *j, strbuf *b, const value *v);
void value_put_json(jinja *j, strbuf *b, const value *v, int indent, int depth, bool sort_keys);
text value_string(jinja *j, const value *v);       /* str(v) as a text */

/* text.c: characters of text */
typedef enum case_kind { CASE_LOWER, CASE_UPPER, CASE_TITLE, CASE_CAPITAL } case_kind;
value text_case(jinja *j, text t, case_kind kind);
enum { STRIP_LEFT = 1, STRIP_RIGHT = 2 };
text text_strip(text t, const text *chars, int sides);  /* chars NULL: white space */
size_t text_length(text t);                              /* characters */
text text_slice(text t, size_t from, size_t to);         /* of characters */
const char *text_find(text in, text what);
value text_replace(jinja *j, text t, text what, text with, int64_t most); /* most < 0: all */
value text_split(jinja *j, text t, const text *at, int64_t most, bool from_right);

#endif
