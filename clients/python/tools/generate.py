"""Writes what is made of other files: the models from docs/openapi.json, and the synchronous client from the asynchronous.

python tools/generate.py           # writes
python tools/generate.py --check   # exits with 1, and names the files, where one is not as it would be written
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
PACKAGE = HERE / "src" / "nox_client"
DOCUMENT = HERE.parent.parent / "docs" / "openapi.json"

# What differs between the two clients, word by word; longer words first.
WORDS = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\bAsyncGenerator\[([\w.]+(?:\[\w+\])?), None\]", r"Generator[\1, None, None]"),
    (r"\bAsyncGenerator\b", "Generator"),
    (r"\bAsync(Client|Job|Keys|Map|Quotas|Schedules|Transport|Webhooks|Workers)\b", r"\1"),
    (r"\bhttpx2\.AsyncClient\b", "httpx2.Client"),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\b__aiter__\b", "__iter__"),
    (r"\baclosing\b", "closing"),
    (r"\baclose\b", "close"),
    (r"\baiter_(bytes|lines|text)\b", r"iter_\1"),
    (r"\baread\b", "read"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bimport asyncio\b", "import time"),
    (r"\basynchronous(ly)?\b", r"synchronous\1"),
]


def main() -> int:
    """Writes, or with `--check` compares; returns the exit status."""
    wanted = {PACKAGE / "models.py": models()}
    for source in sorted((PACKAGE / "_async").glob("*.py")):
        wanted[PACKAGE / "_sync" / source.name] = synchronous(source.read_text())
    if "--check" not in sys.argv[1:]:
        for path, text in wanted.items():
            path.write_text(text)
        return 0
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(HERE)} is not what tools/generate.py writes", file=sys.stderr)
    return 1 if stale else 0


def synchronous(text: str) -> str:
    """The same module without `async` and `await`."""
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    # `asyncio` and `time` may both have been imported.
    text = re.sub(r"(?m)^import time\n(?=(?:import .*\n)*import time\n)", "", text)
    return "# Made of `_async` by tools/generate.py: change it there.\n" + text


def models() -> str:
    """Pydantic models of all that the API's description names."""
    document = json.loads(DOCUMENT.read_text())
    schemas = document["components"]["schemas"]
    schemas = {name: plain(name, schema) for name, schema in schemas.items()}
    scalars = {name: schema for name, schema in schemas.items() if is_scalar(schema)}
    document["components"]["schemas"] = {
        name: inlined(schema, scalars) for name, schema in schemas.items() if name not in scalars
    }
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "openapi.json"), Path(folder, "models.py")
        source.write_text(json.dumps(document))
        command = [sys.executable, "-m", "datamodel_code_generator"]
        command += ["--input", str(source), "--input-file-type", "openapi", "--output", str(target)]
        command += [
            "--output-model-type",
            "pydantic_v2.BaseModel",
            "--target-python-version",
            "3.11",
        ]
        command += ["--output-datetime-class", "AwareDatetime", "--collapse-root-models"]
        command += ["--use-annotated", "--use-standard-collections", "--use-union-operator"]
        command += ["--use-schema-description", "--use-field-description", "--disable-timestamp"]
        command += ["--formatters", "builtin", "--openapi-scopes", "schemas"]
        command += ["--custom-file-header", HEADER]
        subprocess.run(command, check=True, timeout=120)
        return target.read_text()


BOUNDS = {
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
}
BOUNDS |= {"minProperties", "maxProperties", "propertyNames"}

HEADER = '''"""What the API takes and answers, made of docs/openapi.json by tools/generate.py: change it there."""'''


def plain(name: str, schema: Any) -> Any:
    """A schema without what would keep a client of today from reading the answers of a newer server."""
    if name == "Json":
        return {}
    if name == "Timestamp":
        return {**schema, "format": "date-time"}
    if isinstance(schema, dict) and words(schema):
        return {"type": "string", "description": schema.get("description", "")}
    return open_ended(schema)


def open_ended(schema: Any) -> Any:
    """The same without what is for the server to judge: bounds, and whether there may be further members."""
    if isinstance(schema, list):
        return [open_ended(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: open_ended(value)
        for name, value in schema.items()
        if name not in BOUNDS
        and (name, value) != ("additionalProperties", False)
        and not (name == "format" and str(value).startswith(("int", "uint")))
    }


def is_scalar(schema: Any) -> bool:
    """Whether it is a text or a number with a name of its own, which is no model."""
    return isinstance(schema, dict) and schema.get("type") in ("string", "integer")


def inlined(schema: Any, scalars: dict[str, Any]) -> Any:
    """The same, with texts and numbers in place of references to them."""
    if isinstance(schema, list):
        return [inlined(one, scalars) for one in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).removeprefix("#/components/schemas/")
    if name in scalars:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {**scalars[name], **rest}
    return {key: inlined(value, scalars) for key, value in schema.items()}


def words(schema: dict[str, Any]) -> bool:
    """Whether it is an enumeration of words: one of them may be new."""
    cases = schema.get("oneOf", [schema])
    return all("enum" in case or "const" in case for case in cases) and (
        schema.get("type") == "string" or all(case.get("type") == "string" for case in cases)
    )


if __name__ == "__main__":
    sys.exit(main())
