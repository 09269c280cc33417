"""The units and what installs them, in a root of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import urllib.error
from functools import partial
from pathlib import Path

import pytest
from conftest import open_to_others
from observed import Observed
from system import BIN, ROOT, SERVICES, System, free_port, get, nats_server, until

UNITS = ROOT / "deploy/systemd"
# The executor runs other people's programs and shuts them in itself; see the head of its unit's settings.
EXPOSURE_MAX = {"executor": 5.0}
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="makes users in a scratch root")


def install(root: Path, word: str = "install") -> None:
    environment = {**os.environ, "DESTDIR": str(root), "BIN": str(BIN), "NATS_SERVER": nats_server()}
    done = subprocess.run([UNITS / "install.sh", word], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def exposure(unit: Path) -> float:
    command = ["systemd-analyze", "security", "--offline=true", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found.group(1))


UNIT_NAMES = [*SERVICES, "nats"]


@pytest.mark.parametrize("name", UNIT_NAMES)
def test_a_unit_leaves_little_open(name: str, tmp_path: Path) -> None:
    unit = UNITS / f"nox-{name}.service"
    assert exposure(unit) <= EXPOSURE_MAX.get(name, 2.0)
    loose = tmp_path / unit.name
    keeps = ("[", "Type", "User", "Exec", "Description")
    loose.write_text("".join(line for line in unit.read_text().splitlines(True) if line.startswith(keeps)))
    assert exposure(loose) > 8


def verify(root: Path) -> str:
    """What systemd-analyze finds in the units of a root, with this machine's targets."""
    target = root / "usr/lib/systemd/system"
    target.mkdir(parents=True, exist_ok=True)
    for place in [Path("/usr/lib/systemd/system"), Path("/lib/systemd/system")]:
        for file in place.glob("*.target"):
            shutil.copyfile(file, target / file.name)
    units = [f"nox-{name}.service" for name in UNIT_NAMES]
    done = subprocess.run(["systemd-analyze", "verify", f"--root={root}", *units], capture_output=True, text=True)
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"status {done.returncode}")


