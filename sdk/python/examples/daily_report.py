"""Prints what the last 24 hours brought, as Markdown."""

from collections import defaultdict
from datetime import datetime, timedelta, timezone

from octopoid_sdk import OctopoidSDK

now = datetime.now(timezone.utc)
since = (now - timedelta(days=1)).isoformat()
done: "defaultdict[str, list[str]]" = defaultdict(list)
turns = 0

with OctopoidSDK() as sdk:
    for task in sdk.tasks.iterate(queue="done"):
        if (task["completed_at"] or "") >= since:
            done[task["role"] or "any role"].append(f"- {task['title']} (`{task['id']}`)")
            turns += task["turns_used"] or 0
    stuck = sdk.tasks.list(queue=["failed", "needs_continuation"], limit=500)

print(f"# {now:%Y-%m-%d}")
for role, lines in done.items():
    print(f"\n## Done: {role}\n", *lines, sep="\n")
if stuck:
    print("\n## Stuck\n", *(f"- {task['title']} (`{task['id']}`, {task['queue']})" for task in stuck), sep="\n")
print(f"\n{sum(map(len, done.values()))} tasks done in {turns} turns, {len(stuck)} stuck.")
