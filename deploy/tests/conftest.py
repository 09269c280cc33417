"""A running system with Prometheus beside it, for all tests that ask one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from observed import Observed
from system import System


def open_to_others(folder: Path) -> Path:
    """Lets Postgres' user pass, who is not the one that runs the tests as root."""
    for place in [folder, *folder.parents]:
        if place.stat().st_mode & 0o011 != 0o011:
            place.chmod(place.stat().st_mode | 0o011)
    return folder


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """For all tests; they leave it as it is, but the last of test_metrics.py, which ends the executor."""
    folder = open_to_others(tmp_path_factory.mktemp("system"))
    with System(folder) as system, Observed(system) as observed:
        yield observed


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """One that a test may break."""
    folder = open_to_others(tmp_path_factory.mktemp("own"))
    with System(folder) as system, Observed(system) as observed:
        yield observed
