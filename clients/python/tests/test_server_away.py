"""A server that is killed, and comes back."""

from __future__ import annotations

import threading
from pathlib import Path

from conftest import User, running
from waiting import until

from nox_client import Client, Retries


def test_whoever_submits_and_whoever_follows_waits_for_it(tmp_path: Path) -> None:
    heard: list[str] = []
    indices: list[int] = []
    patient = Retries(for_s=60.0)

    def follow(user: User) -> None:
        with Client(user.system.url, user.token, retries=patient) as nox:
            for event in nox.events(after="0-0-0", type="job.submitted"):
                heard.append(event.subject)
                if len(heard) == 400:
                    return

    def submit(user: User) -> None:
        with Client(user.system.url, user.token, retries=patient) as nox:
            outcomes = nox.map("noop", [{"sleep_ms": 20}] * 400, key="away", max_in_flight=100)
            indices.extend(outcome.index for outcome in outcomes if outcome.ok)

    with running(tmp_path) as (system, process):
        user = User(system, "ada", system.token("ada"))
        threads = [threading.Thread(target=of, args=(user,)) for of in (follow, submit)]
        for thread in threads:
            thread.start()
        until(lambda: len(indices) >= 50 and len(heard) >= 50)
        assert len(indices) < 400
        process.kill()
        process.wait()
    with running(tmp_path) as (again, _):
        assert again.url == user.system.url
        for thread in threads:
            thread.join(60)
        assert indices == list(range(400))
        assert len(set(heard)) == 400
        with user.client() as nox:
            assert sum(1 for _ in nox.jobs(release_id="away")) == 400
