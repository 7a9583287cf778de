/* The one grammar of head selections: every option, argument and edit that takes heads reads it.
 *
 *     L1H3  1.3                    a head                 L3        all heads of a layer
 *     L3-7  L10-  L-1  L-3-        layers 3 to 7; from 10 on; the last one; the last three
 *     H*  H0-3  L*H0               heads 0 to 3 of every layer
 *     enc.L0H1  cross.L2  vis.all  of another stack of the model
 *     all                          all heads of all kinds
 *     @NAME  heads NAME            a list of the store (`import heads`)
 *     blocks.3.attn.hook_z[:, :, 7]                       names of TransformerLens (cli/hook_name.h)
 *     top 20 by retrieval          bottom 5% by entropy in L10-20       top 3 by sink[0] of last-1
 *     where sink > 0.3 and entropy < 1 of run 5
 *     random 8 seed 3 in L4-       8 heads drawn without replacement; seed 0 unless said
 *     L3-7 except L5H2             not L0             (L1, L2) and where sink > 0.3
 *
 * In EBNF; blanks stand between words, and words are the same in capitals:
 *
 *     selection  = union { "except" union | "where" both }
 *     union      = both { [ "," | "or" ] both }
 *     both       = term { "and" term }
 *     term       = "not" term | "where" term | "(" selection ")" | ranking | draw | condition | list | name
 *     ranking    = ( "top" | "bottom" ) ( INTEGER | NUMBER "%" ) "by" metric { of | in }
 *     draw       = "random" INTEGER { "seed" INTEGER | in }
 *     condition  = metric ( "<" | "<=" | ">" | ">=" | "=" | "==" | "!=" ) NUMBER { of | in }
 *     metric     = WORD [ "[" POSITION "]" ]
 *     of         = "of" [ "run" ] run             (cli/run_name.h: 5, last, last-1)
 *     in         = "in" term
 *     list       = "@" NAME | "heads" NAME
 *     name       = [ ( "self" | "enc" | "cross" | "vis" ) "." ] place | hook
 *     place      = "all" | "*" | "L" span [ "H" span ] | "H" span | span "." span
 *     span       = "*" | bound [ "-" [ bound ] ]
 *     bound      = [ "-" ] INTEGER                (negative: from the end, -1 is the last)
 *     hook       = ( "blocks" | "encoder" | "decoder" ) "." layer ...
 *
 * A union keeps the order in which heads are named, each once; `and`, `except` and `not` keep the order of what they leave of;
 * `top` begins with the highest value, `bottom` with the lowest, ties and everything else by kind, layer and head.  What
 * follows `except` is taken away from all before it.  Names without a kind are of the stack that gives the logits.
 *
 * Rankings and conditions read the mean of a metric over the prompts of a run (but trials that it says were no success):
 * the run of `of`, else that of --run, else the run whose rows are at hand, where it has the metric, else the newest run of
 * the same model that is done and has it.  A metric with values at several positions needs one in brackets.  A head without
 * a value passes no condition and has no rank.
 *
 * Where layers are chosen (edits of layers) the same grammar holds, without heads, rankings and conditions; a layer may then
 * stand without its L: "2-5". */
#ifndef ATTNSCOPE_CLI_HEAD_GRAMMAR_H
#define ATTNSCOPE_CLI_HEAD_GRAMMAR_H

#include <stdbool.h>
#include "base/mem.h"
#include "base/result.h"

/* An inclusive range; negative bounds count from the end.  to_end: `*` or "10-". */
typedef struct head_span { int64_t lo, hi; bool to_end; } head_span;

typedef enum head_op {
    HEADS_NAME, HEADS_LIST, HEADS_TOP, HEADS_BOTTOM, HEADS_WHERE, HEADS_RANDOM,
    HEADS_GROUP,              /* its children from left to right */
    HEADS_NOT,                /* all but its child */
} head_op;
typedef enum head_join { JOIN_OR, JOIN_AND, JOIN_EXCEPT } head_join;
typedef enum head_compare { LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, NOT_EQUAL } head_compare;

typedef struct head_expr {
    head_op op;
    const char *text;         /* as it was written, for errors */
    head_join join;           /* to its left neighbour in a group */
    struct head_expr *next;   /* in a group */
    struct head_expr *child;  /* of a group: the first; NOT: what is left out; rankings, conditions, draws: `in`, or NULL */
    /* HEADS_NAME */
    attn_kind kind;
    bool prefixed, every;     /* the kind was written; "all": of all kinds, or of that one */
    bool bare;                /* "2-5": names layers alone */
    bool of_heads, of_layer;  /* H was written; the name is of a whole layer (hook_resid_pre) */
    head_span layers, heads;
    /* HEADS_LIST */
    const char *name;
    /* the others */
    double count;             /* of heads, or percent of them */
    bool percent;
    const char *metric;       /* lower case */
    int64_t position;         /* NO_INDEX: not said */
    head_compare compare;
    double bound;
    const char *run;          /* NULL: not said */
    uint64_t seed;
} head_expr;

/* Everything lives in mem, which the caller frees.  ERR_USAGE with a hint: not of the grammar.  prefixes: what the hint adds to
 * the names, ", with enc. before it"; "" for none. */
int head_expr_parse(head_expr **out, arena *mem, const char *text, const char *prefixes, err *e);
/* One word of the rule `name`, hooks left out, into x (zeroed); false: it is none. */
bool head_place_read(head_expr *x, const char *word);
/* Are they names alone, with nothing that needs a store or a choice among heads? */
bool head_expr_plain(const head_expr *x);
/* Does one of the names count from the end ("L-1"), so that the model must be known? */
bool head_expr_from_end(const head_expr *x);

#endif
