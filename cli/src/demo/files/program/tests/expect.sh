# expect COMMAND TEXT ANSWER: fails, and says how, unless tally prints ANSWER for TEXT. In both \n is a line end.
expect() {
    answer=$(printf '%b' "$2" | sh bin/tally "$1" 2>&1) || answer="$answer (exit $?)"
    if [ "$answer" != "$(printf '%b' "$3")" ]; then
        printf "tally %s of '%s' printed '%s', not '%s'\n" "$1" "$2" "$answer" "$3"
        exit 1
    fi
}
