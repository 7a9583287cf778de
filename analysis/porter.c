#include "analysis/porter.h"

#include <stdbool.h>
#include <string.h>

typedef struct rule { const char *suffix, *put; } rule;

static bool is_consonant(const char *w, size_t i)
{
    switch (w[i]) {
    case 'a': case 'e': case 'i': case 'o': case 'u':
        return false;
    case 'y':
        return i == 0 || !is_consonant(w, i - 1);
    default:
        return true;
    }
}

/* How often a vowel is followed by a consonant in w [n]. */
static int measure(const char *w, size_t n)
{
    int m = 0;
    for (size_t i = 1; i < n; i++)
        m += is_consonant(w, i) && !is_consonant(w, i - 1);
    return m;
}

static bool has_vowel(const char *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_consonant(w, i))
            return true;
    return false;
}

static bool ends_double(const char *w, size_t n)
{
    return n >= 2 && w[n - 1] == w[n - 2] && is_consonant(w, n - 1);
}

/* Consonant, vowel, consonant other than w, x, y; or a word of vowel and consonant. */
static bool ends_cvc(const char *w, size_t n)
{
    if (n >= 3 && is_consonant(w, n - 3) && !is_consonant(w, n - 2) && is_consonant(w, n - 1))
        return !strchr("wxy", w[n - 1]);
    return n == 2 && !is_consonant(w, 0) && is_consonant(w, 1);
}

static bool ends(const char *w, size_t n, const char *suffix)
{
    size_t k = strlen(suffix);
    return k <= n && memcmp(w + n - k, suffix, k) == 0;
}

static size_t replace(char *w, size_t n, const char *suffix, const char *put)
{
    size_t stem = n - strlen(suffix), k = strlen(put);
    memcpy(w + stem, put, k);
    return stem + k;
}

/* The first suffix that fits decides: replaced where the measure of what is before it is above m. */
static size_t apply(char *w, size_t n, const rule *rules, size_t n_rule, int m)
{
    for (size_t i = 0; i < n_rule; i++)
        if (ends(w, n, rules[i].suffix)) {
            size_t stem = n - strlen(rules[i].suffix);
            bool ion = strcmp(rules[i].suffix, "ion") == 0;
            bool fits = measure(w, stem) > m && (!ion || (stem > 0 && strchr("st", w[stem - 1])));
            return fits ? replace(w, n, rules[i].suffix, rules[i].put) : n;
        }
    return n;
}
#define APPLY(w, n, rules, m) apply(w, n, rules, sizeof rules / sizeof *rules, m)

static size_t plurals(char *w, size_t n)
{
    static const rule rules[] = {{"sses", "ss"}, {"ies", "i"}, {"ss", "ss"}, {"s", ""}};
    if (n == 4 && ends(w, n, "ies"))
        return replace(w, n, "ies", "ie");
    return APPLY(w, n, rules, -1);
}

static size_t past_and_progress(char *w, size_t n)
{
    static const rule rules[] = {{"at", "ate"}, {"bl", "ble"}, {"iz", "ize"}};
    if (ends(w, n, "ied"))
        return replace(w, n, "ied", n == 4 ? "ie" : "i");
    if (ends(w, n, "eed"))
        return measure(w, n - 3) > 0 ? n - 1 : n;
    size_t stem = n;
    if (ends(w, n, "ed") && has_vowel(w, n - 2))
        stem = n - 2;
    else if (ends(w, n, "ing") && has_vowel(w, n - 3))
        stem = n - 3;
    if (stem == n)
        return n;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (ends(w, stem, rules[i].suffix))
            return replace(w, stem, rules[i].suffix, rules[i].put);
    if (ends_double(w, stem))
        return strchr("lsz", w[stem - 1]) ? stem : stem - 1;
    if (measure(w, stem) == 1 && ends_cvc(w, stem))
        w[stem++] = 'e';
    return stem;
}

static size_t long_suffixes(char *w, size_t n)
{
    static const rule rules[] = {
        {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"}, {"bli", "ble"},
        {"alli", "al"}, {"entli", "ent"}, {"eli", "e"}, {"ousli", "ous"}, {"ization", "ize"}, {"ation", "ate"},
        {"ator", "ate"}, {"alism", "al"}, {"iveness", "ive"}, {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},
        {"iviti", "ive"}, {"biliti", "ble"}, {"fulli", "ful"},
    };
    while (ends(w, n, "alli") && measure(w, n - 4) > 0)
        n -= 2;
    if (ends(w, n, "logi"))
        return measure(w, n - 3) > 0 ? n - 1 : n;
    return APPLY(w, n, rules, 0);
}

static size_t other_suffixes(char *w, size_t n)
{
    static const rule third[] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
                                 {"ical", "ic"}, {"ful", ""}, {"ness", ""}};
    static const rule fourth[] = {{"al", ""}, {"ance", ""}, {"ence", ""}, {"er", ""}, {"ic", ""}, {"able", ""},
                                  {"ible", ""}, {"ant", ""}, {"ement", ""}, {"ment", ""}, {"ent", ""}, {"ion", ""},
                                  {"ou", ""}, {"ism", ""}, {"ate", ""}, {"iti", ""}, {"ous", ""}, {"ive", ""},
                                  {"ize", ""}};
    n = APPLY(w, n, third, 0);
    return APPLY(w, n, fourth, 1);
}

static size_t final_letters(char *w, size_t n)
{
    if (ends(w, n, "e")) {
        int m = measure(w, n - 1);
        if (m > 1 || (m == 1 && !ends_cvc(w, n - 1)))
            n--;
    }
    if (ends(w, n, "ll") && measure(w, n - 1) > 1)
        n--;
    return n;
}

/* Words that the rules would spoil, and their stems. */
static size_t irregular(char *w, size_t n)
{
    static const rule words[] = {
        {"sky", "sky"}, {"skies", "sky"}, {"dying", "die"}, {"lying", "lie"}, {"tying", "tie"}, {"news", "news"},
        {"innings", "inning"}, {"inning", "inning"}, {"outings", "outing"}, {"outing", "outing"},
        {"cannings", "canning"}, {"canning", "canning"}, {"howe", "howe"}, {"proceed", "proceed"},
        {"exceed", "exceed"}, {"succeed", "succeed"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (n == strlen(words[i].suffix) && memcmp(w, words[i].suffix, n) == 0)
            return replace(w, n, words[i].suffix, words[i].put);
    return 0;
}

size_t porter_stem(char *w, size_t n)
{
    size_t k = irregular(w, n);
    if (k || n <= 2)
        return k ? k : n;
    n = plurals(w, n);
    n = past_and_progress(w, n);
    if (ends(w, n, "y") && n > 2 && is_consonant(w, n - 2))
        w[n - 1] = 'i';
    n = long_suffixes(w, n);
    n = other_suffixes(w, n);
    return final_letters(w, n);
}
