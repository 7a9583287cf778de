#include "cli/census_set.h"

#include "base/result.h"

const char *const census_part_names[] = {"text", "random", "needle"};

const char *const census_metrics =
    "sink,hidden_sink,entropy,entropy_normalised,effective_keys,max,self,prev_token,distance,median_distance,local_mass,"
    "first_k_mass,same_token,mass_special,mass_punctuation,mass_delimiter,induction,duplicate_token,prefix_matching,"
    "learned_sink,dormant";

const census_score census_scores[] = {
    {"sink_rate", "sink", PART_TEXT, 0, true, 1},
    {"sink", "sink", PART_TEXT, 0, false, 2},
    {"hidden_sink", "hidden_sink", PART_TEXT, NO_INDEX, false, 0},
    {"learned_sink", "learned_sink", PART_TEXT, NO_INDEX, false, 0},
    {"dormant", "dormant", PART_TEXT, NO_INDEX, false, 2},
    {"entropy", "entropy", PART_TEXT, NO_INDEX, false, 1},
    {"entropy_normalised", "entropy_normalised", PART_TEXT, NO_INDEX, false, 0},
    {"effective_keys", "effective_keys", PART_TEXT, NO_INDEX, false, 0},
    {"max", "max", PART_TEXT, NO_INDEX, false, 0},
    {"self", "self", PART_TEXT, NO_INDEX, false, 2},
    {"prev_token", "prev_token", PART_TEXT, NO_INDEX, false, 1},
    {"prev_token_random", "prev_token", PART_RANDOM, NO_INDEX, false, 0},
    {"distance", "distance", PART_TEXT, NO_INDEX, false, 2},
    {"median_distance", "median_distance", PART_TEXT, NO_INDEX, false, 0},
    {"local_mass", "local_mass", PART_TEXT, NO_INDEX, false, 0},
    {"first_k_mass", "first_k_mass", PART_TEXT, NO_INDEX, false, 0},
    {"same_token", "same_token", PART_TEXT, NO_INDEX, false, 0},
    {"mass_special", "mass_special", PART_TEXT, NO_INDEX, false, 0},
    {"mass_punctuation", "mass_punctuation", PART_TEXT, NO_INDEX, false, 0},
    {"mass_delimiter", "mass_delimiter", PART_TEXT, NO_INDEX, false, 0},
    {"induction", "induction", PART_RANDOM, NO_INDEX, false, 1},
    {"duplicate_token", "duplicate_token", PART_RANDOM, NO_INDEX, false, 2},
    {"prefix_matching", "prefix_matching", PART_RANDOM, NO_INDEX, false, 0},
    {"retrieval", "retrieval", PART_NEEDLE, NO_INDEX, false, 1},
    {"retrieval_set", "retrieval_set", PART_NEEDLE, NO_INDEX, false, 0},
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
