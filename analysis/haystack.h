/* Needles in haystacks: a long text, a statement put into it at a certain depth, and a question about it.
 *
 * The text is the user's or is made here: plain English sentences from templates and word lists of the project's own,
 * the same for a seed on every machine; a longer text begins with the shorter one. */
#ifndef ATTNSCOPE_ANALYSIS_HAYSTACK_H
#define ATTNSCOPE_ANALYSIS_HAYSTACK_H

#include "analysis/trials.h"

/* A statement, what is asked, how the answer begins, and the rest of the answer as it stands in the statement:
 * "The lucky number of Ellen is 4 7 1.", "What is the lucky number of Ellen?", "The lucky number of Ellen is", " 4 7 1." */
typedef struct needle {
    char *text, *question;
    char *lead;                 /* "" where there is none */
    char *answer;
    char *label;                /* NULL: none */
} needle;
typedef struct needles { int64_t n; needle *list; } needles;

/* How built-in needles are worded. */
extern const char *const needle_wordings[]; /* "fact", "place", "advice", "code", NULL */
/* n needles made of words and digits by the seed, of one wording or (NULL) of all in turn; no two of them share a
 * question.  "fact" is what the bundled model was trained on. */
int needles_builtin(needles *out, int64_t n, const char *wording, uint64_t seed, err *e);
/* One object a line: {"text": ..., "question": ..., "answer": ...} and optionally "lead", "label"; "needle" and
 * "real_needle" are also read as text and as answer.  ERR_INPUT names file and line. */
int needles_load(needles *out, const char *path, err *e);
void needles_free(needles *s);

/* Append sentences, in paragraphs, until at least n bytes were added.  stream: another text of the same seed. */
int haystack_generate(strbuf *out, size_t n, uint64_t seed, uint64_t stream, err *e);
/* Append the texts of files, and of all files of folders in the order of their names, each followed by a newline. */
int haystack_read(strbuf *out, const char *const *paths, int n, err *e);

typedef enum needle_place {
    NEEDLE_PARAGRAPH,   /* a paragraph of its own */
    NEEDLE_INLINE,      /* among the sentences, as published */
} needle_place;
extern const char *const needle_place_names[]; /* "paragraph", "inline", NULL */

/* What a prompt looks like around {context}, {question} and {lead}; these are replaced once each. */
extern const char frame_plain[];    /* context, empty line, question and lead: for a model that goes on with text */
extern const char frame_book[];     /* as coded by Wu et al. */
extern const char frame_tagged[];   /* the same for chat models */

typedef struct haystack {
    const char *text; size_t n; /* all of it */
    tokens t;                   /* of the text, without special tokens */
    bool *sentence_end;         /* [t.n] a sentence ends with this token */
    int64_t n_end;
} haystack;

/* Tokenise the first bytes of a text, and find where its sentences end: behind a token whose text, without closing quotes
 * and brackets, ends in a full stop, question or exclamation mark (Latin, CJK, Devanagari, Arabic) and that is followed
 * by white space, by a closing mark, or by the end; after CJK marks by anything.  The text stays the caller's. */
int haystack_open(haystack *out, const tokenizer *tok, const char *text, size_t n, err *e);
void haystack_close(haystack *h);

typedef struct haystack_rules {
    trial_rules trial;          /* how prompts are tokenised, and rendered */
    const char *frame;
    needle_place place;
    int64_t buffer;             /* tokens of the length that are kept for question and frame; < 0: as many as they take */
} haystack_rules;

/* The trial of `length` tokens with the needle behind share `depth` of the text: of the haystack's first
 *     length - buffer - tokens of the needle
 * tokens, int(that * depth) go before the needle, then as many fewer as it takes to reach the end of a sentence; depth 1
 * appends.  ERR_INPUT: the haystack is too short, or no sentence ends in it; ERR_USAGE: the length leaves no room. */
int haystack_trial(trial *out, const haystack *h, const needle *what, int64_t length, double depth,
                   const haystack_rules *rules, err *e);
/* Tokens that needle, question and frame take without any haystack. */
int haystack_overhead(int64_t *n, const needle *what, const haystack_rules *rules, err *e);

#endif
