"""How jobs look in a notebook. Whatever jobs, users and servers wrote is shown, and nothing of it obeyed.

A molecule is a drawing, which needs nothing. Where py3Dmol (extra `notebook`) is installed it can be turned as well, by a
script that py3Dmol fetches from its own address; where that does not come, the drawing stays.
"""

from __future__ import annotations

import re
import unicodedata
from html import escape
from importlib import import_module
from typing import Any, cast

from . import models
from ._drawing import Atom, svg

# Key numbers that are shown; the rest is in the result.
SCALARS_MAX = 12
# Characters of one text that are shown.
TEXT_MAX = 300
# Larger systems make a notebook slow.
ATOMS_MAX = 2_000
# Pixels.
WIDTH, HEIGHT = 320, 240
# Ångström: what is further away is no molecule.
COORDINATE_MAX = 1e5

_ATOM = re.compile(r"\s*([A-Za-z]{1,3})\s+(\S+)\s+(\S+)\s+(\S+)")
# What py3Dmol shows until its script runs.
_PLACEHOLDER = re.compile(r'<p id="3dmolwarning_\d+".*?</p>', re.DOTALL)


def bundle(id: str, view: models.Job | None, plain: str) -> dict[str, str]:
    """A job for `IPython.display`: plain text, and HTML with the molecule of its inputs."""
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


def molecule(xyz: str, width: int = WIDTH, height: int = HEIGHT) -> Any:
    """A molecule in the XYZ format as a `py3Dmol` view. Raises ImportError without py3Dmol, ValueError for other text."""
    viewer = import_module("py3Dmol").view(width=width, height=height)
    atoms = [f"{of.element} {of.x:.6f} {of.y:.6f} {of.z:.6f}" for of in _atoms(xyz)]
    viewer.addModel("\n".join([str(len(atoms)), "", *atoms, ""]), "xyz")
    viewer.setStyle({"stick": {"radius": 0.12}, "sphere": {"scale": 0.25}})
    viewer.zoomTo()
    return viewer


def drawing(xyz: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    """A molecule in the XYZ format as SVG, of at most 2,000 atoms. Raises ValueError for other text."""
    return svg(_atoms(xyz), width, height)


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
        drawn = drawing(xyz)
    except ValueError:
        return ""
    try:
        viewer = str(molecule(xyz)._make_html())
    except ImportError:
        return drawn
    # The canvas comes to lie over it.
    return _PLACEHOLDER.sub(lambda _: drawn, viewer, count=1)


def _atoms(xyz: str) -> list[Atom]:
    """Elements and numbers alone: what else stands there would be in a script."""
    count, _, *lines = [*xyz.splitlines(), "", ""]
    if not count.strip().isdecimal() or not 0 < int(count) <= ATOMS_MAX:
        raise ValueError(f"no molecule of at most {ATOMS_MAX} atoms in the XYZ format")
    atoms: list[Atom] = []
    for line in lines[: int(count)]:
        match = _ATOM.match(line)
        if match is None:
            raise ValueError("a line is none of an atom")
        x, y, z = (float(number) for number in match.groups()[1:])
        # Nor are those that are no numbers.
        if not all(abs(number) <= COORDINATE_MAX for number in (x, y, z)):
            raise ValueError("an atom is nowhere")
        atoms.append(Atom(match[1].capitalize(), x, y, z))
    return atoms
