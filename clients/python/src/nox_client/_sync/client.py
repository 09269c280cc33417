# Made of `_async` by tools/generate.py: change it there.
"""The client."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx2

from .. import _requests as requests
from .. import models
from .._requests import Options, Request, Retries, Token
from ..outcome import Outcome, Progress
from .job import Job
from .map import Map
from .transport import Transport


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
        body = {
            "module": module,
            "inputs": self._taken_up(requests.inputs_of(inputs, more)),
            **(options or Options()).members(),
        }
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
        query: dict[str, Any] = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in filters.items()
        }
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

    def me(self) -> models.Me:
        """Who one is to the server."""
        return models.Me.model_validate(self._json(Request("GET", "/me", safe=True)))

    def usage(self) -> models.Usage:
        """What is used of one's budget and limits."""
        document = self._json(Request("GET", "/quotas/my/usage", safe=True))
        return models.Usage.model_validate(document)

    def request(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        """Any other request of the API: its answer's document, None if it has none. Raises ApiError."""
        safe = method in ("GET", "HEAD", "PUT", "DELETE")
        answer = self._transport.send(
            Request(method, path, query or {}, json=body, safe=safe)
        )
        return answer.json() if answer.content else None

    def _json(self, request: Request) -> Any:
        return self._transport.json(request)

    def _submitted(self, path: str, body: Any, key: str | None) -> Job:
        headers = {"Idempotency-Key": key or uuid4().hex}
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
