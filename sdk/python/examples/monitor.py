"""Tells how a node is and what happens there, until it is interrupted: python monitor.py, or once: python monitor.py --once"""

import sys

from octopoid_sdk import OctopoidSDK

with OctopoidSDK() as sdk:
    health = sdk.system.health_check()
    print(f"{health['node']} ({health['mode']}) is {health['status']}")

    for queue, count in sdk.system.poll()["queue_counts"].items():
        print(f"{count:5}  {queue}")

    for task in sdk.tasks.list(needs_intervention=True):
        print(f"a person is asked for: {task['id']}  {task['title']}")

    if "--once" not in sys.argv:
        for event in sdk.events():
            print(event["timestamp"], event["type"], event["task_id"] or "", event["queue"] or "", flush=True)
