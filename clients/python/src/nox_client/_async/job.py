"""A job, by its id."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from .. import _requests as requests
from .. import models, notebook
from .._requests import Request, Resources
from ..problems import Corrupt, WaitTimeout
from ..result import Result, ended, result_of

if TYPE_CHECKING:
    from .client import AsyncClient

# How often a log is looked at that somebody follows.
LOG_EVERY_S = 0.3


class AsyncJob:
    """One job. What is known of it is in `view`, as of when it was asked last; nothing is asked behind one's back."""

    def __init__(
        self, client: AsyncClient, id: str, *, n: int | None = None, view: models.Job | None = None
    ) -> None:
        self.id = id
        self.view = view
        self._client = client
        # A read that names it shows this frame of the log or newer.
        self._n = n

    def __repr__(self) -> str:
        state = f" {self.view.state}" if self.view else ""
        return f"<{type(self).__name__} {self.id}{state}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncJob) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """How a notebook shows it: as it stood when it was asked last."""
        return notebook.bundle(self.id, self.view, repr(self))

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    @property
    def state(self) -> str | None:
        """`draft`, `queued`, `running`, `succeeded`, `failed` or `canceled`, as of when it was asked last."""
        return self.view.state if self.view else None

    async def refresh(self) -> models.Job:
        """Asks how it stands. Raises NotFound where there is none, or it is somebody else's."""
        return await self._look({}, requests.ANSWER_S_MAX)

    async def as_of(self, when: int | datetime) -> models.Job:
        """How it stood after a frame of the log, or at an instant (with a time zone)."""
        query = requests.as_of(when)
        document = await self._client._json(Request("GET", self._path(), query, safe=True))
        return models.Job.model_validate(document)

    async def wait(self, timeout: float | None = None) -> models.Job:
        """Waits until it has ended, however. Raises WaitTimeout after `timeout` seconds; the job goes on then."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = float("inf") if deadline is None else deadline - time.monotonic()
            wait = requests.preferred_wait(min(left, requests.WAIT_S_MAX))
            view = await self._look(wait, requests.WAIT_S_MAX + requests.ANSWER_S_MAX)
            if ended(view):
                return view
            if deadline is not None and time.monotonic() >= deadline:
                raise WaitTimeout(f"job {self.id} is {view.state} after {timeout} s")
            if not wait:
                await asyncio.sleep(min(0.1, max(left, 0.0)))

    async def result(self, timeout: float | None = None) -> Result:
        """Waits for its end, and gives what came of it.

        Raises JobFailed or JobCanceled where it did not succeed, and WaitTimeout after `timeout` seconds.
        """
        return result_of(await self.wait(timeout))

    async def why(self, as_of: int | datetime | None = None) -> models.Why:
        """Why it waits or waited: `reason` is a sentence, the rest is data."""
        path = f"{self._path()}/why"
        request = Request("GET", path, {**requests.as_of(as_of), **self._least()}, safe=True)
        return models.Why.model_validate(await self._client._json(request))

    async def events(self, after: str = "0-0-0") -> AsyncGenerator[models.CloudEvent, None]:
        """What happens to it, from the beginning or behind an event's `id`, until its last; each event once."""
        stream = self._client._transport.events(f"{self._path()}/events", {"after": after})
        async with aclosing(stream):
            async for event in stream:
                yield models.CloudEvent.model_validate_json(event.data)

    async def logs(
        self, follow: bool = False, after: int | None = None
    ) -> AsyncGenerator[models.Chunk, None]:
        """What it printed, in pieces; with `follow` until it has ended and all was told.

        Its control characters are in there as they were printed: nothing obeys them here.
        """
        over = not follow
        while True:
            page = await self._log_page(after)
            for chunk in page.chunks:
                yield chunk
            after = page.next if page.next is not None else after
            if page.chunks:
                continue
            if over:
                return
            # What came between the empty page and the end is read once more.
            over = ended(await self.refresh())
            if not over:
                await asyncio.sleep(LOG_EVERY_S)

    async def log_text(self) -> str:
        """All that it has printed, with U+FFFD in place of what is no UTF-8."""
        request = Request(
            "GET", f"{self._path()}/logs", headers={"Accept": "text/plain"}, safe=True
        )
        return (await self._client._transport.send(request)).content.decode("utf-8", "replace")

    async def artifacts(self) -> models.Artifacts:
        """Scalars, series and kept files of one that has succeeded. Raises NotFound before that."""
        request = Request("GET", f"{self._path()}/artifacts", safe=True)
        return models.Artifacts.model_validate(await self._client._json(request))

    async def series(self, name: str) -> list[Any]:
        """All of a series, also where it is too long for the outputs. Waits for its end and raises as `result`, and KeyError."""
        found: Any = (await self.result()).series[name]
        if isinstance(found, dict):
            # More than 1,000 numbers are in a kept file, which has an array for each name.
            return list(json.loads(await self.read(found["file"]))[name])
        return list(found)

    async def read(self, name: str) -> bytes:
        """A kept file, in memory. Raises NotFound where there is none of the name."""
        request = Request("GET", self._file(name), headers={"Accept": "*/*"}, safe=True)
        return (await self._client._transport.send(request)).content

    async def download(self, name: str, to: str | os.PathLike[str] = ".") -> Path:
        """Writes a kept file into a folder, or to a path, and says where.

        The file is there when all of it is, and its SHA-256 is the one that the job's fact names: else raises Corrupt.
        """
        kept = next((of for of in (await self.artifacts()).artifacts if of.name == name), None)
        if kept is None:
            raise LookupError(f"job {self.id} has no file {name!r}")
        target = Path(to)
        if target.is_dir():
            # A name may have folders in it, which may be anybody's: the last part alone is taken.
            last = Path(name).name
            target = target / ("artifact" if last in ("", "..") else last)
        partial = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
        try:
            await self._write(name, partial, kept.sha256)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    async def cancel(self, reason: str | None = None) -> None:
        """Ends it, whatever it is doing. Raises Conflict where it has ended otherwise.

        `reason`, at most 500 characters, stands in the server's audit of who did what and why; so do those of other requests.
        """
        headers = requests.because(reason)
        # A second cancel changes nothing, and is answered as the first.
        request = Request("POST", f"{self._path()}/cancel", headers=headers, safe=True)
        document = await self._client._json(request)
        self._saw(models.CancelReceipt.model_validate(document).n)

    async def retry(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        resources: Resources | None = None,
        labels: Mapping[str, str] | None = None,
        key: str | None = None,
        reason: str | None = None,
    ) -> AsyncJob:
        """A new job that does once more what this one did, with other inputs, resources or labels where given.

        Raises Conflict while this one has not ended.
        """
        body: dict[str, Any] = {}
        if inputs is not None:
            body["inputs"] = await self._client._taken_up(requests.inputs_of(inputs, {}))
        if resources is not None:
            body["requested_resources"] = {
                name: value for name, value in vars(resources).items() if value is not None
            }
        if labels is not None:
            body["labels"] = dict(labels)
        return await self._client._submitted(f"{self._path()}/retry", body or None, key, reason)

    async def submit(self, reason: str | None = None) -> None:
        """Submits a draft; one that was submitted before stays as it is."""
        headers = requests.because(reason)
        request = Request("POST", f"{self._path()}/submit", headers=headers, safe=True)
        document = await self._client._json(request)
        self._saw(models.Receipt.model_validate(document).n)

    def _path(self) -> str:
        return f"/jobs/{quote(self.id, safe='')}"

    def _file(self, name: str) -> str:
        return f"{self._path()}/artifacts/{quote(name)}"

    def _saw(self, n: int | None) -> None:
        self._n = n or self._n
        self._client._caused(n)

    def _least(self) -> dict[str, Any]:
        return {} if self._n is None else {"n": self._n}

    async def _look(self, headers: dict[str, str], timeout_s: float) -> models.Job:
        request = Request(
            "GET", self._path(), self._least(), headers, safe=True, timeout_s=timeout_s
        )
        self.view = models.Job.model_validate(await self._client._json(request))
        return self.view

    async def _log_page(self, after: int | None) -> models.Logs:
        request = Request("GET", f"{self._path()}/logs", {"after": after}, safe=True)
        return models.Logs.model_validate(await self._client._json(request))

    async def _write(self, name: str, path: Path, sha256: str) -> None:
        with open(path, "wb") as file:
            request = Request("GET", self._file(name), safe=True)
            found = await self._client._transport.save(request, file)
        if found != sha256:
            raise Corrupt(f"{name} of job {self.id} is not what the job kept")
