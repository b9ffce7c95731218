"""Plays the table of cases at nodes that are set up otherwise: one speaks TLS, one answers as the last TypeScript server did."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any, Iterator, Tuple

import httpx
import pytest

from octopoid_sdk import AsyncOctopoidSDK, OctopoidConnectionError, OctopoidSDK

from .support.authority import Authority
from .support.node import Node
from .support.table import PLAIN, Kind, play

EACH = pytest.mark.parametrize("number", range(len(PLAIN)), ids=[case["name"] for case in PLAIN])
KINDS: Tuple[Kind, Kind] = (OctopoidSDK, AsyncOctopoidSDK)
"""Half of the cases are played without async and half with it, the other way round at the other node."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def private(authority: Authority) -> Iterator[Node]:
    """A node that speaks TLS with a certificate of an authority that nobody knows."""
    node = Node(api=f"tls: {{cert: {authority.certificate}, key: {authority.key}}}")
    assert node.url.startswith("https://127.0.0.1:")
    yield node
    node.stop()


@pytest.fixture(scope="module")
def old() -> Iterator[Node]:
    """A node that answers as the last TypeScript server did."""
    node = Node(api="compat: head")
    yield node
    node.stop()


def test_most_of_the_table_needs_no_proxy() -> None:
    assert len(PLAIN) > 40


@EACH
def test_over_tls(number: int, private: Node, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    play(KINDS[number % 2], PLAIN[number], private.url, private.api_key)


def test_an_authority_that_the_client_does_not_know_is_trusted_by_nobody(private: Node) -> None:
    for place in ({"server_url": private.url}, {"project_dir": private.folder}):
        with pytest.raises(OctopoidConnectionError):
            OctopoidSDK(api_key=private.api_key, max_retries=0, **place).tasks.list()

        async def ask() -> None:
            async with AsyncOctopoidSDK(api_key=private.api_key, max_retries=0, **place) as sdk:
                await sdk.tasks.list()

        with pytest.raises(OctopoidConnectionError):
            asyncio.run(ask())


def test_a_client_of_ones_own_names_the_authority(private: Node, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.root))
    with httpx.Client(verify=context) as http:
        assert OctopoidSDK(private.url, private.api_key, http_client=http).tasks.list(scope="nobody") == []

    async def ask() -> Any:
        async with httpx.AsyncClient(verify=context) as http:
            return await AsyncOctopoidSDK(private.url, private.api_key, http_client=http).tasks.list(scope="nobody")

    assert asyncio.run(ask()) == []


def test_the_nearest_folder_leads_to_a_node_that_speaks_tls(
    private: Node, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    assert OctopoidSDK(project_dir=private.folder).tasks.list(scope="nobody") == []


def test_a_node_answers_as_an_old_server_did_whoever_does_not_ask_for_todays_contract(old: Node) -> None:
    answer = httpx.get(f"{old.url}/api/v1/tasks", headers={"authorization": f"Bearer {old.api_key}"}, trust_env=False)
    assert answer.status_code == 400 and "api.compat is head" in answer.text


@EACH
def test_at_a_node_that_answers_as_an_old_server_did(number: int, old: Node) -> None:
    play(KINDS[1 - number % 2], PLAIN[number], old.url, old.api_key)
