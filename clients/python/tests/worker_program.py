"""A worker, which notes in a file what it begins and how that ends."""

from __future__ import annotations

import sys
import time

from pydantic import BaseModel

from nox_client import Client, Task, TaskCancelled, Worker

room, notes, grace_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
client = Client()
worker = Worker(client, room=room, grace_s=grace_s, heartbeat_s=1.0, poll_s=0.05)


class Molecule(BaseModel):
    smiles: str = ""
    steps: int = 1


class Energy(BaseModel):
    energy: float


def note(line: str) -> None:
    with open(notes, "a") as file:
        print(line, file=file)


@worker.task("Energy", category="analysis")
def energy(inputs: Molecule, task: Task) -> Energy:
    note(f"begun {inputs.smiles}")
    if inputs.smiles == "explode":
        raise ZeroDivisionError("and so on " * 2_000 + "boom")
    try:
        for step in range(inputs.steps):
            task.progress(100 * step / inputs.steps, "step")
            time.sleep(0.1)
    except TaskCancelled:
        note(f"canceled {inputs.smiles}")
        raise
    note(f"ended {inputs.smiles}")
    return Energy(energy=-float(len(inputs.smiles)))


@worker.task("Nothing", category="analysis")
def nothing(inputs: Molecule) -> None:
    note("nothing")


worker.run()
