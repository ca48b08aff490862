# shellcheck shell=bash
# What the scripts that start servers know of processes; for `source`.

# The command line of a process, words parted by blanks; nothing if it has ended.
command_line() {
    if [ -d /proc/self ]; then
        tr '\0' ' ' 2> /dev/null < "/proc/$1/cmdline" || true
    else
        ps -o args= -p "$1" 2> /dev/null || true
    fi
}

# end_process PID SIGNAL: ends a process and waits for it, politely for ten seconds, then not.
end_process() {
    kill "-$2" "$1" 2> /dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$1" 2> /dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$1" 2> /dev/null || true
}
