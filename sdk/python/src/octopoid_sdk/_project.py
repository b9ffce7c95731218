"""Finds the node of the nearest ``.octopoid`` folder, and decides which node is meant, with which key."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

from ._errors import OctopoidConnectionError, OctopoidError
from ._settings import address, key

LARGEST = 64 * 1024
"""node.json holds four short fields, api.token one."""

Folder = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class LocalNode:
    """A project's running node."""

    url: str
    api_key: str = field(repr=False)
    machine_id: str
    """The machine's name, which the node tells at ``/api/health``."""

    def check(self, health: Any) -> None:
        """Refuses a stranger that listens where the node was: it must not be told the key."""
        name = health.get("node") if isinstance(health, dict) else None
        if self.machine_id and name != self.machine_id:
            raise OctopoidConnectionError(f"what answers at {self.url} is not the project's node")


@dataclass(frozen=True)
class Target:
    """Where calls go."""

    url: str
    api_key: Optional[str] = field(repr=False)
    greet: Optional[LocalNode] = None
    """The node that must answer as itself before its key is sent."""


class Place:
    """What a client was told about its node. A project's node moves when it is started anew, so it is looked up when asked."""

    def __init__(self, server_url: Optional[str], api_key: Optional[str], project_dir: Optional[Folder]) -> None:
        # A folder that is named is meant, whatever the environment says.
        from_environment = project_dir is None
        url = server_url if server_url is not None or not from_environment else os.environ.get("OCTOPOID_SERVER_URL") or None
        own_key = api_key or (os.environ.get("OCTOPOID_API_KEY") if from_environment else None) or None
        self._url = None if url is None else address(url)
        self._api_key = None if own_key is None else key(own_key)
        self._project_dir = project_dir

    def look_up(self) -> Target:
        if self._url is not None and self._api_key is not None:
            return Target(self._url, self._api_key)
        node = local_node(self._project_dir)
        if self._url is not None:
            # A key of this machine's node belongs to no other address.
            own = node is not None and address(node.url) == self._url
            return Target(self._url, node.api_key, node) if own and node is not None else Target(self._url, None)
        if node is None:
            raise OctopoidError(
                "no node is known: give server_url, set OCTOPOID_SERVER_URL, or run in a project whose node runs (octopoid start)"
            )
        if self._api_key is not None:
            return Target(address(node.url), self._api_key)
        return Target(address(node.url), node.api_key, node)


def local_node(folder: Optional[Folder] = None) -> Optional[LocalNode]:
    """Finds the running node of the project around a folder; the current folder by default."""
    named = os.environ.get("OCTOPOID_DIR") if folder is None else None
    try:
        runtime = _runtime(Path(folder if folder is not None else Path.cwd()), named)
        return None if runtime is None else _node(runtime)
    except (OSError, ValueError):
        return None


def _runtime(start: Path, named: Optional[str]) -> Optional[Path]:
    """Finds the ``runtime`` folder of the project that a folder belongs to, as the commands do."""
    if named:
        folder = start / named
        candidates = [folder] if folder.name == ".octopoid" else []
        folders = [*candidates, folder / ".octopoid"]
    else:
        start = start.resolve()
        folders = [above / ".octopoid" for above in (start, *start.parents)]
    return next((folder / "runtime" for folder in folders if (folder / "runtime").is_dir()), None)


def _node(runtime: Path) -> Optional[LocalNode]:
    node = json.loads(_small(runtime / "node.json"))
    api_key = _small(runtime / "api.token").strip()
    if not isinstance(node, dict):
        return None
    url, pid, machine_id = node.get("api_url"), node.get("pid"), node.get("machine_id")
    if not (isinstance(url, str) and isinstance(pid, int) and _lives(pid)):
        return None
    return LocalNode(url, key(api_key), machine_id if isinstance(machine_id, str) else "")


def _small(path: Path) -> str:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path} is too large")
    return path.read_text(encoding="utf-8")


def _lives(pid: int) -> bool:
    """Tells whether a process is there: a file left by a killed node may name a port that is now another's."""
    if os.name != "posix" or pid <= 0:
        return pid > 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
