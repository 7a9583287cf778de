/* Needles: built in, or of a file. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/haystack.h"
#include "base/json_lines.h"
#include "base/mapfile.h"
#include "base/mem.h"
#include "base/rng.h"

#define MAX_NEEDLES_BYTES ((size_t)64 << 20)

enum { WORDING_FACT, WORDING_PLACE, WORDING_ADVICE, WORDING_CODE, N_WORDING };
const char *const needle_wordings[] = {"fact", "place", "advice", "code", NULL};

#define LIST(name, ...) static const char *const name[] = {__VA_ARGS__}
#define PICK(list) list[rng_below(r, (int64_t)(sizeof list / sizeof *list))]
/* The k-th of a list that was put into random order once: needles of one set do not meet in it. */
#define TAKE(list, k) list[(k) % (int64_t)(sizeof list / sizeof *list)]

LIST(facts, "lucky number", "private code", "hidden word", "true name", "secret sign", "last wish", "lucky charm",
     "old number");
LIST(names, "Harriet", "Tobias", "Margaret", "Ellen", "Agnes", "Helen", "Arthur", "Edmund", "Clara", "Martha", "Walter",
     "Oliver", "Rosa", "Silas", "Judith", "Hugh", "Lydia", "Simon", "Esther", "Ralph", "Nancy", "Philip", "Alice",
     "George");
LIST(words, "walnut", "ladder", "mirror", "carpet", "window", "barrel", "kitchen", "anchor", "rabbit", "violin",
     "pepper", "saddle", "chimney", "orange", "castle", "winter", "feather", "basket", "thunder", "honey", "pillow",
     "tunnel", "coffee", "trumpet");
LIST(objects, "passport", "gold ring", "spare key", "first diary", "wedding dress", "old compass", "silver watch",
     "bank book", "red notebook", "music box", "family seal", "letter of credit");
LIST(holders, "the tin box", "the green drawer", "the copper pot", "the brown suitcase", "the broken clock",
     "the tall vase", "the sewing basket", "the hollow book");
LIST(spots, "under the back stairs", "on the kitchen shelf", "behind the piano", "above the stable door",
     "in the north tower", "beneath the apple tree", "at the end of the corridor", "next to the oven");
LIST(towns, "Harwick", "Bellmoor", "Kestrel Bay", "Old Marden", "Tarrow", "Linden Hill", "Port Avery", "Saint Orrin",
     "Dunmere", "Westerlow", "Crane Island", "Millbeck");
LIST(acts, "hire a rowing boat", "climb the water tower", "eat pancakes with plum jam", "ride the night tram",
     "listen to the bell ringers", "swim in the quarry", "buy a paper kite", "watch the glass blowers");
LIST(along, "with a friend on a sunny day", "before the shops are open", "in the company of a guide",
     "while the market band is playing", "during the first week of May", "and to come back on foot");
LIST(doors, "library", "boat house", "museum", "observatory", "greenhouse", "theatre", "bakery", "archive", "chapel",
     "railway office", "mint", "school cellar");

static int put_needle(needle *out, strbuf parts[4], const char *label, err *e)
{
    char **to[4] = {&out->text, &out->question, &out->lead, &out->answer};
    int rc = 0;
    for (int i = 0; i < 4; i++) {
        if (!rc && parts[i].len == 0 && !parts[i].failed)
            *to[i] = mem_strdup("", e);
        else if (!rc)
            *to[i] = strbuf_take(&parts[i], e);
        strbuf_free(&parts[i]);
        if (!rc && !*to[i])
            rc = ERR_RESOURCE;
    }
    if (!rc && label && !(out->label = mem_strdup(label, e)))
        rc = ERR_RESOURCE;
    return rc;
}

/* Digits, or words of the list, or words and numbers in turn. */
static void put_value(strbuf *b, rng *r)
{
    int64_t kind = rng_below(r, 3), n = kind == 0 ? 4 + rng_below(r, 4) : 3 + rng_below(r, 3);
    for (int64_t i = 0; i < n; i++) {
        if (kind == 0)
            strbuf_printf(b, " %d", (int)rng_below(r, 10));
        else if (kind == 1)
            strbuf_printf(b, " %s", PICK(words));
        else
            strbuf_printf(b, " %s %d", PICK(words), (int)(10 + rng_below(r, 90)));
    }
    strbuf_putc(b, '.');
}

