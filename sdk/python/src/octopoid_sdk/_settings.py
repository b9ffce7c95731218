"""What a client is told, and what follows from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional
from urllib.parse import urlsplit

from ._errors import OctopoidError

MOST_RETRIES = 10


@dataclass(frozen=True)
class CallSettings:
    """How a call is made."""

    timeout: float = 30.0
    """How many seconds one try of a call may take."""
    max_retries: int = 2
    """How often a call that failed for a passing reason is tried again."""
    scope: Optional[str] = None
    """The tenant that calls speak of; the key's or the node's own by default."""
    idempotency_key: Optional[str] = None
    """The key under which a node recognises a repeated POST; one of its own for each call by default."""

    def __post_init__(self) -> None:
        if not 0 < self.timeout < float("inf"):
            raise OctopoidError(f"timeout must be a number of seconds above 0, not {self.timeout}")
        if not (isinstance(self.max_retries, int) and 0 <= self.max_retries <= MOST_RETRIES):
            raise OctopoidError(f"max_retries must be a whole number from 0 to {MOST_RETRIES}, not {self.max_retries}")
        if self.idempotency_key is not None and not re.fullmatch(r"[!-~]{1,255}", self.idempotency_key):
            raise OctopoidError("idempotency_key must be 1 to 255 visible ASCII characters")


def address(text: str) -> str:
    """Checks an address, and returns it without a slash at its end."""
    try:
        url = urlsplit(text)
        host, _port = url.hostname, url.port
    except ValueError:
        raise OctopoidError(f"server_url '{text}' is no address: give one such as http://127.0.0.1:8787") from None
    if url.scheme not in ("http", "https") or not host:
        raise OctopoidError(f"server_url '{text}' must begin with http:// or https://")
    if "@" in url.netloc or url.query or url.fragment:
        raise OctopoidError("server_url must hold no user, query or fragment: give the key as api_key")
    return f"{url.scheme}://{url.netloc}{url.path}".rstrip("/")


def key(text: str) -> str:
    """Checks a key, and returns it without blanks around it. Its text is never part of an error."""
    trimmed = text.strip()
    if not re.fullmatch(r"[!-~]+", trimmed):
        raise OctopoidError("api_key holds characters that no key has")
    return trimmed


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
