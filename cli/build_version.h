/* The version that the program was built from: what git said, or the file VERSION.  Apart from all else, so that a commit
 * rebuilds one object; tests of the library see the released number (program_version of cli/session.h). */
#ifndef ATTNSCOPE_CLI_BUILD_VERSION_H
#define ATTNSCOPE_CLI_BUILD_VERSION_H

extern const char build_version[]; /* "0.1.0-123-gabc1234" */

#endif
