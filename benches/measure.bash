# shellcheck shell=bash
# Measuring in turn. A row is some contenders; in each round every one of them runs once, in the
# one order and then in the other, so that what the machine does meanwhile hits all of them. Results
# are lines of results.tsv that table.awk turns into Markdown:
#
#   time|memory  title  contender  goal  round  seconds|KiB

names=() goals=() prepares=() commands=()

# contender NAME GOAL PREPARE COMMAND: the first of a row is esker; names have no comma. GOAL is what
# esker may cost at most, as a multiple of this one (`1.2`) or more than it (`+5ms`), or `-` for none.
contender() {
    names+=("$1") goals+=("$2") prepares+=("$3") commands+=("$4")
}

# once RUNS WARMUP SHELL INDEX…: one call of hyperfine, the contenders in this order.
once() {
    local runs=$1 warmup=$2 shell=$3 i arguments=()
    shift 3
    for i in "$@"; do
        arguments+=(--prepare "${prepares[i]}" --command-name "${names[i]}" "${commands[i]}")
    done
    hyperfine --style none --shell "$shell" --runs "$runs" --warmup "$warmup" \
        --export-csv once.csv "${arguments[@]}" >/dev/null 2>once.log
}

# record TITLE ROUND INDEX…: column 4 of hyperfine's table is the median.
record() {
    local title=$1 round=$2 i line=2
    shift 2
    for i in "$@"; do
        printf 'time\t%s\t%s\t%s\t%s\t%s\n' "$title" "${names[i]}" "${goals[i]}" "$round" \
            "$(sed -n "${line}p" once.csv | cut -d , -f 4)" >>results.tsv
        line=$((line + 1))
    done
}

# peak_memory TITLE: one more run of esker, git and DVC each, by itself; the largest process counts.
peak_memory() {
    local i
    for i in "${!names[@]}"; do
        case ${names[i]} in esker* | git* | dvc*) ;; *) continue ;; esac
        sh -c "${prepares[i]}" >/dev/null
        env time -f %M -o peak.txt sh -c "${commands[i]}" >/dev/null 2>peak.log ||
            fail "\`${commands[i]}\` failed: $(tail -n 3 peak.log)"
        printf 'memory\t%s\t%s\t-\t1\t%s\n' "$1" "${names[i]}" "$(tail -n 1 peak.txt)" >>results.tsv
    done
}

# measure TITLE RUNS WARMUP SHELL [memory]: the contenders so far, which are then forgotten.
# SHELL is `none` where the command needs none.
measure() {
    local title=$1 runs=$2 warmup=$3 shell=$4 round order
    for ((round = 1; round <= rounds; round++)); do
        say "$title: round $round of $rounds"
        order=("${!names[@]}")
        if ((round % 2 == 0)); then
            mapfile -t order < <(printf '%s\n' "${order[@]}" | tac)
        fi
        once "$runs" "$warmup" "$shell" "${order[@]}" ||
            fail "a contender failed in: $title
$(tail -n 5 once.log)"
        record "$title" "$round" "${order[@]}"
    done
    [ "${5:-}" != memory ] || peak_memory "$title"
    names=() goals=() prepares=() commands=()
}

# needs_room BYTES INODES: said before the work begins.
needs_room() {
    local bytes inodes
    bytes=$(df --output=avail -B1 . | tail -n 1)
    inodes=$(df --output=iavail . | tail -n 1)
    [ "$bytes" -ge "$1" ] ||
        fail "needs $(($1 / 1048576)) MiB below $place, where $((bytes / 1048576)) MiB are free; see --files, --big, --work"
    # Some file systems do not count them.
    [[ $inodes =~ ^[1-9] ]] || return 0
    [ "$inodes" -ge "$2" ] || fail "needs $2 inodes below $place, where $inodes are free; see --files"
}

# Without it the rows say how fast the disk reads.
warns_of_memory() {
    local free
    free=$(awk '/^MemAvailable/ { printf "%.0f", $2 * 1024 }' /proc/meminfo)
    [ "$free" -ge "$1" ] ||
        say "warning: the data may not stay in memory ($((free / 1048576)) MiB are free); try --files and --big"
}
