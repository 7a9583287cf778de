/* Colored Objects: some things with a colour each, and the question for the colour of one (the task that Merullo et al.,
 * arXiv 2310.08744, hold against IOI; sentences and words are our own).  Corrupted: another thing is asked for. */
#include <stdlib.h>
#include <string.h>
#include "analysis/experiments/prompt_pairs.h"
#include "base/mem.h"

static const char *const colours[] = {
    "black", "blue", "brown", "gold", "gray", "green", "pink", "purple", "red", "silver", "white", "yellow", NULL,
};
static const char *const things[] = {
    "bag", "ball", "basket", "book", "bottle", "bowl", "box", "brush", "button", "card", "chair", "coat", "coin", "cup", "dress",
    "flag", "hat", "key", "knife", "lamp", "map", "pen", "pencil", "phone", "plate", "ring", "rope", "shirt", "ticket", "watch",
    NULL,
};
enum { COLOURS, THINGS, SHOWN = 3 };
static const word_list words[] = {
    {.what = "colours", .word = colours, .least = SHOWN}, {.what = "things", .word = things, .least = SHOWN}, {.what = NULL},
};

/* Three things with their colours are put between the two; then the question. */
static const struct form { const char *before, *question, *last; } forms[] = {
    {"Q: On the desk I see ", ". What colour is the ", "?\nA:"},
    {"Someone has left ", " in the hall. The colour of the ", " is"},
    {"In the picture there are ", ". If you look closely, the ", " is"},
};

/* n different indices below `of`. */
static void draw(int64_t *out, int n, int64_t of, rng *r)
{
    for (int i = 0; i < n; i++) {
        bool again = true;
        while (again) {
            out[i] = rng_below(r, of);
            again = false;
            for (int k = 0; k < i; k++)
                again |= out[k] == out[i];
        }
    }
}

static char *tell(const struct form *f, const word_list *w, const int64_t *colour, const int64_t *thing, int asked, err *e)
{
    strbuf b = {0};
    strbuf_puts(&b, f->before);
    for (int i = 0; i < SHOWN; i++)
        strbuf_printf(&b, "%sa %s %s", i == 0 ? "" : i + 1 < SHOWN ? ", " : " and ", w[COLOURS].single[colour[i]],
                      w[THINGS].single[thing[i]]);
    strbuf_printf(&b, "%s%s%s", f->question, w[THINGS].single[thing[asked]], f->last);
    return strbuf_take(&b, e);
}

static char *spaced(const char *word, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, " %s", word);
    return strbuf_take(&b, e);
}

static int make(text_pair *a, text_pair *b, const word_list *w, int64_t i, int template, rng *r, err *e)
{
    const struct form *f = &forms[template];
    int64_t colour[SHOWN], thing[SHOWN], asked[2];
    (void)i;
    draw(colour, SHOWN, w[COLOURS].n, r);
    draw(thing, SHOWN, w[THINGS].n, r);
    draw(asked, 2, SHOWN, r);
    text_pair *out[2] = {a, b};
    for (int k = 0; k < 2; k++) {
        out[k]->clean = tell(f, w, colour, thing, (int)asked[k], e);
        out[k]->corrupted = tell(f, w, colour, thing, (int)asked[1 - k], e);
        out[k]->answer = spaced(w[COLOURS].single[colour[asked[k]]], e);
        out[k]->wrong = spaced(w[COLOURS].single[colour[asked[1 - k]]], e);
        if (!out[k]->clean || !out[k]->corrupted || !out[k]->answer || !out[k]->wrong)
            return ERR_RESOURCE;
    }
    return 0;
}

const pair_task pair_task_colored_objects = {
    .name = "colored-objects", .summary = "three things with their colours, and the question for the colour of one",
    .n_template = sizeof forms / sizeof *forms, .make = make, .words = words,
};
