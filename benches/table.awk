# Turns results.tsv (see measure.sh) into a Markdown table. The first contender of a row is esker;
# each of the others gets a line with the ratio of the pairs: one pair for each round.
BEGIN { FS = "\t" }

{
    row = $1 FS $2
    if (!(row in contenders)) { rows[++row_count] = row; kind[row] = $1; title[row] = $2 }
    if (!((row, $3) in goal)) { who[row, ++contenders[row]] = $3; goal[row, $3] = $4 }
    value[row, $3, $5] = $6
    if ($5 > rounds[row]) rounds[row] = $5
}

function sort(list, n,    i, j, x) {
    for (i = 2; i <= n; i++) {
        x = list[i]
        for (j = i - 1; j >= 1 && list[j] > x; j--) list[j + 1] = list[j]
        list[j + 1] = x
    }
}

# Of the sorted list.
function middle(list, n) {
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function median(row, name,    i, list) {
    for (i = 1; i <= rounds[row]; i++) list[i] = value[row, name, i] + 0
    sort(list, rounds[row])
    return middle(list, rounds[row])
}

function amount(row, x) {
    if (kind[row] == "memory") return sprintf("%.0f MiB", x / 1024)
    if (x < 0.1) return sprintf("%.1f ms", x * 1000)
    if (x < 1) return sprintf("%.0f ms", x * 1000)
    return sprintf("%.1f s", x)
}

# Up to 5 % above the goal is noise.
function verdict(wanted, got) {
    if (wanted == "-") return ""
    if (wanted ~ /^\+/) {
        wanted += 0
        return got <= wanted * 1.05 ? "holds" : sprintf("left: +%.1f ms", got - wanted)
    }
    return got <= wanted * 1.05 ? "holds" : sprintf("left: ×%.2f", got / wanted)
}

# The lowest and the highest of the rounds.
function spread(list, n, format) {
    return n == 1 ? "" : sprintf(" (" format " to " format ")", list[1], list[n])
}

function line(row, name,    i, n, list, added, got, shown, goal_text) {
    n = rounds[row]
    added = goal[row, name] ~ /^\+/
    for (i = 1; i <= n; i++)
        list[i] = added ? (value[row, "esker", i] - value[row, name, i]) * 1000 \
                        : value[row, "esker", i] / value[row, name, i]
    sort(list, n)
    got = middle(list, n)
    shown = added ? sprintf("%+.1f ms", got) spread(list, n, "%+.1f") \
                  : sprintf("×%.2f", got) spread(list, n, "%.2f")
    goal_text = goal[row, name]
    if (added) goal_text = "≤ +" (goal_text + 0) " ms"
    else if (goal_text != "-") goal_text = "≤ ×" goal_text
    else goal_text = ""
    printf "| %s | %s | %s | %s | %s | %s | %s |\n", \
        (kind[row] == "memory" ? "peak memory: " : "") title[row], name, \
        amount(row, median(row, "esker")), amount(row, median(row, name)), shown, goal_text, \
        verdict(goal[row, name], got)
}

END {
    print "| work | against | esker | the other | esker ÷ the other | goal | verdict |"
    print "|---|---|---|---|---|---|---|"
    split("time memory", kinds, " ")
    for (k = 1; k <= 2; k++)
        for (r = 1; r <= row_count; r++) {
            row = rows[r]
            if (kind[row] != kinds[k]) continue
            alone = contenders[row] == 1
            if (alone)
                printf "| %s | – | %s | | | | |\n", \
                    (kind[row] == "memory" ? "peak memory: " : "") title[row], \
                    amount(row, median(row, who[row, 1]))
            for (c = 1; c <= contenders[row]; c++)
                if (who[row, c] != "esker") line(row, who[row, c])
        }
}
