# Takes long: the test is committed first, then the work goes on until the machines have met again, so that both sides of the
# cut are at it then. Where the stage is gone, so is the demo.
summary='letters: print how many letters a text has'
change() {
    cat >tests/cases/letters.sh <<'END'
. ./tests/expect.sh
expect letters '' 0
expect letters 'one  two 3\n' 6
END
    git add --all
    git commit --quiet --message 'letters: say by a test what is to be counted'
    : >"$STAGE/$OCTOPOID_ATTEMPT"
    while [ -d "$STAGE" ] && [ ! -e "$STAGE/met" ]; do
        sleep 0.1 || sleep 1
    done
    cat >lib/letters.sh <<'END'
# Prints how many letters a text has.
printf '%s\n' "$(tr -cd 'A-Za-z' | wc -c | tr -d ' ')"
END
}
