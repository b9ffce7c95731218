# The first attempt is wrong and not tested: it overlooks a last line without a line end. Only what the reviewer said
# about it leads to the right one.
summary='longest: print the length of the longest line'
condition='IFS= read -r line'
if [ -n "$criticism" ]; then
    summary='longest: count a last line without a line end too'
    condition='IFS= read -r line || [ -n "$line" ]'
else
    tested=no
fi
change() {
    cat >lib/longest.sh <<END
# Prints the length of the longest line.
longest=0
while $condition; do
    if [ "\${#line}" -gt "\$longest" ]; then
        longest=\${#line}
    fi
done
printf '%s\n' "\$longest"
END
    cat >tests/cases/longest.sh <<'END'
. ./tests/expect.sh
expect longest '' 0
expect longest 'one\nthree\nsix\n' 5
expect longest 'one\nthree' 5
END
}
