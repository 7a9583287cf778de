#include "analysis/rouge.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/porter.h"
#include "base/mem.h"

/* Words of a text, sorted; each NUL-terminated in `text`. */
typedef struct words { char *text; char **word; int64_t n; } words;

static void words_free(words *w)
{
    free(w->text);
    free(w->word);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char small(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : ' ';
}

static int words_of(words *out, const char *text, size_t n, bool stem, err *e)
{
    size_t room, at = 0, most = n / 2 + 1;
    *out = (words){0};
    /* A word takes its letters, one that stemming may add, and NUL. */
    if (!size_mul(&room, n, 3))
        return err_nomem(e, "words");
    if (!(out->text = mem_array(room + 1, 1, e)) || !(out->word = mem_array(most, sizeof *out->word, e)))
        return ERR_RESOURCE;
    for (size_t i = 0; i < n;) {
        size_t k = 0;
        char *w = out->text + at;
        for (; i < n && small(text[i]) != ' '; i++)
            w[k++] = small(text[i]);
        if (k == 0) {
            i++;
            continue;
        }
        if (stem && k > 3)
            k = porter_stem(w, k);
        w[k] = '\0';
        at += k + 1;
        out->word[out->n++] = w;
    }
    qsort(out->word, (size_t)out->n, sizeof *out->word, by_text);
    return 0;
}

int rouge1_recall(double *recall, int64_t *n_word, const char *reference, size_t n_reference, const char *answer,
                  size_t n_answer, bool stem, err *e)
{
    words r = {0}, a = {0};
    int64_t i = 0, j = 0, both = 0;
    int rc = words_of(&r, reference, n_reference, stem, e);
    if (!rc)
        rc = words_of(&a, answer, n_answer, stem, e);
    while (!rc && i < r.n && j < a.n) {
        int order = strcmp(r.word[i], a.word[j]);
        both += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    *n_word = r.n;
    *recall = r.n > 0 ? (double)both / (double)r.n : 0;
    words_free(&r);
    words_free(&a);
    return rc;
}

static int by_id(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

int token_recall(double *recall, const int32_t *reference, int64_t n_reference, const int32_t *answer, int64_t n_answer,
                 err *e)
{
    int32_t *set = mem_array((size_t)n_reference, sizeof *set, e);
    int64_t distinct = 0, found = 0;
    if (!set)
        return ERR_RESOURCE;
    memcpy(set, reference, (size_t)n_reference * sizeof *set);
    qsort(set, (size_t)n_reference, sizeof *set, by_id);
    for (int64_t i = 0; i < n_reference; i++) {
        if (i > 0 && set[i] == set[i - 1])
            continue;
        bool in = false;
        for (int64_t k = 0; k < n_answer && !in; k++)
            in = answer[k] == set[i];
        distinct++;
        found += in;
    }
    free(set);
    *recall = distinct > 0 ? (double)found / (double)distinct : 0;
    return 0;
}
