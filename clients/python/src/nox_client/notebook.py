"""How jobs look in a notebook. Whatever jobs, users and servers wrote is shown, and nothing of it obeyed."""

from __future__ import annotations

import re
import unicodedata
from html import escape
from importlib import import_module
from typing import Any, cast

from . import models

# Key numbers that are shown; the rest is in the result.
SCALARS_MAX = 12
# Characters of one text that are shown.
TEXT_MAX = 300
# Larger systems make a notebook slow.
ATOMS_MAX = 2_000

_ATOM = re.compile(r"\s*([A-Za-z]{1,3})\s+(\S+)\s+(\S+)\s+(\S+)")


def bundle(id: str, view: models.Job | None, plain: str) -> dict[str, str]:
    """A job for `IPython.display`: plain text, and HTML with the molecule of its inputs where py3Dmol is installed."""
    return {"text/plain": plain, "text/html": html(id, view)}


def html(id: str, view: models.Job | None) -> str:
    """A table of what is known of a job, and its molecule."""
    rows = [("job", id)] if view is None else _rows(view)
    table = "".join(
        f"<tr><th style='text-align:left'>{shown(name)}</th><td style='text-align:left'>{shown(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table>{table}</table>{_molecule_of(view)}"


def shown(text: object) -> str:
    """Text for HTML, cut; a mark stands for each character that would be obeyed or not seen."""
    cut = str(text)
    cut = cut if len(cut) <= TEXT_MAX else cut[:TEXT_MAX] + "…"
    return escape("".join(_visible(character) for character in cut), quote=True)


def molecule(xyz: str, width: int = 320, height: int = 240) -> Any:
    """A molecule in the XYZ format as a `py3Dmol` view. Raises ImportError without py3Dmol, ValueError for other text."""
    viewer = import_module("py3Dmol").view(width=width, height=height)
    viewer.addModel(_plain_xyz(xyz), "xyz")
    viewer.setStyle({"stick": {"radius": 0.12}, "sphere": {"scale": 0.25}})
    viewer.zoomTo()
    return viewer


def _rows(view: models.Job) -> list[tuple[str, object]]:
    state = view.state if view.status == view.state else f"{view.state} ({view.status})"
    rows: list[tuple[str, object]] = [("job", view.id), ("module", view.module), ("state", state)]
    if view.waiting is not None:
        rows.append((f"waits for {view.waiting.code}", view.waiting.message or ""))
    if view.progress is not None:
        rows.append(("progress", f"{view.progress.percent or 0} % {view.progress.message or ''}"))
    if view.error is not None:
        rows.append((view.error.code, view.error.message))
    outputs = view.outputs if isinstance(view.outputs, dict) else {}
    scalars = cast("dict[str, Any]", outputs).get("scalars")
    if isinstance(scalars, dict):
        rows += list(cast("dict[str, object]", scalars).items())[:SCALARS_MAX]
    return rows


def _visible(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return f"<U+{ord(character):04X}>"
    return character


def _molecule_of(view: models.Job | None) -> str:
    inputs = view.inputs if view is not None and isinstance(view.inputs, dict) else {}
    xyz = cast("dict[str, Any]", inputs).get("xyz")
    if not isinstance(xyz, str):
        return ""
    try:
        return str(molecule(xyz)._make_html())
    except (ImportError, ValueError):
        return ""


def _plain_xyz(xyz: str) -> str:
    """Elements and numbers alone: what else stands there would be in a script."""
    count, _, *lines = xyz.splitlines() or ["", ""]
    atoms: list[str] = []
    if not count.strip().isdecimal() or int(count) > ATOMS_MAX:
        raise ValueError(f"no molecule of at most {ATOMS_MAX} atoms in the XYZ format")
    for line in lines[: int(count)]:
        match = _ATOM.match(line)
        if match is None:
            raise ValueError("a line is none of an atom")
        x, y, z = (float(number) for number in match.groups()[1:])
        atoms.append(f"{match[1]} {x:.6f} {y:.6f} {z:.6f}")
    return "\n".join([str(len(atoms)), "", *atoms, ""])
