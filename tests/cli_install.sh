#!/bin/sh
# What `make install` puts under DESTDIR works there, `make uninstall` takes all of it away, and where the version comes from.
. "${srcdir:-.}/tests/cli_lib.sh"
top=$(cd "$srcdir" && pwd)
build=$(cd "$(dirname "$attnscope")" && pwd)

# run from make check: what that make was told is not for those that are called here
unset MAKEFLAGS MFLAGS MAKELEVEL

# variable NAME: a variable of the makefile.
variable()
{
    printf 'include Makefile\n.PHONY: what\nwhat: ; @echo $(%s)\n' "$1" | make -s -C "$build" -f - what 2> /dev/null
}

# What is to be installed was built; nothing may be made anew while other tests run the program.
built="-o attnscope -o man/attnscope.1 -o man/completion/attnscope -o Makefile -o config.status -o config.h"
for page in man/verbs.stamp $(variable nodist_man_MANS) $(variable nodist_zshcompletion_DATA) $(variable nodist_fishcompletion_DATA); do
    built="$built -o $page"
done
install_with()
{
    # shellcheck disable=SC2086
    make -C "$build" $built "$@" DESTDIR="$tmp/root" > "$tmp/make.out" 2>&1
}

if [ ! -f "$build/Makefile" ] || ! command -v make > /dev/null || ! [ -f "$build/man/attnscope.1" ]; then
    skip "make install" "no complete build in the folder of the program"
