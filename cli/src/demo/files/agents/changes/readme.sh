summary='README: say what a word is'
change() {
    cat >>README.md <<'END'

## What is a word

Whatever blanks separate. Several blanks in a row separate as one does: `printf 'two  words' | sh bin/tally words` prints 2.
END
    cat >tests/cases/readme.sh <<'END'
. ./tests/expect.sh
grep -q '^## What is a word$' README.md || { echo 'README.md does not say what a word is'; exit 1; }
expect words 'two  words' 2
END
}
