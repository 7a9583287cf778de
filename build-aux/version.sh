#!/bin/sh
# version.sh SRCDIR [VERSION]: the version of these sources: VERSION when given, what git says in a checkout
# (0.1.0-123-gabc1234, with -dirty when files were changed), the file VERSION otherwise (a release's archive).
# version.sh --date SRCDIR: the time of the sources in seconds since 1970: SOURCE_DATE_EPOCH when set, the last
# commit's, or that of the file VERSION.
# version.sh --update FILE SRCDIR [VERSION]: FILE holds the version as a C string; it is written only when it changes.
date=
update=
case ${1:-} in
--date) date=yes; shift ;;
--update) update=$2; shift 2 ;;
esac
srcdir=${1:-.}
given=${2:-}

# git, in a checkout of this project and in none that it happens to lie in.
git_here()
{
    [ -e "$srcdir/.git" ] && git --no-optional-locks -C "$srcdir" "$@" 2>/dev/null
}

if [ -n "$date" ]; then
    time=${SOURCE_DATE_EPOCH:-$(git_here log -1 --format=%ct)}
    echo "${time:-$(stat -c %Y "$srcdir/VERSION" 2>/dev/null || echo 0)}"
    exit
fi

version=$given
if [ -z "$version" ]; then
    version=$(git_here describe --match 'v[0-9]*' --dirty)
    version=${version#v}
fi
if [ -z "$version" ]; then
    version=$(cat "$srcdir/VERSION") || exit 1
    if commit=$(git_here describe --always --exclude '*' --dirty) && [ -n "$commit" ]; then
        version=$version-$(git_here rev-list --count HEAD)-g$commit
    fi
fi

if [ -z "$update" ]; then
    echo "$version"
    exit
fi
line="\"$version\""
[ "$(cat "$update" 2>/dev/null)" = "$line" ] || echo "$line" > "$update"
