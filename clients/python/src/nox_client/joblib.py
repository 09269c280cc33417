"""The `JobManager` of those who extend a viewer: a dictionary of what they have registered, and a stream of tasks.

    vis = Vis("http://127.0.0.1:8081", token)

    @vis.jobs.register
    class Rotate(BaseModel):
        angle: float = 0.0

        def run(self, vis: Vis) -> None: ...

    for task in vis.jobs.listen():
        vis.jobs.heartbeat()
        task.run(vis)

Names and words are those of the users' document (seed 002 in docs/seeds.md); `Worker` does more, and by itself.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol, TypeVar, overload
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, PrivateAttr

from ._requests import ANSWER_S_MAX, address, bearer
from ._task_result import ending, members
from .problems import Conflict, NotFound, RateLimited, ServerDefect, Unavailable, of_answer
from .worker import HEARTBEAT_S

log = logging.getLogger("nox_client.joblib")

# Seconds after which nobody tries any more to tell what came of a task.
AGAIN_FOR_S = 30.0

Extension = TypeVar("Extension", bound=type[BaseModel])


class Http(Protocol):
    """A client of `httpx2`, or of `httpx`."""

    def request(self, method: str, url: Any, *, headers: Any = ..., json: Any = ...) -> Any: ...


class ApiManager(Protocol):
    """Where the server is, and who asks."""

    @property
    def http(self) -> Http: ...

    def get_headers(self) -> dict[str, str]: ...

    @property
    def base_url(self) -> str: ...


class Vis:
    """An ApiManager with its jobs. `url` and `token` are NOX_URL and NOX_TOKEN, if left out."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self.http = httpx2.Client(timeout=ANSWER_S_MAX)
        self._url, self._token = address(url), bearer(token)
        self.jobs = JobManager(self)

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return self._url

    def get_headers(self) -> dict[str, str]:
        """Who asks."""
        token = self._token() if callable(self._token) else self._token
        return {"Authorization": f"Bearer {token}"} if token else {}


class ClaimedTask(BaseModel):
    """A task that this worker has."""

    id: str
    job_name: str
    """`<room_id>:<category>:<name>`"""
    room_id: str
    payload: dict[str, Any]
    created_at: datetime
    attempt: int
    _manager: JobManager | None = PrivateAttr(default=None)

    def run(self, vis: Any) -> Any:
        """Makes the registered class of the payload and calls its `run(vis)`, if it has one; tells what came of it.

        What that raises fails the task, and is raised here as well. Raises Conflict where the task was cancelled meanwhile.
        """
        assert self._manager is not None
        self._manager._update(self, {"status": "running"})
        try:
            extension = self._manager[self.job_name].model_validate(self.payload)
            run = getattr(extension, "run", None)
            result = run(vis) if callable(run) else None
            completed = {"status": "completed", "result": members(result)}
        except Exception:
            error = ending(traceback.format_exc())
            self._manager._update(self, {"status": "failed", "error": error})
            raise
        self._manager._update(self, completed)
        return result


class TaskStream:
    """Claims tasks, one after the other, for as long as it is asked for the next; looks every `interval` seconds.

    While the server is away it waits. Where the server has given this worker up meanwhile, all is registered anew.
    """

    def __init__(self, manager: JobManager, interval: float) -> None:
        self._manager = manager
        self._stop = threading.Event()
        # When the server was last known to know this worker.
        self._known_at: float | None = None
        self.interval = interval

    def __iter__(self) -> Iterator[ClaimedTask]:
        return self

    def __next__(self) -> ClaimedTask:
        while not self._stop.is_set():
            try:
                task = self._manager.claim()
                if task is not None:
                    # Whoever works at it for long may be given up.
                    self._known_at = None
                    return task
                self._look_after()
            except _passing() as error:
                log.warning("no claim: %s", error)
                self._known_at = None
            self._stop.wait(self.interval)
        raise StopIteration

    def stop(self) -> None:
        """Has it end before the next task."""
        self._stop.set()

    def _look_after(self) -> None:
        """Nobody says to a worker that was given up that there will be no tasks for it: it is asked for."""
        if self._known_at is None or time.monotonic() - self._known_at > HEARTBEAT_S:
            self._manager._stay()
            self._known_at = time.monotonic()


