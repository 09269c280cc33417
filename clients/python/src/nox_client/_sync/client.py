# Made of `_async` by tools/generate.py: change it there.
"""The client."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any, Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx2

from .. import _requests as requests
from .. import models
from .._requests import Options, Request, Retries, Token
from ..outcome import Outcome, Progress
from .job import Job
from .keys import Keys
from .map import Map
from .quotas import Quotas
from .schedules import Schedules
from .transport import Transport
from .webhooks import Webhooks
from .workers import Workers

Page = TypeVar("Page", bound=requests.Page)
Many = TypeVar("Many", bound=requests.Many)


class Client:
    """A Nox server, as somebody.

    `url` is NOX_URL, or else http://127.0.0.1:8081, if left out, and `token` NOX_TOKEN; a function in its place is called
    for a token whenever the last one has ended. `http` is used as it is, and stays the caller's to close.

    Every submit bears an idempotency key and every request that changes nothing twice is sent again while the server is
    away or asks for patience, for `retries.for_s` seconds.
    """

    def __init__(
        self,
        url: str | None = None,
        token: Token | None = None,
        *,
        retries: Retries | None = None,
        http: httpx2.Client | None = None,
    ) -> None:
        self._transport = Transport(
            requests.address(url), requests.bearer(token), retries or Retries(), http
        )
        # The newest frame of the log that this client has caused: its lists show that or newer.
        self._least = 0
        self.schedules = Schedules(self)
        self.webhooks = Webhooks(self)
        self.keys = Keys(self)
        self.quotas = Quotas(self)
        self.workers = Workers(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._transport.close()

    def run(
        self,
        module: str,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        options: Options | None = None,
        key: str | None = None,
        **more: Any,
    ) -> Job:
        """Submits a job of a module; `inputs` and `more` together are its inputs.

        A path among them is read as UTF-8 text, and texts that are too large for inputs are uploaded. With the same `key`
        (1 to 255 printable ASCII characters) it is the same job, however often this is called; without one it is a new job
        each time. Raises Invalid with the places of what the module's schema refuses.
        """
        body = self._job_body(module, requests.inputs_of(inputs, more), options)
        return self._submitted("/jobs", body, key)

    def command(
        self, line: str, *, options: Options | None = None, key: str | None = None
    ) -> Job:
        """Submits a line of shell, which runs without network in a folder of its own. Raises Forbidden to whoever may not."""
        body = {"command": line, **(options or Options()).members()}
        return self._submitted("/jobs", body, key)

    def map(
        self,
        module: str,
        inputs: Iterable[Mapping[str, Any]],
        *,
        key: str | None = None,
        options: Options | None = None,
        max_in_flight: int = 500,
        ordered: bool = True,
        progress: Progress = False,
        patience_s: float = 300.0,
    ) -> Generator[Outcome, None, None]:
        """A job for each of the inputs, and what came of each: in their order, or as they end.

        Jobs are submitted as one iterates over it, and the inputs read.

        With the same `key` the same inputs are the same jobs: what was killed in the middle goes on where it was when it
        is called again, and nothing runs twice. Inputs that have changed, and such as were added at the end, run. Without a
        key all of it runs anew. The jobs' `release_id` is the key (at most 128 bytes), unless `options` says another.

        At most `max_in_flight` jobs (100 at least, which go together) are open at a time, and ten times as many results wait for those before them.
        A job that is refused or fails is an outcome as well, which raises when its result is asked for.
        Raises QuotaExceeded where quotas let nothing in for `patience_s` seconds while no job of this is open.
        """
        mapped = Map(self, module, inputs, key, options, max_in_flight, ordered, patience_s)
        outcomes = mapped.outcomes(progress)
        with closing(outcomes):
            for outcome in outcomes:
                yield outcome

    def job(self, id: str) -> Job:
        """The job with this id, which is not asked for yet."""
        return Job(self, id)

    def jobs(
        self, *, limit: int | None = None, **filters: str | int | datetime
    ) -> Generator[Job, None, None]:
        """Jobs, the newest first, each with its `view`; at most `limit`. What this client has submitted is among them.

        `filters` are those of `GET /jobs`: status, module, user_id, release_id, label, waiting, error_code, created_after, …
        """
        query = requests.filters(filters)
        query.setdefault("n", self._least or None)
        left = limit
        while left is None or left > 0:
            size = 200 if left is None else min(200, left)
            page = self._page({**query, "limit": size})
            for view in page.jobs:
                yield Job(self, str(view.id), view=view)
            left = None if left is None else left - len(page.jobs)
            if page.next is None:
                return
            query["cursor"] = page.next

    def cancel_all(
        self,
        *,
        preview: bool = False,
        at_most: int | None = None,
        reason: str | None = None,
        **filters: str | int | datetime,
    ) -> models.CanceledJobs:
        """Ends all jobs that `filters` (as those of `jobs`, one at least) choose, and says what became of each.

        With `preview` nothing is done, and `count` says how many there are. Where there are more than `at_most`, nothing is
        done, and it raises Conflict.
        """
        query = {**requests.filters(filters), "preview": preview or None, "at_most": at_most}
        return self._many(models.CanceledJobs, "/jobs/cancel", query, reason)

    def retry_all(
        self,
        *,
        preview: bool = False,
        at_most: int | None = None,
        key: str | None = None,
        reason: str | None = None,
        **filters: str | int | datetime,
    ) -> models.RetriedJobs:
        """Repeats all jobs that have ended and that `filters` choose, as `cancel_all` ends them.

        With the same `key` each job is repeated once, however often this is called. The newest go first.
        """
        if "sort" in filters:
            # The oldest first, what is repeated would come to be repeated itself, without an end.
            raise ValueError("the newest go first")
        query = {**requests.filters(filters), "preview": preview or None, "at_most": at_most}
        return self._many(
            models.RetriedJobs, "/jobs/retry", query, reason, key or uuid4().hex
        )

    def queue(
        self, *, as_of: int | datetime | None = None, status: str | None = None, limit: int = 1000
    ) -> models.Queue:
        """The open jobs, the first submitted first (at most `limit`, itself at most 1,000), and how many there are of each state.

        With `as_of`, a frame of the log or an instant, those of then.
        """
        query = {**requests.as_of(as_of), "status": status, "limit": limit}
        return models.Queue.model_validate(
            self._json(Request("GET", "/queue", query, safe=True))
        )

    def audit(self, **filters: str | datetime) -> Generator[models.Act, None, None]:
        """Who did what, the newest first; for admins.

        `filters` are those of `GET /audit`: user_id, verb, job_id, outcome, since, until, sort.
        """
        query = requests.filters(filters)
        for page in self._pages(models.Acts, "/audit", {**query, "limit": 200}):
            for act in page.acts:
                yield act

    def events(
        self, after: str | None = None, **filters: str
    ) -> Generator[models.CloudEvent, None, None]:
        """What happens, of all that one may see, from now on or behind an event's `id`, without an end.

        `filters` are those of `GET /events`: type, status, module, user_id, label. However often the connection is cut,
        each event comes once. Raises NotFound (`place_gone`) where the log has no such place any more.
        """
        stream = self._transport.events("/events", {**filters, "after": after})
        with closing(stream):
            for event in stream:
                yield models.CloudEvent.model_validate_json(event.data)

    def upload(self, content: str | bytes) -> models.Upload:
        """Keeps bytes for inputs to refer to, for as long as the server keeps uploads."""
        data = content.encode() if isinstance(content, str) else content
        headers = {"Content-Type": "application/octet-stream"}
        request = Request("PUT", "/uploads", headers=headers, content=data, safe=True)
        return models.Upload.model_validate(self._json(request))

    def task(self, room: str, job_name: str, payload: Mapping[str, Any]) -> Job:
        """Submits a task for workers that speak HTTP, by `<room>:<category>:<name>` of what they registered.

        The server has no idempotency keys for tasks: where no answer comes (ConnectionFailed), it may have been taken in.
        """
        path = f"/v1/joblib/rooms/{quote(room, safe='')}/tasks/{quote(job_name, safe='')}"
        body = {"payload": requests.inputs_of(payload, {})}
        task = models.Task.model_validate(self._json(Request("POST", path, json=body)))
        return Job(self, str(task.id))

    def modules(self) -> list[models.Module]:
        """What can be run, with the schemas of inputs and outputs."""
        document = self._json(Request("GET", "/modules", safe=True))
        return models.Modules.model_validate(document).modules

    def module(self, name: str) -> models.Module:
        """One of them. Raises NotFound."""
        request = Request("GET", f"/modules/{quote(name, safe='')}", safe=True)
        return models.Module.model_validate(self._json(request))

    def module_versions(self, name: str) -> list[models.ModuleVersion]:
        """The versions of a module that jobs may name, the present one first."""
        request = Request("GET", f"/modules/{quote(name, safe='')}/versions", safe=True)
        return models.ModuleVersions.model_validate(self._json(request)).versions

    def register_module(
        self, manifest: Mapping[str, Any], reason: str | None = None
    ) -> models.ModuleRegistered:
        """Registers a version of a module, for operators: the members of its manifest, with all that would lie beside it in it."""
        headers = requests.because(reason)
        # The same manifest again changes nothing.
        request = Request("POST", "/modules", headers=headers, json=dict(manifest), safe=True)
        return models.ModuleRegistered.model_validate(self._json(request))

    def switch_module(
        self, name: str, enabled: bool, reason: str | None = None
    ) -> models.Switched:
        """Has a module take jobs, or refuse them and start none; for operators."""
        path = f"/modules/{quote(name, safe='')}/{'enable' if enabled else 'disable'}"
        request = Request("POST", path, headers=requests.because(reason), safe=True)
        return models.Switched.model_validate(self._json(request))

    def me(self) -> models.Me:
        """Who one is to the server."""
        return models.Me.model_validate(self._json(Request("GET", "/me", safe=True)))

    def usage(self, as_of: int | datetime | None = None) -> models.Usage:
        """What is used of one's budget and limits, or was."""
        request = Request("GET", "/quotas/my/usage", requests.as_of(as_of), safe=True)
        return models.Usage.model_validate(self._json(request))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        reason: str | None = None,
    ) -> Any:
        """Any other request of the API: its answer's document, None if it has none. Raises ApiError."""
        safe = method in ("GET", "HEAD", "PUT", "DELETE")
        return self._ask(method, path, query, body, reason, safe=safe)

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        reason: str | None = None,
        *,
        safe: bool,
    ) -> Any:
        headers = requests.because(reason)
        request = Request(method, path, query or {}, headers, json=body, safe=safe)
        answer = self._transport.send(request)
        return answer.json() if answer.content else None

    def _json(self, request: Request) -> Any:
        return self._transport.json(request)

    def _job_body(self, module: str, inputs: Any, options: Options | None) -> dict[str, Any]:
        members = (options or Options()).members()
        return {"module": module, "inputs": self._taken_up(inputs), **members}

    def _submitted(
        self, path: str, body: Any, key: str | None, reason: str | None = None
    ) -> Job:
        headers = {"Idempotency-Key": key or uuid4().hex, **requests.because(reason)}
        request = Request("POST", path, headers=headers, json=body, safe=True)
        receipt = models.Receipt.model_validate(self._json(request))
        self._caused(receipt.n)
        return Job(self, str(receipt.id), n=receipt.n)

    def _caused(self, n: int | None) -> None:
        self._least = max(self._least, n or 0)

    def _taken_up(self, inputs: Any) -> Any:
        """Inputs as a job can have them: large texts are uploaded, which are the same reference each time."""
        uploads: dict[str, models.Upload] = {}
        for text in requests.large_texts(inputs):
            uploads[text] = self.upload(text)
        return requests.with_uploads(inputs, uploads)

    def _page(self, query: Mapping[str, Any]) -> models.Jobs:
        return models.Jobs.model_validate(
            self._json(Request("GET", "/jobs", query, safe=True))
        )

    def _pages(
        self, of: type[Page], path: str, query: Mapping[str, Any] | None = None
    ) -> Generator[Page, None, None]:
        """All pages of a list."""
        cursor: object = None
        while True:
            request = Request("GET", path, {**(query or {}), "cursor": cursor}, safe=True)
            page = of.model_validate(self._json(request))
            yield page
            cursor = page.next
            if cursor is None:
                return

    def _many(
        self,
        of: type[Many],
        path: str,
        query: Mapping[str, Any],
        reason: str | None,
        key: str | None = None,
    ) -> Many:
        """Acts on all jobs of a list, up to 1,000 of them in a request."""
        headers = {**requests.because(reason), **({"Idempotency-Key": key} if key else {})}
        query = {"n": self._least or None, **query}
        done: Many | None = None
        while done is None or done.next is not None:
            request = Request("POST", path, query, headers, safe=True)
            page = of.model_validate(self._json(request))
            for job in page.jobs:
                self._caused(job.n)
            if done is not None:
                page.jobs, page.count = done.jobs + page.jobs, done.count + page.count
            done = page
            # It is of all jobs, of which some are done now.
            query = {**query, "at_most": None, "cursor": page.next}
        return done
