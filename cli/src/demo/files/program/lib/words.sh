# Prints how many words a text has.
count=0
while IFS= read -r line || [ -n "$line" ]; do
    while [ -n "$line" ]; do
        count=$((count + 1))
        case $line in
        *' '*) line=${line#* } ;;
        *) line= ;;
        esac
    done
done
printf '%s\n' "$count"
