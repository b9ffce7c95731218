from __future__ import annotations

from typing import Any, List

import pytest

from octopoid_sdk import OctopoidError
from octopoid_sdk._sse import Decoder

STREAM = (
    b": hello\n\nid: 7\nevent: task.created\ndata: {\"a\":\ndata: 1}\n\nid: 8\r\ndata: 2\r\n\r\nevent: nothing\n\nid:9\n\ndata: 3\n\n"
    b"id: 10\ndata: half"
)


def test_events_are_the_same_however_the_stream_is_cut() -> None:
    for length in range(1, len(STREAM) + 1):
        decoder = Decoder()
        events: List[Any] = []
        for start in range(0, len(STREAM), length):
            events += decoder.feed(STREAM[start : start + length])
        assert events == [{"a": 1}, 2, 3], f"in pieces of {length}"
        assert decoder.last_id == "9", "an event that is not whole does not count"


def test_what_the_last_connection_left_half_is_forgotten() -> None:
    decoder = Decoder("6")
    assert list(decoder.feed(b'id: 7\ndata: {"half"')) == []
    decoder.restart()
    assert decoder.last_id == "6"
    whole: List[Any] = list(decoder.feed(b"data: 1\n\n"))
    assert whole == [1]
    assert decoder.last_id == "6"


@pytest.mark.parametrize("line", [b"x" * 65536, b"data: " + b"x" * 65536 + b"\n"])
def test_an_event_without_end_is_refused(line: bytes) -> None:
    decoder = Decoder()
    with pytest.raises(OctopoidError, match="exceeds"):
        for _ in range(20):
            list(decoder.feed(line))


def test_an_event_that_is_no_json_is_refused() -> None:
    with pytest.raises(OctopoidError, match="no JSON"):
        list(Decoder().feed(b"data: {\n\n"))
