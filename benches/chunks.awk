# Turns lines of `history, when, what, bytes` into a table: what lies on the remote at the end, and in
# brackets what the first version took.
BEGIN { FS = "\t" }
!($1 in seen) { seen[$1] = 1; histories[++n_histories] = $1 }
!($3 in known) && $3 != "file" && $3 != "ideal" { known[$3] = 1; kept[++n_kept] = $3 }
{ size[$1, $2, $3] = $4 }

function mib(bytes) { return sprintf("%.1f", bytes / 1048576) }

END {
    printf "| history | the file at the end |"
    for (i = 1; i <= n_kept; i++) printf " %s |", kept[i]
    printf " ideal |\n|---|---|"
    for (i = 0; i <= n_kept; i++) printf "---|"
    printf "\n"
    for (h = 1; h <= n_histories; h++) {
        name = histories[h]
        printf "| %s | %s |", name, mib(size[name, "end", "file"])
        for (i = 1; i <= n_kept; i++)
            printf " %s (%s) |", mib(size[name, "end", kept[i]]), mib(size[name, "first", kept[i]])
        ideal = size[name, "end", "ideal"]
        printf " %s |\n", (ideal ? mib(ideal) : "–")
    }
}
