"""One call of the API, before it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Union
from urllib.parse import quote

from ._errors import OctopoidError

ALWAYS = "always"
"""A call may be made again: it changes nothing, or the same thing, or carries a key under which the node knows it again."""
UNSENT = "unsent"
"""A call may be made again only when it surely did not arrive."""


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Optional[Mapping[str, Any]] = None
    open: bool = False
    """Whether the node's own greeting is asked for, which needs no key."""
    repeat: str = ALWAYS
    gone: Optional[Mapping[str, Any]] = None
    """What a deletion answers whose first answer was lost."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def path(collection: str, *segments: Union[str, int]) -> str:
    """Builds a path of the API; every segment but the first names something and is encoded."""
    return "/".join(["/api/v1", collection, *(_segment(segment) for segment in segments)])


def _segment(value: Union[str, int]) -> str:
    text = str(value)
    # An address drops such segments, and the call would be another one.
    if text in ("", ".", ".."):
        raise OctopoidError(f"'{text}' cannot be an id")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as cause:
        raise OctopoidError("an id holds half a character") from cause


def read(path: str, query: Optional[Mapping[str, Any]] = None) -> Call:
    return Call("GET", path, query or {})


def post(path: str, body: Mapping[str, Any]) -> Call:
    """Posts with a key under which the node knows a repeated call again."""
    return Call("POST", path, body=body)


def post_once(path: str, body: Mapping[str, Any]) -> Call:
    """Posts what the node does not keep: its answer holds a secret."""
    return Call("POST", path, body=body, repeat=UNSENT)


def put(path: str, body: Mapping[str, Any]) -> Call:
    return Call("PUT", path, body=body)


def patch(path: str, body: Mapping[str, Any]) -> Call:
    """Patches; a second patch may undo what happened between the two."""
    return Call("PATCH", path, body=body, repeat=UNSENT)


def remove(path: str, gone: Mapping[str, Any]) -> Call:
    return Call("DELETE", path, gone=gone)


def given(**fields: Any) -> Dict[str, Any]:
    """Leaves out the arguments that were left out."""
    return {name: value for name, value in fields.items() if value is not None}


def search(query: Mapping[str, Any]) -> Dict[str, str]:
    """Writes a query: unset values are left out, several are separated by commas."""
    return {name: _written(value) for name, value in query.items() if value is not None}


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(str(item) for item in value)
    return str(value)
