#include "base/near_word.h"

#include <string.h>
#include "base/param.h"
#include "base/strbuf.h"

enum { MOST_LIKE = 6, LEAST_LETTERS = 3 };

/* Those that hold the word, up to n. */
static int words_with(const char **out, int n, const char *word, const char *const *words)
{
    int found = 0;
    for (; strlen(word) >= LEAST_LETTERS && *words && found < n; words++) {
        if (strcasestr(*words, word))
            out[found++] = *words;
    }
    return found;
}

int near_word_hint(err *e, const char *word, const char *const *words, const char *otherwise)
{
    const char *like[MOST_LIKE] = {nearest_word(word, words)};
    int n = like[0] ? 1 : words_with(like, MOST_LIKE, word, words);
    strbuf b = {0};
    for (int i = 0; i < n; i++)
        strbuf_printf(&b, "%s%s", i == 0 ? "did you mean " : i + 1 < n ? ", " : " or ", like[i]);
    strbuf_printf(&b, "%s%s", n ? "? " : "", otherwise);
    int rc = err_hint(e, "%s", strbuf_str(&b));
    strbuf_free(&b);
    return rc;
}
