# Turns steps.tsv (see scale.bash) into two Markdown tables: the steps, and what is asked of them.
BEGIN { FS = "\t" }

{
    if (!($1 in seen)) { seen[$1]; steps[++step_count] = $1 }
    if (!($2 in known)) { known[$2]; verbs[++verb_count] = $2 }
    seconds[$1, $2] = $3
    peak[$1, $2] = $4 / 1024
    written[$1, $2] = $5 * 1024 / 1e6
}

function per_file(step, verb) { return seconds[step, verb] / step * 1e6 }

# The largest time a file of all steps, as a multiple of the first step's.
function growth(verb,    s, most) {
    for (s = 1; s <= step_count; s++)
        if (per_file(steps[s], verb) > most) most = per_file(steps[s], verb)
    return most / per_file(steps[1], verb)
}

function largest(table, verb,    s, most) {
    for (s = 1; s <= step_count; s++)
        if (table[steps[s], verb] > most) most = table[steps[s], verb]
    return most
}

function verdict(got, wanted) {
    return got <= wanted ? "holds" : sprintf("left: ×%.2f", got / wanted)
}

END {
    print "| files | verb | time | a file | peak memory | written |"
    print "|---|---|---|---|---|---|"
    for (s = 1; s <= step_count; s++)
        for (v = 1; v <= verb_count; v++)
            printf "| %d | %s | %.2f s | %.1f µs | %.0f MiB | %.1f MB |\n", steps[s], verbs[v], \
                seconds[steps[s], verbs[v]], per_file(steps[s], verbs[v]), \
                peak[steps[s], verbs[v]], written[steps[s], verbs[v]]
    print ""
    print "| asked | got | verdict |"
    print "|---|---|---|"
    last = steps[step_count]
    # One step cannot show how the time grows.
    for (v = 1; v <= verb_count && step_count > 1; v++)
        printf "| %s: a file costs ≤ ×1.25 of what it costs at %d | ×%.2f | %s |\n", verbs[v], \
            steps[1], growth(verbs[v]), verdict(growth(verbs[v]), 1.25)
    for (v = 1; v <= verb_count; v++)
        printf "| %s: peak memory ≤ 512 MiB up to %d files | %.0f MiB | %s |\n", verbs[v], last, \
            largest(peak, verbs[v]), verdict(largest(peak, verbs[v]), 512)
    printf "| 1 new file: ≤ 0.2 MB written | %.2f MB | %s |\n", largest(written, "1 new file"), \
        verdict(largest(written, "1 new file"), 0.2)
}
