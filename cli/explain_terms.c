#include "cli/explain_terms.h"

#include <stddef.h>

const term terms[] = {
    {"ablation", "head-ablation,knock-out",
     "taking a part out of a model to see what is lost", NULL,
     "A head's output is replaced (by zero, its mean over other prompts, or its output over another prompt) or its "
     "attention is (uniform, first key only), and loss or accuracy is measured again. The loss without as many random "
     "heads of the same layers is the comparison: only the difference is about the heads.",
     "`ablate`, `drop`, `calibrate`; edits zero, mean, resample, uniform, first",
     "Other heads make up for one that is missing, so a small loss does not show that a head does nothing; and a "
     "large one may come of outputs that the model never met.",
     "michel2019,wang2023ioi,chan2022scrubbing"},
    {"activation-patching", "patching,causal-tracing,interchange-intervention",
     "carrying an activation from one run into another to see where an answer is held",
     "recovered = (m_patched - m_corrupted) / (m_clean - m_corrupted)",
     "Two prompts differ in what matters. An activation of the clean run is put into the corrupted one; where the "
     "answer comes back, the activation carries what differs. 0: nothing came back, 1: all.",
     "`patch`",
     "The pair decides what is found: a prompt that is corrupted too much shows everything, one that is corrupted too "
     "little nothing. Values outside of 0 .. 1 occur.",
     "meng2022rome,wang2023ioi,geiger2021,zhang2024patching"},
    {"alibi", NULL, "position as a penalty on logits, linear in the distance", "Z[i][j] = scale q_i . k_j - m_h (i - j)",
     "Each head has a slope m_h; heads with a large slope are local by construction. Nothing is added to the stream.",
     "distance, local_mass; `info` shows which positions a model uses", NULL, "press2022alibi"},
    {"attention", "attention-weights,attention-map",
     "how a query's weights over keys are made and what they carry",
     "A[i][j] = exp(Z[i][j]) / sum_k exp(Z[i][k]), Z = scale q_i . k_j; output_i = sum_j A[i][j] v_j",
     "A head compares the query of a position with the keys of the positions that it may see, turns the scores into "
     "weights that sum to 1, and adds the values in these shares. The result goes through the head's slice of the output "
     "projection into the residual stream.",
     "`run`, `view head_map`",
     "A large weight is not a large influence: the value may be small, point nowhere, or be cancelled.",
     "vaswani2017,jain2019,kobayashi2020"},
    {"attention-sink", "sink-head,sinks",
     "a key that takes much attention although it says little",
     "alpha_k = sum_{i >= k} A[i][k] / (n - k) > 0.3",
     "Softmax must spend a sum of 1. A head that finds nothing to read spends it on a key that costs nothing: the first "
     "token, whose value is small and whose key lies where all queries point. Sinks appear early in training and need "
     "softmax's sum; models with gates or learned sinks have weaker ones.",
     "sink, sink_peak, sink_position, hidden_sink, value_drain, sink_logit_gap, massive_top; `census`",
     "It depends on the length of the prompt and on whether the first token is BOS. Taking a sink out of a trained model "
     "hurts: it does something, namely nothing.",
     "gu2025sink,xiao2024streaming,guo2024dormant"},
    {"bootstrap-interval", "confidence-interval,bootstrap",
     "how far a mean would move with other prompts",
     NULL,
     "Prompts are drawn again with replacement many times and the mean is taken each time; the middle 95 % of these means "
     "are the interval. It speaks of prompts like these, not of other text.",
     "every experiment with n above 1", "With two or three prompts the interval is narrower than it should be.",
     "efron1979"},
    {"composition", "k-composition,q-composition,v-composition",
     "a later head reads what an earlier one wrote", "|W_OV W|_F / (|W_OV|_F |W|_F)",
     "Through its keys (K), queries (Q) or values (V). Induction is K-composition of an induction head with a "
     "previous-token head.",
     "composition_k, composition_q, composition_v; `patch --what path` shows it on a prompt", NULL, "elhage2021"},
    {"divergence", "jensen-shannon,kl,kullback-leibler",
     "how unlike two distributions are", "JSD = H((P + Q) / 2) - (H(P) + H(Q)) / 2;  KL = sum P ln(P / Q)",
     "KL is 0 for equal distributions, not symmetric, and infinite where Q is 0 and P is not. The Jensen-Shannon divergence "
     "is symmetric and at most ln 2; its square root is a distance.",
     "jsd, jsd_layers, logit_lens_kl; `divergence`, `compare`", NULL, "lin1991"},
    {"duplicate-token-head", NULL, "a head that looks at earlier copies of the current token", NULL,
     "With a previous-token head one way to induction, and in name tasks what marks a name that was said already.",
     "duplicate_token, same_token; `induction`", NULL, "wang2023ioi"},
    {"entropy-collapse", NULL, "attention of all queries narrows to single keys while a model is trained", NULL,
     "Logits grow with the spectral norms of the query and key weights; entropy falls towards 0 and training becomes "
     "unstable.",
     "entropy, entropy_bound, logit_spectral_norm; `track`", NULL, "zhai2023"},
    {"gated-attention", "gate", "a gate on the output of each head", "o_i = sigmoid(x_i W_g) * sum_j A[i][j] v_j",
     "A head can shut its gate instead of resting on a sink, so sinks and massive activations are weaker.",
     "gate_mean, gate_open, gate_closed, gate_norm", NULL, "qiu2025gated"},
    {"gqa", "grouped-query-attention,grouped-heads,mqa,multi-query-attention",
     "several query heads share one head of keys and values", "key/value head of query head h = h / (H / Hkv)",
     "Saves memory of the cache: H query heads, Hkv key/value heads; Hkv = 1 is multi-query attention. Attention is each "
     "query head's own, norms of keys and values are the group's.",
     "`info` shows both numbers; key_norm, value_norm",
     "Query heads of a group are no independent samples: they read the same keys.",
     "ainslie2023gqa,shazeer2019mqa"},
    {"induction-head", "induction-circuit",
     "a head that finds what came after the last occurrence of the current token",
     "A[i][j + 1] high where t_j = t_i, j < i",
     "Two heads make it: a previous-token head writes into each position what stood before it; in a later layer the "
     "induction head looks for positions whose predecessor is the current token, and copies them. It continues patterns "
     "seen once and is part of in-context learning.",
     "induction, prefix_matching, prev_token, copying_full, composition_k; `induction`",
     "Look on repeated random tokens, where nothing else can help.",
     "olsson2022,elhage2021"},
    {"kv-cache", "cache", "keys and values kept while decoding", "2 L Hkv n d numbers",
     "Its size grows with the text. Heads that look only at sinks and neighbours need little of it.",
     "local_mass, first_k_mass, top_k_mass", NULL, "xiao2024streaming,zhang2023h2o"},
    {"latent-attention", "mla", "keys and values as projections of one short vector", NULL,
     "The cache holds the short vector and a rotated part that all heads share. Metrics see the keys and values that the "
     "heads read.",
     "`info`", NULL, "deepseek2024v2"},
    {"learned-sinks", "softmax-off-by-one,virtual-key", "a logit beside those of the keys that has no value",
     "A[i][j] = exp(Z[i][j]) / (exp(s_h) + sum_k exp(Z[i][k]))",
     "Weights of the keys sum to less than 1; what is missing goes nowhere. With s = 0 it is softmax off by one.",
     "learned_sink, row_mass", NULL, "openai2025gptoss,miller2023"},
    {"log-sum-exp", "lse,logsumexp,softmax", "the logarithm of softmax's divisor, formed without overflow",
     "lse(z) = m + ln sum_j exp(z_j - m), m = max z;  A[i][j] = exp(Z[i][j] - lse(Z[i]))",
     "One number for each row says how its logits become weights. It can be formed block by block: with a new maximum the "
     "old sum is scaled. So attention needs no matrix of all weights in memory, which is how this program measures exactly "
     "in memory that grows with n and not n^2.",
     "row statistics of the kernel: entropy, max, self, prev_token, distance are free", NULL,
     "milakov2018,dao2022flash"},
    {"logit-attribution", "direct-logit-attribution,dla",
     "the logit of a token as a sum of what each part wrote", "logit = sum_r (r / s) . (g W_U[:, token])",
     "The stream is a sum, and the final norm, held fixed, is linear: so each head, MLP and embedding has a share.",
     "attribution and its companions; `explain attribution`", "Direct effects only.", "elhage2021"},
    {"massive-activation", "massive-activations,outlier,outliers",
     "a few channels of one or two tokens, the first among them, thousands of times larger than the rest", NULL,
     "An early MLP writes them, the residual stream carries them through all layers, a late one takes them out. After the "
     "norm such a token looks the same for all prompts: its key is constant, and so it can be the sink.",
     "massive_top, massive_median, massive_channel, activation_outlier, weight_outlier; `plot norm_profile`",
     "The limits (100, and 1,000 times the median) are for large models. In some a delimiter, as the first full stop or line "
     "break, has them too.",
     "sun2024massive,an2025outliers"},
    {"missing-mass", NULL, "what the weights of a row lack to 1", NULL,
     "A learned sink takes a share, a window hides keys, an edit changes weights. Every metric says what it does with such "
     "rows: taken as they are, or divided by their sum.",
     "row_mass; the line `missing mass` of every metric", NULL, NULL},
    {"mqar", "associative-recall", "recall of values by their keys, many pairs in one prompt", NULL,
     "k1 v1 k2 v2 ... k2 ? : the model must give v2. Attention does it with heads that look up, models without attention "
     "often fail as pairs grow.",
     "`mqar`", NULL, "arora2023zoology"},
    {"needle", "needle-in-a-haystack,niah", "a fact hidden in long text and asked for", NULL,
     "Success by length of the text and depth of the fact; while the answer is written, the heads that look at it are "
     "the retrieval heads.",
     "`needle`; `plot needle_grid`", "One needle and one wording measure one needle and one wording.",
     "kamradt2023needle,wu2024retrieval"},
    {"ov-circuit", "ov", "what a head writes when it looks at a token", "W_OV = W_V W_O",
     "A matrix of rank d from stream to stream. Positive eigenvalues: it copies.",
     "ov_spectrum, ov_rank, copying, copying_full, head_norm", NULL, "elhage2021"},
    {"path-patching", NULL, "patching of one path between two parts", NULL,
     "What a sender writes is changed only in what one receiver reads of it, all else as in the run: shows who acts "
     "through whom.",
     "`patch --what path`", NULL, "wang2023ioi,goldowskydill2023"},
    {"perplexity", "loss,cross-entropy", "how surprised a model is by a text", "exp((1/N) sum_i -ln p(t_i | before))",
     "The exponential of the mean of nll: as if the model chose among so many tokens.",
     "nll; `ablate`, `drop`, `compare`", "Depends on the tokenizer: not comparable between models with different ones.",
     NULL},
    {"previous-token-head", NULL, "a head that looks one token back", "A[i][i - 1] near 1",
     "The first half of an induction circuit.",
     "prev_token; `induction`, `census`", NULL, "elhage2021,clark2019"},
    {"qk-circuit", "qk", "what a head compares", "W_QK = W_Q W_K^T",
     "The logit of two positions is x_i W_QK x_j^T, before position is put in.",
     "qk_spectrum, qk_rank, qk_largest, logit_spectral_norm", NULL, "elhage2021"},
    {"residual-stream", "stream", "the vector that all layers of a position read and add to",
     "x_(l+1) = x_l + attention(norm(x_l)) + mlp(...)",
     "Parts talk through it. In models whose norms stand behind the sum (post-norm) it is no plain sum, and attribution "
     "has no meaning.",
     "residual_norm, residual_peak, block_similarity", NULL, "elhage2021"},
    {"retrieval-head", NULL, "a head that looks at the token of a far passage that is being copied",
     "score = |g_h intersected with needle| / |needle|, g_h the tokens written while h looked at them in the needle",
     "Few heads have a high score, the same ones for all texts; without them a model answers fluently and wrongly.",
     "`needle`; `ablate --rule \"top 20 by retrieval\"`",
     "The code behind the paper counts repeats, so scores can pass 1; a run counts only where the answer was right.",
     "wu2024retrieval"},
    {"rms-norm", "layer-norm,norm", "what a sublayer reads: the stream at length sqrt(C)", "y = g x / sqrt(mean x^2 + eps)",
     "LayerNorm takes the mean out first. Because of it the length of the stream does not matter to a sublayer, its "
     "direction does; massive activations fix the direction.",
     "residual_norm", NULL, "zhang2019rmsnorm,ba2016layernorm"},
    {"rope", "rotary,rotary-embedding", "position as a rotation of queries and keys", "q_i . k_j depends on i - j",
     "Pairs of channels are turned by an angle that grows with the position; slow pairs hardly turn and carry content. "
     "Lengths stay.",
     "query_norm, key_norm, sink_cosine (all after the rotation); `info --verbose`", NULL, "su2021rope"},
    {"sliding-window", "window,local-attention", "a layer whose queries see only the last W keys", NULL,
     "Late queries do not see the first token: sums over queries count only those that see a key.",
     "`info` shows it by layer; sink, received, local_mass", NULL, "beltagy2020longformer,gemma2024"},
    {"softcap", "logit-softcap,capping", "a smooth limit of logits", "Z = c tanh(z / c)",
     "Keeps attention logits or final logits within (-c, c). Metrics of logits look at the capped ones unless they say so.",
     "sink_logit_gap, nll", NULL, "gemma2024"},
    {"value-state-drain", "drain", "the value of the sink shrinks while its attention grows", "|v_s W_O| << |v_j W_O|",
     "So that resting costs nothing; sink and drain reinforce each other in training.",
     "value_drain, value_norm", NULL, "guo2024dormant"},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
