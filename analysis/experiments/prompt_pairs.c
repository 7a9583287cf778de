#include "analysis/experiments/prompt_pairs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/mem.h"

const pair_task *const pair_tasks[] = {&pair_task_ioi, &pair_task_ioi_demo, &pair_task_colored_objects, NULL};

void text_pairs_free(text_pairs *p)
{
    for (int64_t i = 0; i < p->n; i++) {
        free(p->pair[i].clean);
        free(p->pair[i].corrupted);
        free(p->pair[i].answer);
        free(p->pair[i].wrong);
    }
    free(p->pair);
    *p = (text_pairs){0};
}

/* In small or capital letters, as the vocabulary has it. */
static bool ends_with(token_text text, const char *word)
{
    size_t n = strlen(word);
    return text.len >= n && strncasecmp(text.s + text.len - n, word, n) == 0;
}

int word_is_single(bool *yes, const tokenizer *tok, const char *word, err *e)
{
    char text[96];
    tokens before = {0}, after = {0};
    *yes = false;
    int n = snprintf(text, sizeof text, "and %s", word);
    if (n < 0 || (size_t)n >= sizeof text)
        return 0;
    int rc = tokenizer_encode(tok, text, 3, false, &before, e);
    if (!rc)
        rc = tokenizer_encode(tok, text, (size_t)n, false, &after, e);
    *yes = !rc && after.n == before.n + 1;
    for (int64_t i = 0; *yes && i < before.n; i++)
        *yes = before.t[i].id == after.t[i].id;
    /* a token that stands for any word that is not known says nothing */
    if (*yes)
        *yes = ends_with(tokenizer_text(tok, after.t[after.n - 1].id), word);
    tokens_free(&before);
    tokens_free(&after);
    return rc;
}

int words_single(word_list *l, const tokenizer *tok, err *e)
{
    int all = 0, rc = 0;
    while (l->word[all])
        all++;
    l->single = mem_array((size_t)all + 1, sizeof *l->single, e);
    if (!l->single)
        return ERR_RESOURCE;
    l->n = 0;
    for (int i = 0; i < all && !rc; i++) {
        bool yes;
        rc = word_is_single(&yes, tok, l->word[i], e);
        if (!rc && yes)
            l->single[l->n++] = l->word[i];
    }
    if (!rc && l->n < l->least) {
        err_set(e, ERR_USAGE, "the tokenizer spells only %d of %d %s as one token, %d are needed", l->n, all, l->what, l->least);
        rc = err_hint(e, "write pairs of your own: --pairs FILE.jsonl");
    }
    return rc;
}

static void free_words(word_list *l, int n)
{
    for (int i = 0; i < n; i++)
        free(l[i].single);
}

enum { MOST_LISTS = 8 };

static int check_request(const pair_task *task, const tokenizer *tok, int64_t n, int template, err *e)
{
    if (!tok)
        return err_set(e, ERR_USAGE, "prompts of %s need a tokenizer", task->name);
    if (task->n_fixed && n != task->n_fixed) {
        err_set(e, ERR_USAGE, "%s has %" PRId64 " prompts, not %" PRId64, task->name, task->n_fixed, n);
        return err_hint(e, "leave --n out");
    }
    if (n < 2 || n % 2) {
        err_set(e, ERR_USAGE, "prompts of %s come in twos, %" PRId64 " are asked for", task->name, n);
        return err_hint(e, "give an even --n");
    }
    if (template > task->n_template) {
        err_set(e, ERR_USAGE, "%s has no template %d", task->name, template);
        return err_hint(e, "it has %d", task->n_template);
    }
    return 0;
}

int pair_task_make(text_pairs *out, const pair_task *task, const tokenizer *tok, int64_t n, int template, uint64_t seed,
                   err *e)
{
    word_list words[MOST_LISTS] = {{0}};
    int n_list = 0;
    *out = (text_pairs){0};
    int rc = check_request(task, tok, n, template, e);
    if (rc)
        return rc;
    for (const word_list *l = task->words; l && l->what && n_list < MOST_LISTS && !rc; l++) {
        words[n_list] = *l;
        rc = words_single(&words[n_list++], tok, e);
    }
    if (!rc && !(out->pair = mem_array((size_t)n, sizeof *out->pair, e)))
        rc = ERR_RESOURCE;
    for (int64_t i = 0; i < n / 2 && !rc; i++) {
        rng r;
        rng_seed(&r, seed, (uint64_t)i);
        out->n += 2;
        rc = task->make(&out->pair[2 * i], &out->pair[2 * i + 1], words, i,
                        template ? template - 1 : (int)(i % task->n_template), &r, e);
    }
    free_words(words, n_list);
    if (rc)
        text_pairs_free(out);
    return rc;
}
