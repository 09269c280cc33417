"""Jobs, one at a time."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from conftest import WATER, User
from proxy import Proxy
from waiting import until

from nox_client import (
    AsyncClient,
    Client,
    Conflict,
    ConnectionFailed,
    Corrupt,
    IdempotencyConflict,
    Invalid,
    JobCanceled,
    JobFailed,
    NotFound,
    NoxError,
    Options,
    Resources,
    Retries,
    Unauthenticated,
    WaitTimeout,
    models,
)
from nox_client._sync.job import Job


def count(nox: Client, n: int | None = None) -> int:
    """Jobs that there are when the log has so many frames; all that the client submitted, if that is not said."""
    return sum(1 for _ in (nox.jobs() if n is None else nox.jobs(n=n)))


def test_a_job_runs_and_tells_what_came_of_it(nox: Client, tmp_path: Path) -> None:
    molecule = tmp_path / "water.xyz"
    molecule.write_text(WATER)
    options = Options(resources=Resources(wall_time_s=60), labels={"team": "quantum"}, priority=7)
    job = nox.run("xtb", xyz=molecule, params={"opt": True}, options=options)
    result = job.result(timeout=60)
    assert result["E_total_hartree"] == pytest.approx(-5.0705, abs=1e-3)
    assert len(result["opt_energy_hartree"]) == result["opt_steps"]
    assert result.metrics["duration_s"] > 0
    assert job.view is not None and job.view.priority == 7
    assert job.view.created_at.tzinfo is not None
    assert abs(job.view.created_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert [of.id for of in nox.jobs(label="team=quantum")] == [job.id]

    assert "xtbopt.xyz" in result.files
    path = job.download("xtbopt.xyz", tmp_path)
    assert path == tmp_path / "xtbopt.xyz" and path.read_bytes() == job.read("xtbopt.xyz")
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    with pytest.raises(LookupError):
        job.download("nothing.xyz", tmp_path)
    assert job.artifacts().scalars == result.scalars

    assert "succeeded" in job.why().reason
    assert job.log_text() == "".join(chunk.text for chunk in job.logs(follow=True))
    types = [event.type for event in job.events()]
    assert types[0] == "nox.job.submitted.v1" and "nox.job.succeeded.v1" in types
    submitted = next(iter(job.events()))
    assert job.as_of(int(submitted.id.split("-")[0])).state == "queued"
    assert job.as_of(datetime.now(UTC)).state == "succeeded"

    again = job.retry({"xyz": WATER})
    assert again.result(60).job.retry_of == result.job.id


def test_a_file_that_is_not_what_the_job_kept_is_not_left(
    nox: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = nox.run("xtb_hello", text="hello")
    job.result(30)
    kept = job.artifacts()
    kept.artifacts[0].sha256 = "0" * 64
    monkeypatch.setattr(Job, "artifacts", lambda _: kept)
    with pytest.raises(Corrupt):
        job.download("result.txt", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_is_cut_goes_on_where_it_was(
    user: User, nox: Client, proxy: Proxy, tmp_path: Path
) -> None:
    job = nox.run("xtb", xyz=WATER, params={"opt": True})
    job.result(60)
    whole = job.read("xtbopt.log")
    with user.client(proxy.url) as far:
        again = far.job(job.id)
        kept = again.artifacts()
        proxy.cut_after(1_000)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Job, "artifacts", lambda _: kept)
            path = again.download("xtbopt.log", tmp_path)
        # What is asked for as a whole never comes.
        with (
            pytest.raises(ConnectionFailed),
            Client(proxy.url, user.token, retries=Retries(for_s=0.5)) as hasty,
        ):
            hasty.job(job.id).read("xtbopt.log")
    assert path.read_bytes() == whole and proxy.cuts >= 2


def test_one_key_is_one_job_and_no_key_another_each_time(nox: Client) -> None:
    first, second = (nox.run("xtb_hello", text="hello", key="order-1") for _ in range(2))
    assert first.id == second.id and count(nox) == 1
    with pytest.raises(IdempotencyConflict) as conflict:
        nox.run("xtb_hello", text="good bye", key="order-1")
    assert conflict.value.status == 422
    assert nox.run("xtb_hello", text="hello").id != nox.run("xtb_hello", text="hello").id


def test_a_refusal_says_what_where_and_how_it_is_found(nox: Client) -> None:
    with pytest.raises(Invalid) as refused:
        nox.run("xtb", xyz="3\nwater\nO 0 0\n")
    error = refused.value
    assert (error.type, error.code) == ("/v1/problems/invalid-inputs", "invalid_inputs")
    assert error.pointer == "/inputs/xyz" and error.errors[0].line == 3
    assert error.request_id and error.retry_after is None
    assert "/inputs/xyz" in str(error)
    assert pickle.loads(pickle.dumps(error)).code == "invalid_inputs"
    with pytest.raises(NotFound):
        nox.job("01a22180-584f-768f-a68d-5052af5026a2").refresh()
    with pytest.raises(Unauthenticated), Client(nox.url, "nonsense") as stranger:
        stranger.me()


def test_a_job_that_does_not_succeed_is_an_exception(nox: Client) -> None:
    with pytest.raises(JobFailed) as failed:
        nox.run("noop", fail="error").result(30)
    assert failed.value.code and failed.value.job.state == "failed"
    assert pickle.loads(pickle.dumps(failed.value)).code == failed.value.code

    job = nox.run("noop", sleep_ms=60_000)
    with pytest.raises(WaitTimeout):
        job.result(timeout=0.3)
    with pytest.raises(Conflict) as running:
        job.retry()
    assert running.value.code == "not_ended"
    job.cancel()
    job.cancel()
    with pytest.raises(JobCanceled):
        job.result(30)


def test_large_texts_are_uploaded_and_integers_are_exact(nox: Client) -> None:
    comment = "x" * 40_000
    job = nox.run("xtb", xyz=WATER.replace("water", comment))
    assert job.result(60).job.inputs["xyz"].keys() == {"$upload", "sha256"}
    # As many digits as no double has.
    number = 2**63 + 1
    drafted = nox.command("true", options=Options(draft=True, labels={"n": str(number)}))
    assert drafted.refresh().state == "draft"
    drafted.submit()
    assert drafted.wait(30).labels == {"n": str(number)}


def test_integers_of_any_size_come_back_as_they_are(admin: User) -> None:
    number = 18446744073709551617 * 10**30 + 1
    with admin.client() as nox:
        worker = nox.request("POST", "/v1/joblib/workers")["id"]
        body = {"category": "modifiers", "name": "Big", "schema": {}, "worker_id": worker}
        nox.request("PUT", "/v1/joblib/rooms/numbers/jobs", body=body)
        task = nox.task("numbers", "numbers:modifiers:Big", {"number": number})
        assert task.refresh().inputs["number"] == number
        task.cancel()
        nox.request("DELETE", f"/v1/joblib/workers/{worker}")


def test_a_lost_answer_is_asked_for_again_and_nothing_runs_twice(
    user: User, nox: Client, proxy: Proxy
) -> None:
    with user.client(proxy.url) as far:
        proxy.lose_answers(2)
        job = far.run("xtb_hello", text="hello")
        assert proxy.cuts == 2
        assert job.result(30).files == ["result.txt"]
        assert count(far) == 1
        # Without a key the server cannot know that it is the same.
        body = {"module": "xtb_hello", "inputs": {"text": "hello"}}
        receipts = [nox.request("POST", "/jobs", body=body) for _ in range(2)]
        assert count(nox, receipts[-1]["n"]) == 3


def test_what_is_not_safe_is_not_sent_again(user: User, proxy: Proxy) -> None:
    with user.client(proxy.url) as far:
        proxy.lose_answers(1)
        with pytest.raises(ConnectionFailed):
            far.request("POST", "/jobs", body={"module": "noop"})
        assert proxy.cuts == 1


def test_nobody_there_is_an_exception_when_patience_ends() -> None:
    with (
        Client("http://127.0.0.1:9", "token", retries=Retries(for_s=0.5)) as nox,
        pytest.raises(ConnectionFailed),
    ):
        nox.me()


def test_an_address_of_something_else_says_so(user: User) -> None:
    with (
        user.client(f"{user.system.url}/docs#") as nox,
        pytest.raises(NoxError, match="a Nox server"),
    ):
        nox.me()


def test_events_come_once_and_in_order_however_often_they_are_cut(user: User, proxy: Proxy) -> None:
    with user.client() as nox, user.client(proxy.url) as far:
        job = nox.run("xtb_hello", text="hello")
        job.result(60)
        whole = [event.id for event in job.events()]
        # Each connection brings an event or two.
        proxy.cut_after(1_500)
        assert [event.id for event in far.job(job.id).events()] == whole
        assert proxy.cuts >= 2
        assert [event.id for event in job.events(after=whole[2])] == whole[3:]


def test_all_that_happens_is_heard_from_a_place_on(nox: Client) -> None:
    place = nox.request("GET", "/events")["next"]
    job = nox.run("noop")
    heard: list[models.CloudEvent] = []
    for event in nox.events(after=place, type="job"):
        heard.append(event)
        if event.type == "nox.job.succeeded.v1":
            break
    assert {event.subject for event in heard} == {job.id}


def test_a_stream_that_was_silent_for_long_goes_on_after_a_cut(
    user: User, nox: Client, proxy: Proxy
) -> None:
    heard: list[str] = []

    def listen() -> None:
        with Client(proxy.url, user.token, retries=Retries(for_s=1.0)) as far:
            heard.extend(event.subject for event in islice(far.events(type="job.submitted"), 2))

    thread = threading.Thread(target=listen)
    thread.start()
    until(lambda: proxy.answers >= 1)
    first = nox.run("noop")
    until(lambda: proxy.answers >= 2)
    # Longer than requests are repeated, counted from what came before.
    time.sleep(1.2)
    proxy.cut_all()
    second = nox.run("noop")
    thread.join(30)
    assert heard == [first.id, second.id]


def test_a_log_is_followed_to_its_end(nox: Client) -> None:
    job = nox.command("for i in 1 2 3; do echo line $i; sleep 0.4; done")
    seen = ""
    for chunk in job.logs(follow=True):
        seen += chunk.text
        if "line 1" in seen and "line 3" not in seen:
            assert job.refresh().state == "running"
    assert seen == "line 1\nline 2\nline 3\n"


def test_a_token_that_has_ended_is_fetched_anew(user: User) -> None:
    old = user.system.token(user.name, "--ttl", "1")
    with Client(user.system.url, old) as nox:
        # Clocks may be five seconds apart.
        until(lambda: _has_ended(nox), 20)
    tokens = iter([old, user.token])
    with Client(user.system.url, lambda: next(tokens)) as nox:
        assert nox.me().user_id == user.name


def _has_ended(nox: Client) -> bool:
    try:
        nox.me()
    except Unauthenticated as error:
        return error.code == "token_expired"
    return False


def test_the_asynchronous_client_does_the_same(user: User, tmp_path: Path) -> None:
    async def all_of_it() -> None:
        async with AsyncClient(user.system.url, user.token) as nox:
            jobs = await asyncio.gather(*(nox.run("xtb_hello", text=str(n)) for n in range(5)))
            results = await asyncio.gather(*(job.result(30) for job in jobs))
            assert all(result.files == ["result.txt"] for result in results)
            path = await jobs[3].download("result.txt", tmp_path / "three.txt")
            assert path.read_text().strip() == "3"
            events = [event.type async for event in jobs[0].events()]
            assert "nox.job.succeeded.v1" in events
            chunks = [chunk.text async for chunk in jobs[0].logs(follow=True)]
            assert "".join(chunks).strip() == "0"
            mapped = [of.index async for of in nox.map("noop", [{}] * 150, key="async")]
            assert mapped == list(range(150))
            assert len([job async for job in nox.jobs(limit=7)]) == 7
            with pytest.raises(Invalid):
                await nox.run("no_such_module")

    asyncio.run(all_of_it())


def test_where_a_loop_runs_already_the_synchronous_client_works(user: User) -> None:
    async def cell() -> str:
        with user.client() as nox:
            return nox.me().user_id

    assert asyncio.run(cell()) == user.name
