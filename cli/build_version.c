#include "cli/build_version.h"

const char build_version[] =
#include "registry/build_version.inc"
    ;
