summary='words: several blanks in a row separate as one does'
change() {
    cat >lib/words.sh <<'END'
# Prints how many words a text has. Blanks separate words, however many.
set -f
count=0
while IFS= read -r line || [ -n "$line" ]; do
    # Unquoted, so that the shell splits it into words.
    set -- $line
    count=$((count + $#))
done
printf '%s\n' "$count"
END
}
