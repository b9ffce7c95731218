# Prints how many lines a text has; the last one needs no line end.
count=0
while IFS= read -r line || [ -n "$line" ]; do
    count=$((count + 1))
done
printf '%s\n' "$count"
