"""compose.yaml and the Dockerfile, by what checks such files; that they start a system, `observed` shows."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from observed import Observed
from system import COMPOSE, ROOT, SERVICES, TOOLS, compose, example_variables, until

# That package carries the schema; its program is not needed.
SCHEMA = json.loads((TOOLS / "operations/check_jsonschema/builtin_schemas/vendor/compose-spec.json").read_text())


def faults(document: dict[str, Any]) -> list[str]:
    validator = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
    return [error.message for error in validator.iter_errors(document)]


def test_compose_yaml_follows_the_schema() -> None:
    assert faults(compose()) == []
    misspelt = copy.deepcopy(compose())
    misspelt["services"]["gateway"]["helthcheck"] = misspelt["services"]["gateway"].pop("healthcheck")
    assert any("gateway" in fault or "helthcheck" in fault for fault in faults(misspelt))


def test_hadolint_finds_nothing_in_the_dockerfile(tmp_path: Path) -> None:
    hadolint = str(TOOLS / "operations/bin/hadolint")

    def lint(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [hadolint, "--config", str(ROOT / "compose/hadolint.yaml"), str(path)], capture_output=True, text=True
        )

    found = lint(COMPOSE / "Dockerfile")
    assert found.returncode == 0, found.stdout
    (tmp_path / "Dockerfile").write_text((COMPOSE / "Dockerfile").read_text().replace("debian:bookworm-slim", "debian"))
    assert "DL3006" in lint(tmp_path / "Dockerfile").stdout


def test_the_example_has_each_variable_that_must_be_set() -> None:
    text = (COMPOSE / "compose.yaml").read_text()
    required = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    assert required == set(example_variables())


def test_nothing_listens_for_strangers_and_every_volume_is_declared() -> None:
    document = compose()
    for name, service in document["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port}"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (COMPOSE / source).exists() if source.startswith(".") else source in document["volumes"], volume
        assert ":" in service["image"] and not service["image"].endswith(":latest")
    assert all(document["services"][name]["read_only"] for name in SERVICES)


def test_programs_of_the_image_are_those_that_are_started() -> None:
    dockerfile = (COMPOSE / "Dockerfile").read_text()
    for name in SERVICES:
        program = compose()["services"][name]["command"][0]
        assert f"target/release/{program}" in dockerfile
        assert f" AS {compose()['services'][name]['build']['target']}\n" in dockerfile
    assert "USER 65532" in dockerfile and "--locked" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_each_variable_is_one_that_its_service_reads(name: str) -> None:
    source = (ROOT / "services" / name / "src").rglob("*.rs")
    shared = [*(ROOT / "libs/service/src").rglob("*.rs"), *(ROOT / "libs/egress/src").rglob("*.rs")]
    text = " ".join(path.read_text() for path in [*source, *shared])
    # Where the archive is the executor need not know; all are told what most need.
    unknown = [
        key for key in compose()["services"][name]["environment"] if f'"{key}"' not in text and key != "NOX_ARCHIVE"
    ]
    assert unknown == []


def test_what_it_says_starts_a_system_that_is_ready(observed: Observed) -> None:
    ready = 'count(max_over_time(probe_success{job="nox-ready"}[10m]) == 1)'
    until("all are ready", lambda: observed.ask(ready) == [({}, len(SERVICES))], 30)
