"""Writes src/octopoid_sdk/_schema.py, the shapes of everything that goes over the wire, from ../openapi.json.

``--check`` writes nothing and fails when the file is not what the description says.
"""

from __future__ import annotations

import json
import keyword
import sys
import textwrap
from pathlib import Path
from typing import Any, Dict, List

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src/octopoid_sdk/_schema.py"
HEAD = '''"""The shapes of the API. Written by scripts/generate_models.py from ../openapi.json: run it, do not edit."""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, TypedDict, Union

'''

Schema = Dict[str, Any]


def main() -> int:
    description = json.loads((ROOT / "../openapi.json").read_text(encoding="utf-8"))
    text = written(description)
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != text:
        print("_schema.py is not what ../openapi.json says: run scripts/generate_models.py", file=sys.stderr)
        return 1
    return 0


def written(description: Schema) -> str:
    schemas: Dict[str, Schema] = description["components"]["schemas"]
    shapes = {name: schema for name, schema in schemas.items() if "properties" in schema}
    others = {name: schema for name, schema in schemas.items() if name not in shapes}
    names = sorted([*shapes, *others])
    parts = [HEAD, f"__all__ = {json.dumps(names, indent=4)[:-2]},\n]\n"]
    parts += [f"\n{name} = {kind(schema)}\n" for name, schema in others.items()]
    parts += [shape(name, schema) for name, schema in shapes.items()]
    return "".join(parts)


def shape(name: str, schema: Schema) -> str:
    properties: Dict[str, Schema] = schema["properties"]
    required = set(schema.get("required", ()))
    needed = {field: of for field, of in properties.items() if field in required}
    optional = {field: of for field, of in properties.items() if field not in needed}
    doc = docstring(schema.get("description", ""), 4)
    if any(keyword.iskeyword(field) for field in properties):
        # Such a name can stand in no class. The other form is evaluated, so it may speak of nothing that comes later.
        return f"\n\n{name} = TypedDict({name!r}, {{{', '.join(f'{field!r}: {kind(of)}' for field, of in properties.items())}}})\n"
    if not optional:
        return f"\n\nclass {name}(TypedDict):\n{doc}{fields(needed)}"
    if not needed:
        return f"\n\nclass {name}(TypedDict, total=False):\n{doc}{fields(optional)}"
    base = f"\n\nclass _{name}(TypedDict):\n{fields(needed)}"
    return f"{base}\n\nclass {name}(_{name}, total=False):\n{doc}{fields(optional)}"


def fields(properties: Dict[str, Schema]) -> str:
    lines: List[str] = []
    for name, schema in properties.items():
        lines.append(f"    {name}: {kind(schema)}\n")
        lines.append(docstring(schema.get("description", ""), 4))
    return "".join(lines)


def docstring(text: str, indent: int) -> str:
    """Writes the first paragraph; what follows speaks of the node's own code."""
    paragraph = " ".join(text.split("\n\n")[0].split()).replace("\\", "\\\\")
    if not paragraph:
        return ""
    return textwrap.indent("\n".join(textwrap.wrap(f'"""{paragraph}"""', 120)), " " * indent) + "\n"


def kind(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if "enum" in schema:
        return f"Literal[{', '.join(json.dumps(value) for value in schema['enum'])}]"
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return union([kind(part) for part in schema[several]])
    types = schema.get("type")
    if types is None:
        return "Any"
    return union([one(name, schema) for name in (types if isinstance(types, list) else [types])])


def union(kinds: List[str]) -> str:
    rest = [name for name in kinds if name != "None"]
    inner = "None" if not rest else rest[0] if len(rest) == 1 else f"Union[{', '.join(rest)}]"
    return inner if len(rest) in (0, len(kinds)) else f"Optional[{inner}]"


def one(name: str, schema: Schema) -> str:
    if name == "array":
        return f"List[{kind(schema.get('items', {}))}]"
    if name == "object":
        values = schema.get("additionalProperties")
        return f"Dict[str, {kind(values) if isinstance(values, dict) else 'Any'}]"
    return {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}[name]


if __name__ == "__main__":
    sys.exit(main())
