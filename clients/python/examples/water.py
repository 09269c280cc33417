"""Optimizes a water molecule, and says what came of it."""

from nox_client import Client, Options, Resources

WATER = "3\nwater\nO 0 0 0.12\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n"

with Client() as nox:
    options = Options(resources=Resources(wall_time_s=60), labels={"team": "examples"})
    job = nox.run("xtb", xyz=WATER, params={"opt": True, "hess": True}, options=options)
    result = job.result(timeout=60)
    print(f"{result['formula']}: {result['E_total_hartree']:.6f} hartree")
    print("vibrations:", *result["frequencies_cm1"], "1/cm")
    print(job.why().reason)
