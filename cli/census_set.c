#include "cli/census_set.h"

#include "base/result.h"

const char *const census_part_names[] = {"text", "random", "needle"};

const char *const census_metrics =
    "sink,hidden_sink,entropy,entropy_normalised,effective_keys,max,self,prev_token,distance,median_distance,local_mass,"
    "first_k_mass,same_token,mass_special,mass_punctuation,mass_delimiter,induction,duplicate_token,prefix_matching,"
    "learned_sink,dormant";

const census_score census_scores[] = {
    {"sink_rate", "sink", PART_TEXT, 0, true, true},
    {"sink", "sink", PART_TEXT, 0, false, true},
    {"hidden_sink", "hidden_sink", PART_TEXT, NO_INDEX, false, false},
    {"learned_sink", "learned_sink", PART_TEXT, NO_INDEX, false, false},
    {"dormant", "dormant", PART_TEXT, NO_INDEX, false, true},
    {"entropy", "entropy", PART_TEXT, NO_INDEX, false, true},
    {"entropy_normalised", "entropy_normalised", PART_TEXT, NO_INDEX, false, false},
    {"effective_keys", "effective_keys", PART_TEXT, NO_INDEX, false, false},
    {"max", "max", PART_TEXT, NO_INDEX, false, false},
    {"self", "self", PART_TEXT, NO_INDEX, false, true},
    {"prev_token", "prev_token", PART_TEXT, NO_INDEX, false, true},
    {"prev_token_random", "prev_token", PART_RANDOM, NO_INDEX, false, false},
    {"distance", "distance", PART_TEXT, NO_INDEX, false, true},
    {"median_distance", "median_distance", PART_TEXT, NO_INDEX, false, false},
    {"local_mass", "local_mass", PART_TEXT, NO_INDEX, false, false},
    {"first_k_mass", "first_k_mass", PART_TEXT, NO_INDEX, false, false},
    {"same_token", "same_token", PART_TEXT, NO_INDEX, false, false},
    {"mass_special", "mass_special", PART_TEXT, NO_INDEX, false, false},
    {"mass_punctuation", "mass_punctuation", PART_TEXT, NO_INDEX, false, false},
    {"mass_delimiter", "mass_delimiter", PART_TEXT, NO_INDEX, false, false},
    {"induction", "induction", PART_RANDOM, NO_INDEX, false, true},
    {"duplicate_token", "duplicate_token", PART_RANDOM, NO_INDEX, false, true},
    {"prefix_matching", "prefix_matching", PART_RANDOM, NO_INDEX, false, false},
    {"retrieval", "retrieval", PART_NEEDLE, NO_INDEX, false, true},
    {"retrieval_set", "retrieval_set", PART_NEEDLE, NO_INDEX, false, false},
    {0},
};

const census_rule census_rules[] = {
    {"previous-token", "prev_token", .5, "mean weight on the token before, on text"},
    {"current-token", "self", .5, "mean weight on the token itself, on text"},
    {"induction", "induction", .3, "mean weight on the token after the earlier copy, on repeated random tokens"},
    {"duplicate-token", "duplicate_token", .3, "mean weight on the earlier copy, on repeated random tokens"},
    {"sink", "sink_rate", .5, "share of the texts with alpha of key 0 above the sink threshold"},
    {"retrieval", "retrieval", .1, "mean retrieval score as coded, over the trials that succeeded"},
    {"delimiter", "mass_delimiter", .5, "mean weight on delimiters, on text"},
    {"uniform", "entropy_normalised", .9, "mean entropy over the log of the visible keys, on text"},
    {0},
};
