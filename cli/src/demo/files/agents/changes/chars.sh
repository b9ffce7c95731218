summary='chars: print how many characters a text has'
change() {
    cat >lib/chars.sh <<'END'
# Prints how many characters a text has, line ends not counted.
count=0
while IFS= read -r line || [ -n "$line" ]; do
    count=$((count + ${#line}))
done
printf '%s\n' "$count"
END
    cat >tests/cases/chars.sh <<'END'
. ./tests/expect.sh
expect chars '' 0
expect chars 'one\n two\n' 7
expect chars 'one\ntwo' 6
END
}
