/* Chat templates: the Jinja templates that checkpoints carry, rendered as transformers renders them.
 *
 * A bounded interpreter for the constructs that templates use; any other construct is refused by name and line.
 * Blocks are trimmed as transformers sets it (trim_blocks, lstrip_blocks); the values that a template sees are
 * messages, add_generation_prompt, tools and documents (none), and the special tokens by their roles.  A template
 * can read nothing else, and steps, memory, output and depth are limited. */
#ifndef ATTNSCOPE_MODEL_CHAT_CHAT_H
#define ATTNSCOPE_MODEL_CHAT_CHAT_H

#include <stdbool.h>
#include "base/json.h"
#include "base/strbuf.h"

typedef struct chat_message {
    const char *role;
    const char *content; size_t n_content;  /* any bytes */
} chat_message;

typedef struct chat_variable { const char *name, *text; } chat_variable;

typedef struct chat_input {
    const chat_message *messages; size_t n_message; /* or: */
    const json *json_messages;           /* a list of objects (role, content, ...); NULL to take messages */
    bool add_generation_prompt;
    const chat_variable *variables; size_t n_variable; /* "bos_token": "<s>" */
} chat_input;

/* Append the rendering to out.  name stands for the template, in messages.  ERR_INPUT: the template is wrong, uses
 * what is not supported, or refuses the messages itself (raise_exception). */
int chat_render(strbuf *out, const char *template, size_t n, const char *name, const chat_input *in, err *e);

#endif
