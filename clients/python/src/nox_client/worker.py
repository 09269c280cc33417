"""Workers that speak HTTP: functions that claim tasks.

worker = Worker(client, room="lab")

@worker.task("Energy", category="analysis")
def energy(inputs: Molecule, task: Task) -> Energy: ...

worker.run()
"""

from __future__ import annotations

import inspect
import logging
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TypeVar, cast, get_type_hints
from urllib.parse import quote

from pydantic import BaseModel

from . import models
from ._requests import ANSWER_S_MAX, Request
from ._sync.client import Client
from ._task_result import ending, members
from .problems import (
    ApiError,
    Conflict,
    ConnectionFailed,
    Forbidden,
    NotFound,
    NoxError,
    RateLimited,
    ServerDefect,
    Unavailable,
)

log = logging.getLogger("nox_client.worker")

# The server gives a worker up after 60 s of silence, unless it is configured otherwise.
HEARTBEAT_S = 15.0
# The server keeps one progress a second.
PROGRESS_EVERY_S = 1.0
# Seconds until it is tried again to tell what came of a task, beyond what the client tries by itself.
AGAIN_S = 2.0
# Seconds in which a cancel is heard of at the latest, and a finished task's watcher ends.
WATCH_S = 5

Function = TypeVar("Function", bound=Callable[..., Any])

_PASSING = (ConnectionFailed, Unavailable, RateLimited, ServerDefect)


class TaskCancelled(Exception):
    """The task is no longer this worker's: it was cancelled, or given to another one."""


