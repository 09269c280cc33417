"""What README and examples say, as it is written there."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import HERE, ROOT, User
from waiting import until

from nox_client import Client

SAID = {
    "water.py": r"H2O: -5\.0705\d+ hartree\nvibrations: [\d. ]+ 1/cm\nIt succeeded",
    "study.py": r"30 energies, the lowest at 0\.[78]\d ångström\n",
    "asynchronous.py": r"(submitted .*succeeded.*\n){3}",
    "nightly.py": r"\['result\.txt'\]\n3 of 3 canceled\n",
    "worker.py": r"1180591620717411303425\n",
}


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def run(python: Path | str, program: Path, environment: dict[str, str], cwd: Path) -> str:
    command = [str(python), "-W", "error", str(program)]
    done = subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(SAID))
def test_an_example_runs(name: str, user: User, tmp_path: Path) -> None:
    said = run(sys.executable, HERE / "examples" / name, user.environment, tmp_path)
    assert re.search(SAID[name], said)


def test_every_example_is_run_by_a_test() -> None:
    # Of the viewer there is a test of its own.
    assert {path.name for path in (HERE / "examples").glob("*.py")} == {*SAID, "viewer.py"}


def test_the_readme_names_what_there_is() -> None:
    text = (HERE / "README.md").read_text()
    for owner, part in (("nox", Client()), ("job", Client().job("x"))):
        for path in set(re.findall(rf"`{owner}\.([a-z_.]+)", text)):
            named: object = part
            for name in path.strip(".").split("."):
                named = getattr(named, name)
    for row in re.findall(r"\| `nox\.(schedules|webhooks|keys|quotas|workers)` \| (.*) \|", text):
        for name in re.findall(r"`([a-z_]+)[`(]", row[1]):
            assert callable(getattr(getattr(Client(), row[0]), name)), (row[0], name)


def test_the_lines_of_the_repository_s_readme_run(user: User, tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "README.md")
    program = tmp_path / "program.py"
    program.write_text(block)
    lines = run(sys.executable, program, user.environment, tmp_path).splitlines()
    assert lines == [f"{index} ['result.txt']" for index in range(100)]


@pytest.mark.timeout(240)
def test_what_is_built_is_installed_and_does_what_the_readme_says(
    user: User, tmp_path: Path
) -> None:
    """In an environment that has nothing else; pip takes the dependencies from the registry, or from its cache."""
    built = tmp_path / "dist"
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(built), "-t"]
    subprocess.run([*build, "sdist"], cwd=HERE, check=True, capture_output=True, timeout=60)
    (sdist,) = built.glob("*.tar.gz")
    # As `python -m build` does: the wheel is made of what the sdist has, which leads nowhere else.
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    source = tmp_path / sdist.name.removesuffix(".tar.gz")
    assert (source / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    subprocess.run([*build, "wheel"], cwd=source, check=True, capture_output=True, timeout=60)
    (wheel,) = built.glob("*.whl")
    fresh = tmp_path / "fresh"
    # Debian's Python has no pip to put into one.
    venv = [sys.executable, "-m", "venv", "--without-pip", str(fresh)]
    subprocess.run(venv, check=True, timeout=60)
    python = fresh / "bin" / "python"
    # The package that was installed and what that brought, and nothing of the tests' own.
    environment = {**user.environment, "PYTHONPATH": ""}
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", str(wheel)]
    done = subprocess.run(install, env=environment, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr

    first, second = blocks(HERE / "README.md")
    program = tmp_path / "first.py"
    program.write_text(first)
    said = run(python, program, environment, tmp_path).splitlines()
    assert said[0].startswith("-5.0705") and "'xtbopt.xyz'" in said[0]
    assert said[1].startswith("It succeeded") and len(said) == 5
    assert (tmp_path / "water_optimized.xyz").read_text().startswith("3\n")

    program = tmp_path / "second.py"
    program.write_text(second)
    worker = subprocess.Popen([python, program], env=environment)
    try:
        with user.client() as nox:
            path = "/v1/joblib/rooms/lab/jobs"
            until(lambda: nox.request("GET", path)["total"] >= 1)
            task = nox.task("lab", "lab:analysis:Length", {"smiles": "CC"})
            assert task.result(20).outputs == {"length": 2}
        worker.terminate()
        assert worker.wait(20) == 0
    finally:
        worker.kill()
        worker.wait()
