"""Functions that claim tasks, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import User
from proxy import Proxy
from pydantic import BaseModel
from waiting import until

from nox_client import Client, Conflict, Job, JobFailed, Task, Worker


class Nothing(BaseModel):
    pass


PROGRAM = Path(__file__).with_name("worker_program.py")


@contextmanager
def worker(
    user: User, room: str, notes: Path, grace_s: float = 20
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the room's, which notes in a file what it begins and ends."""
    command = [sys.executable, str(PROGRAM), room, str(notes), str(grace_s)]
    process = subprocess.Popen(command, env=user.environment)
    try:
        with user.client() as nox:
            path = f"/v1/joblib/rooms/{room}/jobs"
            until(lambda: nox.request("GET", path)["total"] >= 2)
        yield process
    finally:
        process.kill()
        process.wait()


def noted(notes: Path, line: str) -> None:
    until(lambda: notes.exists() and line in notes.read_text().splitlines())


def energy(nox: Client, room: str, **payload: object) -> Job:
    return nox.task(room, f"{room}:analysis:Energy", payload)


def test_tasks_run_fail_and_tell_how_far_they_are(user: User, nox: Client, tmp_path: Path) -> None:
    room, notes = "lab-1", tmp_path / "notes"
    with worker(user, room, notes):
        schema = nox.request("GET", f"/v1/joblib/rooms/{room}/jobs/{room}:analysis:Energy")[
            "schema"
        ]
        assert schema["properties"]["smiles"]["type"] == "string"
        good, bad, wrong = (
            energy(nox, room, smiles="CC"),
            energy(nox, room, smiles="explode"),
            energy(nox, room, steps="many"),
        )
        assert good.result(20).outputs == {"energy": -2.0}
        with pytest.raises(JobFailed) as failed:
            bad.result(20)
        error = failed.value.job.error
        assert error is not None and error.code == "task_failed"
        assert error.message.rstrip().endswith("and so on boom") and len(error.message) < 5_000
        with pytest.raises(JobFailed, match="validation error"):
            wrong.result(20)
        slow = energy(nox, room, smiles="C", steps=100)
        until(
            lambda: (view := slow.refresh()).progress is not None
            and view.progress.message == "step"
        )
        slow.cancel()
        noted(notes, "canceled C")
        # And it works on.
        assert energy(nox, room, smiles="CCC").result(20).outputs == {"energy": -3.0}


def test_told_to_stop_it_ends_what_it_has(user: User, nox: Client, tmp_path: Path) -> None:
    room, notes = "lab-2", tmp_path / "notes"
    with worker(user, room, notes) as process:
        job = energy(nox, room, smiles="CC", steps=10)
        noted(notes, "begun CC")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        view = job.refresh()
        assert (view.state, view.attempt) == ("succeeded", 1)


def test_what_does_not_end_in_time_goes_back_and_runs_elsewhere(
    user: User, nox: Client, tmp_path: Path
) -> None:
    room, first, second = "lab-3", tmp_path / "first", tmp_path / "second"
    with worker(user, room, first, grace_s=0.3) as process:
        job = energy(nox, room, smiles="CC", steps=40)
        noted(first, "begun CC")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert job.refresh().state == "queued"
        with worker(user, room, second):
            assert job.result(30).job.attempt == 2
    assert "ended CC" not in first.read_text()


def test_a_worker_that_is_killed_is_given_up_and_beats_keep_another_alive(
    user: User, nox: Client, tmp_path: Path
) -> None:
    room, notes = "lab-4", tmp_path / "notes"
    with worker(user, room, notes) as process:
        # Twice as long as the server waits for a silent worker.
        assert energy(nox, room, smiles="CC", steps=60).result(30).outputs == {"energy": -2.0}
        job = energy(nox, room, smiles="CCO", steps=600)
        noted(notes, "begun CCO")
        process.kill()
        with pytest.raises(JobFailed) as lost:
            job.result(30)
        assert lost.value.code == "lost"


def test_a_task_whose_claim_was_not_heard_of_is_given_back_and_run(
    user: User, nox: Client, proxy: Proxy
) -> None:
    # Its claims alone come by way of the proxy, within the test.
    with user.client(proxy.url) as far:
        crew = Worker(far, room="lab-7", poll_s=0.05, heartbeat_s=60)

        @crew.task("Note")
        def note(inputs: Nothing) -> None: ...

        thread = threading.Thread(target=crew.run)
        thread.start()
        until(lambda: crew.id is not None)
        before = crew.id
        proxy.lose_answer_with(b'"lab-7:modifiers:Note"')
        task = nox.task("lab-7", "lab-7:modifiers:Note", {})
        assert task.result(20).job.attempt >= 1
        assert proxy.cuts == 1 and crew.id not in (None, before)
        crew.stop()
        thread.join(20)
    assert not thread.is_alive()


def test_a_function_of_anything_else_is_refused(nox: Client) -> None:
    crew = Worker(nox, room="lab-5")
    with pytest.raises(TypeError, match="pydantic"):

        @crew.task("Plain")
        def plain(text: str) -> None: ...


def test_in_a_thread_it_is_stopped_by_a_call(user: User, nox: Client) -> None:
    crew = Worker(nox, room="lab-6", slots=2, poll_s=0.05)
    seen: list[Task] = []
    # Both are in hand at a time.
    together = threading.Barrier(2, timeout=20)

    @crew.task("Note")
    def note(inputs: Nothing, task: Task) -> None:
        seen.append(task)
        together.wait()

    @crew.task("Exit")
    def leave(inputs: Nothing) -> None:
        sys.exit(3)

    thread = threading.Thread(target=crew.run)
    thread.start()
    until(lambda: crew.id is not None)
    jobs = [nox.task("lab-6", "lab-6:modifiers:Note", {}) for _ in range(2)]
    assert [job.result(20).outputs for job in jobs] == [{}, {}]
    with pytest.raises(JobFailed, match="SystemExit: 3"):
        nox.task("lab-6", "lab-6:modifiers:Exit", {}).result(20)
    crew.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert {task.id for task in seen} == {job.id for job in jobs} and seen[0].cancelled
    with pytest.raises(Conflict):
        jobs[0].cancel()
