#!/bin/sh
# Plays a reviewer: runs the program's tests on the submitted work and judges by what they say.
#
# It accepts work that makes its task's own test pass, breaks none that passed before, and changes none that was there.
set -eu
sleep 0.3 || sleep 1
goal=$(sed -n 's|^Done when: tests/cases/\([a-z-]*\)\.sh passes$|\1|p' "$OCTOPOID_PROMPT_FILE" | sed -n 1p)
base=$(git merge-base "$OCTOPOID_BASE_BRANCH" HEAD)

# Which tests failed before this work: they are not its fault.
before=$(dirname -- "$OCTOPOID_RESULT_FILE")/before
GIT_INDEX_FILE=$before.index git read-tree "$base"
GIT_INDEX_FILE=$before.index git checkout-index --all --prefix="$before/"
known=$(sh "$before/tests/run.sh" | sed -n 's/^not ok  \([a-z-]*\):.*/ \1 /p') || true
rm -rf -- "$before" "$before.index"

results=$(sh tests/run.sh) || true
printf '%s\n' "$results"

objections=
object() {
    objections="$objections${objections:+; }$1"
}
while IFS= read -r line; do
    case $line in 'not ok  '*) ;; *) continue ;; esac
    name=${line#not ok  }
    name=${name%%:*}
    case $known in
    *" $name "*) [ "$name" != "$goal" ] || object "$line" ;;
    *) object "$line" ;;
    esac
done <<END
$results
END
[ -n "$goal" ] && [ -f "tests/cases/$goal.sh" ] || object "the task's test tests/cases/$goal.sh is missing"
touched=$(git diff --name-only --diff-filter=MDR "$base" HEAD -- tests/ | tr '\n' ' ')
[ -z "$touched" ] || object "tests that were there before were changed: $touched"

# Makes text fit for a JSON string.
quoted() {
    printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g' | tr '\n\t' '  '
}
if [ -z "$objections" ]; then
    printf '{"outcome":"accept","reason":"ran tests/run.sh: %s passes and nothing broke"}\n' "$goal" >"$OCTOPOID_RESULT_FILE"
else
    printf '{"outcome":"reject","reason":"ran tests/run.sh: %s"}\n' "$(quoted "$objections")" >"$OCTOPOID_RESULT_FILE"
fi
