/* Metrics about what the tokens are: classes of tokens and spans by name, what is refused, and whole models
 * against their maps. */
#include "tests/pattern_reference.h"
#include "analysis/token_class.h"
#include "tests/tiny_model.h"
#include "tests/tokenizer_json.h"

/* ---- texts ---- */

static tokenizer *small_tokenizer(const char *normalizer)
{
    strbuf b = {0};
    put_tokenizer(&b, &(json_parts){
        .normalizer = normalizer,
        .added = "["
                 "{'id':300,'content':'\xe3\x80\x82','special':false},"
                 "{'id':301,'content':' \xef\xbc\x9f','special':false},"
                 "{'id':302,'content':'<s>','special':true},"
                 "{'id':303,'content':'\xc2\xbd\xe2\x85\xa7','special':false},"
                 "{'id':304,'content':' \\u3000\\u2028','special':false},"
                 "{'id':305,'content':' $','special':false},"
                 "{'id':306,'content':'\xe2\x80\x9e','special':false},"
                 "{'id':307,'content':'1,','special':false},"
                 "{'id':308,'content':'?!','special':false},"
                 "{'id':309,'content':'<img>','special':true}]"});
    tokenizer *t = open_tokenizer(&b);
    strbuf_free(&b);
    return t;
}

static void test_token_classes(void **state)
{
    (void)state;
    static const struct { int32_t id; unsigned is; } cases[] = {
        {'a', TOKEN_OTHER}, {'7', TOKEN_DIGIT}, {'-', TOKEN_PUNCTUATION},
        {'.', TOKEN_DELIMITER | TOKEN_PUNCTUATION}, {' ', TOKEN_SPACE}, {'\n', TOKEN_SPACE | TOKEN_DELIMITER},
        {0xe3, TOKEN_OTHER} /* a third of a character */, {0, TOKEN_OTHER} /* NUL */,
        {300, TOKEN_DELIMITER | TOKEN_PUNCTUATION}, {301, TOKEN_DELIMITER | TOKEN_PUNCTUATION},
        {302, TOKEN_SPECIAL}, {303, TOKEN_DIGIT}, {304, TOKEN_SPACE | TOKEN_DELIMITER},
        {305, TOKEN_PUNCTUATION}, {306, TOKEN_PUNCTUATION}, {307, TOKEN_OTHER},
        {308, TOKEN_DELIMITER | TOKEN_PUNCTUATION}, {5000, TOKEN_OTHER},
    };
    tokenizer *t = small_tokenizer(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (token_class(t, cases[i].id) != cases[i].is)
            fail_msg("token %d: classes %x, expected %x", (int)cases[i].id, token_class(t, cases[i].id),
                     cases[i].is);
    tokenizer_free(t);
    use_lantern();
    assert_int_equal(token_class(lantern, tokenizer_bos(lantern)), TOKEN_BOS | TOKEN_SPECIAL);
}

/* Positions of span_mass's keys: the queries it leaves out of an encoder that sees all. */
static void span_is(const tokenizer *t, const int32_t *ids, int64_t n, const char *const *set,
                    const char *expected)
{
    const metric *m = metric_find("span_mass");
    params *p = params_of(m, set);
    dense d = dense_new(n, 0);
    err e = {0};
    char found[80] = "";
    for (int64_t i = 0; i < n; i++) {
        d.hi[i] = n;
        d.a[i * n + i] = 1;
    }
    /* identity attention from a cross-attention's side: each query says whether its key is in the span */
    wide w = wide_of(&d, ids, ATTN_CROSS);
    metric_ctx c = context(m, p, &w, t);
    emitted out = {0};
    if (m->prepare(&c, &e))
        fail_msg("%s: %s (%s)", set[0], e.msg, e.hint);
    feed_attention(&c, &d, &pattern_cuts[0], &out);
    m->release(&c);
    for (int64_t i = 0; i < out.n; i++)
        if (out.v[i].value > 0.5) {
            size_t at = strlen(found);
            snprintf(found + at, sizeof found - at, "%s%d", at ? " " : "", (int)out.v[i].position);
        }
    if (strcmp(found, expected))
        fail_msg("%s: tokens %s, expected %s", set[0], found, expected);
    emitted_free(&out);
    dense_free(&d);
    params_free(p);
}

#define SPAN(set, expected) span_is(t, ids, n, (const char *const[]){set, "span-rows=each", NULL}, expected)
#define SPAN2(set, more, expected) \
    span_is(t, ids, n, (const char *const[]){set, "span-rows=each", more, NULL}, expected)

static void test_spans_by_name(void **state)
{
    (void)state;
    /* <|bos|>It was a dark night, and the old man; tokens are words with their space, here checked by eye:
     * 0 <|bos|> 1 It 2 was 3 a 4 dark 5 night 6 , 7 and 8 the 9 old 10 man */
    static const int32_t ids[] = {0, 806, 308, 260, 1092, 793, 13, 278, 264, 693, 440};
    int64_t n = 11;
    use_lantern();
    const tokenizer *t = lantern;
    SPAN("span-text=old man", "9 10");
    SPAN("span-text= old", "9");
    SPAN("span-text=d m", "9 10");
    SPAN("span-text=a", "2 3 4 7 10");
    SPAN2("span-text=a", "span-nth=1", "2");
    SPAN2("span-text=a", "span-nth=-1", "10");
    SPAN2("span-text=a", "span-nth=3", "4");
    SPAN("span-text=It was a dark night, and the old man", "1 2 3 4 5 6 7 8 9 10");
    SPAN("span-text=<|bos|>It", "0 1");
    SPAN("span-regex=\\b[Aa]n?d?\\b", "3 7");
    SPAN("span-regex=(?i)it|MAN", "1 10");
    SPAN("span-regex=,", "6");
    SPAN("span-tokens=0,3-5,-1", "0 3 4 5 10");
    SPAN("span-tokens=-2", "9");
    SPAN2("span-tokens=0,3-5", "span-nth=2", "3 4 5");
    /* a tokenizer that writes all in small letters, bytes as tokens */
    tokenizer *small = small_tokenizer("{'type':'Lowercase'}");
    static const int32_t bytes[] = {'a', 'n', ' ', 'o', 'l', 'd', 300, 'o', 0xe3, 'l', 'd'};
    t = small;
    span_is(t, bytes, 11, (const char *const[]){"span-text=OLD", "span-rows=each", NULL}, "3 4 5");
    span_is(t, bytes, 11, (const char *const[]){"span-text=\xe3\x80\x82", "span-rows=each", NULL}, "6");
    span_is(t, bytes, 11, (const char *const[]){"span-regex=ld$", "span-rows=each", NULL}, "9 10");
    tokenizer_free(small);
}

static void refused(const char *name, const char *const *set, const tokenizer *t, const int32_t *ids,
                    attn_kind kind, const char *message)
{
    const metric *m = metric_find(name);
    params *p = params_of(m, set);
    wide w = {.n = 11, .m = 11, .ids = ids, .key_ids = ids, .kind = kind};
    metric_ctx c = context(m, p, &w, t);
    err e = {0};
    assert_int_equal(m->prepare(&c, &e), ERR_USAGE);
    assert_string_equal(e.msg, message);
    assert_null(c.shared);
    params_free(p);
}

#define REFUSED(name, message, ...) \
    refused(name, (const char *const[]){__VA_ARGS__, NULL}, lantern, ids, ATTN_SELF, message)

static void test_what_is_refused(void **state)
{
    (void)state;
    static const int32_t ids[] = {0, 806, 308, 260, 1092, 793, 13, 278, 264, 693, 440};
    use_lantern();
    REFUSED("span_mass", "span-text: 'young man' is not in the prompt", "span-text=young man");
    REFUSED("span_shift", "span-regex: 'x+' is not in the prompt", "span-regex=x+");
    REFUSED("span_mass", "span-regex: 'x*' is not in the prompt", "span-regex=x*"); /* empty matches hold no token */
    REFUSED("span_mass", "span-text: 'a' occurs 5 times in the prompt, not 6", "span-text=a", "span-nth=6");
    REFUSED("span_mass", "span-tokens: '11' is no range of tokens of the prompt", "span-tokens=11");
    REFUSED("span_mass", "span-tokens: '5-3' is no range of tokens of the prompt", "span-tokens=1,5-3");
    REFUSED("span_mass", "span-tokens: '' is no range of tokens of the prompt", "span-tokens=1,");
    REFUSED("span_mass", "both --span-text and --span-tokens are given", "span-text=a", "span-tokens=1");
    REFUSED("span_mass", "--span-text is empty", "span-text=");
    REFUSED("span_to_span", "span-from-text: 'young' is not in the prompt", "span-text=old",
            "span-from-text=young");
    REFUSED("detect", "detect-pattern: 'prev' is neither a pattern nor a file", "detect-pattern=prev");
    refused("span_mass", (const char *const[]){"span-text=a", NULL}, NULL, ids, ATTN_SELF,
            "span-text: the model has no tokenizer");
    refused("span_mass", (const char *const[]){"span-text=a", NULL}, lantern, NULL, ATTN_VISION,
            "span-text: this attention reads no text");

    char path[] = "/tmp/attnscope-pattern-XXXXXX", set[64], message[160];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    snprintf(set, sizeof set, "detect-pattern=%s", path);
    static const struct { const char *text, *message; int code; } files[] = {
        {"1 0\n0 1\n", "detect-pattern: %s is 2 x 2, the attention of the prompt 11 x 11", ERR_USAGE},
        {"1,0\n0\n", "%s:2: 1 numbers where the rows before have 2", ERR_INPUT},
        {"# rows\n1,nan\n", "%s:2: 'nan' is no number", ERR_INPUT},
        {"\n\n", "%s: no numbers in it", ERR_INPUT},
        {"", "%s: no numbers in it", ERR_INPUT},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const metric *m = metric_find("detect");
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(files[i].text, f);
        fclose(f);
        params *p = params_of(m, (const char *const[]){set, NULL});
        wide w = {.n = 11, .m = 11, .ids = ids, .key_ids = ids, .kind = ATTN_SELF};
        metric_ctx c = context(m, p, &w, lantern);
        err e = {0};
        assert_int_equal(m->prepare(&c, &e), files[i].code);
        const char *mark = strstr(files[i].message, "%s");
        snprintf(message, sizeof message, "%.*s%s%s", (int)(mark - files[i].message), files[i].message, path,
                 mark + 2);
        assert_string_equal(e.msg, message);
        params_free(p);
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 11 * 11; i++)
        fprintf(f, "%d%c", i == 5, i % 11 == 10 ? '\n' : ' ');
    fclose(f);
    snprintf(message, sizeof message, "detect-pattern: %s looks ahead, from query 0 to key 5", path);
    refused("detect", (const char *const[]){set, NULL}, lantern, ids, ATTN_SELF, message);
    close(fd);
    unlink(path);
}

/* ---- whole models ---- */

static int analyse_all(collected *c, const opened *o, const model_input *in, const char *const *names,
                       const char *const *set, const tokenizer *tok, const head_id *maps, int n_map)
{
    const metric *list[16];
    int n = 0;
    params *p;
    *c = (collected){0};
    assert_int_equal(params_new(&p, &c->e), 0);
    for (; names[n]; n++) {
        assert_non_null(list[n] = metric_find(names[n]));
        assert_int_equal(params_use(p, list[n]->params, &c->e), 0);
    }
    for (; *set; set++) {
        char name[64];
        const char *eq = strchr(*set, '=');
        snprintf(name, sizeof name, "%.*s", (int)(eq - *set), *set);
        assert_int_equal(params_set(p, name, eq + 1, &c->e), 0);
    }
    analysis_request req = {.metrics = list, .n_metric = n, .p = p, .maps = maps, .n_map = n_map, .tok = tok};
    result_sink sink = {collect_value, collect_map, c};
    int rc = analyse(o->r, o->m, in, &req, &sink, NULL, &c->e);
    params_free(p);
    return rc;
}

static void compare_maps(const collected *c, const ask *q, const int32_t *ids, const int32_t *source,
                         int *n_compared)
{
    for (int i = 0; i < c->n_map; i++) {
        const result_map *map = &c->map[i];
        int64_t lo[128] = {0}, hi[128];
        float *cells = malloc((size_t)(map->n_query * map->n_key) * sizeof *cells);
        assert_true(cells && map->n_query <= 128);
        for (int64_t k = 0; k < map->n_query * map->n_key; k++)
            cells[k] = isnan(map->cells[k]) ? 0 : map->cells[k];
        for (int64_t k = 0; k < map->n_query; k++)
            hi[k] = map->kind == ATTN_SELF ? k + 1 : map->n_key;
        const int32_t *text = map->kind == ATTN_ENCODER && source ? source : ids;
        wide w = {map->n_query, map->n_key, cells, lo, hi, text, map->kind == ATTN_CROSS ? source : text,
                  map->kind};
        answers x;
        second(&x, &w, q);
        int found = 0;
        for (int64_t v = 0; v < c->n_value; v++) {
            const result_value *r = &c->value[v];
            if (strcmp(r->metric, q->name) || r->kind != map->kind || r->layer != map->layer ||
                r->head != map->head)
                continue;
            assert_true(found < x.n);
            assert_int_equal(r->position, x.position[found]);
            if (!(fabs(r->value - x.value[found]) <= 1e-6))
                fail_msg("%s of %d L%dH%d: %.9g, from the map %.9g", q->name, (int)map->kind, map->layer,
                         map->head, r->value, x.value[found]);
            found++;
        }
        assert_int_equal(found, x.n);
        *n_compared += found;
        free(cells);
    }
}

static void test_bundled_model(void **state)
{
    (void)state;
    static const char text[] =
        "The old man lit the lantern, and the old man slept. He had 12 lamps; the lantern went out.";
    static const char *const names[] = {"mass_bos",   "mass_delimiter",  "mass_digit", "mass_other",
                                        "same_token", "prefix_matching", "detect",     "span_mass",
                                        "span_shift", "span_to_span",    NULL};
    static const char *const set[] = {"span-text=old man",        "span-nth=1",
                                      "span-from-text=lantern",   "prefix-length=2",
                                      "detect-measure=abs_exact", NULL};
    path_text path;
    use_lantern();
    source_path(path, "examples/models/lantern-3m");
    opened o = open_model(path, 2);
    tokens t;
    collected c = {0};
    err e = {0};
    int32_t ids[64];
    bool keys[4][64], span[64] = {0}, from[64] = {0};
    assert_int_equal(tokenizer_encode(lantern, text, strlen(text), true, &t, &e), 0);
    assert_in_range(t.n, 10, 64);
    int64_t behind = 0;
    const char *old = strstr(text, "old man");
    for (int64_t i = 0; i < t.n; i++) {
        ids[i] = t.t[i].id;
        for (int k = 0; k < 4; k++)
            keys[k][i] = strchr(letters_of(ids[i]), "bdno"[k]) != NULL;
        span[i] = t.t[i].begin < old - text + 7 && t.t[i].end > old - text;
        behind = span[i] ? i + 1 : behind;
        for (const char *s = strstr(text, "lantern"); s; s = strstr(s + 1, "lantern"))
            from[i] |= t.t[i].begin < s - text + 7 && t.t[i].end > s - text;
    }
    head_id maps[32];
    for (int i = 0; i < 32; i++)
        maps[i] = (head_id){ATTN_SELF, i / 8, i % 8};
    if (analyse_all(&c, &o, &(model_input){.ids = ids, .n = t.n}, names, set, lantern, maps, 32))
        fail_msg("%s", c.e.msg);
    int n = 0;
    for (int k = 0; k < 4; k++)
        compare_maps(&c, &(ask){.name = names[k], .keys = keys[k]}, ids, NULL, &n);
    compare_maps(&c, &(ask){.name = "same_token"}, ids, NULL, &n);
    compare_maps(&c, &(ask){.name = "prefix_matching", .length = 2}, ids, NULL, &n);
    compare_maps(&c, &(ask){.name = "detect", .pattern = "induction_head", .measure = "abs_exact"}, ids, NULL,
                 &n);
    compare_maps(&c, &(ask){.name = "span_mass", .keys = span, .behind = behind}, ids, NULL, &n);
    compare_maps(&c, &(ask){.name = "span_shift", .keys = span, .behind = behind}, ids, NULL, &n);
    compare_maps(&c, &(ask){.name = "span_to_span", .keys = span, .from = from}, ids, NULL, &n);
    fprintf(stderr, "# %d values of the bundled model equal those of its maps\n", n);
    assert_int_equal(n, 10 * 32);
    collected_free(&c);
    tokens_free(&t);
    close_model(&o);
}

/* Encoder, decoder and cross attention, and an image tower: positions name spans everywhere. */
static void test_other_kinds_of_attention(void **state)
{
    (void)state;
    static const char *const names[] = {"same_token", "span_mass", "span_shift", "detect", NULL};
    static const char *const set[] = {"span-tokens=1-2", "detect-pattern=previous_token_head",
                                      "span-shift=keys", NULL};
    static const bool span[16] = {false, true, true};
    static const tiny_kind kinds[] = {TINY_TRANSLATOR, TINY_SPEECH, TINY_TOWER, TINY_ENCODER, TINY_LLAVA};
    int n = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        static tiny_model t;
        tiny_new(&t, kinds[k]);
        err e = {0};
        opened o = {.m = &t.m};
        head_id maps[64];
        int n_map = 0;
        collected c = {0};
        model_input in = tiny_input(&t, 9, 7);
        assert_int_equal(runtime_new(&o.r, o.m, 2, PRECISION_F32, &e), 0);
        for (int kind = 0; kind <= ATTN_VISION; kind++) {
            const stack *s = model_stack(&t.m, (attn_kind)kind);
            for (int l = 0; s && l < s->n_run; l++)
                for (int h = 0; h < TINY_HEADS; h++)
                    maps[n_map++] = (head_id){(attn_kind)kind, l, h};
        }
        if (analyse_all(&c, &o, &in, names, set, NULL, maps, n_map))
            fail_msg("%s", c.e.msg);
        bool texts = kinds[k] == TINY_TRANSLATOR || kinds[k] == TINY_ENCODER;
        compare_maps(&c, &(ask){.name = "span_mass", .keys = span, .behind = 3}, in.ids, in.source, &n);
        compare_maps(&c, &(ask){.name = "span_shift", .keys = span, .behind = 3, .by_key = true}, in.ids,
                     in.source, &n);
        if (texts)
            compare_maps(&c, &(ask){.name = "same_token"}, in.ids, in.source, &n);
        for (int i = 0; i < c.n_map; i++)
            if (c.map[i].kind != ATTN_CROSS) {
                collected sub = c;
                sub.n_map = 1;
                sub.map[0] = c.map[i];
                compare_maps(&sub,
                             &(ask){.name = "detect", .pattern = "previous_token_head", .measure = "mul"},
                             in.ids, in.source, &n);
            }
        collected_free(&c);
        runtime_free(o.r);
        tiny_free(&t);
    }
    fprintf(stderr, "# %d values of encoders, decoders, cross attention and image towers\n", n);
    assert_in_range(n, 100, 1000);
}