else
    check "make install" install_with install-exec-am install-data-am
    bin=$tmp/root$(variable bindir)
    data=$tmp/root$(variable pkgdatadir)
    docs=$tmp/root$(variable docdir)
    man=$tmp/root$(variable man1dir)
    check "the program is there" test -x "$bin/attnscope"
    check "its manual page" grep -q '^\.TH ATTNSCOPE 1' "$man/attnscope.1"
    check "of a verb" grep -q '^\.TH ATTNSCOPE-RUN 1' "$man/attnscope-run.1"
    check "of JSON" grep -q '^\.TH ATTNSCOPE-JSON 7' "$tmp/root$(variable man7dir)/attnscope-json.7"
    verbs=$("$attnscope" list commands --tsv | sed 1d | grep -c .)
    check "as many as there are verbs" test "$(find "$man" -name 'attnscope-*.1' | grep -c .)" = "$verbs"
    if command -v man > /dev/null; then
        for page in attnscope attnscope-run attnscope-json; do
            check "man finds $page" sh -c 'man -M "$1" -w "$2" > /dev/null 2>&1' sh "${man%/*}" $page
        done
    else
        skip "man finds them" "no man"
    fi
    check "completion for bash" test -s "$tmp/root$(variable bashcompletiondir)/attnscope"
    check "for zsh" grep -q '^#compdef attnscope' "$tmp/root$(variable zshcompletiondir)/_attnscope"
    check "for fish" test -s "$tmp/root$(variable fishcompletiondir)/attnscope.fish"
    for page in README.md METRICS.md STORE.md LICENSE; do
        check "$page is among its documents" test -s "$docs/$page"
    done
    check "where its pages link to are the examples" test -s "$docs/docs/../examples/prompts/story.txt"
    check "by a link that holds wherever it is put" sh -c 'case $(readlink "$1") in /*) exit 1 ;; esac' sh "$docs/examples"
    check "the bundled model" test -s "$data/examples/models/lantern-3m/model.safetensors"
    check "nothing points to where it was built" sh -c '! grep -rqF "$1" "$2"' sh "$build/" "$tmp/root"
    case $(variable prefix) in
    "$top"/*) skip "nor to where the sources are" "it is to be installed there" ;;
    *) check "nor to where the sources are" sh -c '! grep -rqF "$1" "$2"' sh "$top/" "$tmp/root" ;;
    esac

    # Elsewhere, without the sources.
    mkdir "$tmp/elsewhere"
    cd "$tmp/elsewhere" || exit 1
    attnscope=$bin/attnscope
    run run lantern-3m --prompt "It was a dark night" --metrics prev_token --json
    exits 0 "the installed program finds the bundled model by its name"
    if awk -v v="$(value prev_token 0 1)" 'BEGIN { exit !(v + 0 > 0.9) }'; then
        ok "and measures it"
    else
        not_ok "and measures it"
        told "$tmp/out"
    fi
    run verify lantern-3m --reference "$data/examples/models/lantern-3m-reference/ref-short.npz"
    exits 0 "its numbers are the reference's"
    cd "$data" || exit 1
    chmod -R a-w . # as it is for a user
    run run examples/models/lantern-3m --prompt-file examples/prompts/story.txt --metrics sink --store "$tmp/elsewhere/s.db"
    exits 0 "the paths of the documentation are right in the folder of its data"
    chmod -R u+w .
    cd "$build" || exit 1
    attnscope=$build/attnscope

    installed=$(find "$tmp/root" -type f | wc -l)
    check "a second make install changes nothing" install_with install-exec-am install-data-am
    if [ "$(find "$tmp/root" -type f | wc -l)" = "$installed" ]; then ok "as many files"; else not_ok "as many files"; fi
    check "make uninstall" install_with uninstall
    left=$(find "$tmp/root" ! -type d; find "$tmp/root$(variable prefix)" -mindepth 1 -type d -name '*attnscope*')
    [ -z "$left" ] || echo "$left" | sed 's/^/# left: /'
    check "nothing is left" test -z "$left"
fi

# --- the archive of the sources ---
if [ -e "$top/.git" ] && (cd "$top" && git ls-files) > "$tmp/known" 2> /dev/null && [ -f "$build/Makefile" ]; then
    { variable DISTFILES; variable debian_files; } | tr ' ' '\n' |
        awk -v top="$(variable srcdir)/" 'index($0, top) == 1 { $0 = substr($0, length(top) + 1) } { print }' > "$tmp/packed"
    # Of a folder that is named all goes in; check is taken by a rule of its own.
    awk 'NR == FNR { packed[$0]; next }
        {
            name = $0
            while (!(name in packed) && sub("/[^/]*$", "", name));
            if (!(name in packed) && $0 !~ /^(\.ci\/.*|\.gitignore|check)$/)
                print
        }' "$tmp/packed" "$tmp/known" > "$tmp/left_out"
    check "make dist takes each file of the checkout" test ! -s "$tmp/left_out"
    sed 's/^/# left out: /' "$tmp/left_out"
else
    skip "make dist takes each file of the checkout" "no checkout"
fi

# --- configure without pkg-config ---
# Its output goes into $tmp/out; a compiler that cannot have seen jansson.h stands for a system without the library.
configure()
{
    rm -rf "$tmp/configured" && mkdir "$tmp/configured" &&
        (cd "$tmp/configured" && PKG_CONFIG=false CONFIG_SHELL=/bin/sh "$top/configure" "$@") > "$tmp/out" 2>&1
    status=$?
}
compiler=$(variable CC)
if [ ! -x "$top/configure" ] || [ -f "$top/config.status" ] || [ "$compiler" != gcc ]; then
    skip "configure without pkg-config" "no configure, a build among the sources, or another compiler than gcc"
else
    configure --prefix=/opt/there
    exits 0 "configure finds the libraries without pkg-config"
    out_has 'checking for jansson >= 2.10 with "-ljansson"... yes' "where the compiler looks"
    check "all flags are there" grep -qE '^PANGOCAIRO_LIBS = .*-lpangocairo-1.0' "$tmp/configured/Makefile"
    check "what is asked for holds" grep -qx 'prefix = /opt/there' "$tmp/configured/Makefile"
    printf '#!/bin/sh\ncase "$*" in *elsewhere*) ;; *conftest.c*) ! grep -q jansson conftest.c || exit 1 ;; esac\nexec gcc "$@"\n' \
        > "$tmp/compiler"
    chmod +x "$tmp/compiler"
    configure CC="$tmp/compiler"
    check "a library that is not there ends it" test $status -ne 0
    out_has 'on Debian: apt-get install libjansson-dev; elsewhere say where it is: ./configure JANSSON_CFLAGS=' "and it says what to do"
    configure CC="$tmp/compiler" JANSSON_LIBS="-L/elsewhere -ljansson"
    exits 0 "with what was said it goes on"
    check "and that is used" grep -qx 'JANSSON_LIBS = -L/elsewhere -ljansson' "$tmp/configured/Makefile"
fi

# --- the version ---
equal()
{
    if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3"; echo "# $1, expected $2"; fi
}
released=$(cat "$top/VERSION")
equal "$(sed -n '1s/^attnscope (\(.*\)) .*/\1/p' "$top/debian/changelog")" "$released" "the Debian package has the version of the sources"
version()
{
    sh "$top/build-aux/version.sh" "$@"
}
mkdir "$tmp/v"
cp "$top/VERSION" "$tmp/v/VERSION"
cd "$tmp/v" || exit 1
unset SOURCE_DATE_EPOCH
equal "$(version .)" "$released" "an unpacked release has the version of its file"
equal "$(version . 9.8.7)" 9.8.7 "a version that is given"
touch -d @1000000000 VERSION
equal "$(version --date .)" 1000000000 "and the time of that file"
equal "$(SOURCE_DATE_EPOCH=5 version --date .)" 5 "SOURCE_DATE_EPOCH comes before it"
if command -v git > /dev/null; then
    git_here() { git -c user.name=a -c user.email=a@example.org -c commit.gpgsign=false "$@" > /dev/null 2>&1; }
    git_here init && git_here add VERSION && GIT_COMMITTER_DATE="1234567890 +0000" git_here commit -m one
    equal "$(version .)" "$released-1-g$(git rev-parse --short HEAD)" "a checkout without tags: commits are counted"
    equal "$(version --date .)" 1234567890 "the time of the commit"
    git_here tag -a v1.2.0 -m v1.2.0
    equal "$(version .)" 1.2.0 "a tagged commit"
    git_here commit --allow-empty -m two
    equal "$(version .)" "1.2.0-1-g$(git rev-parse --short HEAD)" "and one after it"
    echo "$released " > VERSION
    equal "$(version .)" "1.2.0-1-g$(git rev-parse --short HEAD)-dirty" "changed files are told"
    mkdir inside && cp "$top/VERSION" inside/VERSION
    equal "$(version inside)" "$released" "an unpacked release inside of another checkout"
else
    skip "versions of a checkout" "no git"
fi
version --update file .
first=$(cat file)
touch -d @1000000000 file
version --update file .
equal "$(cat file):$(stat -c %Y file)" "$first:1000000000" "the same version leaves its file as it is"
version --update file . 4.5.6
equal "$(cat file)" '"4.5.6"' "another one is written"
cd "$build" || exit 1
plan
