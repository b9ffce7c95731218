"""When a call is tried again, and after how long."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import Optional

from ._answer import Answer
from ._call import ALWAYS, Call
from ._errors import OctopoidError

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
PASSING = (429, 502, 503, 504)
"""Statuses that pass: too busy, or whoever must answer cannot be reached."""


@dataclass(frozen=True)
class Outcome:
    """How one try of a call ended: with an answer, or with an error."""

    answer: Optional[Answer] = None
    error: Optional[OctopoidError] = None
    unsent: bool = False
    """Whether the request surely did not arrive."""

    @property
    def lost(self) -> bool:
        """Whether the request may have arrived, and nobody knows."""
        return self.answer is None and not self.unsent


def may_repeat(outcome: Outcome, call: Call) -> bool:
    """Tells whether a try may be followed by another one."""
    if outcome.answer is not None and outcome.answer.succeeded:
        return False
    if outcome.unsent:
        return True
    return call.repeat == ALWAYS and (outcome.answer is None or outcome.answer.status in PASSING)


def pause(following: int, outcome: Outcome) -> float:
    """Returns how many seconds to wait before a following try (from 1), with a part by chance so that callers spread."""
    asked = _seconds(outcome.answer.retry_after if outcome.answer is not None else None)
    if asked is not None:
        return min(asked, LONGEST_PAUSE)
    return float(min(FIRST_PAUSE * 2 ** (following - 1), LONGEST_PAUSE)) * (0.5 + random.random() / 2)


def _seconds(text: Optional[str]) -> Optional[float]:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def idempotency_key() -> str:
    """Makes up a key under which a node knows a repeated call again."""
    return f"sdk-{uuid.uuid4().hex}"
