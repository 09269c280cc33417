"""The viewer's JobManager."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import HERE, User
from proxy import Proxy
from pydantic import BaseModel
from waiting import until

from nox_client import Conflict, Forbidden, JobFailed
from nox_client.joblib import JobManager, Vis

SEED = HERE / "examples" / "viewer.py"


def test_the_example_of_the_document_runs_as_it_is_written(admin: User, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with open(said, "wb") as output, admin.client() as nox:
        command = [sys.executable, "-u", str(SEED)]
        process = subprocess.Popen(command, env=admin.environment, stdout=output, stderr=output)
        try:
            until(lambda: "2\n" in said.read_text(), 20)
            names = ["@global:modifiers:Rotate", "room_123:modifiers:PrivateRotate"]
            tasks = [nox.task("room_123", name, {"angle": 90.0}) for name in names]
            for task in tasks:
                task.result(20)
            assert process.poll() is None, said.read_text()
        finally:
            process.kill()
            process.wait()
            # For the tests that come after it.
            nox.request("DELETE", f"/v1/joblib/workers/{nox.request('GET', '/v1/me')['worker_id']}")


def test_a_dictionary_and_a_stream_of_tasks(user: User) -> None:
    vis = Vis(user.system.url, user.token)
    vis.turned = []  # type: ignore[attr-defined]

    @vis.jobs.register(room="attic")
    class Turn(BaseModel):
        angle: float = 0.0

        def run(self, vis: Any) -> dict[str, float]:
            vis.turned.append(self.angle)
            return {"angle": 1 / self.angle}

    assert list(vis.jobs) == ["attic:modifiers:Turn"] and vis.jobs["attic:modifiers:Turn"] is Turn
    room = "attic"
    with user.client() as nox:
        ids = [vis.jobs.submit(Turn(angle=a), room, registered_in=room) for a in (90.0, 0.0)]
        stream = vis.jobs.listen(interval=0.05)
        next(stream).run(vis)
        with pytest.raises(ZeroDivisionError):
            next(stream).run(vis)
        assert nox.job(ids[0]).result(20).outputs == {"angle": 1 / 90}
        with pytest.raises(JobFailed, match="ZeroDivisionError"):
            nox.job(ids[1]).result(20)
    assert vis.turned == [90.0, 0.0]  # type: ignore[attr-defined]
    stream.stop()
    assert list(stream) == []
    vis.http.close()


def test_a_worker_that_was_given_up_registers_anew_and_cuts_do_not_end_it(
    user: User, proxy: Proxy
) -> None:
    vis = Vis(proxy.url, user.token)

    @vis.jobs.register(room="loft")
    class Turn(BaseModel):
        angle: float = 0.0

    with user.client() as nox:

        def workers() -> list[object]:
            shown = nox.request("GET", "/v1/joblib/rooms/loft/jobs/loft:modifiers:Turn")
            return list(shown["workers"])

        stream = vis.jobs.listen(interval=0.05)
        proxy.lose_answers(1)
        cut = threading.Thread(target=lambda: next(stream).run(vis))
        cut.start()
        until(lambda: proxy.cuts == 1)
        turn = nox.task("loft", "loft:modifiers:Turn", {"angle": 90.0})
        assert turn.result(20).outputs == {}
        cut.join(20)

        # What came of it is said again where nobody may have heard it.
        turn = nox.task("loft", "loft:modifiers:Turn", {"angle": 45.0})
        task = next(stream)
        proxy.lose_answer_with(b'"completed"')
        task.run(vis)
        assert turn.result(20).outputs == {} and proxy.cuts == 2
        with pytest.raises(Conflict):
            task.run(vis)

        # It is silent for too long.
        assert len(workers()) == 1
        until(lambda: workers() == [])
        turn = nox.task("loft", "loft:modifiers:Turn", {"angle": 180.0})
        assert vis.jobs.claim() is None
        next(stream).run(vis)
        assert turn.result(20).outputs == {} and len(workers()) == 1
    threading.Timer(0.3, stream.stop).start()
    assert list(stream) == []
    vis.http.close()


def test_another_schema_and_rooms_of_others_are_refused(user: User) -> None:
    vis = Vis(user.system.url, user.token)
    manager = JobManager(vis)

    class Turn(BaseModel):
        angle: float = 0.0

    manager.register(Turn, room="cellar")
    manager.register(Turn, room="cellar")
    again = type("Turn", (BaseModel,), {"__annotations__": {"axis": str}})
    with pytest.raises(Conflict) as conflict:
        manager.register(again, room="cellar")
    assert conflict.value.code == "schema_conflict"
    with pytest.raises(Forbidden):
        manager.register(Turn)
    vis.http.close()
