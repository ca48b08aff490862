# shellcheck shell=bash
# Files of one size after the other, all in packs against each in a file of its own: from what size
# on is a file better off by itself? Sourced by run.sh. docs/design/0003-pack-threshold.md has what
# came of it.

readonly PACKED='pack_below = "1 MiB"' LOOSE='pack_below = "0 B"'

# Each of them is a row; `disk` is what the store takes at the end.
readonly THRESHOLD_SIZES='1 2 4 8 16 32 64 128'

# threshold_verb KIB VERB PREPARE COMMAND: both ways in turn, in one order and then in the other.
threshold_verb() {
    local kib=$1 verb=$2 prepare=$3 command=$4 round way
    for ((round = 1; round <= rounds; round++)); do
        local ways=(packed loose)
        ((round % 2)) || ways=(loose packed)
        for way in "${ways[@]}"; do
            hyperfine --style none --shell sh --runs 1 --prepare "${prepare//WAY/$way}" \
                --export-csv once.csv "${command//WAY/$way}" >/dev/null 2>once.log ||
                fail "\`$command\` failed with files of $kib KiB
$(tail -n 5 once.log)"
            # Elapsed, and what the processors did: user and system.
            printf '%s\t%s\t%s\t%s\n' "$kib" "$verb" "$way" \
                "$(sed -n 2p once.csv | cut -d , -f 4-6 | tr , '\t')" >>threshold.tsv
        done
    done
}

# A project for each way: WAY/esker, with the same files.
threshold_size() {
    local kib=$1 way
    say "files of $kib KiB"
    rm -rf packed loose
    mkdir -p packed/esker loose/esker
    SIZE=$((kib << 10)) ./step make packed/esker/data "$files" 1000 0
    cp -r packed/esker/data loose/esker/data
    for way in packed loose; do ln -s "$here/step.sh" "$way/step"; done
    threshold_verb "$kib" add "cd WAY && ./step esker_fresh \"\$(../setting WAY)\"" \
        "esker -C WAY/esker add data"
    threshold_verb "$kib" checkout "cd WAY && ./step gone esker" "esker -C WAY/esker checkout"
    threshold_verb "$kib" fsck "cd WAY && ./step settle" "esker -C WAY/esker fsck --data"
    for way in packed loose; do
        printf '%s\tdisk\t%s\t%s\t0\t0\n' "$kib" "$way" \
            "$(du -sk "$way/esker/.git/esker/store" | cut -f 1)" >>threshold.tsv
    done
}

measure_threshold() {
    local kib
    files=${files:-5000}
    rounds=${rounds:-3}
    needs_room $((files * 5 * (128 << 10))) $((5 * files))
    printf '#!/bin/sh\ncase $1 in packed) echo %s ;; *) echo %s ;; esac\n' \
        "'$PACKED'" "'$LOOSE'" >setting
    chmod +x setting
    for kib in $THRESHOLD_SIZES; do threshold_size "$kib"; done
    awk -f "$here/threshold.awk" threshold.tsv
    printf '\n'
    machine_facts
    fact data "$files files of each size, 1000 in a directory, random bytes; the median of $rounds rounds"
}
