"""A bond, stretched in steps; killed and started again it goes on, for its jobs have a key."""

from collections.abc import Iterator
from typing import Any

from nox_client import Client


def hydrogen() -> Iterator[dict[str, Any]]:
    """Molecules of growing length, in ångström."""
    for step in range(30):
        yield {"xyz": f"2\n\nH 0 0 0\nH 0 0 {0.5 + 0.05 * step:.2f}\n"}


with Client() as nox:
    energies = [of["E_total_hartree"] for of in nox.map("xtb", hydrogen(), key="hydrogen-1")]
    best = min(range(len(energies)), key=energies.__getitem__)
    print(f"{len(energies)} energies, the lowest at {0.5 + 0.05 * best:.2f} ångström")
