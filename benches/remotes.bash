# shellcheck shell=bash
# Push and pull of many small files and of a big one, to a server of S3 and to a directory, against what
# copies files alone: s5cmd and rclone, cp, and DVC. Sourced by run.sh. Beside the ratios stands what went
# over the line, counted by line.py and not by esker, as lines of counts.tsv that counts.awk turns into
# Markdown:
#
#   work  who  what  counted  goal or `-`  what who did it says, or `-`

readonly REMOTE_ROWS='small again pull big edit directory'

# What reads the environment alone: the server is another one each time.
readonly WITH_SERVER='. ./server.env && '

server_settings() {
    server=$work/server
    export SERVER=$root/tests/s3-server.sh
    export ESKER_TEST_VENV=${ESKER_TEST_VENV:-$root/target/test-venv}
    export AWS_EC2_METADATA_DISABLED=true AWS_REGION=us-east-1
    export RCLONE_S3_PROVIDER=Other RCLONE_S3_ENV_AUTH=true RCLONE_S3_NO_CHECK_BUCKET=true
}

# What each of them does, with the same files. 64 at once is where s5cmd and rclone are fastest here.
esker_push() { printf '%sesker -C esker push -q' "$WITH_SERVER"; }
s5cmd_push() { printf "%ss5cmd --log error --numworkers 64 cp 'esker/data/*' s3://esk/s5cmd/" "$WITH_SERVER"; }
rclone_push() { printf '%srclone copy -q --transfers 64 --checkers 64 esker/data :s3:esk/rclone' "$WITH_SERVER"; }
dvc_push() { printf '%sdvc --cd dvc push -q' "$WITH_SERVER"; }

remote_project() {
    ./step esker_fresh
    esker -C esker add -q data >/dev/null
    (
        cd esker
        esker remote add -q s3 s3://esk/esker --default
        esker remote add -q directory ../directory
        git add -A
        git commit -q -m "the data"
    ) >/dev/null
    [ -n "$with_dvc" ] || return 0
    ./step dvc_fresh
    (
        cd dvc
        dvc add -q data
        dvc remote add -q -d s3 s3://esk/dvc
        dvc remote add -q directory ../dvc-directory
    ) >/dev/null
}

make_small_data() {
    rm -rf esker dvc
    mkdir -p esker dvc
    say "making $1 files of $size bytes"
    ./step make esker/data "$1" $((($1 + 99) / 100)) 0
    [ -z "$with_dvc" ] || cp -r esker/data dvc/data
    remote_project
}

# Everything is there, from everybody.
all_pushed() {
    say "sending everything once, untimed"
    ./step server_fresh
    sh -c "$(esker_push)" >/dev/null
    sh -c "$(s5cmd_push)" >/dev/null
    sh -c "$(rclone_push)" >/dev/null
    [ -z "$with_dvc" ] || sh -c "$(dvc_push)" >/dev/null
}

# measure_push TITLE GOAL
measure_push() {
    contender esker - "./step nothing_pushed esker" "$(esker_push)"
    contender "s5cmd cp" "$2" "./step nothing_pushed esker" "$(s5cmd_push)"
    contender "rclone copy" - "./step nothing_pushed esker" "$(rclone_push)"
    dvc_contender "dvc push" - "./step nothing_pushed dvc" "$(dvc_push)"
    measure "$1" 1 0 sh
}

# measure_pull TITLE GOAL: esker keeps what came in its store too, and flushes that.
measure_pull() {
    contender esker - "./step clone_without_data esker clone" "${WITH_SERVER}esker -C clone pull -q"
    contender "s5cmd cp" "$2" "./step pulled_gone" \
        "${WITH_SERVER}s5cmd --log error --numworkers 64 cp 's3://esk/s5cmd/*' copy/ && sync -f copy"
    contender "rclone copy" - "./step pulled_gone" \
        "${WITH_SERVER}rclone copy -q --transfers 64 --checkers 64 :s3:esk/rclone copy && sync -f copy"
    dvc_contender "dvc pull" - "./step dvc_pulled_gone" "${WITH_SERVER}dvc --cd dvc pull -q && sync -f dvc"
    measure "$1" 1 0 sh
}

# over_line COMMAND: with the line between it and the server; lines of line.log.
over_line() {
    local port
    # shellcheck source=/dev/null
    . ./server.env
    : >line.log
    coproc line { python3 "$here/line.py" "${AWS_ENDPOINT_URL##*:}" line.log; }
    read -r port <&"${line[0]}"
    sed "s#http://[^ ]*#http://127.0.0.1:$port#g" server.env >line.env
    sh -c "${1/server.env/line.env}" >said.json || fail "\`$1\` failed over the line"
    eval "exec ${line[1]}>&-"
    wait "$line_PID" 2>/dev/null || true
}

