/* SentencePiece models, character maps and vocabularies of llama2.c, written byte by byte. */
#ifndef ATTNSCOPE_TESTS_SPM_BYTES_H
#define ATTNSCOPE_TESTS_SPM_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"

static inline void put_varint(strbuf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        strbuf_putc(b, (char)(v | 0x80));
    strbuf_putc(b, (char)v);
}

static inline void put_field(strbuf *b, unsigned number, unsigned wire)
{
    put_varint(b, number << 3 | wire);
}

static inline void put_number(strbuf *b, unsigned number, uint64_t v)
{
    put_field(b, number, 0);
    put_varint(b, v);
}

static inline void put_bytes(strbuf *b, unsigned number, const void *s, size_t n)
{
    put_field(b, number, 2);
    put_varint(b, n);
    strbuf_add(b, s, n);
}

/* type: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte */
static inline void put_piece(strbuf *b, const char *s, float score, int type)
{
    strbuf p = { 0 };
    put_bytes(&p, 1, s, strlen(s));
    put_field(&p, 2, 5);
    strbuf_add(&p, &score, 4);
    if (type != 1)
        put_number(&p, 3, (uint64_t)type);
    put_bytes(b, 1, p.s, p.len);
    strbuf_free(&p);
}

/* type: 1 Unigram, 2 BPE */
static inline void put_trainer(strbuf *b, int type, bool byte_fallback, bool suffix)
{
    strbuf p = { 0 };
    put_number(&p, 3, (uint64_t)type);
    put_number(&p, 24, suffix);
    put_number(&p, 35, byte_fallback);
    put_bytes(b, 2, p.s, p.len);
    strbuf_free(&p);
}

static inline void put_normalizer(strbuf *b, const void *map, size_t n, bool prefix, bool extra, bool escape)
{
    strbuf p = { 0 };
    put_bytes(&p, 1, "own", 3);
    if (n)
        put_bytes(&p, 2, map, n);
    put_number(&p, 3, prefix);
    put_number(&p, 4, extra);
    put_number(&p, 5, escape);
    put_bytes(b, 3, p.s, p.len);
    strbuf_free(&p);
}

/* A double array of one key, 'A' (0x41), that becomes "a": the root's offset is 1, so the unit of 'A' is at
 * 1 ^ 0x41 = 0x40; its offset is 2, its leaf at 0x40 ^ 2 = 0x42 holds position 0 of the texts.  */
enum { MAP_UNITS = 0x80 };
static unsigned char small_charsmap[4 + 4 * MAP_UNITS + 2];

__attribute__((constructor)) static inline void make_small_charsmap(void)
{
    uint32_t units[MAP_UNITS] = { 0 }, size = sizeof units;
    for (int i = 0; i < MAP_UNITS; i++)
        units[i] = 0x80000000u; /* no label has bit 31 */
    units[0] = 1 << 10;
    units[0x40] = 2u << 10 | 0x100 | 0x41;
    units[0x42] = 0x80000000u;
    memcpy(small_charsmap, &size, 4);
    memcpy(small_charsmap + 4, units, sizeof units);
    memcpy(small_charsmap + 4 + sizeof units, "a", 2);
}

/* n tokens: unknown, BOS, EOS, 256 bytes, then single letters and pairs of them. */
static inline void put_llama2c_tokenizer(strbuf *b, int n)
{
    uint32_t longest = 8;
    strbuf_add(b, &longest, 4);
    for (int i = 0; i < n; i++) {
        char s[16];
        float score = i < 259 ? 0 : (float)-i;
        if (i < 3)
            strcpy(s, i == 0 ? "<unk>" : i == 1 ? "\n<s>\n" : "\n</s>\n");
        else if (i < 259)
            snprintf(s, sizeof s, "<0x%02X>", (unsigned)i - 3);
        else
            snprintf(s, sizeof s, "%s", (const char *[]){ " ", "a", "b", "ab", " a" }[(i - 259) % 5]);
        if (i >= 264)
            snprintf(s, sizeof s, "t%d", i);
        uint32_t len = (uint32_t)strlen(s);
        strbuf_add(b, &score, 4);
        strbuf_add(b, &len, 4);
        strbuf_add(b, s, len);
    }
}

#endif
