"""The calculator."""

from __future__ import annotations

import pytest
from conftest import WATER, User

from nox_client import Client

ase = pytest.importorskip("ase")


def test_energies_are_xtbs_and_nothing_runs_twice(user: User) -> None:
    from ase import Atoms, units
    from ase.calculators.calculator import PropertyNotImplementedError

    from nox_client.ase import NoxXTB

    water = Atoms("OH2", positions=[[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    with user.client() as nox:
        water.calc = NoxXTB(nox, timeout=60)
        energy = water.get_potential_energy()
        # As it is without a gradient.
        plain = nox.run("xtb", xyz=WATER).result(60)
        assert energy / units.Hartree == pytest.approx(plain["E_total_hartree"], abs=1e-8)
        assert plain["E_total_hartree"] == pytest.approx(-5.070149, abs=1e-5)
        assert "gradient_hartree_bohr" not in plain.series
        assert len(water.get_charges()) == 3 and water.get_forces().shape == (3, 3)
        # Nothing has moved: nothing runs.
        assert water.get_potential_energy() == energy and count(nox) == 2
        water.positions[0, 2] += 0.05
        assert water.get_potential_energy() != energy and count(nox) == 3
        with pytest.raises(PropertyNotImplementedError):
            water.get_stress()
        water.pbc = True
        with pytest.raises(ValueError, match="periodic"):
            water.get_potential_energy()


@pytest.mark.parametrize("gfn", [2, "ff"])
def test_forces_are_the_slope_of_the_energy(user: User, gfn: int | str) -> None:
    import numpy as np
    from ase import Atoms
    from ase.calculators.fd import calculate_numerical_forces

    from nox_client.ase import NoxXTB

    # Not symmetric, so that no two numbers may change places.
    places = [[0.01, 0.02, 0.12], [0.03, 0.79, -0.48], [-0.02, -0.72, -0.52]]
    water = Atoms("OH2", positions=places)
    with user.client() as nox:
        water.calc = NoxXTB(nox, gfn=gfn, timeout=60)
        forces = water.get_forces()
        slopes = calculate_numerical_forces(water, eps=0.002)
    # eV/Å; the largest of the forces is of one or two.
    assert np.abs(forces).max() > 0.5
    assert np.abs(forces - slopes).max() < 5e-4
    assert np.abs(forces.sum(axis=0)).max() < 1e-5


def test_more_numbers_than_outputs_have_are_read_from_their_file(user: User) -> None:
    from ase import Atoms

    from nox_client.ase import NoxXTB

    # 1,002 numbers of a gradient.
    places = [[4.0 * (n % 7), 4.0 * (n // 7 % 7), 4.0 * (n // 49)] for n in range(334)]
    with user.client() as nox:
        argon = Atoms("Ar334", positions=places, calculator=NoxXTB(nox, gfn="ff", timeout=90))
        assert argon.get_forces().shape == (334, 3)
        (job,) = nox.jobs()
        kept = job.result()["gradient_hartree_bohr"]
        assert kept == {"file": "nox-series.json", "count": 1002}
        assert len(job.series("gradient_hartree_bohr")) == 1002
        with pytest.raises(KeyError):
            job.series("nothing")


def count(nox: Client) -> int:
    return sum(1 for _ in nox.jobs())
