from __future__ import annotations

from typing import Iterator

import pytest

from .support.node import Node
from .support.proxy import Proxy


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a node of their own."""
    for name in ("OCTOPOID_SERVER_URL", "OCTOPOID_API_KEY", "OCTOPOID_DIR", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """The node that tests share; those that end one have one of their own."""
    node = Node()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def proxy(node: Node) -> Iterator[Proxy]:
    proxy = Proxy(lambda: node.url)
    yield proxy
    proxy.close()
