"""Many jobs under one key."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import User
from proxy import Proxy
from waiting import until

from nox_client import Client, Invalid, JobFailed, Outcome, QuotaExceeded

PROGRAM = Path(__file__).with_name("map_program.py")


def by_key(nox: Client, key: str) -> list[str]:
    return [job.id for job in nox.jobs(release_id=key)]


def test_results_come_in_order_or_as_they_end(nox: Client) -> None:
    inputs = [{"sleep_ms": 400 if index == 0 else 0} for index in range(130)]
    seen: list[tuple[int, int | None]] = []

    def tell(done: int, total: int | None) -> None:
        seen.append((done, total))

    ordered = [of.index for of in nox.map("noop", inputs, progress=tell)]
    assert ordered == list(range(130))
    assert seen == [(done, 130) for done in range(1, 131)]
    ended = [of.index for of in nox.map("noop", iter(inputs), ordered=False)]
    assert sorted(ended) == ordered and ended != ordered


def test_what_is_refused_or_fails_is_an_outcome(nox: Client) -> None:
    inputs: list[dict[str, Any]] = [{}, {"sleep_ms": "soon"}, {"fail": "error"}, {}]
    outcomes = list(nox.map("noop", inputs))
    assert [of.ok for of in outcomes] == [True, False, False, True]
    assert isinstance(outcomes[1].error, Invalid) and outcomes[1].job is None
    assert outcomes[1].error.pointer == "/jobs/1/inputs/sleep_ms"
    with pytest.raises(JobFailed):
        print(outcomes[2].result)
    assert outcomes[0].result.metrics and outcomes[0].error is None


def test_the_same_key_and_inputs_are_the_same_jobs(nox: Client) -> None:
    inputs = [{"sleep_ms": index % 3} for index in range(250)]
    first = [_id(of) for of in nox.map("noop", inputs, key="study-7")]
    assert [_id(of) for of in nox.map("noop", inputs, key="study-7", max_in_flight=100)] == first
    assert len(by_key(nox, "study-7")) == 250

    # One is another now, and some are new: these run, and nothing else does.
    changed = [*inputs[:120], {"sleep_ms": 7}, *inputs[121:], {}, {}]
    second = [_id(of) for of in nox.map("noop", changed, key="study-7")]
    assert [place for place in range(250) if second[place] != first[place]] == [120]
    assert [_id(of) for of in nox.map("noop", changed, key="study-7")] == second
    assert len(by_key(nox, "study-7")) == 253

    # Without a key all of it runs anew.
    assert not set(first) & {_id(of) for of in nox.map("noop", inputs)}


@pytest.mark.parametrize("ordered", [True, False])
def test_ends_that_were_not_kept_are_asked_for(
    nox: Client, ordered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [{"sleep_ms": index % 3} for index in range(450)]
    first = [_id(of) for of in nox.map("noop", inputs, key="kept")]
    monkeypatch.setattr("nox_client._sync.map.SEEN_MAX", 0)
    again = nox.map("noop", inputs, key="kept", ordered=ordered, max_in_flight=100)
    assert {_id(of) for of in again} == set(first) and len(by_key(nox, "kept")) == 450


@pytest.mark.parametrize("key", ["study-8", None])
def test_killed_in_the_middle_and_started_again_nothing_runs_twice(
    user: User, nox: Client, tmp_path: Path, key: str | None
) -> None:
    """Without a key it does: that is what the key is for."""
    environment = {**user.environment, "MAP_KEY": key or ""}
    first = tmp_path / "first"
    process = subprocess.Popen([sys.executable, PROGRAM, first], env=environment)
    try:
        until(lambda: first.exists() and len(first.read_text().split()) > 250, 60)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
    before = len(by_key(nox, "killed"))
    assert 250 < before < 1000, "it was in the middle"

    second = tmp_path / "second"
    subprocess.run([sys.executable, PROGRAM, second], env=environment, check=True, timeout=90)
    results = second.read_text().split()
    assert len(results) == len(set(results)) == 1000
    ran = by_key(nox, "killed")
    if key is None:
        assert len(ran) >= before + 1000
    else:
        assert sorted(ran) == sorted(results)
        # And each of them in one attempt.
        views = [job.view for job in nox.jobs(release_id="killed")]
        assert [view.attempt for view in views if view is not None] == [1] * 1000


def test_lost_answers_make_no_second_jobs(user: User, nox: Client, proxy: Proxy) -> None:
    with user.client(proxy.url) as far:
        outcomes = far.map("noop", [{}] * 300, key="far", max_in_flight=100)
        indices: list[int] = []
        for outcome in outcomes:
            if outcome.index in (0, 100):
                proxy.lose_answers(1)
            indices.append(outcome.index)
    assert indices == list(range(300)) and proxy.cuts == 2
    assert len(by_key(nox, "far")) == 300


def test_quotas_are_waited_for_and_end_it_where_they_do_not_give(
    admin: User, user: User, nox: Client
) -> None:
    limits = {"cpu_seconds": 10**6, "queued_jobs": 60, "running_jobs": 100, "cpu": 4}
    limits |= {"mem_mb": 4096, "drafts": 10, "starts_per_minute": 10**6}
    with admin.client() as root:
        path = f"/quotas/{user.name}"
        root.request("PUT", path, body={"limits": limits, "reason": "a test"})
        outcomes = list(nox.map("noop", [{"sleep_ms": 5}] * 200, key="narrow"))
        assert all(outcome.ok for outcome in outcomes)
        assert len(by_key(nox, "narrow")) == 200
        root.request("PUT", path, body={"limits": {**limits, "queued_jobs": 0}, "reason": "none"})
    with pytest.raises(QuotaExceeded):
        list(nox.map("noop", [{}], patience_s=1.0))


def test_fewer_in_flight_than_go_together_are_refused(nox: Client) -> None:
    with pytest.raises(ValueError, match="max_in_flight"):
        list(nox.map("noop", [{}], max_in_flight=10))


def _id(outcome: Outcome) -> str:
    assert outcome.job is not None
    return str(outcome.job.id)
