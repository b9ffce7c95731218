"""Writes src/octopoid_sdk/_sync from src/octopoid_sdk/_async, word by word, so that the two clients cannot drift.

``--check`` writes nothing and fails when a file is not what it should be.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src/octopoid_sdk"
HEAD = "# Written by scripts/generate_sync.py from ../_async/{name}: run it, do not edit.\n"
WORDS = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "async_sleep": "sleep",
}
DROPPED = re.compile(r"\b(?:async |await |Async(?=[A-Z]))")
REPLACED = re.compile(rf"\b(?:{'|'.join(WORDS)})\b")
INIT = '"""The client for code without ``async``."""\n'


def written(name: str, text: str) -> str:
    if name == "__init__.py":
        return HEAD.format(name=name) + INIT
    return HEAD.format(name=name) + REPLACED.sub(lambda word: WORDS[word.group()], DROPPED.sub("", text))


def main() -> int:
    check = "--check" in sys.argv[1:]
    target = PACKAGE / "_sync"
    target.mkdir(exist_ok=True)
    files = {path.name: written(path.name, path.read_text(encoding="utf-8")) for path in (PACKAGE / "_async").glob("*.py")}
    stale = [name for name, text in files.items() if not (target / name).exists() or (target / name).read_text("utf-8") != text]
    stale += [path.name for path in target.glob("*.py") if path.name not in files]
    if check and stale:
        print(f"_sync differs from _async in {', '.join(sorted(stale))}: run scripts/generate_sync.py", file=sys.stderr)
        return 1
    for name in stale:
        if name in files:
            (target / name).write_text(files[name], encoding="utf-8")
        else:
            (target / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
