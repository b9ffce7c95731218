"""Compares what a call gave with what the table of cases says; ``sdk/README.md`` tells what the signs mean."""

from __future__ import annotations

import re
from typing import Any, Dict


def filled(pattern: Any, values: Dict[str, Any]) -> Any:
    """Puts saved values into a text, or a whole value where the text is nothing but its name."""
    if isinstance(pattern, str):
        whole = re.fullmatch(r"\$\{(\w+)\}", pattern)
        return values[whole[1]] if whole else re.sub(r"\$\{(\w+)\}", lambda name: str(values[name[1]]), pattern)
    if isinstance(pattern, list):
        return [filled(part, values) for part in pattern]
    if isinstance(pattern, dict):
        return {name: filled(part, values) for name, part in pattern.items()}
    return pattern


def matches(actual: Any, expected: Any, where: str) -> None:
    """Fails unless a value is as expected: objects may hold more, lists may not."""
    if isinstance(expected, list):
        assert isinstance(actual, list), f"{where} is no list: {actual!r}"
        assert len(actual) == len(expected), f"the length of {where}: {actual!r}"
        for at, (part, wanted) in enumerate(zip(actual, expected)):
            matches(part, wanted, f"{where}[{at}]")
    elif not isinstance(expected, dict):
        assert type(actual) is type(expected) and actual == expected, f"{where} is {actual!r}, not {expected!r}"
    elif any(name.startswith("$") for name in expected):
        for sign, value in expected.items():
            _fits(sign, actual, value, where)
    else:
        assert isinstance(actual, dict), f"{where} is no object: {actual!r}"
        for name, part in expected.items():
            assert name in actual, f"{where} has no {name}: {actual!r}"
            matches(actual[name], part, f"{where}.{name}")


def _fits(sign: str, actual: Any, value: Any, where: str) -> None:
    if sign == "$type":
        assert _type_name(actual) == value, f"{where} is {actual!r}"
    elif sign == "$matches":
        assert isinstance(actual, str) and re.search(value, actual), f"{where} is {actual!r}"
    elif sign == "$length":
        assert isinstance(actual, list) and len(actual) == value, f"the length of {where}: {actual!r}"
    elif sign == "$contains":
        assert isinstance(actual, list), f"{where} is no list: {actual!r}"
        assert any(_is_like(part, value) for part in actual), f"{where} holds nothing like {value!r}: {actual!r}"
    else:
        raise AssertionError(f"the table says {sign}, which means nothing")


def _is_like(actual: Any, expected: Any) -> bool:
    try:
        matches(actual, expected, "")
    except AssertionError:
        return False
    return True


def _type_name(value: Any) -> str:
    names = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]
