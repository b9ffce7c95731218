summary='report: print what the other commands count'
change() {
    cat >lib/report.sh <<'END'
# Prints what the other commands print, each with its name before it.
# The x keeps the line ends at the end, which the shell would drop.
text=$(cat && printf x)
for command in lines words chars longest; do
    printf '%s %s\n' "$command" "$(printf '%s' "${text%x}" | sh "${0%/*}/$command.sh")"
done
END
    cat >tests/cases/report.sh <<'END'
. ./tests/expect.sh
expect report '' 'lines 0\nwords 0\nchars 0\nlongest 0'
expect report 'two words\nand  more' 'lines 2\nwords 4\nchars 18\nlongest 9'
END
}
