"""A whole system of the tests' own, and users in it."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from proxy import Proxy

from nox_client import Client

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
BIN = Path(os.environ.get("NOX_BIN") or ROOT / "target" / "debug")

# After this many seconds of silence the server gives a worker up.
WORKER_TIMEOUT_S = 3

WATER = "3\nwater\nO 0 0 0.12\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n"


@dataclass(frozen=True)
class System:
    """A running `noxctl dev`."""

    url: str
    data: Path

    def token(self, user: str, *flags: str) -> str:
        """A token of a user's, good for an hour."""
        command = [f"{BIN}/noxctl", "--data", str(self.data), "token", "--sub", user, *flags]
        return subprocess.check_output(command, text=True, timeout=20).strip()


@dataclass(frozen=True)
class User:
    """Somebody whom no other test knows."""

    system: System
    name: str
    token: str
    admin: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """What a program of theirs finds in its environment."""
        path = os.pathsep.join([str(HERE / "src"), os.environ.get("PYTHONPATH", "")])
        theirs = {"NOX_URL": self.system.url, "NOX_TOKEN": self.token, "PYTHONPATH": path}
        return {**os.environ, **theirs, "PYTHONDONTWRITEBYTECODE": "1"}

    def client(self, url: str | None = None) -> Client:
        """A client; of another address than the server's, where one is given."""
        return Client(url or self.system.url, self.token)


@contextmanager
def running(data: Path) -> Iterator[tuple[System, subprocess.Popen[bytes]]]:
    """A system whose data are kept in a folder, at the same address each time."""
    if not (BIN / "noxctl").exists():
        pytest.exit(f"no noxctl in {BIN}: build it, or say in NOX_BIN where it is", returncode=2)
    environment = {
        **os.environ,
        "NOX_DATA": str(data / "data"),
        "NOX_HTTP_ADDR": "127.0.0.1:0",
        "NOX_SYNC": "relaxed",
        # So that webhooks may come to the tests themselves.
        "NOX_WEBHOOK_KEY": "ab" * 32,
        "NOX_WEBHOOK_ALLOW": "127.0.0.0/8",
        "NOX_WEBHOOK_HTTP": "true",
        "NOX_JOBLIB_WORKER_TIMEOUT_SECONDS": str(WORKER_TIMEOUT_S),
    }
    command = [f"{BIN}/noxctl", "dev", "--headless"]
    with open(data / "stderr", "ab") as stderr:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=stderr
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, (data / "stderr").read_text()
        yield System(json.loads(line)["url"], data / "data"), process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("system")) as (system, _):
        yield system


@pytest.fixture
def user(system: System) -> User:
    name = f"user-{uuid.uuid4().hex[:12]}"
    return User(system, name, system.token(name))


@pytest.fixture
def admin(system: System) -> User:
    name = f"admin-{uuid.uuid4().hex[:12]}"
    return User(system, name, system.token(name, "--admin"), admin=True)


@pytest.fixture
def nox(user: User) -> Iterator[Client]:
    with user.client() as client:
        yield client


@pytest.fixture
def proxy(system: System) -> Iterator[Proxy]:
    with Proxy(system.url) as proxy:
        yield proxy
