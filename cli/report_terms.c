/* What the values of experiments are: those that no metric of the registry defines. */
#include <string.h>
#include "cli/report.h"

static const report_term terms[] = {
    {"accuracy", "", "0 .. 1", "share of the tokens in question whose largest logit is the token that follows"},
    {"entropy_next", "nats", "0 .. ln V", "mean entropy of the predictions of the next token"},
    {"target_nll", "nats", "0 ..", "mean negative log probability of the tokens in question"},
    {"length", "tokens", "1 ..", "size of the unit: tokens of the context, or of the segment that comes again"},
    {"pairs", "", "1 ..", "pairs of key and value in the prompt"},
    {"depth", "", "0 .. 1", "where in the context the needle lies: 0 at its beginning, 1 at its end"},
    {"recall", "", "0 .. 1", "share of the answer that was generated, as the success rule of the run counts it (tokens or"
                             " ROUGE-1)"},
    {"token_recall", "", "0 .. 1", "share of the distinct tokens of the answer that were generated"},
    {"rouge1", "", "0 .. 1", "ROUGE-1 recall: share of the answer's words, counted, that were generated"},
    {"exact", "", "0 or 1", "1 where what was generated begins with the tokens of the answer"},
    {"success", "", "0 or 1", "1 where recall is above the bound of the success rule, strictly"},
    {"generated", "tokens", "0 ..", "tokens that were generated"},
    {"needle_tokens", "tokens", "1 ..", "tokens of the needle"},
    {"needle_begin", "", "0 ..", "position of the first token of the needle"},
    {"retrieval", "", "0 ..", "hits over tokens of the needle: a hit is a step in which the largest weight of the head lies on a "
     "token of the needle that is the token generated in that step; repeats count again (Wu et al. 2024, as coded). Trials that "
     "did not succeed do not count"},
    {"retrieval_set", "", "0 .. 1", "distinct tokens of the needle that were hit, over the distinct tokens of the needle (Wu et "
     "al. 2024, as written)"},
    {"copy_offset", "tokens", "0 ..", "mean place in the needle of the keys that were hit"},
    {"copy_position", "", "0 ..", "key that was hit; the position of the value is the query"},
    {"diagonal_previous", "", "0 .. 1", "repeated random tokens: mean weight from a query to the token before it"},
    {"diagonal_duplicate", "", "0 .. 1", "repeated random tokens: mean weight from a query to the earlier copy of its token"},
    {"diagonal_induction", "", "0 .. 1", "repeated random tokens: mean weight from a query to the token behind the earlier copy"},
    {"mqar_value", "", "0 .. 1", "associative recall: mean weight from the second key to its value among the pairs"},
    {"mqar_key", "", "0 .. 1", "associative recall: mean weight from the second key to the first"},
    {"copy_source", "", "0 .. 1", "copying: mean weight from the second copy to the token of the first that comes next"},
    {"copy_duplicate", "", "0 .. 1", "copying: mean weight from the second copy to the same token of the first"},
    {"vhd", "", "0 ..", "Euclidean distance between the outputs of a head, before the output projection, with the span and"
                        " without"},
    {"vhd_relative", "", "0 ..", "vhd over the length of the output with the span"},
    {"vhd_norm", "", "0 ..", "length of the output of a head with the span"},
    {"vhd_norm_without", "", "0 ..", "length of the output of a head without the span"},
    {"vhd_outlier", "", "0 .. 1", "share of positions at which distance and length without the span are above mean + standard "
     "deviation of the layer"},
    {"vhd_above_median", "", "0 .. 1", "share of positions at which a head is above the median of its layer, outliers as 0"},
    {"t_vhd", "", "0 ..", "sum of the largest vhd of each layer, outliers as 0"},
    {"influence", "", "any", "(loss without the heads - loss) / loss of a text"},
    {"map_jsd", "nats", "0 .. ln 2",
     "Jensen-Shannon divergence between the rows of a head in two checkpoints, mean over queries"},
    {"logit_kl", "nats", "0 ..", "Kullback-Leibler divergence of the second checkpoint's next-token distribution from the"
                                 " first's"},
    {"top1_agree", "", "0 or 1", "1 where both checkpoints have the same most likely next token"},
    {"patch_clean", "", "any", "score of the clean prompt"},
    {"patch_corrupted", "", "any", "score of the corrupted prompt"},
    {"path_effect", "", "any", "path patching: (m - m_clean) / (m_corrupted - m_clean); 0 none, 1 all of the corruption"},
    {"sink_rate", "", "0 .. 1", "share of the texts in which the mean weight of the head on key 0 is above the sink threshold, "
     "strictly"},
    {NULL, NULL, NULL, NULL},
};

/* Families of names by how they end or begin. */
static const struct { const char *part; bool begins; report_term term; } name_groups[] = {
    {"_edited", false, {"*_edited", "", "", "the same value with the edit of the run in place"}},
    {"_random", false, {"*_random", "", "", "the same value with the edit at random heads instead, as many in each layer"}},
    {"_second", false, {"*_second", "", "", "the same value of the second checkpoint"}},
    {"_top", false, {"*_top", "", "0 .. 1", "share of those queries whose largest weight is there"}},
    {"patch_", true, {"patch_*", "", "any", "activation patching: recovery (m - m_corrupted) / (m_clean - m_corrupted); 1 as the "
                      "clean prompt, 0 as the corrupted one; with the name of the score behind it, m itself"}},
    {"path_effect_", true, {"path_effect_*", "", "any", "path patching: the score m itself"}},
};

const report_term *report_term_find(const char *name)
{
    size_t n = strlen(name);
    for (const report_term *t = terms; t->name; t++)
        if (strcmp(t->name, name) == 0)
            return t;
    for (size_t i = 0; i < sizeof name_groups / sizeof *name_groups; i++) {
        size_t k = strlen(name_groups[i].part);
        if (n > k && strcmp(name_groups[i].begins ? "" : name + n - k, name_groups[i].begins ? "" : name_groups[i].part) == 0 &&
            (!name_groups[i].begins || strncmp(name, name_groups[i].part, k) == 0))
            return &name_groups[i].term;
    }
    return NULL;
}
