"""A worker and who asks it, in one program: usually these are two."""

import threading

from pydantic import BaseModel

from nox_client import Client, Task, Worker


class Sum(BaseModel):
    numbers: list[int]


class Total(BaseModel):
    total: int


with Client() as nox:
    worker = Worker(nox, room="sums", poll_s=0.1)

    @worker.task("Sum", category="analysis")
    def add(inputs: Sum, task: Task) -> Total:
        total = 0
        for place, number in enumerate(inputs.numbers):
            task.progress(100 * place / len(inputs.numbers))
            total += number
        return Total(total=total)

    thread = threading.Thread(target=worker.run)
    thread.start()
    while worker.id is None and thread.is_alive():
        thread.join(0.05)
    # Exact, of any size.
    job = nox.task("sums", "sums:analysis:Sum", {"numbers": [2**70, 1]})
    print(job.result(timeout=20).outputs["total"])
    worker.stop()
    thread.join()
