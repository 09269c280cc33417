"""The calculator."""

from __future__ import annotations

import pytest
from conftest import User

ase = pytest.importorskip("ase")


def test_energies_are_xtbs_and_forces_say_why_they_are_not_there(user: User) -> None:
    from ase import Atoms, units
    from ase.calculators.calculator import PropertyNotImplementedError

    from nox_client.ase import NoxXTB

    water = Atoms("OH2", positions=[[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    with user.client() as nox:
        water.calc = NoxXTB(nox, timeout=60)
        energy = water.get_potential_energy()
        assert energy / units.Hartree == pytest.approx(-5.070149, abs=1e-5)
        assert len(water.get_charges()) == 3
        # Nothing has moved: nothing runs.
        assert water.get_potential_energy() == energy and sum(1 for _ in nox.jobs()) == 1
        water.positions[0, 2] += 0.05
        assert water.get_potential_energy() != energy and sum(1 for _ in nox.jobs()) == 2
        with pytest.raises(PropertyNotImplementedError, match="no forces"):
            water.get_forces()
        water.pbc = True
        with pytest.raises(ValueError, match="periodic"):
            water.get_potential_energy()
