"""What is the same for both clients: where they go, what a request is, when it is sent again, and how a job is written."""

from __future__ import annotations

import hashlib
import json
import os
import random
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Any, Protocol, Self

from . import models
from .problems import ApiError, NoxError, QuotaExceeded, RateLimited, Unavailable

DEFAULT_URL = "http://127.0.0.1:8081"

# An answer comes within 25 s; one that waits for an end (`WAIT_S_MAX`) as much later.
ANSWER_S_MAX = 30.0
# Longest wait that is asked for in one request, so that proxies with a minute's patience are content.
WAIT_S_MAX = 20
# The server sends something every 15 s while a stream lives.
STREAM_SILENCE_S_MAX = 40.0

# Inputs of more bytes than these go up first, as the API has it: 16 KiB of canonical JSON, less what that may add.
INPUTS_BYTES_MAX = 15 * 1024
# Texts of fewer bytes stay in the inputs.
UPLOADED_BYTES_MIN = 1024

Token = str | Callable[[], str]
"""A token, or what gives one whenever it is needed: it is asked again when the server says that the last has ended."""


class Page(Protocol):
    """A page of a list, as the API's description has them."""

    @property
    def next(self) -> object:
        """The cursor of the page behind it; None on the last."""

    @classmethod
    def model_validate(cls, obj: Any) -> Self: ...


class Many(Page, Protocol):
    """What became of many jobs."""

    count: int
    jobs: list[Any]


@dataclass(frozen=True)
class Request:
    """A request, before anybody knows how it is sent."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    json: Any = None
    content: bytes | None = None
    safe: bool = False
    """Whether a second one changes nothing that the first has not: then it is sent again when in doubt."""
    timeout_s: float = ANSWER_S_MAX


@dataclass(frozen=True)
class Retries:
    """How long, and how often, requests are sent again."""

    for_s: float = 30.0
    """Seconds after the first try, beyond which none begins; 0 for no second try."""
    backoff_s: float = 0.1
    """About as long before the second try, twice as long before each further one."""
    backoff_s_max: float = 5.0

    def delay(self, tries: int, error: NoxError) -> float | None:
        """Seconds to wait behind the `tries`th try, jitter included; None where another one has no point."""
        asked = error.retry_after if isinstance(error, ApiError) else None
        if isinstance(error, ApiError) and not may_pass(error):
            return None
        most = min(self.backoff_s_max, self.backoff_s * 2.0**tries)
        return (asked or 0) + random.uniform(most / 4, most)


def may_pass(error: ApiError) -> bool:
    """Whether the same request may be taken a moment later."""
    if isinstance(error, QuotaExceeded):
        # Budgets and queues are for the caller to wait for: it may be hours.
        return False
    return isinstance(error, Unavailable | RateLimited) or error.code == "body_timeout"


def never_done(error: NoxError) -> bool:
    """Whether the request was surely not carried out, so that even an unsafe one may be sent again."""
    return isinstance(error, RateLimited)


def address(url: str | None) -> str:
    """Where the server is: `url`, or NOX_URL, or a development system's address."""
    return (url or os.environ.get("NOX_URL") or DEFAULT_URL).rstrip("/")


def bearer(token: Token | None) -> Token | None:
    """Who asks: `token`, or NOX_TOKEN."""
    return token or os.environ.get("NOX_TOKEN") or None


@dataclass(frozen=True)
class Resources:
    """What one attempt of a job may use; what is left out is as the module has it."""

    cpu: int | None = None
    """Cores."""
    mem_mb: int | None = None
    """MiB."""
    wall_time_s: int | None = None
    """Seconds."""
    gpu: int | None = None
    """Devices."""


