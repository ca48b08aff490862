# Turns threshold.tsv (KiB, verb, way, seconds, user, system) into one row a size: each cell is what
# files in packs cost, divided by what files of their own cost.
BEGIN {
    FS = "\t"
    print "| size | add | checkout | fsck --data | all three | CPU of all three | disk, packed ÷ loose |"
    print "|---|---|---|---|---|---|---|"
}
{
    if (!($1 in seen)) { seen[$1] = ++sizes; order[sizes] = $1 }
    key = $1 SUBSEP $2 SUBSEP $3
    n = ++count[key]
    wall[key, n] = $4
    cpu[key, n] = $5 + $6
}
function median(values, key,    i, j, n, sorted, swap) {
    n = count[key]
    for (i = 1; i <= n; i++) sorted[i] = values[key, i]
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && sorted[j] < sorted[j - 1]; j--) {
            swap = sorted[j]; sorted[j] = sorted[j - 1]; sorted[j - 1] = swap
        }
    return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}
function of(values, size, verb, way) { return median(values, size SUBSEP verb SUBSEP way) }
function sum(values, size, way) {
    return of(values, size, "add", way) + of(values, size, "checkout", way) + of(values, size, "fsck", way)
}
function cell(packed, loose) { return sprintf("%.2f ÷ %.2f = ×%.2f", packed, loose, packed / loose) }
END {
    for (i = 1; i <= sizes; i++) {
        size = order[i]
        printf "| %s KiB | %s | %s | %s | %s | %s | %d ÷ %d MiB |\n", size,
            cell(of(wall, size, "add", "packed"), of(wall, size, "add", "loose")),
            cell(of(wall, size, "checkout", "packed"), of(wall, size, "checkout", "loose")),
            cell(of(wall, size, "fsck", "packed"), of(wall, size, "fsck", "loose")),
            cell(sum(wall, size, "packed"), sum(wall, size, "loose")),
            cell(sum(cpu, size, "packed"), sum(cpu, size, "loose")),
            of(wall, size, "disk", "packed") / 1024, of(wall, size, "disk", "loose") / 1024
    }
}
