#!/bin/sh
# The layer rule: which folder may include what.  See ARCHITECTURE.md.
srcdir=${srcdir:-.}
. "$srcdir/tests/tap.sh"
cd "$srcdir" || exit 1

# violations FOLDER ALLOWED-FOLDERS...: quoted includes of FOLDER's files outside the allowed folders.
violations()
{
    folder=$1
    shift
    allowed=$(echo "$folder registry $*" | tr ' ' '|')
    grep -rnE '^ *# *include *"' "$folder" --include='*.c' --include='*.h' |
        grep -vE "include *\"(($allowed)/|config\.h\")"
}

rule()
{
    found=$(violations "$@")
    if [ -z "$found" ]; then
        ok "$1 includes from its own layer and below"
    else
        not_ok "$1 includes from its own layer and below"
        echo "$found" | sed 's/^/# /'
    fi
}

rule base
rule compute base
rule model base compute
rule analysis base compute model
rule db base
rule plots base
rule cli base compute model analysis db plots

# confined DESCRIPTION PATTERN ALLOWED-PATH-REGEX: an external header appears only where it may.
confined()
{
    found=$(grep -rnE "^ *# *include *<($2)" base compute model analysis db plots cli --include='*.c' --include='*.h' |
        grep -vE "^($3)")
    if [ -z "$found" ]; then
        ok "$1 is confined"
    else
        not_ok "$1 is confined"
        echo "$found" | sed 's/^/# /'
    fi
}

confined "sqlite3.h" 'sqlite3' 'db/'
confined "libpng" 'png\.h' '(plots|model/input)/'
confined "libjpeg" '(jpeglib|jerror)\.h' 'model/input/'
confined "cairo and pango" '(cairo|pango)' 'plots/'
confined "readline" 'readline/' 'cli/'
confined "SIMD intrinsics" '(immintrin|arm_neon|x86intrin)\.h' 'compute/isa/'
confined "cpuid.h" 'cpuid\.h' 'compute/cpu\.c'
confined "jansson" 'jansson' 'base/json\.c'
confined "pcre2 and utf8proc" '(pcre2|utf8proc)\.h' 'model/tokenizer/'
confined "libcrypto" 'openssl/' 'base/hash\.c'
confined "LAPACK" 'lapacke\.h' 'analysis/linalg\.c'
confined "MPI" 'mpi\.h' 'base/ranks\.c'
confined "zlib" 'zlib\.h' '(base|db|plots)/'

# A rule that cannot fail is no rule: a planted violation must be seen.
planted=$(mktemp -d) || exit 1
mkdir "$planted/base"
echo '#include "model/model.h"' > "$planted/base/bad.c"
if [ -n "$(cd "$planted" && violations base)" ]; then
    ok "a planted violation is found"
else
    not_ok "a planted violation is found"
fi
rm -r "$planted"

long=$(find base compute model analysis db plots cli -name '*.[ch]' ! -name '*_data.c' -exec wc -l {} + |
    awk '$2 != "total" && $1 > 800 {print $2 ": " $1}')
if [ -z "$long" ]; then ok "no file over 800 lines"; else not_ok "no file over 800 lines"; echo "# $long"; fi
plan