@dataclass(frozen=True)
class Options:
    """What is said of a job beside its module and inputs; all of it may be left out."""

    resources: Resources | None = None
    priority: int | None = None
    """0 (last) to 9 (first); 5 if left out."""
    run_at: datetime | None = None
    """Not before this instant, which has a time zone."""
    after: Iterable[str] = ()
    """Ids of jobs that must succeed first, at most 100."""
    labels: Mapping[str, str] | None = None
    release_id: str | None = None
    """What it is made for, in your words; at most 128 bytes."""
    module_version: str | None = None
    worker_labels: Iterable[str] = ()
    concurrency_key: str | None = None
    concurrency_limit: int | None = None
    """Jobs with this key that run at a time; 1 if left out."""
    draft: bool = False
    """Kept, and run only when it is submitted."""

    def members(self) -> dict[str, Any]:
        """The members of a job's body that these are. Raises ValueError for an instant without a time zone."""
        if self.run_at is not None and self.run_at.tzinfo is None:
            raise ValueError("run_at has no time zone")
        resources = vars(self.resources) if self.resources else {}
        concurrency = {"key": self.concurrency_key, "limit": self.concurrency_limit}
        members = {
            "requested_resources": _present(resources),
            "priority": self.priority,
            "run_at": self.run_at.isoformat() if self.run_at else None,
            "after": [str(job) for job in self.after],
            "labels": dict(self.labels or {}),
            "release_id": self.release_id,
            "module_version": self.module_version,
            "worker_labels": list(self.worker_labels),
            "concurrency": _present(concurrency) if self.concurrency_key else None,
            "draft": self.draft or None,
        }
        return {name: value for name, value in members.items() if value not in (None, [], {})}


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def inputs_of(inputs: Mapping[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs as JSON has them: paths are read as UTF-8 text. Raises ValueError where a member is named twice."""
    twice = set(inputs or {}) & set(more)
    if twice:
        raise ValueError(f"named twice: {', '.join(sorted(twice))}")
    return {name: _plain(value) for name, value in {**(inputs or {}), **more}.items()}


def _plain(value: Any) -> Any:
    match value:
        case PurePath():
            # Line ends as they are: what is computed is what lies there.
            with open(value, encoding="utf-8", newline="") as file:
                return file.read()
        case Mapping():
            return {str(name): _plain(member) for name, member in value.items()}
        case list() | tuple():
            return [_plain(member) for member in value]
        case _ if hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
        case _:
            return value


def written(value: Any) -> bytes:
    """Canonical JSON: sorted, compact, integers with all their digits. Raises ValueError for NaN and infinities."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def large_texts(value: Any) -> list[str]:
    """The texts in inputs that are worth an upload, the longest first; none where the inputs fit as they are."""
    if len(written(value)) <= INPUTS_BYTES_MAX:
        return []
    found: set[str] = set()
    _collect(value, found)
    return sorted(found, key=lambda text: (-len(text), text))


def _collect(value: Any, found: set[str]) -> None:
    match value:
        case str() if len(value.encode()) >= UPLOADED_BYTES_MIN:
            found.add(value)
        case dict():
            for member in value.values():
                _collect(member, found)
        case list():
            for member in value:
                _collect(member, found)
        case _:
            pass


def with_uploads(value: Any, uploads: Mapping[str, models.Upload]) -> Any:
    """The same inputs, with references in place of the texts that were uploaded."""
    match value:
        case str() if value in uploads:
            upload = uploads[value]
            return {"$upload": str(upload.id), "sha256": upload.sha256}
        case dict():
            return {name: with_uploads(member, uploads) for name, member in value.items()}
        case list():
            return [with_uploads(member, uploads) for member in value]
        case _:
            return value


def digest(*parts: str | bytes) -> str:
    """Names a list of texts: 32 hexadecimal digits, other ones for every other list."""
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hasher.update(len(data).to_bytes(8, "big") + data)
    return hasher.hexdigest()[:32]


def as_of(when: int | datetime | None) -> dict[str, str]:
    """The query of a look at the past: a frame's number, or an instant with a time zone."""
    if when is None:
        return {}
    if isinstance(when, datetime) and when.tzinfo is None:
        raise ValueError("as_of has no time zone")
    return {"as_of": when.isoformat() if isinstance(when, datetime) else str(when)}


def because(reason: str | None) -> dict[str, str]:
    """The header that says why, in the server's audit. Raises ValueError for what no header can have: control characters."""
    if reason is None:
        return {}
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in reason):
        raise ValueError("a reason has no control characters")
    return {"Nox-Reason": reason}


def filters(words: Mapping[str, str | int | datetime]) -> dict[str, Any]:
    """The query of a list. Raises ValueError for an instant without a time zone."""
    return {name: _word(name, value) for name, value in words.items()}


def _word(name: str, value: str | int | datetime) -> str | int:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError(f"{name} has no time zone")
    return value.isoformat()


def preferred_wait(left_s: float) -> dict[str, str]:
    """The header that asks to be answered when the job has ended, or in at most so many whole seconds."""
    whole = min(WAIT_S_MAX, int(left_s))
    return {"Prefer": f"wait={whole}"} if whole >= 1 else {}
