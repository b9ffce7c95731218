#!/bin/sh
# Runs every case in tests/cases and tells how it went, one line each; fails when one fails.
set -u
cd -- "$(dirname -- "$0")/.." || exit 1
failed=0
for file in tests/cases/*.sh; do
    name=${file##*/}
    name=${name%.sh}
    if said=$(sh "$file" 2>&1); then
        printf 'ok      %s\n' "$name"
    else
        printf 'not ok  %s: %s\n' "$name" "$said"
        failed=$((failed + 1))
    fi
done
[ "$failed" -eq 0 ]
