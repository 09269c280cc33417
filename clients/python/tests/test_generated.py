"""What is made of other files is what would be made of them now."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

from conftest import HERE, ROOT

import nox_client
from nox_client.problems import CLASSES, of_answer


def test_models_and_the_synchronous_client_are_up_to_date() -> None:
    command = [sys.executable, str(HERE / "tools" / "generate.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert checked.returncode == 0, checked.stderr


def test_every_code_of_the_server_has_a_class() -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    codes: set[str] = set()
    for case in document["components"]["schemas"]["ProblemCode"]["oneOf"]:
        codes |= set(case.get("enum", [])) | ({case["const"]} if "const" in case else set())
    assert set(CLASSES) == codes


def test_a_code_that_is_not_known_yet_is_judged_by_its_status() -> None:
    problem = {"type": "/v1/problems/x", "title": "X", "status": 409, "detail": "x", "code": "x"}
    error = of_answer(409, None, json.dumps({**problem, "error": "X", "message": "x"}).encode())
    assert type(error) is nox_client.Conflict and error.code == "x"


def test_an_answer_of_a_proxy_is_a_problem_as_well() -> None:
    error = of_answer(502, "7", b"<html>Bad Gateway</html>")
    assert type(error) is nox_client.Unavailable
    assert (error.code, error.retry_after) == ("http_502", 7)
    assert type(of_answer(418, None, b"")) is nox_client.BadRequest
    assert type(of_answer(500, None, b"\xff")) is nox_client.ServerDefect


PARTS = [
    (getattr(sync, part).__class__, getattr(other, part).__class__)
    for sync, other in [(nox_client.Client(), nox_client.AsyncClient())]
    for part in ("keys", "quotas", "schedules", "webhooks", "workers")
]


def test_both_clients_have_the_same_names() -> None:
    for one, other in (
        (nox_client.Client, nox_client.AsyncClient),
        (nox_client.Job, nox_client.AsyncJob),
        *PARTS,
    ):
        names = {name for name, _ in inspect.getmembers(one) if not name.startswith("_")}
        assert names == {name for name, _ in inspect.getmembers(other) if not name.startswith("_")}
