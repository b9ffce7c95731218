"""Reads server-sent events out of bytes, however they are cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Iterator, List, Optional, cast

from ._errors import OctopoidError

if TYPE_CHECKING:
    from .models import Event

LONGEST = 1024 * 1024
"""The longest event that is read: far above what a node sends."""


class Decoder:
    """Collects lines until an empty one ends an event."""

    last_id: str
    """The id to go on after: that of the last whole event, with data or without."""

    def __init__(self, last_id: Optional[str] = None) -> None:
        self.last_id = last_id or ""
        self.restart()

    def restart(self) -> None:
        """Begins with another connection: what the last one left half is sent again."""
        self._id = self.last_id
        self._rest = b""
        self._data: List[str] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Takes the next piece of the stream, and iterates over the events that it completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            event = self._take(line[:-1] if line.endswith(b"\r") else line)
            if event is not None:
                yield event
        if len(self._rest) + self._size > LONGEST:
            raise OctopoidError(f"an event exceeds {LONGEST} bytes")

    def _take(self, line: bytes) -> Optional[Event]:
        if not line:
            return self._end()
        name, _, value = line.partition(b":")
        text = (value[1:] if value.startswith(b" ") else value).decode("utf-8", "replace")
        if name == b"data":
            self._data.append(text)
            self._size += len(value)
        elif name == b"id" and "\0" not in text:
            self._id = text
        return None

    def _end(self) -> Optional[Event]:
        data = "\n".join(self._data)
        self._data, self._size = [], 0
        self.last_id = self._id
        # An event without data is none, says the standard, but its id counts.
        if not data:
            return None
        try:
            return cast("Event", json.loads(data))
        except ValueError as cause:
            raise OctopoidError("an event is no JSON") from cause
