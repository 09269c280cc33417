"""Thousands of jobs under one key.

Jobs are submitted in batches of `BATCH_JOBS`. A batch's idempotency key is of the map's key and of where the batch begins,
and counts for each place in it; so the batches of every run begin at the same places, whatever is in flight. Where a place
has other inputs than before, the server says so, and that job goes by itself under a key of (key, index, content).

Ends are read from the list of the map's jobs, a page at a time; a page whose jobs have all ended is not read again. What the
list does not show is asked for by its id, so nothing depends on it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .. import _requests as requests
from .. import models
from .._requests import Options, Request
from ..outcome import Outcome, Progress, Reported
from ..problems import ApiError, IdempotencyConflict, QuotaExceeded, Unavailable, of_problem
from ..result import ended

if TYPE_CHECKING:
    from .client import AsyncClient

# Another number would give every job another key: of inputs as large as they may be, so many are 1.6 MB of a batch's 4 MiB.
BATCH_JOBS = 100
# How many of the jobs in flight may wait, ended, for one before them.
BUFFER_FACTOR = 10
# As many as a release's id may have.
KEY_BYTES_MAX = 128
# The list is read for at most this part of the time.
LIST_SHARE = 0.2
# Shortest and longest time between two reads of it, in seconds.
LIST_EVERY_S, LIST_EVERY_S_MAX = 0.05, 1.0
# Ends that were seen of jobs that this run has not submitted again yet.
SEEN_MAX = 10_000
# Seconds until a batch that quotas have not let in is sent again.
QUOTA_EVERY_S = 2.0


@dataclass
class Batch:
    """Jobs that are submitted together."""

    start: int
    jobs: list[dict[str, Any]]
    taken: set[int] = field(default_factory=set[int])
    """Places that are decided."""


class AsyncMap:
    """A run of one map."""

    def __init__(
        self,
        client: AsyncClient,
        module: str,
        inputs: Iterable[Mapping[str, Any]],
        key: str | None,
        options: Options | None,
        max_in_flight: int,
        ordered: bool,
        patience_s: float,
    ) -> None:
        if max_in_flight < BATCH_JOBS:
            raise ValueError(f"max_in_flight is less than {BATCH_JOBS}, which go together")
        self._client = client
        self._key = key or uuid4().hex
        if len(self._key.encode()) > KEY_BYTES_MAX:
            raise ValueError(f"a key has at most {KEY_BYTES_MAX} bytes")
        self._body = {"module": module, "release_id": self._key, **(options or Options()).members()}
        self._inputs: Iterator[Mapping[str, Any]] = iter(inputs)
        self._total = len(inputs) if isinstance(inputs, Sized) else None
        self._in_flight_max = max_in_flight
        self._ordered = ordered
        self._patience_s = patience_s
        self._read = 0
        self._exhausted = False
        self._unsent: deque[Batch] = deque()
        # Jobs that have not ended, by id, in the order of their submission.
        self._open: dict[str, int] = {}
        self._outcomes: deque[Outcome] = deque()
        self._seen: dict[str, models.Job] = {}
        self._cursor: str | None = None
        # Reads of the list in a row that found nothing.
        self._idle = 0
        self._blocked_until = 0.0
        self._blocked_since: float | None = None

    async def outcomes(self, progress: Progress) -> AsyncGenerator[Outcome, None]:
        """What came of each, in order or as they end."""
        reported = Reported(progress, self._total)
        early: dict[int, Outcome] = {}
        expected = 0
        try:
            while True:
                await self._fill(expected)
                while self._outcomes:
                    outcome = self._outcomes.popleft()
                    reported.one_more()
                    if not self._ordered:
                        expected += 1
                        yield outcome
                        continue
                    early[outcome.index] = outcome
                    while expected in early:
                        yield early.pop(expected)
                        expected += 1
                if self._exhausted and not self._unsent and not self._open and not self._outcomes:
                    return
                if not self._outcomes:
                    await self._wait()
        finally:
            reported.close()

    async def _fill(self, expected: int) -> None:
        """Submits what there is room for."""
        while time.monotonic() >= self._blocked_until:
            batch = await self._next_batch(expected)
            if batch is None or not await self._submit(batch):
                return

    async def _next_batch(self, expected: int) -> Batch | None:
        if self._unsent:
            return self._unsent.popleft()
        in_flight = len(self._open)
        if in_flight and in_flight + BATCH_JOBS > self._in_flight_max:
            return None
        if self._exhausted or self._read - expected > BUFFER_FACTOR * self._in_flight_max:
            return None
        batch = Batch(self._read, [await self._job(of) for of in islice(self._inputs, BATCH_JOBS)])
        self._exhausted = len(batch.jobs) < BATCH_JOBS
        self._read += len(batch.jobs)
        return batch if batch.jobs else None

    async def _job(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **self._body,
            "inputs": await self._client._taken_up(requests.inputs_of(inputs, {})),
        }

    async def _submit(self, batch: Batch) -> bool:
        """Submits a batch, again where some of it was not let in; whether all of it is decided."""
        headers = {"Idempotency-Key": requests.digest(self._key, "batch", str(batch.start))}
        body = {"jobs": batch.jobs, "atomic": False}
        request = Request("POST", "/jobs/batch", headers=headers, json=body, safe=True)
        answers = models.BatchAnswers.model_validate(await self._client._json(request))
        later: ApiError | None = None
        for place, became in enumerate(answers.jobs):
            if place in batch.taken:
                continue
            refusal = await self._became(batch, place, became)
            later = later or refusal
        if later is None:
            self._blocked_since = None
            return True
        self._unsent.appendleft(batch)
        self._block(later)
        return False

    async def _became(
        self, batch: Batch, place: int, became: models.Became1 | models.Became2
    ) -> ApiError | None:
        """Takes in what became of one; what refuses it for now."""
        index = batch.start + place
        try:
            receipt = _receipt(became)
        except IdempotencyConflict:
            try:
                receipt = await self._single(index, batch.jobs[place])
            except ApiError as error:
                return self._refused(batch, place, error)
        except ApiError as error:
            return self._refused(batch, place, error)
        batch.taken.add(place)
        self._client._caused(receipt.n)
        id = str(receipt.id)
        if id in self._seen:
            self._outcomes.append(Outcome(index, self._seen.pop(id)))
        else:
            self._open[id] = index
        return None

    def _refused(self, batch: Batch, place: int, error: ApiError) -> ApiError | None:
        passes = isinstance(error, Unavailable) or error.status == 429
        if passes:
            return error
        batch.taken.add(place)
        self._outcomes.append(Outcome(batch.start + place, None, error))
        return None

    async def _single(self, index: int, job: dict[str, Any]) -> models.Receipt:
        """Submits a job whose place had another one before."""
        key = requests.digest(self._key, "job", str(index), requests.written(job))
        request = Request("POST", "/jobs", headers={"Idempotency-Key": key}, json=job, safe=True)
        return models.Receipt.model_validate(await self._client._json(request))

    def _block(self, refusal: ApiError) -> None:
        """Sends nothing for a while. Raises the refusal where it has lasted too long."""
        now = time.monotonic()
        if self._open or self._blocked_since is None:
            self._blocked_since = now
        asked = float(refusal.retry_after or 0)
        hopeless = isinstance(refusal, QuotaExceeded) and asked > self._patience_s
        if not self._open and (hopeless or now - self._blocked_since > self._patience_s):
            raise refusal
        self._blocked_until = now + min(max(asked, 0.2), QUOTA_EVERY_S)

    async def _wait(self) -> None:
        """Waits until one has ended, or for a second, and takes in whatever has."""
        if not self._open:
            await asyncio.sleep(max(0.0, self._blocked_until - time.monotonic()))
            return
        if self._ordered:
            await self._look_at(next(iter(self._open)), 1.0)
        if not self._open:
            return
        begun, before = time.monotonic(), len(self._open)
        await self._read_list()
        # Many that end one by one are read together, and seldom where none does.
        self._idle = 0 if len(self._open) < before else min(self._idle + 1, 5)
        rest = (time.monotonic() - begun) * (1 / LIST_SHARE - 1)
        await asyncio.sleep(min(max(rest, LIST_EVERY_S * 2**self._idle), LIST_EVERY_S_MAX))

    async def _look_at(self, id: str, wait_s: float) -> None:
        """Waits for the end of one, for so many seconds at most."""
        query = {"n": self._client._least or None}
        headers = requests.preferred_wait(wait_s)
        request = Request("GET", f"/jobs/{id}", query, headers, safe=True)
        view = models.Job.model_validate(await self._client._json(request))
        if ended(view):
            self._settle(view)

    async def _read_list(self) -> None:
        """Takes in what has ended, of the pages that the open jobs are on."""
        cursor, leading, more = self._cursor, True, True
        found: list[models.Job] = []
        missing = set(self._open)
        while more and missing:
            query = {
                "release_id": _word(self._body["release_id"]),
                "sort": "created_at",
                "limit": 200,
                "cursor": cursor,
                "n": self._client._least or None,
            }
            page = await self._client._page(query)
            found += [view for view in page.jobs if ended(view)]
            missing -= {str(view.id) for view in page.jobs}
            leading = leading and all(ended(view) for view in page.jobs)
            more, cursor = page.next is not None, page.next
            # The page that it begins behind is never read again.
            self._cursor = cursor if leading and more else self._cursor
        for view in sorted(found, key=lambda view: view.ended_at or view.created_at):
            self._settle(view)
        # What is on no page had ended before it was submitted once more, and was not kept.
        for id in missing:
            await self._look_at(id, 0.0)

    def _settle(self, view: models.Job) -> None:
        index = self._open.pop(str(view.id), None)
        if index is not None:
            self._outcomes.append(Outcome(index, view))
        elif len(self._seen) < SEEN_MAX and not self._exhausted:
            self._seen[str(view.id)] = view


def _receipt(became: models.Became1 | models.Became2) -> models.Receipt:
    """Of a job that was let in. Raises why it was not."""
    if isinstance(became, models.Became2):
        raise of_problem(became.problem)
    return became.accepted


def _word(text: str) -> str:
    """As a word of a filter is written, in which commas separate and blanks go."""
    return "".join(f"\\{character}" if character in ", \\" else character for character in text)
