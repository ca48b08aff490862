# shellcheck shell=bash
# How much memory esker takes to bring much data to a remote and back: one big file, and many small
# ones, of random bytes. Sourced by run.sh. Results are lines of peaks.tsv that memory.awk turns into
# Markdown:
#
#   data  remote  verb  seconds  peak KiB

server=

# A real S3 server, that of the tests.
start_server() {
    server=$work/server
    # The tests have theirs in a private environment below target/; so has this.
    ESKER_TEST_VENV=${ESKER_TEST_VENV:-$root/target/test-venv}
    export ESKER_TEST_VENV
    "$root/tests/s3-server.sh" start "$server" >&2 || fail "the S3 server did not start"
    # shellcheck source=/dev/null
    . "$server/env"
    export AWS_ACCESS_KEY_ID=$ESKER_TEST_S3_KEY_ID AWS_SECRET_ACCESS_KEY=$ESKER_TEST_S3_SECRET
    export AWS_EC2_METADATA_DISABLED=true
}

stop_server() {
    [ -z "$server" ] || "$root/tests/s3-server.sh" stop "$server" || true
    server=
}

# memory_of DATA REMOTE VERB COMMAND…
memory_of() {
    local data=$1 remote=$2 verb=$3 seconds kib
    shift 3
    say "$data: $verb, $remote"
    env time -f '%e %M' -o peak.txt "$@" >/dev/null 2>once.log || fail "\`$*\` failed
$(tail -n 5 once.log)"
    read -r seconds kib < <(tail -n 1 peak.txt)
    printf '%s\t%s\t%s\t%s\t%s\n' "$data" "$remote" "$verb" "$seconds" "$kib" >>peaks.tsv
}

# memory_travel DATA REMOTE: there, and back into an empty clone.
memory_travel() {
    memory_of "$1" "$2" push esker -C esker push -r "$2"
    git clone -q esker clone
    (cd clone && esker remote trust "$2" >/dev/null 2>&1) || fail "the clone cannot trust $2"
    memory_of "$1" "$2" pull esker -C clone pull -r "$2"
    diff -r esker/data clone/data >&2 || fail "$1 came back from $2 as something else"
    rm -rf clone directory
}

memory_row() {
    ./step esker_fresh
    memory_of "$1" - add esker -C esker add data
    (
        cd esker
        esker remote add -q directory ../directory
        esker remote add -q s3 "s3://$ESKER_TEST_S3_BUCKET/$2" --endpoint-url "$ESKER_TEST_S3" --region us-east-1
        git add -A
        git commit -q -m "$1"
    ) >/dev/null
    memory_travel "$1" directory
    memory_travel "$1" s3
    rm -rf esker
}

print_memory() {
    awk -f "$here/memory.awk" peaks.tsv
    printf '\n'
    machine_facts
    fact data "random bytes; times are of one run, with the server on the same machine"
}

measure_memory() {
    files=${files:-200000}
    big=${big:-5120}
    # The data, its store, the remote, and both once more in the clone.
    needs_room $((5 * (files * (size + 4096) > big * 1048576 ? files * (size + 4096) : big * 1048576))) \
        $((4 * files))
    start_server
    mkdir -p esker/data
    say "making a file of $big MiB"
    ./step make_big esker/data/big "$big"
    memory_row "a file of $big MiB" big
    stop_server
    start_server
    mkdir esker
    say "making $files files of $size bytes"
    ./step make esker/data "$files" 1000 0
    memory_row "$files files of $size bytes" small
    stop_server
    print_memory
}
