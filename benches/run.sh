#!/usr/bin/env bash
# Measures esker against its peers on this machine and prints Markdown tables of ratios.
#
#   benches/run.sh data [OPTIONS]       small files and a big one, against cp, git, b3sum and DVC
#   benches/run.sh pipelines [OPTIONS]  stages, against ninja, cp, git and DVC
#   benches/run.sh scale [OPTIONS]      esker alone, 10,000 to 1,000,000 files: time and memory a step
#   benches/run.sh threshold [OPTIONS]  files of 1 to 128 KiB, in packs against each by itself
#   benches/run.sh chunks [OPTIONS]     bytes sent of large files that change, against restic and the ideal
#   benches/run.sh memory [OPTIONS]     the peak of add, push and pull of much data
#   benches/run.sh remotes [OPTIONS]    push and pull, against s5cmd, rclone, cp and DVC
#
#   --files N     files to make; in `scale` the last step     (100000; scale: 1000000; threshold: 5000; memory: 200000)
#   --size BYTES  the size of each of them                    (4096)
#   --big MIB     the size of the big file                    (2048; memory: 5120)
#   --stages N    of `pipelines`: stages, of which one in ten runs  (1000)
#   --rounds R    how often each pair is measured             (7; scale and threshold: 3)
#   --only A,B    of `data` only: start take-in status one-new put-back big
#                 of `pipelines` only: start nothing run restore parallel check
#                 of `remotes` only: small again pull big edit directory
#                 of `chunks` only: csv parquet parquet_cdc model log tar
#   --mib MIB     of `chunks`: the size of the first version of each history  (200)
#   --no-dvc      without DVC, the slowest of the peers
#   --esker BIN   measure this binary; nothing is built
#   --work DIR    make the data below DIR, on the file system to measure   (target/bench/work)
#
# The table goes to standard output, everything else to standard error. What is needed and is not
# here comes from crates.io and PyPI into target/bench. benches/README.md says how to read a table.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
bench=$root/target/bench

say() { printf '%s\n' "$*" >&2; }
fail() { say "benches/run.sh: $*"; exit 2; }
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

# shellcheck source=benches/tools.bash
. "$here/tools.bash"
# shellcheck source=benches/measure.bash
. "$here/measure.bash"
# shellcheck source=benches/data.bash
. "$here/data.bash"
# shellcheck source=benches/pipelines.bash
. "$here/pipelines.bash"
# shellcheck source=benches/scale.bash
. "$here/scale.bash"
# shellcheck source=benches/threshold.bash
. "$here/threshold.bash"
# shellcheck source=benches/chunks.bash
. "$here/chunks.bash"
# shellcheck source=benches/memory.bash
. "$here/memory.bash"
# shellcheck source=benches/remotes.bash
. "$here/remotes.bash"

# number OPTION VALUE: a whole number above zero, or the end.
number() {
    [[ ${2:-} =~ ^[1-9][0-9]{0,11}$ ]] || fail "$1 needs a whole number above 0, not \`${2:-}\`"
    printf '%s' "$2"
}

files='' size=4096 big='' mib=200 stages='' rounds='' only='' with_dvc=yes esker_binary='' place=$bench/work

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --files) files=$(number "$1" "${2:-}"); shift ;;
            --size) size=$(number "$1" "${2:-}"); shift ;;
            --big) big=$(number "$1" "${2:-}"); shift ;;
            --mib) mib=$(number "$1" "${2:-}"); shift ;;
            --stages) stages=$(number "$1" "${2:-}"); [ "$stages" -ge 10 ] || fail "--stages needs 10 at least"; shift ;;
            --rounds) rounds=$(number "$1" "${2:-}"); shift ;;
            --only) only=${2:-}; check_only; shift ;;
            --no-dvc) with_dvc= ;;
            --esker) esker_binary=$(realpath -e -- "${2:-}") || fail "--esker needs a program"; shift ;;
            --work) place=${2:-}; [ -n "$place" ] || fail "--work needs a directory"; shift ;;
            *) fail "no option \`$1\`; see benches/run.sh --help" ;;
        esac
        shift
    done
}

work=
clean_up() {
    status=$?
    trap - EXIT
    stop_server
    cd "$root"
    [ -z "$work" ] || rm -rf -- "$work"
    exit "$status"
}

# A fresh directory for this run; `step` in it makes and resets what is measured.
enter_work() {
    mkdir -p -- "$place"
    place=$(realpath -- "$place")
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    work=$(mktemp -d "$place/$1.XXXXXX")
    cd "$work"
    ln -s "$here/step.sh" step
}

# Nobody's settings, and nobody's cache, decide what is measured.
isolate() {
    local name
    for name in $(compgen -e | grep -E '^(ESKER|GIT|DVC|AWS|S3|RCLONE)_' | grep -vx ESKER_TEST_VENV || true); do
        unset "$name"
    done
    export HOME=$work/home XDG_CONFIG_HOME=$work/home XDG_CACHE_HOME=$work/home
    export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=$work/home/gitconfig LC_ALL=C
    export DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR=$work/home/dvc DVC_GLOBAL_CONFIG_DIR=$work/home
    export SIZE=$size
    mkdir home
    git config --global user.name bench
    git config --global user.email bench@example.com
    git config --global init.defaultBranch main
    git config --global gc.auto 0
    git config --global maintenance.auto false
}

mode=${1:-}
case $mode in
    data | pipelines | scale | threshold | chunks | memory | remotes) shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac
case " $* " in *' --help '* | *' -h '*) usage; exit 0 ;; esac
read_options "$@"
get_tools "$mode"
enter_work "$mode"
isolate
"measure_$mode"