@dataclass
class Task:
    """A task in hand. What is said of it is sent by a thread of the worker's; nothing here waits for the server."""

    id: str
    job_name: str
    """`<room>:<category>:<name>`"""
    room: str
    """Where it was submitted."""
    attempt: int
    payload: Mapping[str, Any]
    _over: threading.Event = field(default_factory=threading.Event, repr=False)
    _stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    _progress: tuple[float | None, str | None] | None = field(default=None, repr=False)

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled or taken away."""
        return self._over.is_set()

    @property
    def stopping(self) -> bool:
        """Whether the worker is to stop: what does not end within its grace goes back into the queue."""
        return self._stopping.is_set()

    def raise_if_cancelled(self) -> None:
        """Raises TaskCancelled where it is over with the task."""
        if self.cancelled:
            raise TaskCancelled(self.id)

    def progress(self, percent: float | None = None, message: str | None = None) -> None:
        """Says how far it is, from 0 to 100; at most once a second is told. Raises as `raise_if_cancelled`."""
        self.raise_if_cancelled()
        self._progress = (percent, message)


@dataclass(frozen=True)
class _Registered:
    function: Callable[..., Any]
    model: type[BaseModel]
    category: str
    name: str
    takes_task: bool


class Worker:
    """Runs functions for tasks, `slots` at a time, each in a thread of its own.

    It is a worker of its own to the server, beside others of the same user. `room` is where its functions are registered;
    `@global`, for all rooms, is for admins. On SIGTERM or SIGINT, or `stop()`, it claims nothing more; what it has may end
    within `grace_s` seconds, and the rest goes back into the queue.
    """

    def __init__(
        self,
        client: Client,
        *,
        room: str = "@global",
        slots: int = 1,
        grace_s: float = 30.0,
        poll_s: float = 0.5,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._client = client
        self._room = room
        self._slots = threading.Semaphore(slots)
        self._grace_s, self._poll_s, self._heartbeat_s = grace_s, poll_s, heartbeat_s
        self._functions: dict[str, _Registered] = {}
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._done = threading.Event()
        # Whether it may have a task that it does not know of: the answer to a claim was lost.
        self._unsure = False
        self.id: str | None = None

    def task(self, name: str, *, category: str = "modifiers") -> Callable[[Function], Function]:
        """Registers a function of a pydantic model, and of a Task where it has a second parameter.

        Its payload is checked against the model, whose JSON Schema others are told. It returns nothing, a mapping or a
        model; what it raises fails the task, with the end of the traceback. Raises TypeError for another first parameter.
        """

        def register(function: Function) -> Function:
            parameters = list(inspect.signature(function).parameters)
            model = get_type_hints(function).get(parameters[0]) if parameters else None
            if not (inspect.isclass(model) and issubclass(model, BaseModel)):
                raise TypeError(f"{name}: the first parameter is no pydantic model")
            registered = _Registered(function, model, category, name, len(parameters) > 1)
            self._functions[f"{self._room}:{category}:{name}"] = registered
            return function

        return register

    def stop(self) -> None:
        """Has `run` end, from any thread or signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Claims and runs tasks until it is stopped. Raises ApiError where the server takes no such worker."""
        before = self._take_signals()
        beats = threading.Thread(target=self._beat, name="nox-beats", daemon=True)
        try:
            beats.start()
            self._claim_until_stopped()
            self._finish()
        finally:
            self._done.set()
            self._leave()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _join(self) -> None:
        """Begins to be a worker, and registers its functions for it."""
        heard = models.Heard.model_validate(self._ask("POST", "/v1/joblib/workers"))
        for registered in self._functions.values():
            body = {
                "category": registered.category,
                "name": registered.name,
                "schema": registered.model.model_json_schema(),
                "worker_id": str(heard.id),
            }
            self._ask("PUT", f"/v1/joblib/rooms/{quote(self._room, safe='')}/jobs", body)
        self.id = str(heard.id)

    def _leave(self) -> None:
        """Ends being one. The server gives back whatever it had."""
        if self.id is None:
            return
        try:
            self._ask("DELETE", f"/v1/joblib/workers/{self.id}")
        except NoxError as error:
            log.warning("could not take leave, and will be given up: %s", error)
        self.id, self._unsure = None, False
        with self._lock:
            for task in self._tasks.values():
                task._over.set()

    def _claim_until_stopped(self) -> None:
        failures = 0
        while not self._stop.is_set():
            if not self._slots.acquire(timeout=0.1):
                continue
            claimed = None
            try:
                if self._unsure and not self._tasks:
                    self._leave()
                if self.id is None:
                    self._join()
                claimed = self._claim()
                failures = 0
            except NotFound:
                log.warning("the server had given this worker up: beginning anew")
                self.id = None
            except _PASSING as error:
                failures += 1
                log.warning("no claim: %s", error)
                self._unsure = self._unsure or isinstance(error, ConnectionFailed)
            if claimed is not None:
                self._start(claimed)
                continue
            self._slots.release()
            self._stop.wait(self._poll_s * min(2**failures, 10))

    def _claim(self) -> models.Task | None:
        body = {"worker_id": self.id}
        return models.ClaimedTask.model_validate(
            self._ask("POST", "/v1/joblib/tasks/claim", body)
        ).task

    def _start(self, claimed: models.Task) -> None:
        payload = claimed.payload if isinstance(claimed.payload, dict) else {}
        task = Task(
            str(claimed.id),
            claimed.job_name,
            claimed.room_id,
            claimed.attempt,
            cast("dict[str, Any]", payload),
        )
        with self._lock:
            self._tasks[task.id] = task
        for target in (self._work, self._watch):
            threading.Thread(
                target=target, args=(task,), name=f"nox-{task.id}", daemon=True
            ).start()

    def _work(self, task: Task) -> None:
        try:
            if self._tell(task, {"status": "running"}):
                self._tell(task, self._outcome(task))
        except NoxError as error:
            # It is given up with its worker, or shown as it is.
            log.error("task %s: what came of it could not be told: %s", task.id, error)
        finally:
            task._over.set()
            with self._lock:
                self._tasks.pop(task.id, None)
            self._slots.release()

    def _outcome(self, task: Task) -> dict[str, Any]:
        """Calls the function, and says what came of it as the server is told."""
        try:
            registered = self._functions[task.job_name]
            inputs = registered.model.model_validate(task.payload)
            arguments = (inputs, task) if registered.takes_task else (inputs,)
            result = registered.function(*arguments)
            return {"status": "completed", "result": members(result)}
        except TaskCancelled:
            return {"status": "cancelled"}
        except BaseException:
            # An exit as well: it would end this thread alone, and the task would stay as it is.
            log.exception("task %s failed", task.id)
            return {"status": "failed", "error": ending(traceback.format_exc())}

    def _tell(self, task: Task, body: dict[str, Any]) -> bool:
        """The same as `_move`, for as long as it takes: a task that nobody speaks of stays as it is."""
        while True:
            try:
                return self._move(task, body)
            except _PASSING as error:
                log.warning("task %s: %s", task.id, error)
                if self._done.wait(AGAIN_S):
                    raise

    def _move(self, task: Task, body: dict[str, Any]) -> bool:
        """Tells the server of a step; whether the task is still this worker's."""
        if task.cancelled:
            return False
        path = f"/v1/joblib/tasks/{task.id}"
        try:
            self._ask("PATCH", path, {**body, "attempt": task.attempt}, safe=True)
        except (Conflict, NotFound, Forbidden):
            # Where the answer to a first try was lost, the second finds it done.
            view = models.Task.model_validate(self._ask("GET", path))
            if (view.status, view.attempt) != (body["status"], task.attempt):
                task._over.set()
                return False
        except ApiError as error:
            if body["status"] != "completed":
                raise
            # A result that no store keeps.
            return self._move(task, {"status": "failed", "error": ending(str(error))})
        return True

    def _watch(self, task: Task) -> None:
        """Hears that a task was cancelled or taken away."""
        while not task.cancelled:
            try:
                request = Request(
                    "GET",
                    f"/v1/joblib/tasks/{task.id}",
                    headers={"Prefer": f"wait={WATCH_S}"},
                    timeout_s=WATCH_S + ANSWER_S_MAX,
                )
                view = models.Task.model_validate(self._client._json(request))
            except _PASSING:
                task._over.wait(1.0)
                continue
            except (ApiError, RuntimeError):
                # Its client was closed.
                return
            mine = view.status in ("claimed", "running") and view.attempt == task.attempt
            if not mine:
                task._over.set()

    def _beat(self) -> None:
        """Heartbeats, and what tasks say of their progress."""
        beaten = time.monotonic()
        told: dict[str, tuple[float | None, str | None]] = {}
        while not self._done.wait(PROGRESS_EVERY_S):
            try:
                if self.id is not None and time.monotonic() - beaten >= self._heartbeat_s:
                    self._ask("PATCH", f"/v1/joblib/workers/{self.id}")
                    beaten = time.monotonic()
                told = self._tell_progress(told)
            except (NoxError, RuntimeError) as error:
                # The next claim finds out what it means.
                log.warning("no heartbeat: %s", error)

    def _tell_progress(
        self, told: dict[str, tuple[float | None, str | None]]
    ) -> dict[str, tuple[float | None, str | None]]:
        with self._lock:
            said = {task.id: (task, task._progress) for task in self._tasks.values()}
        now: dict[str, tuple[float | None, str | None]] = {}
        for id, (task, progress) in said.items():
            if progress is None:
                continue
            now[id] = progress
            if told.get(id) != progress and not task.cancelled:
                percent, message = progress
                body = {"progress": {"percent": percent, "message": message}}
                body["progress"] = {k: v for k, v in body["progress"].items() if v is not None}
                try:
                    self._ask("PATCH", f"/v1/joblib/tasks/{id}", {**body, "attempt": task.attempt})
                except ApiError as error:
                    log.info("task %s: progress was not taken: %s", id, error)
        return now

    def _finish(self) -> None:
        """Lets what is in hand end."""
        deadline = time.monotonic() + self._grace_s
        with self._lock:
            tasks = list(self._tasks.values())
        for task in tasks:
            task._stopping.set()
        for task in tasks:
            task._over.wait(max(0.0, deadline - time.monotonic()))

    def _take_signals(self) -> dict[int, Callable[[int, FrameType | None], Any] | int | None]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        numbers = (signal.SIGTERM, signal.SIGINT)
        return {number: signal.signal(number, lambda *_: self.stop()) for number in numbers}

    def _ask(self, method: str, path: str, body: Any = None, *, safe: bool | None = None) -> Any:
        safe = safe if safe is not None else method in ("GET", "PUT", "DELETE")
        request = Request(method, path, json=body, safe=safe, timeout_s=ANSWER_S_MAX)
        answer = self._client._transport.send(request)
        return answer.json() if answer.content else None
