"""How a client finds its node: by arguments, by the environment, by the folder."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pickle
import socket
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest

from octopoid_sdk import (
    AsyncOctopoidSDK,
    OctopoidAuthenticationError,
    OctopoidConflictError,
    OctopoidConnectionError,
    OctopoidError,
    OctopoidNotFoundError,
    OctopoidSDK,
)

from .support.node import Node

MISSING = "give server_url, set OCTOPOID_SERVER_URL, or run in a project"


@pytest.fixture(scope="module")
def own() -> Iterator[Node]:
    node = Node()
    yield node
    node.stop()


def test_by_the_folder_from_any_depth_of_it(own: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = own.folder / "a/b/c"
    deep.mkdir(parents=True)
    assert OctopoidSDK(project_dir=deep).tasks.list(queue="backlog") == []
    monkeypatch.chdir(deep)
    assert OctopoidSDK().tasks.list(queue="backlog") == []


def test_by_the_folder_that_octopoid_dir_names(own: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (own.folder, own.folder / ".octopoid"):
        monkeypatch.setenv("OCTOPOID_DIR", str(folder))
        assert OctopoidSDK().tasks.list(queue="backlog") == []


def test_by_the_environment(own: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOPOID_SERVER_URL", f"{own.url}/")
    monkeypatch.setenv("OCTOPOID_API_KEY", f" {own.api_key}\n")
    assert OctopoidSDK().tasks.list(queue="backlog") == []


def test_by_its_address_alone_where_the_folder_tells_the_key(own: Node) -> None:
    assert OctopoidSDK(own.url, project_dir=own.folder).tasks.list(queue="backlog") == []


def test_no_proxy_stands_before_a_node_of_this_machine(own: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert OctopoidSDK(project_dir=own.folder).tasks.list(queue="backlog") == []


def test_again_after_it_moved_to_another_port(own: Node) -> None:
    with OctopoidSDK(project_dir=own.folder) as sdk:
        sdk.tasks.create(id="kept", file_path="kept.md")
        before = own.url
        own.restart()
        assert own.url != before
        task = sdk.tasks.get("kept")
        assert task is not None and task["id"] == "kept"


def test_events_follow_it_to_the_other_port(own: Node) -> None:
    with OctopoidSDK(project_dir=own.folder) as sdk:
        sdk.tasks.create(id="followed", file_path="followed.md")
        events = sdk.events(last_event_id="0")
        assert any(event["task_id"] == "followed" for event in events)
        own.restart()
        sdk.tasks.create(id="later", file_path="later.md")
        assert next(events)["task_id"] == "later"
        events.close()


def test_events_that_are_no_longer_wanted_leave_nothing_open(own: Node) -> None:
    async def main() -> None:
        async with AsyncOctopoidSDK(project_dir=own.folder) as sdk:
            await sdk.tasks.create(id="told", file_path="told.md")
            events = sdk.events(last_event_id="0")
            assert (await events.__anext__())["type"] == "task.created"
            await events.aclose()

    # What other tests left open is not meant.
    gc.collect()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(main())
        gc.collect()
    assert [str(warning.message) for warning in warned] == []


def test_a_key_goes_nowhere_else(own: Node, tmp_path: Path) -> None:
    heard: List[Optional[str]] = []

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers.get("authorization"))
            body = b'{"status":"healthy","node":"somebody-else","tasks":[]}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        assert OctopoidSDK(url, project_dir=own.folder).tasks.list(queue="backlog") == []
        _write_project(tmp_path, {"pid": os.getpid(), "api_url": url, "machine_id": "this-machine"})
        with pytest.raises(OctopoidConnectionError, match="not the project's node"):
            OctopoidSDK(project_dir=tmp_path, max_retries=0).tasks.list()
        assert heard == [None, None]
    finally:
        server.shutdown()
        server.server_close()


def test_where_there_is_none_it_says_what_to_do(own: Node, tmp_path: Path) -> None:
    with pytest.raises(OctopoidError, match=MISSING):
        OctopoidSDK(project_dir=tmp_path).tasks.list()
    # What a killed node left behind names a process that is gone.
    _write_project(tmp_path, {"pid": 2**22 + 1, "api_url": own.url, "machine_id": ""})
    with pytest.raises(OctopoidError, match=MISSING):
        OctopoidSDK(project_dir=tmp_path).tasks.list()
    for broken in ('{"pid":', "[]", "{}", '{"pid":"x","api_url":1}'):
        (tmp_path / ".octopoid/runtime/node.json").write_text(broken)
        with pytest.raises(OctopoidError, match=MISSING):
            OctopoidSDK(project_dir=tmp_path).tasks.list()


def test_a_call_that_is_not_there_is_told_from_a_thing_that_is_not_there(own: Node) -> None:
    with OctopoidSDK(f"{own.url}/elsewhere", own.api_key) as sdk:
        with pytest.raises(OctopoidNotFoundError, match="^Endpoint /elsewhere/api"):
            sdk.tasks.get("a")
        with pytest.raises(OctopoidNotFoundError):
            sdk.tasks.claim("o", "a")


@pytest.mark.parametrize(
    "url", ["", "octopoid", "ftp://example.com", "http://user:secret@example.com", "http://example.com/?key=secret", "http://x:y"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(OctopoidError) as refused:
        OctopoidSDK(url)
    assert "secret@" not in str(refused.value)


def test_what_is_no_key_is_refused_and_not_told() -> None:
    with pytest.raises(OctopoidError) as refused:
        OctopoidSDK("http://127.0.0.1", "oct_secret\nx")
    assert "secret" not in str(refused.value)


def test_what_was_surely_never_sent_is_tried_anew_an_edit_too() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with OctopoidSDK(url, "oct_x", max_retries=1) as sdk:
            tries: List[str] = []
            transport = sdk._transport
            made = transport._try

            def counted(call: Any, key: Optional[str]) -> Any:
                tries.append(call.method)
                return made(call, key)

            transport._try = counted  # type: ignore[method-assign]
            with pytest.raises(OctopoidConnectionError, match="cannot be reached"):
                sdk.tasks.update("a", title="x")
    assert tries == ["PATCH", "PATCH"]


def test_an_error_can_be_sent_to_another_process(own: Node) -> None:
    with OctopoidSDK(own.url, own.api_key) as sdk:
        sdk.tasks.create(id="waiting", file_path="waiting.md")
        with pytest.raises(OctopoidConflictError) as caught:
            sdk.tasks.accept("waiting", accepted_by="rev")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.status_code, copy.details) == (
        OctopoidConflictError, str(caught.value), 409, caught.value.details,
    )


def test_a_key_is_shown_to_nobody(own: Node) -> None:
    with OctopoidSDK(own.url, "oct_wrong") as sdk:
        with pytest.raises(OctopoidAuthenticationError) as refused:
            sdk.tasks.list()
        assert "oct_wrong" not in repr(refused.value) + repr(sdk) + repr(vars(sdk._transport.connection))


def _write_project(folder: Path, node: Dict[str, Any]) -> None:
    runtime = folder / ".octopoid/runtime"
    runtime.mkdir(parents=True, exist_ok=True)
    (runtime / "node.json").write_text(json.dumps(node))
    (runtime / "api.token").write_text("oct_secret\n")
