/* A model as text: shared by `load` and `info`. */
#ifndef ATTNSCOPE_CLI_INFO_LINES_H
#define ATTNSCOPE_CLI_INFO_LINES_H

#include "cli/model_card.h"

/* One line: name, family, layers, heads, parameters, dtype, context. */
void info_short(strbuf *b, const loaded_model *lm, const model_card *c);
/* One object, schema attnscope.model/1; hashes when the card has them. */
void info_json(strbuf *b, const loaded_model *lm, const model_card *c);
/* Aligned lines and the attention plan; verbose adds RoPE details and ignored configuration keys. */
void info_text(strbuf *b, const loaded_model *lm, const model_card *c, bool verbose);

#endif
