summary='empty: print how many lines are empty'
change() {
    cat >lib/empty.sh <<'END'
# Prints how many lines of a text are empty.
count=0
while IFS= read -r line; do
    if [ -z "$line" ]; then
        count=$((count + 1))
    fi
done
printf '%s\n' "$count"
END
    cat >tests/cases/empty.sh <<'END'
. ./tests/expect.sh
expect empty '' 0
expect empty 'one\n\ntwo\n\n' 2
END
}