class JobManager:
    """What is registered, by `<room>:<category>:<name>`. Each request raises ApiError where it is refused."""

    def __init__(self, api: ApiManager) -> None:
        self.api = api
        self._registry: dict[str, type[BaseModel]] = {}
        self._worker_id: str | None = None

    def __getitem__(self, key: str) -> type[BaseModel]:
        return self._registry[key]

    def __len__(self) -> int:
        return len(self._registry)

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry)

    @overload
    def register(self, task_class: Extension, *, room: str | None = None) -> Extension: ...

    @overload
    def register(
        self, task_class: None = None, *, room: str | None = None
    ) -> Callable[[Extension], Extension]: ...

    def register(self, task_class: Any = None, *, room: str | None = None) -> Any:
        """Registers a pydantic model, with its JSON Schema, and the caller's worker for its tasks.

        Without a room for all of them (`@global`), which is for admins. `category`, an attribute of the class, is
        `modifiers` if left out. Raises Conflict (`schema_conflict`) where it is there with another schema.
        """

        def decorator(cls: Extension) -> Extension:
            self._register(cls, room if room is not None else "@global")
            return cls

        return decorator if task_class is None else decorator(task_class)

    def listen(self, interval: float = 2.0) -> TaskStream:
        """The tasks of all that is registered, the oldest first."""
        return TaskStream(self, interval)

    def claim(self) -> ClaimedTask | None:
        """The oldest of them; None where there is none now."""
        task = self._ask("POST", "/v1/joblib/tasks/claim").get("task")
        if task is None:
            return None
        claimed = ClaimedTask.model_validate(task)
        claimed._manager = self
        return claimed

    def submit(self, extension: BaseModel, room: str, *, registered_in: str = "@global") -> str:
        """Submits a task in a room, of what is registered there or for all; the task's id, which is a job's as well."""
        name = f"{registered_in}:{_category(type(extension))}:{type(extension).__name__}"
        path = f"/v1/joblib/rooms/{quote(room, safe='')}/tasks/{quote(name, safe='')}"
        return str(self._ask("POST", path, {"payload": extension.model_dump(mode="json")})["id"])

    def heartbeat(self) -> None:
        """Says that this worker lives: within each 60 s (NOX_JOBLIB_WORKER_TIMEOUT_SECONDS) while it works."""
        self._ask("PATCH", f"/v1/joblib/workers/{quote(self._get_worker_id(), safe='')}")

    def _stay(self) -> None:
        """A heartbeat, or a new beginning."""
        try:
            self.heartbeat()
        except NotFound:
            for name, cls in self._registry.items():
                self._register(cls, name.partition(":")[0])

    def _register(self, cls: type[BaseModel], room: str) -> None:
        category = _category(cls)
        body = {"category": category, "name": cls.__name__, "schema": cls.model_json_schema()}
        self._ask("PUT", f"/v1/joblib/rooms/{quote(room, safe='')}/jobs", body)
        self._registry[f"{room}:{category}:{cls.__name__}"] = cls

    def _get_worker_id(self) -> str:
        if self._worker_id is None:
            self._worker_id = str(self._ask("GET", "/v1/me")["id"])
        return self._worker_id

    def _update(self, task: ClaimedTask, body: dict[str, Any]) -> None:
        """Moves a task on. A task that nobody speaks of stays as it is, so what was cut is said again for a while."""
        path = f"/v1/joblib/tasks/{task.id}"
        begun, tries = time.monotonic(), 0
        while True:
            try:
                self._ask("PATCH", path, {**body, "attempt": task.attempt})
                return
            except Conflict:
                # Where the answer to a first try was lost, the second finds it done.
                view = self._ask("GET", path) if tries else {}
                if (view.get("status"), view.get("attempt")) != (body["status"], task.attempt):
                    raise
                return
            except _passing() as error:
                if time.monotonic() - begun > AGAIN_FOR_S:
                    raise
                log.warning("task %s: %s", task.id, error)
            tries += 1
            time.sleep(min(0.1 * 2**tries, 5.0))

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.api.base_url}{path}"
        headers = self.api.get_headers()
        if body is None:
            answer = self.api.http.request(method, url, headers=headers)
        else:
            answer = self.api.http.request(method, url, headers=headers, json=body)
        if answer.status_code >= 400:
            raise of_answer(answer.status_code, answer.headers.get("Retry-After"), answer.content)
        return answer.json() if answer.content else None


def _passing() -> tuple[type[Exception], ...]:
    """What says that the server is away, or asks for patience, or that the connection was cut, by a client of either kind."""
    modules = (sys.modules.get(name) for name in ("httpx", "httpx2"))
    cut = [module.TransportError for module in modules if module is not None]
    return (Unavailable, RateLimited, ServerDefect, *cut)


def _category(cls: type[BaseModel]) -> str:
    """Its attribute; of a field of the same name its default."""
    told = getattr(cls, "category", None)
    if told is None and "category" in cls.model_fields:
        told = cls.model_fields["category"].default
    return str(getattr(told, "value", told) or "modifiers")


__all__ = ["ApiManager", "ClaimedTask", "Conflict", "JobManager", "TaskStream", "Vis"]
