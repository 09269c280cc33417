"""xtb on a Nox server as a calculator of the Atomic Simulation Environment (extra `ase`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes

from ._requests import Options
from ._sync.client import Client


class NoxXTB(Calculator):
    """Energies (eV), forces (eV/Å) and partial charges (elementary charges), each geometry a job of the module `xtb`.

    `gfn` is 0, 1, 2 or "ff", `solvent` one of the module's words, `multiplicity` the lowest that is possible if left out.
    Waits `timeout` seconds for each. Molecules have no stress.
    """

    implemented_properties = ["energy", "free_energy", "forces", "charges"]

    def __init__(
        self,
        client: Client,
        *,
        gfn: int | str = 2,
        charge: int = 0,
        multiplicity: int | None = None,
        solvent: str | None = None,
        options: Options | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # xtb computes it for each energy anyway.
        params = {"gfn": gfn, "solvent": solvent, "grad": True}
        self._inputs: dict[str, Any] = {
            "charge": charge,
            "params": {name: value for name, value in params.items() if value is not None},
        }
        if multiplicity is not None:
            self._inputs["multiplicity"] = multiplicity
        self._client, self._options, self._timeout = client, options, timeout

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Runs the job. Raises ValueError for periodic systems, JobFailed where xtb could not."""
        super().calculate(atoms, list(properties), list(system_changes))
        if self.atoms.pbc.any():
            raise ValueError("the module xtb takes molecules, and no periodic systems")
        job = self._client.run(
            "xtb", {**self._inputs, "xyz": xyz_of(self.atoms)}, options=self._options
        )
        result = job.result(self._timeout)
        energy = result.scalars["E_total_hartree"] * units.Hartree
        gradient = np.reshape(job.series("gradient_hartree_bohr"), (-1, 3))
        forces = -gradient * (units.Hartree / units.Bohr)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
        if "partial_charges_e" in result.series:
            self.results["charges"] = np.array(job.series("partial_charges_e"))


def xyz_of(atoms: Atoms) -> str:
    """A molecule in the XYZ format, in ångström with all digits that doubles have."""
    lines = [
        f"{symbol} {x!r} {y!r} {z!r}"
        for symbol, (x, y, z) in zip(
            atoms.get_chemical_symbols(), atoms.positions.tolist(), strict=True
        )
    ]
    return "\n".join([str(len(lines)), "", *lines, ""])
