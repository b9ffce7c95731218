"""A real node in a scratch folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Optional

PATIENCE = 30.0


class Node:
    """A project whose node runs."""

    url: str
    api_key: str

    def __init__(self, api: str = "") -> None:
        """Makes a project, with a line for the section `api` of its settings, and starts its node."""
        binary = os.environ.get("OCTOPOID_BIN")
        if not binary:
            raise RuntimeError("OCTOPOID_BIN must name the octopoid program")
        self._binary = binary
        self._scratch = Path(tempfile.mkdtemp(prefix="octopoid-sdk-"))
        self.folder = self._scratch / "project"
        self._process: Optional[subprocess.Popen[bytes]] = None
        for folder in (self.folder, self._scratch / "home"):
            folder.mkdir()
        self._run("git", "init", "--quiet", "--initial-branch=main")
        author = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
        self._run("git", *author, "commit", "--quiet", "--allow-empty", "-m", "first")
        self._run(binary, "init", "--api-port", "0")
        if api:
            with (self.folder / ".octopoid/config.yaml").open("a") as settings:
                settings.write(f"api:\n  {api}\n")
        self._start()

    def restart(self) -> None:
        """Ends the node and starts it anew, at another port."""
        self._end()
        self._start()

    def kill(self) -> None:
        """Ends the node without a word, so that its files stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        self._end()
        shutil.rmtree(self._scratch)

    def _start(self) -> None:
        file = self.folder / ".octopoid/runtime/node.json"
        file.unlink(missing_ok=True)
        log = self._scratch / "node.log"
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                [self._binary, "start", "--no-agents"], cwd=self.folder, env=self._environment(), stdout=said, stderr=said
            )
        process = self._process

        def ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"the node ended: {log.read_text()}")
            return file.exists()

        until(ready)
        self.url = str(json.loads(file.read_text())["api_url"])
        self.api_key = (self.folder / ".octopoid/runtime/api.token").read_text().strip()

    def _end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(PATIENCE)

    def _run(self, *command: str) -> None:
        subprocess.run(command, cwd=self.folder, env=self._environment(), check=True, capture_output=True)

    def _environment(self) -> Dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._scratch / "home"),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "LANG": "C.UTF-8",
        }


def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {PATIENCE} s")
        time.sleep(0.02)
