/* Indirect object identification (Wang et al., arXiv 2211.00593): two names, one of them again, the other is the answer. */
#include <stdlib.h>
#include <string.h>
#include "analysis/experiments/prompt_pairs.h"
#include "base/mem.h"

static const char *const names[] = {
    "Adam", "Alan", "Alex", "Alice", "Amy", "Andrew", "Anna", "Anne", "Ben", "Bill", "Bob", "Carl", "Charles", "Claire",
    "Daniel", "David", "Edward", "Emily", "Emma", "Eric", "Frank", "George", "Helen", "Henry", "Ian", "Jack", "Jacob", "James",
    "Jane", "Jason", "Jean", "Jennifer", "Jessica", "Jim", "Joe", "John", "Julia", "Kate", "Kevin", "Laura", "Lewis", "Linda",
    "Lucy", "Maria", "Mark", "Martin", "Mary", "Max", "Michael", "Nick", "Patrick", "Paul", "Peter", "Rachel", "Richard",
    "Robert", "Roger", "Ryan", "Sam", "Sarah", "Simon", "Steve", "Susan", "Thomas", "Tim", "Tom", "Victoria", "William", NULL,
};
static const char *const places[] = {
    "bank", "beach", "church", "farm", "garden", "hospital", "hotel", "house", "kitchen", "lake", "library", "market", "museum",
    "office", "park", "river", "school", "shop", "station", "store", "street", "town", "village", "yard", NULL,
};
static const char *const objects[] = {
    "bag", "ball", "basket", "book", "bottle", "box", "card", "coat", "coin", "cup", "drink", "flower", "gift", "hat", "key",
    "knife", "lamp", "letter", "map", "paper", "pen", "picture", "plate", "ring", "rope", "table", "ticket", "watch", NULL,
};
enum { NAMES, PLACES, OBJECTS };
static const word_list words[] = {
    {.what = "names", .word = names, .least = 4}, {.what = "places", .word = places, .least = 1},
    {.what = "objects", .word = objects, .least = 1}, {.what = NULL},
};

/* %1 and %2: the names as they come first; %s: the one that is named again; %p, %o: place, object. */
static const char *const templates[] = {
    "When %1 and %2 came to the %p, %s handed the %o to",
    "After %1 and %2 had met at the %p, %s gave a %o to",
    "While %1 and %2 were sitting in the %p, %s passed the %o to",
    "Then %1 and %2 walked back from the %p together, and %s showed the %o to",
    "Last week %1 and %2 talked for a long time near the %p. In the end %s sold the %o to",
    "One morning %2 and %1 were at the %p; %s wanted to bring the %o to",
};
enum { TEMPLATES = sizeof templates / sizeof *templates };

static char *fill(const char *form, const char *first, const char *second, const char *subject, const char *place,
                  const char *object, err *e)
{
    strbuf b = {0};
    for (; *form; form++) {
        if (*form != '%') {
            strbuf_putc(&b, *form);
            continue;
        }
        form++;
        strbuf_puts(&b, *form == '1' ? first : *form == '2' ? second : *form == 's' ? subject : *form == 'p' ? place : object);
    }
    return strbuf_take(&b, e);
}

static char *spaced(const char *word, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, " %s", word);
    return strbuf_take(&b, e);
}

/* Both subjects of one story: the corrupted form of each is the other. */
static int two_subjects(text_pair *a, text_pair *b, const char *form, const char *first, const char *second,
                        const char *place, const char *object, err *e)
{
    a->clean = fill(form, first, second, second, place, object, e);
    a->corrupted = fill(form, first, second, first, place, object, e);
    b->clean = fill(form, first, second, first, place, object, e);
    b->corrupted = fill(form, first, second, second, place, object, e);
    a->answer = spaced(first, e);
    a->wrong = spaced(second, e);
    b->answer = spaced(second, e);
    b->wrong = spaced(first, e);
    return a->clean && a->corrupted && b->clean && b->corrupted && a->answer && a->wrong && b->answer && b->wrong
               ? 0 : ERR_RESOURCE;
}

static int make(text_pair *a, text_pair *b, const word_list *w, int64_t i, int template, rng *r, err *e)
{
    (void)i;
    int64_t first = rng_below(r, w[NAMES].n), second = rng_below(r, w[NAMES].n - 1);
    second += second >= first;
    const char *place = w[PLACES].single[rng_below(r, w[PLACES].n)];
    const char *object = w[OBJECTS].single[rng_below(r, w[OBJECTS].n)];
    return two_subjects(a, b, templates[template], w[NAMES].single[first], w[NAMES].single[second], place, object, e);
}

const pair_task pair_task_ioi = {
    .name = "ioi", .summary = "indirect object identification: two names, one comes again, the other is the answer",
    .n_template = TEMPLATES, .make = make, .words = words,
};

/* The facts of TransformerLens' demonstration of activation patching: opener, names, place, object with its article. */
static const struct story { const char *opener, *first, *second, *place, *object; } stories[] = {
    {"When", "John", "Mary", "shops", "the bag"},
    {"When", "Tom", "James", "park", "the ball"},
    {"When", "Dan", "Sid", "shops", "an apple"},
    {"After", "Martin", "Amy", "park", "a drink"},
};

static int make_demo(text_pair *a, text_pair *b, const word_list *w, int64_t i, int template, rng *r, err *e)
{
    const struct story *s = &stories[i];
    strbuf form = {0};
    (void)w;
    (void)template;
    (void)r;
    strbuf_printf(&form, "%s %%1 and %%2 went to the %%p, %%s gave %%o to", s->opener);
    char *text = strbuf_take(&form, e);
    int rc = text ? two_subjects(a, b, text, s->first, s->second, s->place, s->object, e) : ERR_RESOURCE;
    free(text);
    return rc;
}

const pair_task pair_task_ioi_demo = {
    .name = "ioi-demo",
    .summary = "eight prompts of the same kind as TransformerLens' demonstration has them: mean logit difference of GPT-2 small"
               " 3.5519 there, with BOS before the text (--bos)",
    .n_template = 1, .n_fixed = 2 * (int64_t)(sizeof stories / sizeof *stories), .make = make_demo,
};
