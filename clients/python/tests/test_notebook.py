"""How a job looks, whatever it says."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from conftest import WATER

from nox_client import Client, models, notebook

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
    with pytest.raises(ValueError):
        notebook.molecule("9999999\n\n")


def test_a_job_shows_state_reason_and_key_numbers(nox: Client) -> None:
    job = nox.run("xtb", xyz=WATER)
    assert "<script" not in job._repr_html_() and job.id in job._repr_html_()
    job.result(60)
    bundle = job._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "E_total_hartree" in bundle["text/html"] and "succeeded" in bundle["text/plain"]
