#include <stdlib.h>
#include <string.h>
#include "analysis/token_class.h"

static const param words_params[] = {
    {"mass-queries", PARAM_ENUM, "seeing", "WHICH",
     "queries that count in mass_*: those that see a key of the class, or all", 0, 0,
     (const char *const[]){"seeing", "all", NULL}, NULL},
    {"mass-words", PARAM_LIST,
     "a,an,and,as,at,but,by,for,from,in,into,is,it,its,of,on,or,that,the,this,to,was,were,with", "WORDS",
     "words that mass_words looks for; ASCII letters match in either case", 0, 0, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static bool listed(const void *ud, const tokenizer *t, int32_t id)
{
    token_text x = tokenizer_text(t, id);
    if (tokenizer_is_special(t, id))
        return false;
    for (; x.len && strchr(" \t\r\n", *x.s) && *x.s; x.s++)
        x.len--;
    while (x.len && strchr(" \t\r\n", x.s[x.len - 1]) && x.s[x.len - 1])
        x.len--;
    for (const char *word = ud; x.len && *word; word += strcspn(word, ",")) {
        word += strspn(word, ", ");
        if (strcspn(word, ", ") == x.len && strncasecmp(word, x.s, x.len) == 0)
            return true;
    }
    return false;
}

static int prepare(metric_ctx *c, err *e)
{
    return token_text_prepare(c, listed, params_str(c->p, "mass-words"), e);
}

const metric metric_mass_words = {
    .name = "mass_words",
    .summary = "weight on listed words, English function words by default",
    .formula = "mean_i sum_{j : t_j in the list} A[i][j]",
    .definition =
        "tokens whose text, white space around it put aside, is one of mass-words: "
        TOKEN_CLASS_MEAN,
    .source = "weak-semantic tokens of An et al. 2025 (arXiv 2502.06415); the list is our own",
    .reading =
        "Compare with the share of such tokens in the prompt: above it, the head prefers them. With the "
        "list of your own it follows any set of words through the heads.",
    .traps =
        "The default list is English and this program's own. Tokens are compared whole: a word of two "
        "pieces is never found.",
    .cite = "an2025outliers,attnscope",
    .params = words_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
