"""Registers, submits, claims and ends tasks with the client of the users' document."""

import os
import threading

import httpx
from pydantic import BaseModel

from document_client import ClaimedTask, JobManager

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


worker = Api(os.environ["NOX_ADMIN_TOKEN"])
user = Api(os.environ["NOX_USER_TOKEN"])
jobs = JobManager(worker)


# As in the document's example.
@jobs.register
class Rotate(BaseModel):
    angle: float = 0.0


@jobs.register(room="room_123")
class PrivateRotate(BaseModel):
    angle: float = 0.0


assert len(jobs) == 2, list(jobs)
assert jobs["@global:modifiers:Rotate"] is Rotate
assert jobs._get_worker_id() == "user_123"

listed = user.http.get(f"{URL}/v1/joblib/rooms/room_123/jobs", headers=user.get_headers()).json()
assert [job["full_name"] for job in listed["items"]] == sorted(jobs), listed


def submit(name, payload):
    answer = user.http.post(
        f"{URL}/v1/joblib/rooms/room_123/tasks/{name}",
        headers=user.get_headers(),
        json={"payload": payload},
    )
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


places = [submit(name, {"angle": 90.5}) for name in [*jobs, *jobs]]

# Whoever submitted one waits for it meanwhile.
heard = []


def wait():
    headers = {**user.get_headers(), "Prefer": "wait=20"}
    answer = user.http.get(f"{URL}{places[-1]}", headers=headers)
    heard.append((answer.json()["status"], answer.headers.get("Preference-Applied")))


waiting = threading.Thread(target=wait)
waiting.start()


def update(task, **members):
    answer = worker.http.patch(
        f"{URL}/v1/joblib/tasks/{task.id}", headers=worker.get_headers(), json=members
    )
    assert answer.status_code == 200, answer.text


stream = jobs.listen(interval=0.05)
seen = []
for task in stream:
    assert isinstance(task, ClaimedTask) and task.room_id == "room_123", task
    assert jobs[task.job_name](**task.payload).angle == 90.5
    jobs.heartbeat()
    update(task, status="running")
    update(task, status="completed")
    seen.append(f"/v1/joblib/tasks/{task.id}")
    if len(seen) == len(places):
        stream.stop()
assert seen == places, (seen, places)
waiting.join()
assert heard == [("completed", "wait=20")], heard

gone = worker.http.delete(f"{URL}/v1/joblib/workers/user_123", headers=worker.get_headers())
assert gone.status_code == 204, gone.text
print("all well")
