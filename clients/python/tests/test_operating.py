"""What is done beside single jobs: many at once, schedules, webhooks, keys, quotas, workers, modules; and why it was done."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice

import pytest
from conftest import User
from waiting import until

from nox_client import (
    AsyncClient,
    Client,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Options,
    QuotaExceeded,
    Unauthenticated,
    models,
)

# With letters that no header has by itself.
REASON = "Prüfung – 試験"


def reasons(admin: User, **filters: str) -> list[tuple[str, str | None]]:
    with admin.client() as root:
        return [(act.verb, act.reason) for act in root.audit(**filters)]


def test_a_reason_stands_in_the_audit(admin: User, user: User, nox: Client) -> None:
    job = nox.run("noop", sleep_ms=60_000)
    job.cancel(reason=REASON)
    silent = nox.run("noop", sleep_ms=60_000)
    silent.cancel()
    again = job.retry(reason="once more")
    draft = nox.run("noop", options=Options(draft=True))
    draft.submit(reason="now")
    draft.wait(30)
    until(lambda: ("job.submit_draft", "now") in reasons(admin, job_id=draft.id))
    assert ("job.cancel", REASON) in reasons(admin, job_id=job.id)
    assert ("job.submit", None) in reasons(admin, job_id=job.id)
    assert ("job.cancel", None) in reasons(admin, job_id=silent.id)
    assert ("job.submit", "once more") in reasons(admin, job_id=again.id)
    with admin.client() as root:
        acts = list(root.audit(user_id=user.name, verb="job.cancel", outcome="done"))
        assert [str(act.object.id) for act in acts] == [silent.id, job.id]
        assert list(root.audit(user_id=user.name, since=datetime.now(UTC))) == []
    with pytest.raises(Forbidden):
        list(nox.audit())
    again.cancel()


def test_a_reason_that_nobody_can_keep_is_refused(nox: Client) -> None:
    job = nox.run("noop", sleep_ms=60_000)
    for reason in ("two\nlines", "\0", "\ud800"):
        with pytest.raises(ValueError, match="control"):
            job.cancel(reason=reason)
    with pytest.raises(Invalid):
        job.cancel(reason="x" * 501)
    assert job.refresh().state in ("queued", "running")
    job.cancel(reason="x" * 500)


def test_many_are_counted_canceled_and_repeated(admin: User, nox: Client) -> None:
    options = Options(release_id="many", run_at=datetime.now(UTC) + timedelta(hours=1))
    jobs = [nox.run("noop", options=options) for _ in range(5)]
    kept = nox.run("noop", options=options)
    kept.cancel()
    counted = nox.cancel_all(release_id="many", status="queued", preview=True)
    assert (counted.count, counted.complete, counted.jobs) == (5, True, [])
    with pytest.raises(Conflict) as more:
        nox.cancel_all(release_id="many", status="queued", at_most=4)
    assert more.value.code == "at_most_exceeded"
    with pytest.raises(Invalid):
        nox.cancel_all()
    # In three pages.
    done = nox.cancel_all(release_id="many", status="queued", at_most=5, reason=REASON, limit=2)
    assert {str(of.job_id) for of in done.jobs} == {job.id for job in jobs}
    assert (done.count, done.complete, done.next) == (5, True, None)
    assert all(job.refresh().state == "canceled" for job in jobs)
    assert ("job.cancel", REASON) in reasons(admin, job_id=jobs[0].id)

    before = datetime.now(UTC)
    first, second = (
        nox.retry_all(release_id="many", status="canceled", key="again", created_before=before)
        for _ in range(2)
    )
    assert len(first.jobs) == 6
    with pytest.raises(ValueError, match="newest"):
        nox.retry_all(release_id="many", sort="created_at")
    assert {of.job_id for of in first.jobs} == {of.job_id for of in second.jobs}
    nox.cancel_all(release_id="many", status="queued,running")


def test_the_queue_is_shown_as_it_is_and_as_it_was(nox: Client) -> None:
    options = Options(run_at=datetime.now(UTC) + timedelta(hours=1))
    job = nox.run("noop", options=options)
    queue = nox.queue()
    assert [str(of.id) for of in queue.jobs] == [job.id]
    assert (queue.states, queue.waiting) == ({"queued": 1}, {"scheduled": 1})
    job.cancel()
    assert nox.queue().jobs == [] and len(nox.queue(as_of=queue.n).jobs) == 1
    assert nox.usage(as_of=queue.n).usage != [] and nox.queue(status="running").jobs == []


def test_a_schedule_is_made_changed_triggered_and_ended(admin: User, nox: Client) -> None:
    made = nox.schedules.create(
        "nightly", "0 3 * * *", "noop", {"sleep_ms": 1}, options=Options(priority=7), reason=REASON
    )
    (listed,) = nox.schedules.all()
    shown = nox.schedules.get(made.id, next=3)
    assert listed.id == shown.id == made.id and len(shown.next_times) == 3
    assert (shown.job.module, shown.job.inputs, shown.job.priority) == ("noop", {"sleep_ms": 1}, 7)
    job = nox.schedules.trigger(made.id)
    assert job.result(30).job.priority == 7
    assert nox.schedules.pause(made.id).next_due_at is None
    assert nox.schedules.get(made.id).paused
    assert nox.schedules.resume(made.id).next_due_at is not None
    zone = "Europe/Berlin"
    nox.schedules.replace(made.id, "weekly", "0 3 * * 1", "noop", time_zone=zone, overlap="queue")
    shown = nox.schedules.get(made.id)
    assert (shown.name, shown.overlap, shown.time_zone) == ("weekly", "queue", zone)
    with pytest.raises(Invalid):
        nox.schedules.create("never", "61 * * * *", "noop")
    nox.schedules.delete(made.id, reason="over")
    assert list(nox.schedules.all()) == []
    with pytest.raises(NotFound):
        nox.schedules.get(made.id)
    with admin.client() as root:
        acts = list(root.audit(user_id=nox.me().user_id, verb="schedule"))
    assert [(act.verb, act.reason) for act in acts if act.reason] == [
        ("schedule.delete", "over"),
        ("schedule.set", REASON),
    ]


@contextmanager
def endpoint() -> Iterator[tuple[str, list[str]]]:
    """An address, and the ids of what was sent there."""
    heard: list[str] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            heard.append(self.headers["webhook-id"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", heard
        server.shutdown()
        thread.join(10)


def test_a_webhook_is_sent_what_it_asks_for(nox: Client) -> None:
    with endpoint() as (url, heard):
        made = nox.webhooks.create(url, filter={"type": ["job.succeeded"]}, description="lab")
        assert made.secret.startswith("whsec_")
        shown = nox.webhooks.get(made.id)
        assert shown.filter.type is not None and shown.description == "lab"
        assert [hook.id for hook in nox.webhooks.all()] == [made.id]
        tested = nox.webhooks.test(made.id).delivery_id
        until(lambda: str(tested) in heard)
        nox.run("noop").result(30)
        until(lambda: len(heard) == 2)
        until(lambda: {of.state for of in nox.webhooks.deliveries(made.id)} == {"delivered"})
        nox.webhooks.redeliver(made.id, tested)
        until(lambda: heard.count(str(tested)) == 2)
        rotated = nox.webhooks.rotate_secret(made.id, overlap_s=60)
        assert rotated.rotation == 1 and rotated.secret != made.secret
        nox.webhooks.replace(made.id, url, enabled=False, reason=REASON)
        shown = nox.webhooks.get(made.id)
        assert not shown.enabled and shown.rotation == 1 and shown.filter.type is None
        with pytest.raises(Conflict):
            nox.webhooks.test(made.id)
        nox.webhooks.delete(made.id)
        assert list(nox.webhooks.all()) == []


def test_a_key_is_a_token_until_it_is_revoked(nox: Client) -> None:
    until_when = datetime.now(UTC) + timedelta(days=1)
    made = nox.keys.create("reader", scopes=["compute:read"], expires_at=until_when)
    (listed,) = nox.keys.all()
    assert (listed.id, listed.name) == (made.id, "reader")
    with Client(nox.url, made.secret) as reader:
        assert reader.me().user_id == nox.me().user_id
        with pytest.raises(Forbidden):
            reader.run("noop")
        nox.keys.revoke(made.id, reason=REASON)
        until(lambda: _is_refused(reader))
    with pytest.raises(ValueError, match="time zone"):
        nox.keys.create("naive", expires_at=datetime(2030, 1, 1))


def _is_refused(client: Client) -> bool:
    try:
        client.me()
    except Unauthenticated:
        return True
    return False


def test_limits_are_set_shown_and_reset(admin: User, user: User, nox: Client) -> None:
    limits = models.LimitsToSet(
        cpu_seconds=10**6,
        queued_jobs=0,
        running_jobs=7,
        cpu=4,
        mem_mb=4096,
        drafts=10,
        starts_per_minute=10**6,
    )
    with admin.client() as root:
        root.quotas.set(user.name, limits, REASON)
        account = root.quotas.get(user.name)
        assert account.change is not None and account.change.reason == REASON
        assert user.name in {of.user_id for of in root.quotas.all()}
        assert {of.quota_type: of.limit for of in nox.quotas.mine().quotas}["running_jobs"] == 7
        with pytest.raises(QuotaExceeded):
            nox.run("noop")
        until(lambda: len(list(nox.quotas.violations())) == 1)
        root.quotas.reset(user.name, "it was a test")
    job = nox.run("noop")
    job.result(30)
    until(lambda: [str(of.job_id) for of in nox.quotas.ledger()] == [job.id])
    entries = list(nox.quotas.entries(user.name, job_id=job.id, sort="at"))
    assert [of.fact for of in entries] == ["reserved", "released"]


def test_a_worker_is_drained_and_let_in_again(admin: User, nox: Client) -> None:
    with admin.client() as root:
        worker, *_ = [of for of in root.workers.all() if not of.claims]
        assert root.workers.get(worker.worker_id).worker_id == worker.worker_id
        assert root.workers.drain(worker.worker_id, reason=REASON).drained
        drained = [of.worker_id for of in root.workers.all(state="drained")]
        root.workers.undrain(worker.worker_id)
        assert drained == [worker.worker_id]
    with pytest.raises(Forbidden):
        nox.workers.drain(worker.worker_id)


def test_a_module_is_registered_looked_at_and_switched(admin: User, nox: Client) -> None:
    name = f"count_{uuid.uuid4().hex[:8]}"
    manifest = {
        "name": name,
        "version": "1",
        "sandbox": "isolated",
        "input_schema": {"type": "object"},
        "resources": {"cpu": 1, "mem_mb": 64, "wall_time_s": 60},
        "run": {"program": "nproc"},
    }
    with admin.client() as root:
        assert root.register_module(manifest, REASON).version == "1"
        assert root.register_module({**manifest, "version": "2"}).version == "2"
        versions = [of.version for of in nox.module_versions(name)]
        assert versions == ["2", "1"] and nox.module(name).enabled
        root.switch_module(name, False, REASON)
        with pytest.raises(Conflict):
            nox.run(name)
        root.switch_module(name, True)
    with pytest.raises(Forbidden):
        nox.register_module(manifest)


def test_the_asynchronous_client_has_all_of_it(admin: User, user: User) -> None:
    async def all_of_it() -> None:
        async with AsyncClient(user.system.url, user.token) as nox:
            job = await nox.run("noop", sleep_ms=60_000)
            await job.cancel(reason=REASON)
            made = await nox.schedules.create("daily", "@daily", "noop")
            assert [of.id async for of in nox.schedules.all()] == [made.id]
            await nox.schedules.delete(made.id)
            key = await nox.keys.create("machine")
            assert [of.id async for of in nox.keys.all()] == [key.id]
            assert (await nox.cancel_all(status="queued", preview=True)).count == 0
            assert [hook async for hook in nox.webhooks.all()] == []
            assert (await nox.quotas.mine()).quotas != []
            assert [of.id async for of in nox.workers.all()] != []

    asyncio.run(all_of_it())
    with admin.client() as root:
        until(lambda: any(act.reason == REASON for act in islice(root.audit(verb="job"), 50)))
