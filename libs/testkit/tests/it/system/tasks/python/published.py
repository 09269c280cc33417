"""The published zndraw-joblib client, where its addresses are those of the users' document."""

import enum
import os
import sys
import types
from importlib.util import find_spec
from typing import ClassVar

import httpx

# The package is client and server in one. Of the server's half, whose tables need a database's packages, the client
# takes one enumeration; its own modules are as they were published.
package = types.ModuleType("zndraw_joblib")
package.__path__ = list(find_spec("zndraw_joblib").submodule_search_locations)
models = types.ModuleType("zndraw_joblib.models")
models.TaskStatus = enum.Enum(
    "TaskStatus",
    {word.upper(): word for word in "pending claimed running completed failed cancelled".split()},
    type=str,
)
sys.modules |= {"zndraw_joblib": package, "zndraw_joblib.models": models}

from zndraw_joblib.client import Category, Extension, JobManager

URL = os.environ["NOX_URL"]


class Api:
    def __init__(self, token):
        self.http = httpx.Client(timeout=30)
        self.token = token

    def get_headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def base_url(self):
        return URL


api = Api(os.environ["NOX_ADMIN_TOKEN"])
one, two = JobManager(api), JobManager(api)
one.create_worker()
two.create_worker()
assert one.worker_id != two.worker_id


class Rotate(Extension):
    category: ClassVar[Category] = Category.MODIFIER
    angle: float = 0.0


class Align(Extension):
    category: ClassVar[Category] = Category.ANALYSIS
    axis: str = "z"


one.register(Rotate)
one.register(Rotate, room="room_123")
two.register(Rotate)
two.register(Align)
# Without a worker of its own, the first registration makes it one.
three = JobManager(api)
three.register(Align)
assert three.worker_id is not None

submitter = JobManager(Api(os.environ["NOX_USER_TOKEN"]))
tasks = [submitter.submit(Rotate(angle=angle), room="room_123") for angle in (1.0, 2.0)]
tasks.append(submitter.submit(Align(axis="x"), room="room_123"))


def end(task, status):
    for to in ("running", status):
        answer = api.http.patch(
            f"{URL}/v1/joblib/tasks/{task.task_id}",
            headers=api.get_headers(),
            json={"status": to, "error": "as asked"} if to == "failed" else {"status": to},
        )
        answer.raise_for_status()


first, second, third = one.claim(), two.claim(), three.claim()
assert [first.task_id, second.task_id, third.task_id] == tasks
assert (first.extension.angle, second.extension.angle, third.extension.axis) == (1.0, 2.0, "x")
assert one.claim() is None
for manager in (one, two, three):
    manager.heartbeat()
end(first, "completed")
end(second, "failed")
end(third, "completed")

workers = api.http.get(f"{URL}/v1/joblib/workers", headers=api.get_headers()).json()
assert workers["total"] == 3, workers
print("all well")
