#!/bin/sh
# Plays an implementer: makes the change that its task asks for, tests it and commits it.
#
# What the change is stands in changes/, so that no model is needed. The task, the worktree, the commits and what comes
# of them are real.
set -eu
here=$(dirname -- "$0")

# The case that the task names as its goal. The task's text stands in the prompt as it is.
goal=$(sed -n 's|^Done when: tests/cases/\([a-z-]*\)\.sh passes$|\1|p' "$OCTOPOID_PROMPT_FILE" | sed -n 1p)
if [ -z "$goal" ]; then
    echo 'the task does not say when it is done' >&2
    exit 1
fi

# What a reviewer said about the last attempt, if one rejected it.
criticism=$(sed -n "s/^.*\(not ok  $goal: [^;]*\).*$/\1/p" "$OCTOPOID_PROMPT_FILE" | sed -n '$p')

# Time enough for the table to show who works.
sleep 0.4 || sleep 1

tested=yes
. "$here/changes/$goal.sh"
change
if [ "$tested" = yes ]; then
    sh "tests/cases/$goal.sh"
fi
git add --all
if [ -n "$criticism" ]; then
    git commit --quiet --message "$summary" --message "The review said: $criticism"
else
    git commit --quiet --message "$summary"
fi
printf '{"outcome":"done","notes":"%s"}\n' "$summary" >"$OCTOPOID_RESULT_FILE"
echo "$summary"
