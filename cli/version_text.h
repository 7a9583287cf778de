/* What --version says. */
#ifndef ATTNSCOPE_CLI_VERSION_TEXT_H
#define ATTNSCOPE_CLI_VERSION_TEXT_H

#include "base/strbuf.h"

/* Three lines: the version; the libraries that this program works with, and MPI; instruction sets compiled in, and those
 * that this machine can run. */
void version_text(strbuf *out);

#endif
