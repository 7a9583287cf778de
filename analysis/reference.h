/* Reading reference files (analysis/analyse.h says what is in them): the inputs that a run was made on. */
#ifndef ATTNSCOPE_ANALYSIS_REFERENCE_H
#define ATTNSCOPE_ANALYSIS_REFERENCE_H

#include "base/npz.h"
#include "model/forward.h"

typedef struct reference_input {
    model_input in;           /* views into the members below */
    int32_t *ids, *source;
    float *numbers;           /* pixels or features */
} reference_input;

/* What m reads of a reference file: all that it needs must be there, and nothing that it does not take
 * (ERR_INPUT).  *out starts zeroed; reference_input_free() it in any case. */
int reference_input_take(reference_input *out, const model *m, const npz *ref, err *e);
/* The same from the file; *out is empty when this fails. */
int reference_input_open(reference_input *out, const model *m, const char *path, err *e);
void reference_input_free(reference_input *in);

/* The token ids alone: allocated, free(). */
int reference_ids(int32_t **ids, int64_t *n, const char *reference, err *e);

/* "[8, 11, 11]" */
void reference_shape_text(char *out, size_t size, int n_dim, const int64_t *shape);

#endif
