"""Creates tasks from a file of issues, each of them once however often it runs: python from_external_source.py issues.json

The file is a list such as ``gh issue list --json number,title,body,labels`` prints.
"""

import json
import sys
from pathlib import Path

from octopoid_sdk import OctopoidConflictError, OctopoidSDK

file = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "issues.json"

with OctopoidSDK() as sdk:
    for issue in json.loads(file.read_text(encoding="utf-8")):
        id = f"issue-{issue['number']}"
        labels = [label["name"] for label in issue["labels"]]
        try:
            sdk.tasks.create(
                id=id,
                file_path=f"tasks/incoming/TASK-{id}.md",
                title=issue["title"],
                content=issue["body"],
                role="docs" if "documentation" in labels else "implement",
                priority="P0" if "urgent" in labels else "P2",
            )
            print(f"created {id}")
        except OctopoidConflictError:
            print(f"kept {id}")