/* With a source and a target, a text may be in either; only one that is in neither is refused. */
static void test_texts_of_two_sequences(void **state)
{
    (void)state;
    static const char *const names[] = {"span_mass", NULL};
    static tiny_model t;
    tokenizer *tok = small_tokenizer(NULL);
    err e = {0};
    tiny_new(&t, TINY_TRANSLATOR);
    opened o = {.m = &t.m};
    int32_t target[] = {1, 2, 3, 4, 5}, source[] = {6, 7, 8, 9};
    model_input in = {.ids = target, .n = 5, .source = source, .n_source = 4};
    assert_int_equal(runtime_new(&o.r, o.m, 1, PRECISION_F32, &e), 0);
    for (int where = 0; where < 3; where++) {
        collected c = {0};
        const char *const named[] = {"span-text=\x02", "span-text=\x07", "span-text=\x0b"};
        const char *const set[] = {named[where], NULL};
        int rc = analyse_all(&c, &o, &in, names, set, tok, NULL, 0);
        if (where == 2) {
            assert_int_equal(rc, ERR_USAGE);
            assert_string_equal(c.e.msg, "span-text: '\\x0B' is not in the prompt");
        } else {
            int kinds = 0;
            assert_int_equal(rc, 0);
            for (int64_t i = 0; i < c.n_value; i++)
                kinds |= 1 << c.value[i].kind;
            assert_int_equal(kinds, where == 0 ? 1 << ATTN_SELF : 1 << ATTN_ENCODER | 1 << ATTN_CROSS);
        }
        collected_free(&c);
    }
    runtime_free(o.r);
    tiny_free(&t);
    tokenizer_free(tok);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_classes),
        cmocka_unit_test(test_spans_by_name),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_bundled_model),
        cmocka_unit_test(test_other_kinds_of_attention),
        cmocka_unit_test(test_texts_of_two_sequences),
    };
    int failed = cmocka_run_group_tests_name("pattern texts", tests, NULL, NULL);
    tokenizer_free(lantern);
    return failed;
}
