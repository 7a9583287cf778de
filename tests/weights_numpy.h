/* Included by test_weights_metrics.c: the folded weights of lantern-3m through numpy in double, by full [C, C] matrices. */
static const struct { const char *metric; int layer, head; int64_t position; double value; } numpy[] = {
    {"composition_k", 1, 0, 5, 0.197310438111},
    {"composition_q", 1, 2, 0, 0.208559718897},
    {"composition_v", 3, 7, 17, 0.167979292277},
    {"copying", 0, 6, NO_INDEX, 0.562490940099},
    {"copying_full", 0, 6, NO_INDEX, 0.579802625286},
    {"ov_spectrum", 0, 6, 4, 4.47032213894},
    {"ov_rank", 0, 6, NO_INDEX, 25.8591978503},
    {"qk_largest", 0, 6, NO_INDEX, 1.19705915038},
    {"qk_spectrum", 0, 6, 31, 0.118103686755},
    {"copying", 2, 3, NO_INDEX, 0.333653689227},
    {"copying_full", 2, 3, NO_INDEX, 0.482602318156},
    {"ov_spectrum", 2, 3, 4, 12.8395573698},
    {"ov_rank", 2, 3, NO_INDEX, 30.6639799324},
    {"qk_largest", 2, 3, NO_INDEX, 6.02614370741},
    {"qk_spectrum", 2, 3, 31, 1.54885868556},
};
