# shellcheck shell=bash
# Large files that change, pushed version by version: how much lies on the remote at the end, with each
# way to cut files, with restic, and at best? Sourced by run.sh. docs/design/0007-chunker.md has what came
# of it.

readonly HISTORIES='csv parquet parquet_cdc model log tar'
readonly CHUNKERS='fastcdc-16-64-256 fastcdc-32-128-512 fastcdc-64-256-1024 fixed-4m'
readonly VERSIONS=10

# The bytes of all files below a directory.
bytes_in() { find "$1" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d", sum }'; }

# chunks_remote CHUNKER: an empty remote that asks for files to be cut so.
chunks_remote() {
    mkdir "$1"
    printf '{"format":1,"uuid":"%s","chunker":"%s","features":["gc-log"],"min_reader":1,"min_writer":1}\n' \
        "$(printf '%s' "$1" | md5sum | cut -c 1-32)" "$1" >"$1/format.json"
    (cd project && esker remote add -q "$1" "../$1" >/dev/null)
}

# chunks_version HISTORY VERSION: makes it, and sends it everywhere.
chunks_version() {
    local chunker
    "$bench/histories/bin/python" "$here/histories.py" "$1" "$2" "$mib" project/file new ||
        fail "cannot make version $2 of $1"
    # What nobody can do without: what is new, compressed as it is.
    [ ! -s new ] || zstd -3 -q -c new | wc -c >>ideal
    (
        cd project
        esker add -q file >/dev/null
        git add -A
        git commit -q -m "version $2"
        for chunker in $CHUNKERS; do esker push -q -r "$chunker" >/dev/null; done
        restic -q -r ../restic backup file >/dev/null
    ) || fail "cannot send version $2 of $1"
}

chunks_history() {
    local version chunker
    say "$1: $VERSIONS versions"
    rm -rf ./*-* fixed-4m restic project new ideal table.csv
    git init -q project
    (cd project && esker init -q >/dev/null)
    for chunker in $CHUNKERS; do chunks_remote "$chunker"; done
    restic -q -r restic init >/dev/null
    : >ideal
    for ((version = 0; version < VERSIONS; version++)); do
        chunks_version "$1" "$version"
        [ "$version" -gt 0 ] || chunks_sizes "$1" first
    done
    chunks_sizes "$1" end
}

# chunks_sizes HISTORY WHEN: lines of sizes.tsv.
chunks_sizes() {
    local kept
    for kept in $CHUNKERS restic; do
        printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$kept" "$(bytes_in "$kept")"
    done >>sizes.tsv
    printf '%s\t%s\tideal\t%s\n' "$1" "$2" "$(awk '{ sum += $1 } END { printf "%d", sum }' ideal)" >>sizes.tsv
    printf '%s\t%s\tfile\t%s\n' "$1" "$2" "$(stat -c %s project/file)" >>sizes.tsv
}

measure_chunks() {
    local history
    needs_room $((mib * 45 << 20)) 100000
    export RESTIC_PASSWORD=bench
    for history in $HISTORIES; do
        ! wanted "$history" || chunks_history "$history"
    done
    awk -f "$here/chunks.awk" sizes.tsv
    printf '\n'
    machine_facts
    fact data "first versions of about $mib MiB, $VERSIONS versions of each"
}
