/* What metrics, edits and terms cite: one table, keys as in BibTeX.  What is not known of a work is left out. */
#ifndef ATTNSCOPE_ANALYSIS_BIBLIOGRAPHY_H
#define ATTNSCOPE_ANALYSIS_BIBLIOGRAPHY_H

#include <stdbool.h>
#include "base/strbuf.h"

typedef struct bib_entry {
    const char *key;       /* "gu2025sink" */
    const char *type;      /* "article", "inproceedings", "misc" */
    const char *author;    /* "Given Family and Given Family"; {braces} keep a name whole */
    const char *title;
    const char *year;
    /* Each NULL when it does not apply or is not known. */
    const char *venue;     /* journal, proceedings, or how it was published */
    const char *volume, *number, *pages;
    const char *eprint;    /* number at arXiv */
    const char *url;
} bib_entry;

extern const bib_entry bibliography[]; /* ended by a NULL key, sorted by key */
const bib_entry *bib_find(const char *key, size_t n); /* of n bytes; NULL when unknown */

/* The next key of a list "gu2025sink,xiao2024streaming": *list moves behind it.  False at the end. */
bool bib_next(const char **list, const char **key, size_t *n);

/* The entry as BibTeX, UTF-8, ending in a newline. */
void bib_put_bibtex(strbuf *b, const bib_entry *x);
/* "Gu et al. 2025, When Attention Sink Emerges ..., arXiv 2410.10781" */
void bib_put_text(strbuf *b, const bib_entry *x);

#endif
