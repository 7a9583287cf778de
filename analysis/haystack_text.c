/* Plain English sentences, as many as are wanted.  Nothing in them is true or in order; they are to be read past. */
#include "analysis/haystack.h"
#include "base/rng.h"

#define LIST(name, ...) static const char *const name[] = {__VA_ARGS__, NULL}

LIST(people, "the old man", "the miller", "the doctor", "my brother", "the captain", "her aunt", "the schoolmaster",
     "the young girl", "the gardener", "our neighbour", "the stranger", "the innkeeper", "the tailor", "the baker",
     "the clerk", "the widow", "a fisherman", "the farmer's wife", "the postman", "my uncle", "the carpenter",
     "an old soldier", "the shepherd", "the judge", "the cook", "a tall woman", "the night watchman", "the ferryman",
     "the painter", "his sister");
LIST(places, "the river", "the market", "the old mill", "the church", "the harbour", "the garden wall", "the forest",
     "the bridge", "the station", "the kitchen", "the far end of the village", "the top of the hill", "the stable",
     "the inn", "the beach", "the cross roads", "the empty house", "the well", "the school", "the orchard", "the barn",
     "the town hall", "the edge of the field", "the little shop", "the gate");
LIST(things, "a lantern", "an old book", "a basket of apples", "a letter", "a broken chair", "a loaf of bread",
     "a silver spoon", "a blue coat", "a wooden box", "a bundle of sticks", "a small key", "a pair of boots", "a rope",
     "a candle", "a glass of water", "a map of the coast", "a bag of flour", "a tin kettle", "a straw hat",
     "a piece of string", "a clean shirt", "a jug of milk", "a feather", "a garden spade", "a picture in a frame");
LIST(went, "walked slowly to", "went down to", "came back from", "rode as far as", "hurried to", "was seen near",
     "stood for an hour before", "turned away from", "found the way to", "looked across to", "waited behind",
     "drove past", "sat down beside");
LIST(did, "carried", "put down", "was looking for", "had forgotten", "picked up", "mended", "was proud of", "sold",
     "had lost", "brought home", "wrapped up", "showed us", "asked for", "found", "left behind", "cleaned");
LIST(times, "in the morning", "before supper", "late in the evening", "on the first day of spring", "after the rain",
     "when the clock struck nine", "at the end of the week", "long before sunrise", "in the middle of the night",
     "that same afternoon", "early in June", "on market day", "as soon as it was light", "during the winter",
     "towards noon", "the year before");
LIST(weather, "the wind had dropped", "it began to snow", "the sun was warm", "a thick fog came in from the sea",
     "the roads were wet", "it was too dark to read", "the sky was clear and cold", "the leaves were turning brown",
     "there was thunder in the hills", "the river had risen", "a light rain was falling", "the frost lay on the grass");
LIST(animals, "the grey horse", "a small brown dog", "the cat", "a flock of geese", "the cows", "an owl", "the goat",
     "a pair of swallows", "the hens", "the old donkey", "a hare", "the sheep");
LIST(moves, "slept under the table", "ran along the fence", "would not cross the yard", "came to the door",
     "made a great noise", "disappeared behind the hedge", "drank from the trough", "watched from the roof",
     "wandered into the lane", "stood quite still");
LIST(moods, "tired", "in good spirits", "hungry", "afraid of the dark", "very quiet", "pleased with the work",
     "rather deaf", "out of breath", "cold to the bone", "sure of the answer", "angry about the bill",
     "full of questions", "glad to be home");
LIST(speech, "Nobody will come before Sunday", "The bread is still warm", "You must mind the step",
     "I have never seen such a crowd", "We ought to start at once", "There is room for one more",
     "The boat leaves at six", "It was better in the old days", "They should have asked first",
     "The paint is not dry yet", "I left my gloves on the bench", "The soup wants salt");
LIST(foods, "bread and cheese", "cold mutton", "potatoes", "fish and onions", "plum cake", "pea soup", "baked apples",
     "eggs", "honey and butter", "a thin broth");
LIST(adjectives, "narrow", "quiet", "ancient", "crowded", "pleasant", "damp", "lonely", "well kept", "steep", "noisy",
     "famous", "half ruined");
