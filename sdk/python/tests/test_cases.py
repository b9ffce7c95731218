"""Plays the table of cases through a proxy, so that what goes wrong between a client and its node happens, too."""

from __future__ import annotations

import inspect
from typing import Any, Dict, List

import pytest

from octopoid_sdk import AsyncOctopoidSDK, OctopoidSDK

from .support.node import Node
from .support.proxy import Proxy
from .support.table import CASES, TABLE, Kind, play


@pytest.mark.parametrize("kind", [OctopoidSDK, AsyncOctopoidSDK])
def test_the_table_names_every_method_that_there_is(kind: Kind) -> None:
    client = kind("http://127.0.0.1", "oct_x")
    found = {name: _methods(resource) for name, resource in vars(client).items() if not name.startswith("_")}
    assert found == {name: sorted(calls) for name, calls in TABLE["surface"].items()}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
@pytest.mark.parametrize("kind", [OctopoidSDK, AsyncOctopoidSDK], ids=["sync", "async"])
def test_case(kind: Kind, case: Dict[str, Any], node: Node, proxy: Proxy) -> None:
    play(kind, case, proxy.url, node.api_key, proxy)


def _methods(resource: object) -> List[str]:
    return sorted(name for name, _ in inspect.getmembers(resource, inspect.ismethod) if not name.startswith("_"))
