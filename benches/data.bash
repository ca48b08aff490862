# shellcheck shell=bash
# The rows about data: what each contender has to do, from what state, and what the goal is.
# Sourced by run.sh; the steps are those of step.sh. A row that esker is measured in once is
# compared with all of its opponents.

readonly ROWS='start take-in status one-new put-back big'
# Settings of `[store]` that not every build of esker has.
readonly UNFLUSHED='durability = "none"' COPYING='links = ["copy"]'

notes=()
note() { notes+=("$*"); }

check_only() {
    local row rows=$ROWS
    [ "$mode" != pipelines ] || rows=$PIPELINE_ROWS
    [ "$mode" != chunks ] || rows=$HISTORIES
    [ "$mode" != remotes ] || rows=$REMOTE_ROWS
    for row in ${only//,/ }; do
        [[ " $rows " == *" $row "* ]] || fail "no row \`$row\`; there are: $rows"
    done
    [ -n "${only//,/}" ] || fail "--only needs rows: $rows"
}

wanted() { [ -z "$only" ] || [[ ",$only," == *",$1,"* ]]; }

# dvc_contender GOAL PREPARE COMMAND, unless it is left out.
dvc_contender() { [ -z "$with_dvc" ] || contender "$@"; }

make_data() {
    local copies=8
    needs_room $((copies * files * (size + 4096) + 6 * big * 1048576)) $((copies * files))
    warns_of_memory $((3 * files * size + 3 * big * 1048576))
    say "making $files files of $size bytes"
    mkdir esker git dvc
    ./step make esker/data "$files" $(((files + 99) / 100)) 0
    cp -r esker/data git/data
    [ -z "$with_dvc" ] || cp -r esker/data dvc/data
}

# The state that all rows but the first begin with.
everybody_has_it() {
    say "taking the data in, untimed"
    ./step esker_fresh
    esker -C esker add -q data >/dev/null
    ./step git_committed
    [ -z "$with_dvc" ] || { ./step dvc_fresh && dvc --cd dvc add -q data; }
}

row_start() {
    contender esker - true "esker --version"
    contender "git --version" +5ms true "git --version"
    measure "start (\`--version\`)" 30 3 none
}

row_take_in() {
    local what="take in $files files"
    contender esker - "./step esker_fresh" "esker -C esker add data"
    contender "cp -r" 1.0 "./step copy_gone esker/data" "cp -r esker/data copy && sync -f copy"
    contender "git add" - "./step git_fresh" "git -C git add data && sync -f git"
    contender "b3sum (no copy)" - "./step warm esker/data" \
        "find esker/data -type f -print0 | xargs -0 b3sum"
    dvc_contender "dvc add" - "./step dvc_fresh" "dvc --cd dvc add data && sync -f dvc"
    measure "$what, flushed" 1 0 sh memory

    if ! ./step esker_takes "$UNFLUSHED"; then
        note "This esker has no \`[store] $UNFLUSHED\`: it cannot be measured without flushing."
        return
    fi
    contender esker - "./step esker_fresh '$UNFLUSHED'" "esker -C esker add data"
    contender "cp -r" 1.0 "./step copy_gone esker/data" "cp -r esker/data copy"
    contender "git add" - "./step git_fresh" "git -C git add data"
    dvc_contender "dvc add" - "./step dvc_fresh" "dvc --cd dvc add data"
    measure "$what, not flushed" 1 0 sh
}

row_status() {
    contender esker - true "esker -C esker status"
    contender "git status" 1.0 true "git -C git status"
    dvc_contender "dvc status" - true "dvc --cd dvc status"
    measure "status of $files files, nothing changed" 3 1 none memory
}

row_one_new() {
    contender esker - "./step one_new esker esker add -q data" "esker -C esker add data"
    contender "esker status" 1.5 true "esker -C esker status"
    dvc_contender "dvc add" - "./step one_new dvc dvc add -q data" "dvc --cd dvc add data"
    measure "take in 1 new file beside $files" 1 0 none
}

row_put_back() {
    local what="put $files files back"
    contender esker - "./step gone esker" "esker -C esker checkout"
    contender "cp -r" 1.2 "./step copy_gone git/data" "cp -r git/data copy"
    dvc_contender "dvc checkout" - "./step gone dvc" "dvc --cd dvc checkout"
    measure "$what" 1 0 sh memory

    contender esker - "./step gone esker" "esker -C esker checkout && sync -f esker"
    contender "cp -r" 1.2 "./step copy_gone git/data" "cp -r git/data copy && sync -f copy"
    measure "$what, flushed" 1 0 sh
}

make_big_data() {
    say "making a file of $big MiB"
    rm -rf esker git dvc copy
    mkdir -p esker/data dvc/data
    ./step make_big esker/data/big "$big"
    [ -z "$with_dvc" ] || cp --reflink=never esker/data/big dvc/data/big
}

# big_copying TITLE [SETTING]: SETTING makes esker copy where it would not.
big_copying() {
    local setting=${2:+\'$2\'}
    contender esker - "./step esker_fresh $setting" "esker -C esker add data"
    contender cp 1.2 "./step copy_gone esker/data" \
        "cp --reflink=never esker/data/big copy && sync -f copy"
    contender "b3sum (no copy)" - "./step warm esker/data" "b3sum esker/data/big"
    [ -n "$setting" ] || dvc_contender "dvc add" - "./step dvc_fresh" \
        "dvc --cd dvc add data && sync -f dvc"
    measure "$1, copying, flushed" 1 0 sh memory

    ./step esker_takes "$UNFLUSHED" || return 0
    contender esker - "./step esker_fresh $setting '$UNFLUSHED'" "esker -C esker add data"
    contender cp 1.2 "./step copy_gone esker/data" "cp --reflink=never esker/data/big copy"
    [ -n "$setting" ] || dvc_contender "dvc add" - "./step dvc_fresh" "dvc --cd dvc add data"
    measure "$1, copying, not flushed" 1 0 sh
}

row_big() {
    local what="take in one file of $big MiB"
    if ! ./step reflinks; then
        note "The reflink row is left out: this file system cannot share blocks (XFS and btrfs can; see --work)."
        big_copying "$what"
        return
    fi
    contender esker - "./step esker_fresh" "esker -C esker add data"
    contender b3sum 1.2 "./step warm esker/data" "b3sum esker/data/big"
    dvc_contender "dvc add" - "./step dvc_fresh" "dvc --cd dvc add data"
    measure "$what, by reflink" 1 0 none memory
    if ./step esker_takes "$COPYING"; then
        big_copying "$what" "$COPYING"
    else
        note "The copying row of the big file is left out: this esker has no \`[store] $COPYING\`, and this file system can share blocks."
    fi
}

print_data() {
    local line
    awk -f "$here/table.awk" results.tsv
    printf '\n'
    machine_facts
    fact data "$files files of $size bytes in 100 directories, one file of $big MiB, random bytes; $rounds rounds"
    for line in "${notes[@]}"; do printf -- '- %s\n' "$line"; done
}

measure_data() {
    files=${files:-100000}
    big=${big:-2048}
    rounds=${rounds:-7}
    ! wanted start || row_start
    if wanted take-in || wanted status || wanted one-new || wanted put-back; then
        make_data
        ! wanted take-in || row_take_in
        if wanted status || wanted one-new || wanted put-back; then everybody_has_it; fi
        ! wanted status || row_status
        ! wanted one-new || row_one_new
        ! wanted put-back || row_put_back
    fi
    ! wanted big || { make_big_data && row_big; }
    print_data
}
