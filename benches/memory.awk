# Turns peaks.tsv (see memory.bash) into a Markdown table.
BEGIN {
    FS = "\t"
    print "| data | verb | remote | time | peak memory | asked | verdict |"
    print "|---|---|---|---|---|---|---|"
}

{
    peak = $5 / 1024
    verdict = peak <= 512 ? "holds" : sprintf("left: ×%.2f", peak / 512)
    printf "| %s | %s | %s | %.1f s | %.0f MiB | ≤ 512 MiB | %s |\n", $1, $3, $2, $4, peak, verdict
}
