#!/bin/sh
# Builds esker from this source tree and installs it. `./install.sh --help` says more.
set -eu

usage() {
    cat <<'END'
Builds esker from this source tree and installs it.

Usage: ./install.sh [--to DIR] [--demo]

  --to DIR   where the program goes (default: ~/.local/bin)
  --demo     then walk through a real small project with it
  --help     this text

The demo works in a new temporary directory. When a person is watching, that directory stays, to
look around in; else it goes away unless the demo failed.

Environment: CARGO_TARGET_DIR says where to build (default: target/ in the source tree).
END
}

say() { printf '%s\n' "$*" >&2; }
fail() { say "install.sh: $*"; exit 2; }

# What is missing, one line each, so that all of it can be got in one go.
missing=
lacks() {
    missing="$missing
  $1
      $2"
}

# at_least HAVE WANT: compares versions of three numbers.
at_least() {
    printf '%s\n' "$1" "$2" | awk -F. '
        { v[NR] = $1 * 1000000 + $2 * 1000 + $3 }
        END { exit !(v[1] >= v[2]) }'
}

find_cargo() {
    # rustup adds this directory to PATH in new shells only.
    if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-${HOME:-}/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-${HOME:-}/.cargo}/bin:$PATH"
    fi
    how="install Rust with rustup: https://rustup.rs"
    if ! command -v cargo >/dev/null 2>&1; then
        lacks "cargo $want_rust or newer: not found" "$how"
        return
    fi
    have=$(cargo --version 2>/dev/null | awk '{ split($2, part, "-"); print part[1] }')
    if [ -z "$have" ]; then
        lacks "cargo $want_rust or newer: the one on PATH does not run" "$how"
    elif ! at_least "$have" "$want_rust"; then
        command -v rustup >/dev/null 2>&1 && how="rustup update stable"
        lacks "cargo $want_rust or newer: this one is $have" "$how"
    fi
}

check_tools() {
    want_rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    find_cargo
    command -v cc >/dev/null 2>&1 ||
        lacks "a C compiler (cc): not found" "apt-get install build-essential"
    command -v git >/dev/null 2>&1 || lacks "git: not found" "apt-get install git"
    if [ "$demo" = yes ] && ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
        lacks "python3, 3.9 or newer, for the demo: not found" "apt-get install python3"
    fi
    [ -z "$missing" ] || fail "cannot build yet; this is missing:$missing"
}

# The binary appears under its name whole or not at all, also over one that is running.
install_binary() {
    mkdir -p "$to" || fail "cannot create \`$to\`; choose another directory with --to"
    new=$to/.esker-new-$$
    trap 'rm -f "$new"' EXIT
    if ! { cp "$built" "$new" && chmod 755 "$new" && mv -f "$new" "$to/esker"; }; then
        fail "cannot write to \`$to\`; choose another directory with --to"
    fi
    trap - EXIT
    say "installed $("$to/esker" --version) as $to/esker"
    case ":$PATH:" in
    *":$to:"*) ;;
    *) say "\`$to\` is not on PATH; put this into your shell's start-up file:"
       say "  export PATH=\"$to:\$PATH\"" ;;
    esac
}

run_demo() {
    dir=$(mktemp -d "${TMPDIR:-/tmp}/esker-demo.XXXXXX")
    say "demo in $dir"
    status=0
    "$to/esker" demo "$dir/penguins" </dev/null || status=$?
    if [ "$status" -ne 0 ]; then
        say "the demo failed; what it left is in $dir"
    elif [ -t 1 ]; then
        say "look around in $dir, and remove it with: rm -rf '$dir'"
    else
        rm -rf "$dir"
    fi
    return "$status"
}

to=
demo=no
while [ $# -gt 0 ]; do
    case $1 in
    --to) [ $# -ge 2 ] || fail "--to needs a directory"
          to=$2; shift ;;
    --to=*) to=${1#--to=} ;;
    --demo) demo=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; fail "unknown argument \`$1\`" ;;
    esac
    shift
done
if [ -z "$to" ]; then
    [ -n "${HOME:-}" ] || fail "HOME is not set; choose a directory with --to"
    to=$HOME/.local/bin
fi
case $to in
/*) ;;
*) to=$PWD/$to ;;
esac
cd "$(dirname "$0")"
check_tools

say "building esker; the first time takes some minutes"
cargo build --release --locked
target=$(cargo metadata --format-version 1 --no-deps --locked |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
built=$target/release/esker
[ -x "$built" ] || fail "cargo has built no \`$built\`"
install_binary
[ "$demo" = no ] || run_demo
