"""How a job looks, whatever it says."""

from __future__ import annotations

import sys
import time
from html.parser import HTMLParser

import pytest
from conftest import WATER

from nox_client import Client, models, notebook
from nox_client._drawing import Atom, turned

HOSTILE = "</td><script>alert(1)</script>'\"&\u202egnp.exe\u2066\x1b[31m\0\ud800"


class Tags(HTMLParser):
    """All that a browser would make of a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture
def view(nox: Client) -> models.Job:
    return nox.run("xtb_hello", text="hello").wait(30)


def test_strings_are_shown_and_never_obeyed(view: models.Job) -> None:
    view.module = view.state = view.status = HOSTILE
    view.waiting = models.Waiting(code=HOSTILE, message=HOSTILE)
    view.error = models.JobError(code=HOSTILE, message=HOSTILE, exit_status=None)
    view.progress = models.Progress(percent=1, message=HOSTILE)
    view.outputs = {"scalars": {HOSTILE: HOSTILE}}
    view.inputs = {"xyz": WATER.replace("water", HOSTILE).replace("H 0", f"{HOSTILE} 0", 1)}
    text = notebook.html(HOSTILE, view)
    assert Tags(text).names == {"table", "tr", "th", "td"}
    assert Tags(text).attributes == {"style"}
    assert not set(text) & {"\u202e", "\u2066", "\x1b", "\0", "\ud800"}
    assert "&lt;script&gt;" in text and "&lt;U+202E&gt;" in text
    # A text of a megabyte is cut.
    view.outputs = {"scalars": {"x": "y" * 1_000_000}}
    assert len(notebook.html("id", view)) < 10_000


def test_a_molecule_is_shown_of_elements_and_numbers_alone(view: models.Job) -> None:
    pytest.importorskip("py3Dmol")
    view.inputs = {"xyz": WATER.replace("water", "</script><script>alert(1)//")}
    text = notebook.html("id", view)
    assert "0.760000" in text and "alert" not in text
    # What is seen until, or unless, the script comes.
    assert text.count("<svg") == 1 and "3dmolwarning" in text and "failed to load" not in text
    for wrong in ("9999999\n\n", "0\n\n", "", "1\n\nH 0 0 nan", "1\n\nH 0 0 1e9", "2\n\nH 0 0 0\n"):
        with pytest.raises(ValueError):
            notebook.molecule(wrong)


def test_a_molecule_is_drawn_without_any_script_or_other_host(
    view: models.Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "py3Dmol", None)
    view.inputs = {"xyz": WATER}
    text = notebook.html("id", view)
    assert Tags(text).names == {
        *("table", "tr", "th", "td"),
        *("svg", "title", "g", "line", "circle"),
    }
    assert "http" not in text and "url(" not in text
    assert text.count("<circle") == 3 and text.count("<line") == 2
    view.inputs = {"xyz": "3\n\nHe 0 0 0\nHe 0 0 0\nHe 0 0 9\n"}
    assert "<line" not in notebook.html("id", view)
    # As many atoms as there may be, in no time that somebody waits for.
    place = [(n % 13, n // 13 % 13, n // 169) for n in range(2_000)]
    atoms = "\n".join(f"C {1.5 * x} {1.5 * y} {1.5 * z}" for x, y, z in place)
    begun = time.process_time()
    large = notebook.drawing(f"2000\n\n{atoms}\n")
    assert time.process_time() - begun < 5 and large.count("<circle") == 2_000
    assert large.count("<line") == sum(
        (x < 12) * ((n + 1) < 2_000) + (y < 12) * (n + 13 < 2_000) + (n + 169 < 2_000)
        for n, (x, y, _) in enumerate(place)
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_drawing_is_of_the_molecule_and_not_of_its_mirror_image(sign: int) -> None:
    places = [(0.0, 0.0, 1.1), (1.3, 0.1, -0.4), (-0.9, 1.6, -0.5), (-0.8, -1.5, sign * 0.7)]
    atoms = [Atom(of, *place) for of, place in zip(["H", "F", "Cl", "Br"], places, strict=True)]
    seen = [(of.x, -of.y, of.z) for of in turned(atoms)]
    assert handed(seen) == pytest.approx(handed(places)) and abs(handed(places)) > 1
    # And in a mirror it would be another one.
    assert handed([(-x, y, z) for x, y, z in seen]) == pytest.approx(-handed(places))


def handed(places: list[tuple[float, float, float]]) -> float:
    """Six times the volume that four atoms enclose; its sign says which hand it is."""
    (x, y, z), *rest = places
    (a, b, c), (d, e, f), (g, h, i) = [(px - x, py - y, pz - z) for px, py, pz in rest]
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def test_a_job_shows_state_reason_and_key_numbers(nox: Client) -> None:
    job = nox.run("xtb", xyz=WATER)
    assert "<svg" not in job._repr_html_() and job.id in job._repr_html_()
    job.result(60)
    bundle = job._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "<svg" in bundle["text/html"]
    assert "E_total_hartree" in bundle["text/html"] and "succeeded" in bundle["text/plain"]
