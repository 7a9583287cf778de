/* A prompt as a conversation, in the form that the model was trained on: its chat template. */
#ifndef ATTNSCOPE_CLI_CHAT_INPUT_H
#define ATTNSCOPE_CLI_CHAT_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include "base/param.h"
#include "model/tokenizer/tokenizer.h"

/* --chat, --system TEXT, --chat-file FILE.json, --template none|NAME|FILE, --generation-prompt. */
extern const param chat_params[];

/* Is the prompt to be rendered?  p must describe chat_params. */
bool chat_asked(const params *p);
/* The messages come from --chat-file, so that there is no prompt text. */
bool chat_from_file(const params *p);
/* The rendered conversation: free() *out.  text [n] is the user's turn; NULL with --chat-file.  The result holds its
 * special tokens spelled out: tokenise it without adding any (*special false).  With --template none the text comes
 * back as it is, *special true. */
int chat_render_prompt(char **out, size_t *len, bool *special, const tokenizer *t, const params *p, const char *text,
                       size_t n, err *e);

/* The same of messages: text is a JSON list of {"role": ..., "content": ...}.  p NULL: the model's own template, and the
 * beginning of the assistant's turn behind it. */
int chat_render_messages(char **out, size_t *len, const tokenizer *t, const params *p, const char *text, err *e);

#endif
