#!/bin/sh
# Plays a planner: splits the feature into parts.
set -eu
here=$(dirname -- "$0")
sleep 0.4 || sleep 1
cp -- "$here/subtasks.json" "$OCTOPOID_RESULT_FILE"
echo 'split the feature into three parts'
