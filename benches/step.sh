#!/usr/bin/env bash
# The steps between two measurements: what brings a directory into the state that the next one
# starts from. Runs in the work directory of run.sh, as `./step NAME [ARGUMENT…]`; never timed.
#
# One directory for each contender, so that none sees what another did to the data:
#   esker/data  git/data  dvc/data    the same files, each in its own repository
#   copy                              what `cp` makes
set -euo pipefail

# What the last command left unwritten must not be paid by the next one.
settle() { sync -f .; }

# Reads what is about to be read, so that the cache is equally warm for all.
warm() { find "$@" -type f -print0 | xargs -0 -r cat >/dev/null; }

# make DIR FILES PER_DIRECTORY FIRST: random files in directories DIR/d<n>; FIRST is the first n.
make() {
    local dir=$1 left=$2 per=$3 n=$4 some
    while [ "$left" -gt 0 ]; do
        some=$((left < per ? left : per))
        mkdir -p "$dir/d$n"
        head -c $((some * SIZE)) /dev/urandom | split -b "$SIZE" -a 6 -d - "$dir/d$n/f"
        left=$((left - some))
        n=$((n + 1))
    done
}

# make_big FILE MIB
make_big() { head -c "$(($2 * 1048576))" /dev/urandom >"$1"; }