# counted WORK WHO WHAT VALUE GOAL SAID
counted() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >>counts.tsv; }

said() { python3 -c 'import json, sys; print(json.load(open("said.json"))[sys.argv[1]])' "$1"; }

# count_push WORK GOAL_REQUESTS GOAL_BYTES: what a push of esker sends, and what it says of that.
count_push() {
    say "$1: counting"
    over_line "$(esker_push) --json"
    counted "$1" esker requests "$(wc -l <line.log)" "$2" -
    counted "$1" esker "objects written" \
        "$(awk '$1 == "PUT" && $2 !~ /\/probe$|\/head$/' line.log | wc -l)" - "$(said objects)"
    counted "$1" esker "bytes sent" "$(awk '{ sum += $3 } END { printf "%d", sum }' line.log)" "$3" "$(said sent_bytes)"
}

count_s5cmd() {
    over_line "$(s5cmd_push)"
    counted "$1" "s5cmd cp" requests "$(wc -l <line.log)" - -
    counted "$1" "s5cmd cp" "bytes sent" "$(awk '{ sum += $3 } END { printf "%d", sum }' line.log)" - -
}

row_small() {
    local what="push $small_files files to S3"
    measure_push "$what" 0.05
    ./step nothing_pushed esker
    count_push "$what" 40 -
    count_s5cmd "$what"
}

row_again() {
    local what="push $small_files files to S3 again, nothing new"
    all_pushed
    count_push "$what" - -
    contender esker - true "$(esker_push)"
    contender "s5cmd sync" - true \
        "${WITH_SERVER}s5cmd --log error --numworkers 64 sync --size-only 'esker/data/*' s3://esk/s5cmd/"
    contender "rclone copy" - true "$(rclone_push)"
    dvc_contender "dvc push" - true "$(dvc_push)"
    measure "$what" 1 0 sh
}

row_pull() {
    all_pushed
    measure_pull "pull $small_files files from S3, flushed" -
}

make_big_pushed() {
    rm -rf esker dvc clone copy
    mkdir -p esker/data dvc/data
    say "making a file of $big MiB"
    ./step make_big esker/data/big "$big"
    [ -z "$with_dvc" ] || cp --reflink=never esker/data/big dvc/data/big
    remote_project
}

row_remote_big() {
    measure_push "push one file of $big MiB to S3" 1.0
    all_pushed
    measure_pull "pull one file of $big MiB from S3, flushed" 1.0
}

row_edit() {
    local what="push one file of $big MiB to S3 after an edit of 1 MiB in its middle"
    all_pushed
    ./step edited esker/data/big $((big / 2))
    esker -C esker add -q data >/dev/null
    count_push "$what" - 4194304
}

row_directory() {
    local what="push $files files to a directory"
    contender esker - "./step nothing_sent esker" "esker -C esker push -q -r directory"
    contender "cp -r" 1.5 "./step copy_gone esker/data" "cp -r esker/data copy && sync -f copy"
    dvc_contender "dvc push" - "./step nothing_sent dvc" "dvc --cd dvc push -q -r directory && sync -f dvc-directory"
    measure "$what, flushed" 1 0 sh
    ./step nothing_sent esker
    esker -C esker push -q -r directory
    counted "$what" esker "files created" "$(find directory -type f | wc -l)" 20 -
}

print_remotes() {
    [ ! -f results.tsv ] || { awk -f "$here/table.awk" results.tsv && printf '\n'; }
    [ ! -f counts.tsv ] || { awk -f "$here/counts.awk" counts.tsv && printf '\n'; }
    machine_facts
    fact data "$small_files and $files files of $size bytes in 100 directories, one file of $big MiB, random bytes; $rounds rounds"
    fact server "SeaweedFS on the same machine, empty before each push"
}

measure_remotes() {
    files=${files:-100000}
    small_files=$(((files + 4) / 5))
    big=${big:-2048}
    rounds=${rounds:-7}
    # The file, its store, what DVC has of both, the server with what each contender sent, and a clone.
    needs_room $((11 * big * 1048576 + 14 * files * (size + 4096))) $((14 * files))
    server_settings
    if wanted small || wanted again || wanted pull; then
        make_small_data "$small_files"
        ! wanted small || row_small
        ! wanted again || row_again
        ! wanted pull || row_pull
    fi
    if wanted big || wanted edit; then
        make_big_pushed
        ! wanted big || row_remote_big
        ! wanted edit || row_edit
    fi
    stop_server
    ! wanted directory || { make_small_data "$files" && row_directory; }
    print_remotes
}
