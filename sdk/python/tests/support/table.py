"""Plays ../../../cases.json, the table that every SDK plays, against a real node: without async and with it."""

from __future__ import annotations

import asyncio
import inspect
import json
from pathlib import Path
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Optional, Union

import octopoid_sdk
from octopoid_sdk import AsyncOctopoidSDK, OctopoidAPIError, OctopoidError, OctopoidSDK

from .match import filled, matches
from .proxy import Proxy

TABLE = json.loads((Path(__file__).parent / "../../../cases.json").read_text(encoding="utf-8"))
CASES: List[Dict[str, Any]] = TABLE["cases"]
PLAIN = [case for case in CASES if not any("faults" in step or "requests" in step for step in case["steps"])]
"""The cases that need no proxy between the client and its node."""

Client = Union[OctopoidSDK, AsyncOctopoidSDK]
Kind = Callable[..., Client]
Step = Dict[str, Any]


def play(kind: Kind, case: Dict[str, Any], url: str, api_key: str, proxy: Optional[Proxy] = None) -> None:
    """Plays a case in a scope of its own; faults happen in a proxy."""
    values: Dict[str, Any] = {"scope": f"case-{CASES.index(case)}-{'async' if kind is AsyncOctopoidSDK else 'sync'}"}
    for at, step in enumerate(case["steps"]):
        if proxy is not None:
            proxy.faults = list(step.get("faults", []))
            proxy.requests = 0
        where = f"step {at + 1}, {step['call']}"
        _play(kind, step, values, url, api_key, where)
        if proxy is not None and "requests" in step:
            assert proxy.requests == step["requests"], f"requests of {where}"


def _play(kind: Kind, step: Step, values: Dict[str, Any], url: str, api_key: str, where: str) -> None:
    async def run() -> Any:
        client = kind(url, filled(step.get("as", api_key), values), scope=values["scope"])
        try:
            return await _settled(_called(client, step, values))
        finally:
            await _settled(client.close())

    result: Any = None
    thrown: Optional[BaseException] = None
    try:
        result = asyncio.run(run())
    except OctopoidError as error:
        thrown = error
    if "error" in step:
        _refused(thrown, step["error"], where)
    elif thrown is not None:
        raise AssertionError(f"{where} raised {thrown!r}") from thrown
    if "expect" in step:
        matches(result, filled(step["expect"], values), where)
    for name, path in step.get("save", {}).items():
        values[name] = _at(result, path)


def _called(client: Client, step: Step, values: Dict[str, Any]) -> Any:
    ids = filled(step.get("ids", []), values)
    fields = filled(step.get("with", {}), values)
    told = client.with_options(**filled(step.get("options", {}), values))
    if step["call"] == "events":
        return _taken(told.events(**fields), step["take"])
    if step["call"] == "wait_for":
        return told.wait_for(*ids, **fields)
    resource, method = step["call"].split(".")
    return getattr(getattr(told, resource), method)(*ids, **fields)


async def _settled(result: Any) -> Any:
    """Waits where there is something to wait for, and collects what is told one by one."""
    if inspect.isawaitable(result):
        return await result
    if isinstance(result, AsyncIterator):
        return [item async for item in result]
    return list(result) if isinstance(result, Iterator) else result


async def _taken(events: Any, count: int) -> List[Any]:
    taken: List[Any] = []
    if isinstance(events, AsyncIterator):
        async for event in events:
            taken.append(event)
            if len(taken) == count:
                break
        await events.aclose()  # type: ignore[attr-defined]
    else:
        for event in events:
            taken.append(event)
            if len(taken) == count:
                break
        events.close()
    return taken


def _refused(thrown: Optional[BaseException], expected: Dict[str, Any], where: str) -> None:
    assert type(thrown) is getattr(octopoid_sdk, expected["class"]), f"{where} raised {thrown!r}"
    assert expected.get("message", "") in str(thrown), f"{where} says {thrown}"
    if "status" in expected:
        assert isinstance(thrown, OctopoidAPIError)
        assert thrown.status_code == expected["status"], where
        assert thrown.details == expected.get("details", thrown.details), where


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value