# esker_fresh [LINE…]: a project of esker that has seen nothing yet, with these settings of `[store]`.
esker_fresh() {
    (
        cd esker
        rm -rf .git .gitattributes .gitignore esker.toml esker.lock
        git init -q
        esker init -q >/dev/null
        [ $# -eq 0 ] || esker_settings "$@"
    )
    settle
    warm esker/data
}

# esker_settings LINE…: the lines of `[store]` in the settings of this clone.
esker_settings() {
    local config
    config=$(git rev-parse --git-common-dir)/esker/config.toml
    mkdir -p "$(dirname "$config")"
    { printf '[store]\n' && printf '%s\n' "$@"; } >"$config"
}

# esker_takes LINE: whether this build of esker knows that setting.
esker_takes() {
    rm -rf probe
    mkdir probe
    cd probe
    git init -q
    esker init -q >/dev/null
    esker_settings "$1"
    esker status >/dev/null 2>&1
}

git_fresh() {
    rm -rf git/.git
    git init -q git
    settle
    warm git/data
}

git_committed() {
    git_fresh
    git -C git add -A
    git -C git commit -q -m "the data"
    settle
}

dvc_fresh() {
    (
        cd dvc
        rm -rf .git .dvc .dvcignore .gitignore data.dvc ../home/dvc
        git init -q
        dvc init -q
        dvc config core.analytics false
        dvc config core.check_update false
    )
    settle
    warm dvc/data
}

# copy_gone FROM: `cp` begins with nothing, and with FROM in the cache.
copy_gone() {
    rm -rf copy
    settle
    warm "$1"
}

# gone DIR: an empty workspace; the store is as warm as it gets.
gone() {
    rm -rf "$1/data"
    settle
    [ "$1" != esker ] || warm esker/.git
    [ "$1" != dvc ] || warm dvc/.dvc/cache
}

# one_new DIR COMMAND…: one file that is not recorded yet beside those that are.
one_new() {
    local dir=$1
    shift
    if [ -e "$dir/data/d0/new" ]; then
        rm "$dir/data/d0/new"
        (cd "$dir" && "$@" >/dev/null)
    fi
    head -c "$SIZE" /dev/urandom >"$dir/data/d0/new"
    settle
}

# aside PATH…: out of the way, and deleted only at the end. For some seconds ext4 looks around inodes that
# were just freed, which would make whoever comes next create files slowly.
aside() {
    local path
    mkdir -p trash
    for path in "$@"; do
        [ ! -e "$path" ] || mv "$path" "$(mktemp -d trash/XXXXXX)/"
    done
}

# make_stages DIR N: stages `cp in/<n> out/<n>`, as esker and as ninja read them, each with outputs
# of its own.
make_stages() {
    local i
    mkdir -p "$1/in" "$1/out" "$1/ninja"
    (
        cd "$1"
        git init -q
        esker init -q >/dev/null
        # shellcheck disable=SC2016 # these are for ninja
        printf 'rule copy\n  command = cp $in $out\n' >build.ninja
        printf '/build.ninja\n/.ninja_*\n/ninja\n' >>.git/info/exclude
        for ((i = 1; i <= $2; i++)); do
            echo "$i" >"in/$i"
            printf '\n[stage.s%s]\ncmd = "cp in/%s out/%s"\ndeps = ["in/%s"]\nouts = ["out/%s"]\n' \
                "$i" "$i" "$i" "$i" "$i" >>esker.toml
            printf 'build ninja/%s: copy in/%s\n' "$i" "$i" >>build.ninja
        done
        git add -A
        git commit -q -m "the stages"
    )
    settle
}

# make_dvc_stages DIR N: the same for DVC.
make_dvc_stages() {
    local i
    rm -rf "$1"
    mkdir -p "$1/in" "$1/out"
    (
        cd "$1"
        git init -q
        dvc init -q
        dvc config core.analytics false
        dvc config core.check_update false
        echo 'stages:' >dvc.yaml
        for ((i = 1; i <= $2; i++)); do
            echo "$i" >"in/$i"
            printf '  s%s:\n    cmd: cp in/%s out/%s\n    deps: [in/%s]\n    outs: [out/%s]\n' \
                "$i" "$i" "$i" "$i" "$i" >>dvc.yaml
        done
    )
    settle
}

# all_done DIR: everything is up to date, for both, and committed.
all_done() {
    esker -C "$1" repro -q -j 4 >/dev/null
    ninja -C "$1" >/dev/null
    git -C "$1" add -A
    git -C "$1" diff --cached --quiet || git -C "$1" commit -q -m "the results"
    settle
}

# stages_fresh DIR: nothing has run, and nothing is known.
stages_fresh() {
    aside "$1/out" "$1/esker.lock" "$1/.git/esker"
    mkdir "$1/out"
    settle
    warm "$1/in"
}

ninja_fresh() {
    aside "$1/ninja" "$1/.ninja_log" "$1/.ninja_deps"
    settle
    warm "$1/in"
}

# forgotten DIR: outputs and lock are gone, the run cache is not.
forgotten() {
    aside "$1/out" "$1/esker.lock"
    mkdir "$1/out"
    settle
    warm "$1/in" "$1/.git/esker"
}

dvc_stages_fresh() {
    aside "$1/out" "$1/dvc.lock" "$1/.dvc/cache" home/dvc
    mkdir "$1/out"
    settle
    warm "$1/in"
}

dvc_forgotten() {
    aside "$1/out" "$1/dvc.lock"
    mkdir "$1/out"
    settle
    warm "$1/in" "$1/.dvc/cache"
}

# make_sleepers DIR: two stages that take 5 s each and do not need each other.
make_sleepers() {
    mkdir "$1"
    (
        cd "$1"
        git init -q
        esker init -q >/dev/null
        printf '\n[stage.%s]\ncmd = "sleep 5"\nalways = true\n' one two >>esker.toml
    )
}

sleepers_fresh() {
    aside "$1/esker.lock" "$1/.git/esker"
    settle
}

# clone_without_data FROM TO
clone_without_data() {
    [ ! -d server ] || pulled_gone
    rm -rf "$2"
    git clone -q "$1" "$2"
    settle
    warm "$2"
}

# server_fresh: an empty server of S3, and how to reach it in server.env. One object goes there first, so
# that nobody pays for what the server makes for its first.
server_fresh() {
    "$SERVER" start server >&2
    {
        cat server/env
        # shellcheck disable=SC2016 # they are for who reads it
        printf 'export AWS_ACCESS_KEY_ID=$ESKER_TEST_S3_KEY_ID AWS_SECRET_ACCESS_KEY=$ESKER_TEST_S3_SECRET\n'
        sed -n 's/^export ESKER_TEST_S3=\(.*\)/export AWS_ENDPOINT_URL=\1 S3_ENDPOINT_URL=\1 RCLONE_S3_ENDPOINT=\1/p' server/env
    } >server.env
    # shellcheck source=/dev/null
    . ./server.env
    s5cmd --log error cp home/gitconfig s3://esk/first
}

# nothing_pushed DIR: the server is empty, and what is to be sent from DIR is in the cache.
nothing_pushed() {
    server_fresh
    settle
    warm "$1/data" "$1/.git"
    [ "$1" != dvc ] || warm dvc/.dvc/cache
}

# nothing_sent DIR: the same for the directories.
nothing_sent() {
    aside directory dvc-directory
    settle
    warm "$1/data" "$1/.git"
    [ "$1" != dvc ] || warm dvc/.dvc/cache
}

# away PATH…: as aside; deleted at once where a file is too big to be kept until the end.
away() {
    if [ -e esker/data/big ]; then rm -rf "$@"; else aside "$@"; fi
}

# pulled_gone: nobody has pulled, and what the server has is in the cache.
pulled_gone() {
    away clone copy
    settle
    warm server/data
}

dvc_pulled_gone() {
    pulled_gone
    away dvc/data dvc/.dvc/cache home/dvc
}

# edited FILE MIB: one MiB there is another one.
edited() {
    head -c 1048576 /dev/urandom | dd of="$1" bs=1M seek="$2" conv=notrunc status=none
}

# Whether a copy may share its blocks with the original here.
reflinks() {
    head -c 65536 /dev/urandom >probe.from
    local status=0
    cp --reflink=always probe.from probe.to 2>/dev/null || status=1
    rm -f probe.from probe.to
    return "$status"
}

"$@"