/* What is asked for is the k-th of lists in random order (subject), the rest is drawn. */
static int make_needle(needle *out, int wording, int64_t subject, rng *r, err *e)
{
    strbuf p[4] = {{0}, {0}, {0}, {0}};
    enum { TEXT, QUESTION, LEAD, ANSWER };
    switch (wording) {
    case WORDING_FACT: {
        const char *thing = PICK(facts), *name = TAKE(names, subject);
        strbuf_printf(&p[QUESTION], "What is the %s of %s?", thing, name);
        strbuf_printf(&p[LEAD], "The %s of %s is", thing, name);
        put_value(&p[ANSWER], r);
        break;
    }
    case WORDING_PLACE: {
        const char *name = PICK(names), *object = TAKE(objects, subject);
        strbuf_printf(&p[QUESTION], "Where does %s keep the %s?", name, object);
        strbuf_printf(&p[LEAD], "%s keeps the %s in", name, object);
        strbuf_printf(&p[ANSWER], " %s", PICK(holders));
        strbuf_printf(&p[ANSWER], " %s.", PICK(spots));
        break;
    }
    case WORDING_ADVICE: {
        const char *town = TAKE(towns, subject);
        strbuf_printf(&p[QUESTION], "What is the best thing to do in %s?", town);
        strbuf_printf(&p[LEAD], "The best thing to do in %s is to", town);
        strbuf_printf(&p[ANSWER], " %s", PICK(acts));
        strbuf_printf(&p[ANSWER], " %s.", PICK(along));
        break;
    }
    default: {
        const char *door = TAKE(doors, subject);
        strbuf_printf(&p[QUESTION], "What must be said at the door of the %s?", door);
        strbuf_printf(&p[LEAD], "At the door of the %s one must say", door);
        for (int64_t i = 0, n = 3 + rng_below(r, 2); i < n; i++)
            strbuf_printf(&p[ANSWER], "%s %s", i == 0 ? "" : i == n - 1 ? " and" : ",", PICK(words));
        strbuf_putc(&p[ANSWER], '.');
        break;
    }
    }
    strbuf_puts(&p[TEXT], strbuf_str(&p[LEAD]));
    strbuf_puts(&p[TEXT], strbuf_str(&p[ANSWER]));
    return put_needle(out, p, needle_wordings[wording], e);
}

int needles_builtin(needles *out, int64_t n, const char *wording, uint64_t seed, err *e)
{
    enum { SUBJECTS = 12 }; /* of the shortest list */
    int first = 0, n_wording = N_WORDING;
    *out = (needles){0};
    for (int i = 0; wording && i < N_WORDING; i++)
        if (strcmp(wording, needle_wordings[i]) == 0) {
            first = i;
            n_wording = 1;
        }
    int64_t most = wording && first == WORDING_FACT ? (int64_t)(sizeof names / sizeof *names)
                                                    : (int64_t)SUBJECTS * n_wording;
    if (n < 1 || n > most) {
        err_set(e, ERR_USAGE, "%" PRId64 " built-in needles: there are 1 to %" PRId64 " different ones of this wording", n,
                most);
        return err_hint(e, "take fewer, or bring more of your own: --needles FILE.jsonl");
    }
    int64_t order[N_WORDING][sizeof names / sizeof *names];
    out->list = mem_array((size_t)n, sizeof *out->list, e);
    if (!out->list)
        return ERR_RESOURCE;
    for (int w = 0; w < N_WORDING; w++) {
        rng r;
        int64_t k = w == WORDING_FACT ? (int64_t)(sizeof names / sizeof *names) : SUBJECTS;
        for (int64_t i = 0; i < k; i++)
            order[w][i] = i;
        rng_seed(&r, seed, (1ull << 32) + (uint64_t)w);
        rng_shuffle(&r, order[w], k);
    }
    int rc = 0;
    for (int64_t i = 0; i < n && !rc; i++) {
        rng r;
        int w = first + (int)(i % n_wording);
        rng_seed(&r, seed, (1ull << 33) + (uint64_t)i);
        rc = make_needle(&out->list[i], w, order[w][i / n_wording], &r, e);
        out->n = i + 1;
    }
    if (rc)
        needles_free(out);
    return rc;
}

void needles_free(needles *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        free(s->list[i].text);
        free(s->list[i].question);
        free(s->list[i].lead);
        free(s->list[i].answer);
        free(s->list[i].label);
    }
    free(s->list);
    *s = (needles){0};
}

/* ---- files ---- */

static const char *text_of(const json *v, const char *key, const char *other)
{
    const char *s = json_str(json_get(v, key), NULL);
    return s || !other ? s : json_str(json_get(v, other), NULL);
}

static int read_needle(void *element, const json *line, const char *where, void *ud, err *e)
{
    needle *out = element;
    const char *text = text_of(line, "text", "needle"), *question = text_of(line, "question", NULL),
               *answer = text_of(line, "answer", "real_needle"), *lead = text_of(line, "lead", NULL),
               *label = text_of(line, "label", NULL);
    const char *missing = !text || !*text         ? "text"
                          : !question || !*question ? "question"
                          : !answer || !*answer     ? "answer" : NULL;
    (void)where;
    (void)ud;
    if (missing) {
        err_set(e, ERR_INPUT, "no \"%s\"", missing);
        return err_hint(e, "a needle is {\"text\": ..., \"question\": ..., \"answer\": ...}");
    }
    bool copied = (out->text = mem_strdup(text, e)) && (out->question = mem_strdup(question, e)) &&
                  (out->answer = mem_strdup(answer, e)) && (out->lead = mem_strdup(lead ? lead : "", e)) &&
                  (!label || (out->label = mem_strdup(label, e)));
    return copied ? 0 : ERR_RESOURCE;
}

int needles_load(needles *out, const char *path, err *e)
{
    char *text;
    size_t size;
    json_lines lines;
    *out = (needles){0};
    int rc = read_file(&text, &size, path, MAX_NEEDLES_BYTES, e);
    if (rc)
        return rc;
    rc = json_lines_read(&lines, sizeof *out->list, text, size, path, read_needle, NULL, e);
    out->list = lines.list;
    out->n = lines.n;
    free(text);
    if (!rc && out->n == 0) {
        err_set(e, ERR_INPUT, "%s: holds no needles", path);
        rc = err_hint(e, "write a JSON object a line: {\"text\": ..., \"question\": ..., \"answer\": ...}");
    }
    if (rc)
        needles_free(out);
    return rc;
}
