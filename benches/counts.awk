# Turns counts.tsv (see remotes.bash) into a Markdown table.
BEGIN {
    FS = "\t"
    print "| work | who | what | counted | asked | says itself | verdict |"
    print "|---|---|---|---|---|---|---|"
}

{
    verdict = $5 == "-" ? "" : $4 <= $5 ? "holds" : sprintf("left: ×%.2f", $4 / $5)
    printf "| %s | %s | %s | %d | %s | %s | %s |\n", $1, $2, $3, $4, \
        ($5 == "-" ? "" : "≤ " $5), ($6 == "-" ? "" : $6), verdict
}
