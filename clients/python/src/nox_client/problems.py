"""What can go wrong, as exceptions: what the server refuses, one class for each kind of reason, and what a job came to.

`CLASSES` has every code that the API's description knows; the tests compare the two.
"""

from __future__ import annotations

import json
from typing import Any

import pydantic

from . import models


class NoxError(Exception):
    """Whatever this package raises of its own accord."""


class ConnectionFailed(NoxError):
    """Nobody answered at the address, or the answer broke off, for as long as requests are repeated."""


class WaitTimeout(NoxError, TimeoutError):
    """What was waited for had not happened when the time was over. The job goes on."""


class Corrupt(NoxError):
    """A file's bytes are not those that the job kept, by their SHA-256."""


class ApiError(NoxError):
    """The server refused a request, and said why (RFC 9457)."""

    def __init__(self, problem: models.Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    @property
    def type(self) -> str:
        """The address, on the same server, of a page that says what to do."""
        return self.problem.type

    @property
    def code(self) -> str:
        """The stable word for the reason, for example `invalid_inputs`."""
        return self.problem.code

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def detail(self) -> str:
        """What is wrong, in a sentence for people."""
        return self.problem.detail

    @property
    def errors(self) -> list[models.FieldError]:
        """Each thing that is wrong with body or query, with its JSON pointer."""
        return self.problem.errors or []

    @property
    def pointer(self) -> str | None:
        """The place of the first of them."""
        return self.errors[0].pointer if self.errors else None

    @property
    def request_id(self) -> str | None:
        """What finds the request in the server's log."""
        return self.problem.request_id

    @property
    def retry_after(self) -> int | None:
        """Seconds after which to try again, where the server says so."""
        return self.problem.retry_after

    def __str__(self) -> str:
        places = "".join(f"; {error.pointer}: {error.detail}" for error in self.errors)
        return f"{self.code} ({self.status}): {self.detail}{places}"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.problem,))


class BadRequest(ApiError):
    """The request itself is wrong: no version of it will be taken."""


class Invalid(BadRequest):
    """Body, query or inputs do not fit what is described; `errors` has the places."""


class Unauthenticated(ApiError):
    """No token, one that the server does not know, or one that has ended."""


class Forbidden(ApiError):
    """The token does not allow this."""


class NotFound(ApiError):
    """It does not exist, or is somebody else's, or is gone."""


class Conflict(ApiError):
    """It cannot be done to what there is now."""


class IdempotencyConflict(Conflict):
    """The key belongs to a request that meant something else."""


class QuotaExceeded(ApiError):
    """More than the asker may have, now (`retry_after`) or ever."""


class RateLimited(ApiError):
    """Too many requests in too short a time."""


class Unavailable(ApiError):
    """The server cannot do it now; the request may be sent again."""


class ServerDefect(ApiError):
    """A defect of the server's."""


CLASSES: dict[str, type[ApiError]] = {
    "account_not_found": NotFound,
    "already_ended": Conflict,
    "ambiguous_head": BadRequest,
    "artifact_not_found": NotFound,
    "at_most_exceeded": Conflict,
    "body_timeout": BadRequest,
    "body_too_large": BadRequest,
    "budget_exhausted": QuotaExceeded,
    "delivery_not_found": NotFound,
    "disabled_module": Conflict,
    "forbidden": Forbidden,
    "head_too_large": BadRequest,
    "idempotency_conflict": IdempotencyConflict,
    "internal": ServerDefect,
    "invalid_category": Invalid,
    "invalid_command": Invalid,
    "invalid_id": Invalid,
    "invalid_inputs": Invalid,
    "invalid_manifest": Invalid,
    "invalid_request": Invalid,
    "invalid_room_id": Invalid,
    "invalid_task_transition": Conflict,
    "job_not_found": NotFound,
    "key_not_found": NotFound,
    "lagging": Unavailable,
    "malformed_json": BadRequest,
    "method_not_allowed": BadRequest,
    "module_not_found": NotFound,
    "not_ended": Conflict,
    "overloaded": Unavailable,
    "parked": Conflict,
    "place_gone": NotFound,
    "queue_full": QuotaExceeded,
    "range_not_satisfiable": BadRequest,
    "rate_limited": RateLimited,
    "refused": Invalid,
    "request_too_large": QuotaExceeded,
    "route_not_found": NotFound,
    "schedule_not_found": NotFound,
    "schema_conflict": Conflict,
    "stale_stamp": Unavailable,
    "storage_full": Unavailable,
    "task_not_found": NotFound,
    "token_expired": Unauthenticated,
    "too_many": Conflict,
    "unauthenticated": Unauthenticated,
    "unavailable": Unavailable,
    "unknown_module": Invalid,
    "unsatisfiable": Invalid,
    "unstorable_json": Invalid,
    "unsupported_media_type": BadRequest,
    "upload_quota": QuotaExceeded,
    "version_conflict": Conflict,
    "webhook_disabled": Conflict,
    "webhook_not_found": NotFound,
    "worker_not_found": NotFound,
}

# For codes that are newer than this package.
_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    422: Invalid,
    429: RateLimited,
}


def of_problem(problem: models.Problem) -> ApiError:
    """The exception for a problem, by its code; of an unknown code by its status."""
    known = CLASSES.get(problem.code) or _BY_STATUS.get(problem.status)
    if known is None:
        known = Unavailable if problem.status in (502, 503, 504, 507) else None
    if known is None:
        known = ServerDefect if problem.status >= 500 else BadRequest
    return known(problem)


def of_answer(status: int, retry_after: str | None, body: bytes) -> ApiError:
    """The exception for an answer, which a proxy in between may have written: then its code is `http_<status>`."""
    try:
        return of_problem(models.Problem.model_validate(json.loads(body)))
    except (ValueError, pydantic.ValidationError):
        pass
    detail = body[:200].decode("utf-8", "replace") or f"the answer has the status {status}"
    return of_problem(
        models.Problem(
            type="about:blank",
            title=f"HTTP {status}",
            status=status,
            detail=detail,
            code=f"http_{status}",
            error=f"HTTP {status}",
            message=detail,
            retry_after=int(retry_after) if retry_after and retry_after.isdigit() else None,
        )
    )


class JobNotSucceeded(NoxError):
    """A job has ended, and has no result."""

    def __init__(self, job: models.Job) -> None:
        super().__init__(job)
        self.job = job

    @property
    def code(self) -> str | None:
        """The stable word for why it failed."""
        return self.job.error.code if self.job.error else None

    def __str__(self) -> str:
        said = f": {self.job.error.code}: {self.job.error.message}" if self.job.error else ""
        return f"job {self.job.id} {self.job.state}{said}"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.job,))


class JobFailed(JobNotSucceeded):
    """The job failed for good; `code`, and the job's error, say why."""


class JobCanceled(JobNotSucceeded):
    """Somebody canceled the job."""
