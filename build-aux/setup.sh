# Common to ./demo and ./check: packages, configure, compile.  Source it, then call setup "$@".
# Reads no configuration; everything it makes is in build/.

# What configure and the tests need, as Debian 12 names it.
packages="gcc make autoconf automake pkg-config libreadline-dev libsqlite3-dev libpng-dev zlib1g-dev \
libjpeg62-turbo-dev libjansson-dev libpcre2-dev libutf8proc-dev libssl-dev liblapacke-dev libpango1.0-dev fonts-dejavu-core \
libcmocka-dev python3 python3-pip"

say()
{
    printf '%s\n' "$*" >&2
}

die()
{
    say "$0: $*"
    exit 1
}

missing_packages()
{
    for package in $packages; do
        case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in
            *"install ok installed"*) ;;
            *) printf '%s ' "$package" ;;
        esac
    done
}

install_packages()
{
    if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
        say "This system has no apt-get.  configure needs: a C compiler, make, autoconf, automake, pkg-config,"
        say "and the development files of readline, sqlite3, libpng, libjpeg, zlib, jansson, pcre2 (8 bit),"
        say "utf8proc, openssl (libcrypto), pango with cairo; the tests need cmocka.  Fonts: DejaVu Sans."
        return
    fi
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$install" = no ]; then
        say "missing packages: $missing"
        say "install them with: apt-get install $missing"
        exit 1
    fi
    say "installing: $missing"
    root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || die "not root and no sudo; as root run: apt-get install $missing"
        root=sudo
    fi
    # A slow or failing mirror is worth a second try.
    for attempt in 1 2 3; do
        # shellcheck disable=SC2086  # words are meant to split
        if $root apt-get update -qq >&2 &&
           $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2; then
            return 0
        fi
        say "apt-get failed (attempt $attempt)"
        sleep 5
    done
    die "could not install: $missing"
}

compile()
{
    jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
    [ -x configure ] && [ configure -nt configure.ac ] && [ configure -nt VERSION ] || {
        say "bootstrap ..."
        ./bootstrap > bootstrap.log 2>&1 || { cat bootstrap.log >&2; die "bootstrap failed"; }
        rm -f bootstrap.log
    }
    mkdir -p build
    if [ ! -f build/Makefile ] || [ configure -nt build/config.status ] || [ "$(cat build/options 2>/dev/null)" != "$*" ]; then
        say "configure ..."
        (cd build && ../configure "$@" > configure.out 2>&1) ||
            { tail -n 20 build/configure.out >&2; die "configure failed; see build/configure.out and build/config.log"; }
        echo "$*" > build/options
    fi
    say "compile with $jobs jobs ..."
    make -C build -j "$jobs" > build/make.out 2>&1 || { tail -n 30 build/make.out >&2; die "make failed; see build/make.out"; }
}

# setup [--no-install] [configure options...]
setup()
{
    install=yes
    if [ "${1:-}" = --no-install ]; then
        install=no
        shift
    fi
    install_packages
    if [ "$install" = no ]; then
        say "all packages are there"
    fi
    compile "$@"
}
