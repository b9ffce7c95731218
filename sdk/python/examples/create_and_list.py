"""Creates a task and lists what waits: python create_and_list.py "Add user authentication" """

import re
import sys
import time

from octopoid_sdk import OctopoidSDK

title = sys.argv[1] if len(sys.argv) > 1 else "Add user authentication"
id = f"{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')[:40]}-{time.time_ns() // 1_000_000:x}"

with OctopoidSDK() as sdk:
    task = sdk.tasks.create(id=id, file_path=f"tasks/incoming/TASK-{id}.md", title=title, priority="P1")
    print(f"created {task['id']}")

    for waiting in sdk.tasks.list(queue="incoming", sort="priority"):
        print(f"{waiting['priority']}  {waiting['id']}  {waiting['title']}")
