"""What came of a task, as the server is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

# The end of a traceback that is told, in characters.
TRACEBACK_MAX = 4_000


def members(result: Any) -> dict[str, Any]:
    """A result as an object of JSON. Raises TypeError for anything that is none."""
    match result:
        case None:
            return {}
        case BaseModel():
            return result.model_dump(mode="json")
        case Mapping():
            return {str(name): value for name, value in result.items()}
        case _:
            raise TypeError(
                f"a task returns a mapping, a model or nothing, and no {type(result).__name__}"
            )


def ending(text: str) -> str:
    """The end of a text, without what no store keeps."""
    cut = text if len(text) <= TRACEBACK_MAX else "…" + text[-TRACEBACK_MAX:]
    return cut.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()
