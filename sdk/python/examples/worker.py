"""Works on one task with a program of yours: python worker.py ROLE PROGRAM [ARGUMENT…]

The program gets the task's text as its input; when it fails, the task is given back.
"""

import asyncio
import os
import socket
import sys

from octopoid_sdk import AsyncOctopoidSDK, OctopoidError

LEASE = 300


async def renew(sdk: AsyncOctopoidSDK, id: str, agent: str, epoch: int) -> None:
    while True:
        await asyncio.sleep(LEASE / 5)
        try:
            await sdk.tasks.renew(id, agent, epoch=epoch, lease_duration_seconds=LEASE)
        except OctopoidError as error:
            print(f"not renewed: {error}", file=sys.stderr)


async def main(role: str, program: str, *arguments: str) -> None:
    agent = f"worker-{os.getpid()}"
    async with AsyncOctopoidSDK() as sdk:
        task = await sdk.tasks.claim(f"scripts-{socket.gethostname()}", agent, role_filter=role, lease_duration_seconds=LEASE)
        if task is None:
            print("nothing waits")
            return
        id, epoch = task["id"], task["epoch"]
        renewal = asyncio.create_task(renew(sdk, id, agent, epoch))
        process = await asyncio.create_subprocess_exec(program, *arguments, stdin=asyncio.subprocess.PIPE)
        await process.communicate(f"{task['title']}\n\n{task['content'] or ''}\n".encode())
        renewal.cancel()
        if process.returncode == 0:
            await sdk.tasks.submit(id, commits_count=0, turns_used=1, agent_name=agent, epoch=epoch)
            print(f"submitted {id}")
        else:
            await sdk.tasks.release(id, agent_name=agent, epoch=epoch, reason=f"{program} ended with {process.returncode}")
            print(f"gave {id} back")


if len(sys.argv) < 3:
    sys.exit("usage: python worker.py ROLE PROGRAM [ARGUMENT…]")
asyncio.run(main(*sys.argv[1:]))
