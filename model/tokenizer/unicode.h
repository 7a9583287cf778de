/* Characters as the tokenizers that we reproduce see them.
 *
 * Text need not be UTF-8.  A byte that is part of no valid sequence is a character of its own, UNICODE_BAD:
 * no letter, number, mark, punctuation or space.  Everything here works on such text, and byte counts never
 * change, so positions need no mapping.
 *
 * The libraries that the world's tokenizers were run with each carry their own Unicode version.  The tables
 * of unicode_tables.h hold what sets them apart from Unicode 14, which PCRE2 since 10.39 and utf8proc since
 * 2.7 have at least: regular expressions see Unicode 16, normalisation forms Unicode 11 and so on. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_UNICODE_H
#define ATTNSCOPE_MODEL_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/mem.h"
#include "base/strbuf.h"

#define UNICODE_BAD UINT32_MAX

/* Bytes of the first character of s (n > 0): 1..4. */
static inline int unicode_next(uint32_t *c, const char *s, size_t n)
{
    int len = (unsigned char)*s < 0x80 ? 1 : utf8_next(c, s, n);
    if (len == 1)
        *c = (unsigned char)*s;
    else if (len == 0) {
        *c = UNICODE_BAD;
        len = 1;
    }
    return len;
}

/* Start of the character that byte i of s belongs to (i < n). */
size_t unicode_start(const char *s, size_t n, size_t i);

/* UTF-8 of a code point into out; its length.  UNICODE_BAD is not allowed. */
int unicode_put(char out[4], uint32_t c);

bool unicode_is_space(uint32_t c);       /* White_Space */
bool unicode_is_word(uint32_t c);        /* letter, mark, digit, connector, joiner: a word to single_word */
bool unicode_is_number(uint32_t c);      /* to the Digits pre-tokenizer: category N */
bool unicode_is_punctuation(uint32_t c); /* to the Punctuation pre-tokenizer: ASCII punctuation, category P */
bool unicode_is_mark(uint32_t c);        /* category M */
bool unicode_is_inert(uint32_t c);       /* unknown to the normalisation forms: never changes */
bool unicode_is_control(uint32_t c);     /* to BertNormalizer: categories Cc, Cf, Co */
bool unicode_is_nonspacing(uint32_t c);  /* to BertNormalizer: category Mn */
bool unicode_is_combining(uint32_t c);   /* to StripAccents: category M */
bool unicode_is_ideograph(uint32_t c);   /* the blocks that BertNormalizer sets apart */
/* Lower case, at most 2 characters; their number. */
int unicode_lower(uint32_t out[2], uint32_t c);
uint32_t unicode_upper(uint32_t c);      /* of one character: what grows in upper case stays as it is */
bool unicode_is_letter(uint32_t c);      /* category L */

/* What a regular expression is shown of s: the same length, valid UTF-8, and no character whose category a
 * system's PCRE2 may not know.  Bytes that are not UTF-8 become U+0001, a control character; characters
 * newer than Unicode 14 become an older one of their category.  s itself when there is nothing to change,
 * else memory of a; NULL with e filled when that cannot be had. */
const char *unicode_view(const char *s, size_t n, arena *a, err *e);

/* The byte-level alphabet (GPT-2): a printable character for every byte. */
uint32_t unicode_of_byte(unsigned char byte);
int unicode_to_byte(uint32_t c);         /* -1: not of the alphabet */

#endif
