"""Accepts what agents with the role docs submitted, as long as they committed something."""

from octopoid_sdk import OctopoidConflictError, OctopoidSDK

with OctopoidSDK() as sdk:
    for task in sdk.tasks.list(queue="provisional", role="docs", limit=500):
        if task["commits_count"] == 0:
            continue
        try:
            sdk.tasks.accept(task["id"], accepted_by="auto-approve")
            print(f"accepted {task['id']}")
        except OctopoidConflictError as error:
            # Somebody was faster, or rejected it.
            print(f"left {task['id']}: {error}")
