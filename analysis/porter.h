/* Porter's suffix stripping ("An algorithm for suffix stripping", 1980) with the departures of NLTK's default mode (its
 * irregular words, short words, -ied, -y behind a consonant, -bli, -alli, -fulli, -logi), which the usual ROUGE scorers
 * stem with. */
#ifndef ATTNSCOPE_ANALYSIS_PORTER_H
#define ATTNSCOPE_ANALYSIS_PORTER_H

#include <stddef.h>

/* Stem word [n] of small ASCII letters and digits in place; returns its new length, which is at most n + 1: there must
 * be room for one letter more. */
size_t porter_stem(char *word, size_t n);

#endif
