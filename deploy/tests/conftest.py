"""A running system with Prometheus beside it, for all tests that ask one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from observed import Observed
from system import System


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    folder = tmp_path_factory.mktemp("system")
    # Postgres' user has to pass.
    for place in [folder, *folder.parents]:
        if place.stat().st_uid == Path.home().stat().st_uid and place != Path("/"):
            place.chmod(place.stat().st_mode | 0o011)
    with System(folder) as system, Observed(system) as observed:
        yield observed
