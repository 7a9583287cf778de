/* What the files behind cli/prompt_input.h share. */
#ifndef ATTNSCOPE_CLI_PROMPT_PARTS_H
#define ATTNSCOPE_CLI_PROMPT_PARTS_H

#include "cli/prompt_input.h"

/* Pixels or features of the request, their file's digest with them. */
int media_read(prompt_input *out, const loaded_model *lm, const prompt_request *q, err *e);
/* Room for the image among the tokens of main. */
int media_place_image(prompt_input *out, const loaded_model *lm, err *e);

#endif
