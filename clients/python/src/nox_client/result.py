"""What came of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import models
from .problems import JobCanceled, JobFailed

ENDS = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True)
class Result:
    """What came of a job that succeeded."""

    job: models.Job
    outputs: dict[str, Any]
    """As the job has them; of a task what its worker said."""

    @property
    def scalars(self) -> dict[str, Any]:
        """Values that the module reads from what was written, by their names, which say the units."""
        return dict(self.outputs.get("scalars") or {})

    @property
    def series(self) -> dict[str, Any]:
        """The same where there are many of one name; of more than 1,000 `{"file", "count"}`, which `job.series(name)` reads."""
        return dict(self.outputs.get("series") or {})

    @property
    def metrics(self) -> dict[str, Any]:
        """What the executor measured: `duration_s` in seconds."""
        return dict(self.outputs.get("metrics") or {})

    @property
    def files(self) -> list[str]:
        """Names of the kept files, for `download` and `read`."""
        return [kept["name"] for kept in self.outputs.get("artifacts") or []]

    @property
    def flags(self) -> list[str]:
        """What had to be replaced or left out, by its code; `log_incomplete` for example."""
        return list(self.outputs.get("flags") or [])

    def __getitem__(self, name: str) -> Any:
        """A scalar or a series by its name. Raises KeyError."""
        return self.scalars[name] if name in self.scalars else self.series[name]


def ended(job: models.Job) -> bool:
    """Whether it is over with the job."""
    return job.state in ENDS


def result_of(job: models.Job) -> Result:
    """What came of a job that has ended. Raises JobFailed or JobCanceled."""
    match job.state:
        case "succeeded":
            return Result(job, job.outputs if isinstance(job.outputs, dict) else {})
        case "canceled":
            raise JobCanceled(job)
        case _:
            raise JobFailed(job)
