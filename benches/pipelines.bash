# shellcheck shell=bash
# The rows about stages. Sourced by run.sh; the steps are those of step.sh.

readonly PIPELINE_ROWS='start nothing run restore parallel check'

make_stages() {
    say "making $stages stages, and $((stages / 10)) that will run"
    ./step make_stages many "$stages"
    ./step make_stages some $((stages / 10))
    if [ -n "$with_dvc" ]; then ./step make_dvc_stages dvc $((stages / 10)); fi
}

row_nothing() {
    local dvc="dvc repro (of $((stages / 10)))"
    ./step all_done many
    [ -z "$with_dvc" ] || dvc --cd dvc repro -q
    contender esker - true "esker -C many repro"
    contender ninja 3.0 true "ninja -C many"
    dvc_contender "$dvc" - true "dvc --cd dvc repro"
    measure "\`repro\` of $stages stages, nothing to do" 5 1 none memory
    contender esker - true "esker -C many status"
    contender ninja 3.0 true "ninja -C many"
    dvc_contender "${dvc/repro/status}" - true "dvc --cd dvc status"
    measure "\`status\` of $stages stages, nothing to do" 5 1 none
}

row_run() {
    local jobs what
    what="$((stages / 10)) stages that each run \`cp\`"
    for jobs in 1 "$(nproc)"; do
        contender esker - "./step stages_fresh some" "esker -C some repro -j $jobs"
        contender ninja 2.0 "./step ninja_fresh some" "ninja -C some -j $jobs"
        if [ "$jobs" = 1 ]; then
            dvc_contender "dvc repro" - "./step dvc_stages_fresh dvc" "dvc --cd dvc repro"
        fi
        measure "$what, -j$jobs" 1 0 none
        [ "$(nproc)" -gt 1 ] || break
    done
}

row_restore() {
    ./step stages_fresh some
    esker -C some repro -q >/dev/null
    cp -r some/out outs
    contender esker - "./step forgotten some" "esker -C some repro"
    contender "cp -r" 5.0 "./step aside copy" "cp -r outs copy"
    dvc_contender "dvc repro" - "./step dvc_forgotten dvc" "dvc --cd dvc repro"
    measure "$((stages / 10)) stages restored from the run cache" 1 0 none
}

row_parallel() {
    ./step make_sleepers two
    contender esker - "./step sleepers_fresh two" "esker -C two repro -j2"
    contender "esker at -j1" 0.55 "./step sleepers_fresh two" "esker -C two repro -j1"
    measure "two independent stages of 5 s, -j2" 1 0 none
}

# As a check of a change does it: once, in a clone that was just made. Neither has looked at its files.
row_check() {
    ./step all_done many
    contender esker - "./step clone_without_data many clone" "esker -C clone lock --check"
    contender "git status" 2.0 "./step clone_without_data many clone" "git -C clone status"
    measure "\`lock --check\` of $stages stages in a fresh clone without data" 1 0 none
}

print_pipelines() {
    awk -f "$here/table.awk" results.tsv
    printf '\n'
    machine_facts
    fact data "$stages stages, of which one in ten runs; each copies a file of a few bytes; $rounds rounds"
}

measure_pipelines() {
    stages=${stages:-1000}
    rounds=${rounds:-7}
    ! wanted start || row_start
    make_stages
    ! wanted nothing || row_nothing
    ! wanted run || row_run
    ! wanted restore || row_restore
    ! wanted parallel || row_parallel
    ! wanted check || row_check
    print_pipelines
}
