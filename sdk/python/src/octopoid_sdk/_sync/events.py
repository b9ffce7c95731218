# Written by scripts/generate_sync.py from ../_async/events.py: run it, do not edit.
"""What a node tells as it happens, across broken connections and restarts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generator, Optional

from .._call import read
from .._errors import OctopoidAPIError, OctopoidConnectionError
from .._pause import sleep
from .._sse import Decoder
from .transport import Transport

if TYPE_CHECKING:
    from ..models import Event

SILENCE = 45.0
"""A quiet node sends a comment every 15 s: after three that are missing the connection is dead."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


def events(
    transport: Transport, last_event_id: Optional[str], scope: Optional[str], reconnect: float
) -> Generator[Event, None]:
    """Iterates over events for ever. A broken connection is made anew and goes on after the last event, so none is lost."""
    decoder = Decoder(last_event_id)
    call = read("/api/v1/events", {"scope": scope})
    alive, pause = time.monotonic(), FIRST_PAUSE
    while True:
        decoder.restart()
        pieces = transport.stream(call, decoder.last_id, SILENCE)
        try:
            for piece in pieces:
                alive, pause = time.monotonic(), FIRST_PAUSE
                for event in decoder.feed(piece):
                    yield event
        except (OctopoidAPIError, OctopoidConnectionError) as error:
            if not _passing(error) or time.monotonic() - alive >= reconnect:
                raise
        finally:
            pieces.close()
        sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _passing(error: Exception) -> bool:
    if isinstance(error, OctopoidAPIError):
        return error.status_code == 429 or error.status_code >= 502
    return True