@needs_root
def test_it_is_put_in_place_upgraded_and_taken_away_again(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    install(root)

    assert verify(root) == ""
    unit = root / "etc/systemd/system/nox-gateway.service"
    right = unit.read_text()
    unit.write_text(right.replace("/usr/bin/nox-gateway", "/usr/bin/nox-gatewy").replace("UMask", "UMsk"))
    assert "UMsk" in verify(root) and "nox-gatewy" in verify(root)
    unit.write_text(right)

    users = {line.split(":")[0]: line.split(":")[2] for line in (root / "etc/passwd").read_text().splitlines()}
    groups = {line.split(":")[0]: line.split(":")[2:] for line in (root / "etc/group").read_text().splitlines()}
    assert set(users) == {"root", "nox", "nox-nats", "nox-executor"}
    assert set(groups["nox-files"][1].split(",")) == {"nox", "nox-executor"}
    for folder, mode, owner in [
        ("archive", 0o700, "nox"),
        ("audit", 0o700, "nox"),
        ("artifacts", 0o2770, "nox"),
        ("work", 0o711, "nox-executor"),
    ]:
        place = (root / "var/lib/nox" / folder).stat()
        assert (place.st_mode & 0o7777, str(place.st_uid)) == (mode, users[owner]), folder

    settings = {name: root / "etc/default" / name for name in ["nox", *(f"nox-{name}" for name in UNIT_NAMES)]}
    assert all(path.stat().st_mode & 0o077 == 0 for path in settings.values())
    text = {name: path.read_text() for name, path in settings.items()}
    assert "@" not in re.sub(r"(postgres|nats)://\S+", "", "".join(text.values()))
    keys = [
        re.search(r"^NOX_WEBHOOK_KEY=([0-9a-f]{64})$", text[name], re.MULTILINE)
        for name in ["nox-gateway", "nox-notifier"]
    ]
    assert keys[0] and keys[1] and keys[0].group(1) == keys[1].group(1)
    assert re.search(r"^NOX_CLUSTER_KEY=[0-9a-f]{64}$", text["nox-scheduler"], re.MULTILINE)

    # An upgrade keeps what was set.
    settings["nox-gateway"].write_text(text["nox-gateway"] + "NOX_RATE_LIMIT_PER_S=0\n")
    (root / "var/lib/nox/archive/kept").write_text("a segment")
    (root / "usr/bin/nox-gateway").write_text("an older one")
    before = tree(root)
    install(root)
    assert tree(root) == before
    assert settings["nox-gateway"].read_text().endswith("NOX_RATE_LIMIT_PER_S=0\n")
    assert (root / "usr/bin/nox-gateway").stat().st_size == (BIN / "nox-gateway").stat().st_size

    install(root, "remove")
    left = tree(root)
    assert not [path for path in left if path.endswith(".service") or path.startswith("usr/bin/nox")]
    assert "var/lib/nox/archive/kept" in left and "etc/default/nox-gateway" in left
    install(root, "purge")
    left = tree(root)
    assert not [path for path in left if "nox" in path], left
    assert "nox" not in (root / "etc/passwd").read_text() + (root / "etc/group").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_each_setting_is_one_that_the_service_reads(name: str) -> None:
    sources = [*(ROOT / "services" / name / "src").rglob("*.rs"), *(ROOT / "libs/service/src").rglob("*.rs")]
    text = " ".join(path.read_text() for path in [*sources, *(ROOT / "libs/egress/src").rglob("*.rs")])
    lines = [
        *(UNITS / "nox.default").read_text().splitlines(),
        *(UNITS / f"nox-{name}.default").read_text().splitlines(),
    ]
    names = [line.split("=")[0] for line in lines if line and not line.startswith("#")]
    assert [name for name in names if f'"{name}"' not in text] == []
    # A name twice, with two values, would be a riddle.
    assert len(names) == len(set(names))


def test_a_service_counts_as_started_when_it_answers(observed: Observed) -> None:
    def awaits(*words: str) -> int:
        return subprocess.run([UNITS / "await-livez", *words], timeout=2).returncode

    assert awaits(observed.system.places["gateway:9100"]) == 0
    assert awaits() == 0
    with pytest.raises(subprocess.TimeoutExpired):
        awaits(f"127.0.0.1:{free_port()}")


def settings(unit: str) -> dict[str, list[str]]:
    """What a unit says, by key."""
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


@needs_root
def test_what_is_installed_runs_a_job_as_its_users_and_with_its_passwords(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = open_to_others(tmp_path_factory.mktemp("installed"))
    root = folder / "root"
    (root / "etc").mkdir(parents=True)
    install(root)
    passwd = {line.split(":")[0]: line.split(":") for line in (root / "etc/passwd").read_text().splitlines()}
    groups = {line.split(":")[0]: int(line.split(":")[2]) for line in (root / "etc/group").read_text().splitlines()}
    system = System(folder)

    def here(value: str) -> str:
        """The same with this machine's free ports, below the scratch root, and with Postgres named."""
        value = value.replace(
            "change-me@127.0.0.1", f"{system.variables['POSTGRES_PASSWORD']}@{system.place('postgres:5432')}"
        )
        for name, port in [("nats:4222", 4222), ("nats:8222", 8222), ("gateway:8081", 8081)]:
            value = value.replace(f"127.0.0.1:{port}", system.place(name))
        for number, name in enumerate(["scheduler", "projector", "notifier", "executor", "gateway"], 9101):
            value = value.replace(f"127.0.0.1:{number}", system.place(f"{name}:9100"))
        return re.sub(r"^/(?=usr|var|etc)", f"{root}/", value)

    def start(name: str) -> dict[str, str]:
        unit = settings((root / f"etc/systemd/system/nox-{name}.service").read_text())
        env: dict[str, str] = {}
        for file in unit["EnvironmentFile"]:
            lines = (root / file.lstrip("/")).read_text().splitlines()
            env |= dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        env = {key: here(value) for key, value in env.items()}
        command = [here(word) for word in unit["ExecStart"][0].split()]
        extra = [groups[group] for group in unit.get("SupplementaryGroups", [])]
        user, group = int(passwd[unit["User"][0]][2]), groups[unit["Group"][0]]
        system.start(name, command, env, user=user, group=group, extra_groups=extra, umask=int(unit["UMask"][0], 8))
        return env

    with contextlib.ExitStack() as ends:
        ends.push(system.__exit__)
        start("nats")
        until("the broker", lambda: get(f"http://{system.place('nats:8222')}/healthz"))
        system.postgres()
        told = {name: start(name) for name in SERVICES}
        for name in SERVICES:
            until(f"{name} is ready", partial(system.ready, name))
        system.variables["NOX_JWT_SECRET"] = told["gateway"]["NOX_JWT_SECRET"]
        until("a module", lambda: "xtb_hello" in get(f"{system.url}/modules"))

        token = system.token("ada")
        job = json.loads(get(f"{system.url}/jobs", token, {"module": "xtb_hello", "inputs": {"text": "as installed"}}))[
            "job_id"
        ]
        until("its end", lambda: "succeeded" in get(f"{system.url}/jobs/{job}", token))
        # The executor wrote it, and the gateway is another user.
        assert "as installed" in get(f"{system.url}/jobs/{job}/artifacts/result.txt", token)
        kept = next((root / "var/lib/nox/artifacts").rglob("result.txt"))
        assert (kept.stat().st_uid, kept.stat().st_gid) == (int(passwd["nox-executor"][2]), groups["nox-files"])
        assert kept.stat().st_mode & 0o007 == 0
        until(
            "an act", lambda: job in "".join(path.read_text() for path in (root / "var/lib/nox/audit").glob("*.jsonl"))
        )
        os.chown(kept, -1, groups["nox-executor"])
        with pytest.raises(urllib.error.HTTPError):
            get(f"{system.url}/jobs/{job}/artifacts/result.txt", token)
        # Each has its own.
        assert len({env["NOX_NATS_URL"] for env in told.values()}) == len(SERVICES)