LIST(counts, "two", "three", "a dozen", "several", "four or five", "hardly any", "a good many", "twenty");
LIST(goods, "sheep", "chairs", "windows", "boats", "visitors", "letters", "barrels", "trees", "carts", "lamps",
     "customers", "ducks");

typedef struct slot { char mark; const char *const *words; } slot;
static const slot slots[] = {
    {'p', people}, {'q', people}, {'l', places}, {'m', places}, {'t', things}, {'w', went}, {'d', did}, {'n', times},
    {'x', weather}, {'a', animals}, {'v', moves}, {'f', moods}, {'s', speech}, {'e', foods}, {'j', adjectives},
    {'c', counts}, {'g', goods},
};

LIST(sentences, "%p %w %l %n.", "%n %p %w %l.", "%p %d %t, and %q said nothing about it.", "%x, and %p %w %l.",
     "%a %v while %p %d %t.", "\"%s,\" said %p.", "%p was %f, for %x.", "%p %d %t %n.",
     "there were %c %g near %l.", "it was a %j place, and %p liked it well enough.", "\"%s,\" %p told %q, and %w %l.",
     "%n they had %e, and afterwards %p %w %l.", "if %p had not %w2 %l, %q would have been %f.",
     "%p had %c %g and did not know what to do with them.", "nobody knew why %p %d %t.",
     "from %l to %m it is an hour on foot.", "when %x, %a %v.", "%p and %q went to %l together.",
     "the way to %l was %j, but %p did not mind.", "%a %v, and that was all that happened %n.",
     "%p used to say that %l was the most %j part of the country.", "was it %p who %d %t?",
     "%x; still, %c %g were left at %l.", "%p was seldom %f %n.", "%p gave %q %t and %w %l.",
     "behind %l there was %t which %p %d.", "for a long time %p %d %t and thought of %l.",
     "%n %x, and %a %v.", "\"%s,\" was all that %p would say.", "%p had always been %f near %l.",
     "they sold %e at %l %n.", "the road from %l was %j, and %x.");

/* "%w2": what stands after "had". */
LIST(had_gone, "gone down to", "come back from", "ridden as far as", "hurried to", "been seen near", "turned away from",
     "waited behind", "driven past");

static int64_t count(const char *const *words)
{
    int64_t n = 0;
    while (words[n])
        n++;
    return n;
}

static const char *const *words_of(char mark)
{
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        if (slots[i].mark == mark)
            return slots[i].words;
    return people;
}

/* A slot of the same list never takes the word of the one before it in its sentence. */
static void put_sentence(strbuf *b, rng *r)
{
    const char *form = sentences[rng_below(r, count(sentences))];
    const char *before[2] = {NULL, NULL};
    size_t begin = b->len;
    for (const char *s = form; *s; s++) {
        if (*s != '%') {
            strbuf_putc(b, *s);
            continue;
        }
        const char *const *list = words_of(*++s);
        if (*s == 'w' && s[1] == '2') {
            list = had_gone;
            s++;
        }
        int which = list == people ? 0 : 1;
        int64_t n = count(list), k = rng_below(r, n);
        if (list == people || list == places) {
            if (before[which] == list[k])
                k = (k + 1) % n;
            before[which] = list[k];
        }
        strbuf_puts(b, list[k]);
    }
    for (size_t i = begin; i < b->len; i++)
        if (b->s[i] >= 'a' && b->s[i] <= 'z') {
            b->s[i] = (char)(b->s[i] - 'a' + 'A');
            break;
        } else if (b->s[i] >= 'A' && b->s[i] <= 'Z') {
            break;
        }
}

int haystack_generate(strbuf *out, size_t n, uint64_t seed, uint64_t stream, err *e)
{
    rng r;
    size_t begin = out->len;
    int64_t left = 0;
    rng_seed(&r, seed, stream);
    while (out->len - begin < n && !out->failed) {
        if (out->len > begin)
            strbuf_puts(out, left == 0 ? "\n\n" : " ");
        if (left == 0)
            left = 3 + rng_below(&r, 4);
        put_sentence(out, &r);
        left--;
    }
    return out->failed ? err_nomem(e, "the haystack") : 0;
}
