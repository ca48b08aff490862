# shellcheck shell=bash
# esker alone on more and more files: is the time for each the same, and does the memory stay
# within bounds? Sourced by run.sh. Results are lines of steps.tsv that scale.awk turns into Markdown:
#
#   files  verb  median seconds  peak KiB  KiB written

# step_sizes LAST: the numbers of files to measure at, up to and with LAST.
step_sizes() {
    local n
    for n in 10000 30000 100000 300000 1000000 3000000 10000000; do
        [ "$n" -ge "$1" ] || printf '%s\n' "$n"
    done
    printf '%s\n' "$1"
}

# scale_verb COUNT VERB RUNS WARMUP PREPARE COMMAND: the time, then memory and bytes written apart.
scale_verb() {
    local count=$1 verb=$2 runs=$3 warmup=$4 prepare=$5 command=$6 seconds kib blocks
    say "$count files: $verb"
    hyperfine --style none --shell none --runs "$runs" --warmup "$warmup" --prepare "$prepare" \
        --command-name "$verb" --export-csv once.csv "$command" >/dev/null 2>once.log ||
        fail "\`$command\` failed with $count files
$(tail -n 5 once.log)"
    seconds=$(sed -n 2p once.csv | cut -d , -f 4)
    sh -c "$prepare" >/dev/null
    # A block of the kernel's count is 512 bytes.
    env time -f '%M %O' -o peak.txt sh -c "$command" >/dev/null 2>once.log ||
        fail "\`$command\` failed with $count files
$(tail -n 5 once.log)"
    read -r kib blocks < <(tail -n 1 peak.txt)
    printf '%s\t%s\t%s\t%s\t%s\n' "$count" "$verb" "$seconds" "$kib" $((blocks / 2)) >>steps.tsv
}

scale_step() {
    scale_verb "$1" "take in" "$rounds" 0 "./step esker_fresh" "esker -C esker add data"
    scale_verb "$1" "status" "$rounds" 1 true "esker -C esker status"
    scale_verb "$1" "1 new file" "$rounds" 0 "./step one_new esker esker add -q data" \
        "esker -C esker add data"
    scale_verb "$1" "put back" "$rounds" 0 "./step gone esker" "esker -C esker checkout"
    rm -f esker/data/d0/new
}

print_scale() {
    awk -f "$here/scale.awk" steps.tsv
    printf '\n'
    machine_facts
    fact data "files of $size bytes, 1000 in a directory, random bytes; the median of $rounds runs"
}

measure_scale() {
    local count made=0
    files=${files:-1000000}
    rounds=${rounds:-3}
    needs_room $((3 * files * (size + 4096))) $((3 * files))
    warns_of_memory $((2 * files * size))
    mkdir esker
    for count in $(step_sizes "$files"); do
        say "making files up to $count"
        ./step make esker/data $((count - made)) 1000 $(((made + 999) / 1000))
        made=$count
        scale_step "$count"
    done
    print_scale
}
